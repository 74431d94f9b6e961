//! The `Prefer` header, read as tokens and never compared whole (T-002).

/// What a client prefers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefer {
    /// `respond-async` was there.
    pub respond_async: bool,
    /// `handling=lenient` was there.
    pub lenient: bool,
    /// `separate-export-status` was there.
    pub separate_export_status: bool,
    /// Preferences that mean something else, lower case.
    pub others: Vec<String>,
}

impl Prefer {
    /// Reads every `Prefer` header of a request: commas, semicolons, spaces and case vary.
    pub fn parse<'a>(headers: impl IntoIterator<Item = &'a str>) -> Self {
        let mut prefer = Self::default();
        let tokens = headers
            .into_iter()
            .flat_map(|header| header.split([',', ';']));
        for token in tokens {
            let token: String = token
                .chars()
                .filter(|c| !c.is_whitespace())
                .flat_map(char::to_lowercase)
                .collect();
            match token.replace('"', "").as_str() {
                "" => {}
                "respond-async" => prefer.respond_async = true,
                "separate-export-status" => prefer.separate_export_status = true,
                "handling=lenient" => prefer.lenient = true,
                "handling=strict" => prefer.lenient = false,
                other => prefer.others.push(other.to_owned()),
            }
        }
        prefer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t_002_every_spelling_is_understood() {
        for header in [
            "respond-async, handling=lenient",
            "Respond-Async;handling = lenient",
        ] {
            let prefer = Prefer::parse([header]);
            assert!(prefer.respond_async && prefer.lenient, "{header}");
        }
        assert!(Prefer::parse(["respond-async", "handling=lenient"]).lenient);
        assert!(!Prefer::parse(["respond-async"]).lenient);
    }
}
