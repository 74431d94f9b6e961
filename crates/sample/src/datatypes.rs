//! How the data types of FHIR are written.

use std::fmt::Display;

use crate::code::{Code, Unit};
use crate::decimal::Decimal;
use crate::identity::Ref;
use crate::json::Json;
use crate::moment::Moment;

impl Json {
    /// A Coding in a list.
    pub(crate) fn coding_item(&mut self, code: &Code) {
        self.item(|json| json.coding_body(code));
    }

    /// A Coding as a member.
    pub(crate) fn coding(&mut self, key: &str, code: &Code) {
        self.object(key, |json| json.coding_body(code));
    }

    fn coding_body(&mut self, code: &Code) {
        self.text("system", code.system);
        self.text("code", code.symbol);
        self.text("display", code.display);
    }

    fn codings(&mut self, codes: &[&Code]) {
        self.list("coding", |json| {
            for code in codes {
                json.coding_item(code);
            }
        });
    }

    /// A `CodeableConcept` without a text of its own, for what only machines read.
    pub(crate) fn coded(&mut self, key: &str, code: &Code) {
        self.coded_as(key, &[code]);
    }

    /// A `CodeableConcept` of several codings without a text of its own.
    pub(crate) fn coded_as(&mut self, key: &str, codes: &[&Code]) {
        self.object(key, |json| json.codings(codes));
    }

    /// A list of one `CodeableConcept` without a text of its own.
    pub(crate) fn concepts(&mut self, key: &str, code: &Code) {
        self.single(key, |json| json.codings(&[code]));
    }

    /// A `CodeableConcept` as a member; its text is that of its code.
    pub(crate) fn concept(&mut self, key: &str, code: &Code) {
        self.concept_of(key, &[code]);
    }

    /// A `CodeableConcept` of several codings; its text is that of the first.
    pub(crate) fn concept_of(&mut self, key: &str, codes: &[&Code]) {
        self.object(key, |json| {
            json.codings(codes);
            if let Some(first) = codes.first() {
                json.text("text", first.display);
            }
        });
    }

    /// A Reference as a member.
    pub(crate) fn reference(&mut self, key: &str, to: Ref) {
        self.object(key, |json| json.text("reference", &to));
    }

    /// A Reference with the name of what it points to.
    pub(crate) fn reference_to(&mut self, key: &str, to: Ref, name: &dyn Display) {
        self.object(key, |json| {
            json.text("reference", &to);
            json.text("display", name);
        });
    }

    /// A Reference in a list.
    pub(crate) fn reference_item(&mut self, to: Ref) {
        self.item(|json| json.text("reference", &to));
    }

    /// A list of References.
    pub(crate) fn references(&mut self, key: &str, to: &[Ref]) {
        self.list(key, |json| {
            for one in to {
                json.reference_item(*one);
            }
        });
    }

    /// A Quantity with a unit of UCUM.
    pub(crate) fn quantity(&mut self, key: &str, value: Decimal, unit: &Unit) {
        self.object(key, |json| {
            json.bare("value", &value);
            json.text("unit", unit.shown);
            json.text("system", "http://unitsofmeasure.org");
            json.text("code", unit.code);
        });
    }

    /// Money in dollars.
    pub(crate) fn money(&mut self, key: &str, cents: i64) {
        self.object(key, |json| {
            json.bare("value", &Decimal::cents(cents));
            json.text("currency", "USD");
        });
    }

    /// A Period, open when it has no end.
    pub(crate) fn period(&mut self, key: &str, start: Moment, end: Option<Moment>) {
        self.object(key, |json| {
            json.text("start", &start);
            if let Some(end) = end {
                json.text("end", &end);
            }
        });
    }

    /// An Identifier in a list.
    pub(crate) fn identifier(&mut self, system: &str, value: &dyn Display) {
        self.item(|json| {
            json.text("system", system);
            json.text("value", value);
        });
    }

    /// A `ContactPoint` in a list.
    pub(crate) fn contact_point(&mut self, system: &str, role: &str, value: &dyn Display) {
        self.item(|json| {
            json.text("system", system);
            json.text("value", value);
            json.text("use", role);
        });
    }
}
