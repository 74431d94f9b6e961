//! Searches of numbers and quantities: what is asked is as wide as its last digit.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::leaf::{self, text};
use super::place::Datatype;
use super::query::parts;

/// How a value compares with what is asked. `ap` is not among them: how near is near enough is nowhere
/// said exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Prefix {
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    Sa,
    Eb,
}

impl Prefix {
    /// The prefix of a value, and the value; `eq` if there is none.
    pub(super) fn split(value: &str) -> (Self, &str) {
        let prefix = match value.get(..2) {
            Some("eq") => Self::Eq,
            Some("ne") => Self::Ne,
            Some("gt") => Self::Gt,
            Some("lt") => Self::Lt,
            Some("ge") => Self::Ge,
            Some("le") => Self::Le,
            Some("sa") => Self::Sa,
            Some("eb") => Self::Eb,
            _ => return (Self::Eq, value),
        };
        (prefix, &value[2..])
    }
}

/// What a number should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NumberTest {
    prefix: Prefix,
    number: Decimal,
    /// Half of what its last digit stands for.
    half: Decimal,
}

/// What is found: one number, or all from one to another; an end that is not known has none.
#[derive(Clone, Copy)]
struct Between {
    low: Option<Decimal>,
    high: Option<Decimal>,
}

impl NumberTest {
    /// `le5.40`; `None` for anything else.
    pub(super) fn read(value: &str) -> Option<Self> {
        let (prefix, text) = Prefix::split(value);
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let behind = digits.split_once('.').map_or(0, |(_, behind)| behind.len());
        let last = exponent.checked_sub(i32::try_from(behind).ok()?)?;
        Some(Self {
            prefix,
            number: decimal(text)?,
            half: decimal(&format!("5e{}", last.checked_sub(1)?))?,
        })
    }

    fn fits(&self, found: Between) -> bool {
        let Self { number, half, .. } = self;
        let (from, to) = (number.saturating_sub(*half), number.saturating_add(*half));
        let is_in =
            found.low.is_some_and(|low| from <= low) && found.high.is_some_and(|high| high < to);
        let above = found.high.is_none_or(|high| high > *number);
        let below = found.low.is_none_or(|low| low < *number);
        match self.prefix {
            Prefix::Eq => is_in,
            Prefix::Ne => !is_in,
            Prefix::Gt => above,
            Prefix::Lt => below,
            Prefix::Ge => found.high.is_none_or(|high| high >= *number),
            Prefix::Le => found.low.is_none_or(|low| low <= *number),
            Prefix::Sa => found.low.is_some_and(|low| low > *number),
            Prefix::Eb => found.high.is_some_and(|high| high < *number),
        }
    }

    /// Whether a plain number is what is wanted.
    pub(super) fn matches(&self, json: &str) -> bool {
        decimal(json).is_some_and(|number| self.fits(exactly(number)))
    }
}

fn exactly(number: Decimal) -> Between {
    Between {
        low: Some(number),
        high: Some(number),
    }
}

fn decimal(text: &str) -> Option<Decimal> {
    let starts_well = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    if !starts_well || text.contains('_') {
        return None;
    }
    Decimal::from_str_exact(text)
        .or_else(|_| Decimal::from_scientific(text))
        .ok()
}

/// What a quantity should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct QuantityTest {
    number: NumberTest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    system: Option<String>,
    /// The code; without a system, the unit will do too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

impl QuantityTest {
    /// `5.4`, `5.4|system|code` or `5.4||code`; `None` for anything else.
    pub(super) fn read(value: &str) -> Option<Self> {
        let mut parts = parts(value, '|');
        let number = NumberTest::read(&parts.next()?)?;
        let (system, code, more) = (parts.next(), parts.next(), parts.next());
        if more.is_some() || (system.is_some() && code.as_ref().is_none_or(String::is_empty)) {
            return None;
        }
        let system = system.filter(|system| !system.is_empty());
        Some(Self {
            number,
            system,
            code,
        })
    }

    /// Whether a value is what is wanted.
    pub(super) fn matches(&self, datatype: Datatype, json: &str) -> bool {
        self.in_value(datatype, json).unwrap_or(false)
    }

    fn in_value(&self, datatype: Datatype, json: &str) -> Option<bool> {
        const CURRENCIES: &str = "urn:iso:std:iso:4217";
        Some(match datatype {
            Datatype::Money => {
                let money: leaf::Money<'_> = leaf::read(json)?;
                let currency = text(money.currency.as_ref());
                self.has_unit(Some(CURRENCIES), currency, None)
                    && self.number.matches(money.value?.get())
            }
            Datatype::Range => {
                let range: leaf::Range<'_> = leaf::read(json)?;
                if range.low.is_none() && range.high.is_none() {
                    return None;
                }
                // An end in another unit is not one that is open.
                let end = |end: Option<leaf::Quantity<'_>>| match end {
                    Some(end) => self.end(&end).map(Some),
                    None => Some(None),
                };
                let (low, high) = (end(range.low)?, end(range.high)?);
                self.number.fits(Between { low, high })
            }
            _ => {
                let quantity = leaf::read(json)?;
                self.number.fits(exactly(self.end(&quantity)?))
            }
        })
    }

    /// The number of a quantity in the unit that is asked for.
    fn end(&self, quantity: &leaf::Quantity<'_>) -> Option<Decimal> {
        let (system, code) = (text(quantity.system.as_ref()), text(quantity.code.as_ref()));
        let has_unit = self.has_unit(system, code, text(quantity.unit.as_ref()));
        decimal(quantity.value?.get()).filter(|_| has_unit)
    }

    fn has_unit(&self, system: Option<&str>, code: Option<&str>, unit: Option<&str>) -> bool {
        let Some(wanted) = self.code.as_deref() else {
            return true;
        };
        match &self.system {
            Some(asked) => system == Some(asked) && code == Some(wanted),
            None => code == Some(wanted) || unit == Some(wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(wanted: &str, found: &str) -> bool {
        NumberTest::read(wanted).unwrap().matches(found)
    }

    #[test]
    fn a_number_is_as_wide_as_its_last_digit() {
        assert!(is("100", "99.5") && is("100", "100.4999") && !is("100", "100.5"));
        assert!(is("1e2", "50") && !is("1e2", "150"));
        assert!(!is("100.00", "100.01") && is("100.00", "1.00e2"));
        assert!(is("-3", "-3.2") && is("ne5.4", "5.45") && !is("ne5.4", "5.35"));
    }

    #[test]
    fn other_prefixes_compare_exactly() {
        assert!(is("gt5.4", "5.41") && !is("gt5.4", "5.4"));
        assert!(is("ge5.4", "5.40") && is("le5.4", "5.4") && is("lt5.4", "5.3999"));
        assert!(is("sa5", "6") && is("eb5", "4") && !is("sa5", "5"));
    }

    #[test]
    fn units_count_when_they_are_asked_for() {
        let json = r#"{"value":5.4,"unit":"kilo","system":"u","code":"kg"}"#;
        let is = |wanted: &str| {
            QuantityTest::read(wanted)
                .unwrap()
                .matches(Datatype::Quantity, json)
        };
        for wanted in ["5.4", "5.4|u|kg", "5.4||kg", "5.4||kilo", "gt5||kg"] {
            assert!(is(wanted), "{wanted}");
        }
        for wanted in ["5.4|v|kg", "5.4|u|kilo", "5.4||g", "6"] {
            assert!(!is(wanted), "{wanted}");
        }
    }

    #[test]
    fn money_has_currencies_and_ranges_two_ends() {
        let is = |wanted: &str, datatype, json: &str| {
            QuantityTest::read(wanted).unwrap().matches(datatype, json)
        };
        let money = r#"{"value":10,"currency":"EUR"}"#;
        assert!(
            is("10||EUR", Datatype::Money, money)
                && is("10|urn:iso:std:iso:4217|EUR", Datatype::Money, money)
        );
        assert!(!is("10||USD", Datatype::Money, money));
        let range = r#"{"low":{"value":5},"high":{"value":9}}"#;
        assert!(is("gt8", Datatype::Range, range) && is("sa4", Datatype::Range, range));
        assert!(!is("7", Datatype::Range, range));
        let mixed = r#"{"low":{"value":5,"code":"mg"},"high":{"value":9,"code":"g"}}"#;
        assert!(!is("gt100||mg", Datatype::Range, mixed));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "x", "5.4.3", "ap5", "1e", "+5", "1_000", "5 "] {
            assert!(NumberTest::read(text).is_none(), "{text}");
        }
        for text in ["5|", "5|u", "5|u|", "5|u|k|x", "|u|k"] {
            assert!(QuantityTest::read(text).is_none(), "{text}");
        }
    }
}
