//! The `FHIRPath` of search parameters: parts with `|` between them, each a path from a type on.
//!
//! Only what HL7 writes in R4 is known: names, `as`, `ofType`, `where(name='word')`,
//! `where(resolve() is Type)`, and `path.exists() and path != false`.

/// One part of an expression.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// The resource type that it starts from.
    pub(super) root: String,
    pub(super) steps: Vec<Step>,
    /// Whether only the presence of the element is asked for, `false` being absence.
    pub(super) exists: bool,
}

/// One step of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Into an element.
    Child(String),
    /// Only if it is of a datatype.
    As(String),
    /// Only if an element of it has a value.
    Where(String, String),
    /// Only if the reference is to a resource type.
    Refers(String),
}

impl Path {
    /// The same path with its first name an element of a type.
    pub(super) fn below(mut self, root: &str) -> Self {
        let first = std::mem::replace(&mut self.root, root.to_owned());
        self.steps.insert(0, Step::Child(first));
        self
    }
}

/// The parts of an expression, each of which is there or is given back as it was written.
pub(super) fn parts(expression: &str) -> Vec<Result<Path, &str>> {
    let parts = expression.split('|').map(str::trim);
    parts.map(|part| path(part).ok_or(part)).collect()
}

fn path(text: &str) -> Option<Path> {
    if let Some((present, unequal)) = text.split_once(".exists() and ") {
        let same = unequal.strip_suffix("!= false")?.trim_end() == present;
        let path = path(present).filter(|_| same)?;
        return Some(Path {
            exists: true,
            ..path
        });
    }
    let mut reader = Reader { rest: text };
    let path = reader.cast()?;
    reader.rest.is_empty().then_some(path)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    /// `a.b as T` or `a.b`: `as` binds more loosely than a dot.
    fn cast(&mut self) -> Option<Path> {
        let mut path = self.chain()?;
        if self.eat(" as ") {
            path.steps.push(Step::As(self.name()?));
        }
        Some(path)
    }

    /// `Type.a.b` or `(…).b`.
    fn chain(&mut self) -> Option<Path> {
        let mut path = if self.eat("(") {
            let inner = self.cast()?;
            self.eat(")").then_some(inner)?
        } else {
            Path {
                root: self.name()?,
                steps: Vec::new(),
                exists: false,
            }
        };
        while self.eat(".") {
            path.steps.push(self.step()?);
        }
        Some(path)
    }

    fn step(&mut self) -> Option<Step> {
        let name = self.name()?;
        if !self.eat("(") {
            return Some(Step::Child(name));
        }
        let step = match name.as_str() {
            "as" | "ofType" => Step::As(self.name()?),
            "where" if self.eat("resolve() is ") => Step::Refers(self.name()?),
            "where" => {
                let element = self.name()?;
                let (value, rest) = self.rest.strip_prefix("='")?.split_once('\'')?;
                self.rest = rest;
                Step::Where(element, value.to_owned())
            }
            _ => return None,
        };
        self.eat(")").then_some(step)
    }

    fn name(&mut self) -> Option<String> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric());
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        (!name.is_empty()).then(|| name.to_owned())
    }

    fn eat(&mut self, word: &str) -> bool {
        let rest = self.rest.strip_prefix(word);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(name: &str) -> Step {
        Step::Child(name.to_owned())
    }

    fn only(expression: &str) -> Path {
        let mut parts = parts(expression);
        assert_eq!(parts.len(), 1);
        parts.remove(0).unwrap()
    }

    #[test]
    fn as_is_one_step_in_each_of_its_three_forms() {
        let forms = [
            "Condition.onset.as(Age)",
            "Condition.onset.ofType(Age)",
            "(Condition.onset as Age)",
            "Condition.onset as Age",
        ];
        for form in forms {
            let path = only(form);
            assert_eq!(path.root, "Condition");
            assert_eq!(path.steps, [child("onset"), Step::As("Age".into())]);
        }
    }

    #[test]
    fn a_step_behind_parentheses_goes_into_the_cast_element() {
        let path = only("(Observation.value as CodeableConcept).text");
        let cast = Step::As("CodeableConcept".into());
        assert_eq!(path.steps, [child("value"), cast, child("text")]);
    }

    #[test]
    fn where_restricts_the_element_before_it() {
        let path = only("ActivityDefinition.relatedArtifact.where(type='composed-of').resource");
        let restricted = Step::Where("type".into(), "composed-of".into());
        let steps = [child("relatedArtifact"), restricted, child("resource")];
        assert_eq!(path.steps, steps);
    }

    #[test]
    fn where_resolve_narrows_a_reference() {
        let path = only("Flag.subject.where(resolve() is Patient)");
        let refers = Step::Refers("Patient".into());
        assert_eq!(path.steps, [child("subject"), refers]);
    }

    #[test]
    fn only_a_flag_that_is_not_false_counts_as_presence() {
        let path = only("Patient.deceased.exists() and Patient.deceased != false");
        assert!(path.exists);
        assert_eq!(path.steps, [child("deceased")]);
        let other = "Patient.deceased.exists() and Patient.active != false";
        assert_eq!(parts(other), [Err(other)]);
    }

    #[test]
    fn parts_are_kept_apart_and_what_is_not_known_comes_back_as_written() {
        let both = parts("Bundle.entry[0].resource | Bundle.type");
        assert_eq!(both[0], Err("Bundle.entry[0].resource"));
        assert_eq!(both[1].as_ref().unwrap().steps, [child("type")]);
        for odd in ["Patient.extension('x')", "Patient.name.first()", "(Patient"] {
            assert_eq!(parts(odd), [Err(odd)]);
        }
    }
}
