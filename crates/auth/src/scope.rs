//! SMART system scopes, versions 1 and 2, and what remains when two sets of them meet.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use sluice_fhir::ResourceType;

/// What may be done with a type. Only reading and searching exist here; the rest of `cruds` is
/// understood in a request and never granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// `r`.
    pub read: bool,
    /// `s`.
    pub search: bool,
}

impl Permissions {
    /// What exporting a type takes: both, whichever way the scope is written (T-071).
    pub const EXPORT: Self = Self {
        read: true,
        search: true,
    };
    /// `r` alone.
    pub const READ: Self = Self {
        read: true,
        search: false,
    };
    /// `s` alone.
    pub const SEARCH: Self = Self {
        read: false,
        search: true,
    };

    fn and(self, other: Self) -> Self {
        Self {
            read: self.read && other.read,
            search: self.search && other.search,
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            read: self.read || other.read,
            search: self.search || other.search,
        }
    }

    fn covers(self, needed: Self) -> bool {
        self.and(needed) == needed
    }

    fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// One scope: `system/Patient.rs`, `system/*.read`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The type; `None` for `*`.
    kind: Option<ResourceType>,
    permissions: Permissions,
    /// Whether it was written as version 1 has it, and is to be answered so (R-251).
    v1: bool,
}

/// A text that is no scope of this server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no scope that this server has; there are such as system/*.rs, system/Patient.rs and \
     system/Patient.read, without search parameters"
)]
pub struct InvalidScope(pub String);

impl FromStr for Scope {
    type Err = InvalidScope;

    /// Letters out of order, or beyond `cruds`, are no scope (R-252). A scope with search parameters is
    /// refused rather than widened (T-071).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || InvalidScope(text.chars().take(80).collect());
        let rest = text.strip_prefix("system/").ok_or_else(wrong)?;
        let (kind, actions) = rest.split_once('.').ok_or_else(wrong)?;
        let kind = match kind {
            "*" => None,
            name => Some(name.parse().map_err(|_| wrong())?),
        };
        let (permissions, v1) = actions_of(actions).ok_or_else(wrong)?;
        Ok(Self {
            kind,
            permissions,
            v1,
        })
    }
}

/// What is asked for, and whether it is said as version 1 says it.
fn actions_of(text: &str) -> Option<(Permissions, bool)> {
    match text {
        "read" | "*" => return Some((Permissions::EXPORT, true)),
        "write" => return Some((Permissions::default(), true)),
        _ => {}
    }
    let mut letters = "cruds".chars();
    let in_order = text
        .chars()
        .all(|letter| letters.any(|known| known == letter));
    let permissions = Permissions {
        read: text.contains('r'),
        search: text.contains('s'),
    };
    (in_order && !text.is_empty()).then_some((permissions, false))
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.map_or("*", ResourceType::name);
        let Permissions { read, search } = self.permissions;
        match (read, search, self.v1) {
            (true, true, true) => write!(f, "system/{kind}.read"),
            (true, true, false) => write!(f, "system/{kind}.rs"),
            (true, false, _) => write!(f, "system/{kind}.r"),
            (false, true, _) => write!(f, "system/{kind}.s"),
            (false, false, _) => Ok(()),
        }
    }
}

/// A set of scopes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    list: Vec<Scope>,
}

impl Scopes {
    /// Reads what a client asks for or a token carries. Scopes that are not this server's, such as
    /// `openid` or `launch`, are passed over: clients ask for more than one server has (T-072).
    pub fn lenient(text: &str) -> Self {
        let list = text
            .split_ascii_whitespace()
            .filter_map(|one| one.parse().ok());
        Self::of(list.collect())
    }

    /// Reads what an administrator grants: every one must be understood, and lets something be read.
    pub fn strict<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidScope> {
        let mut list = Vec::new();
        for text in texts {
            let scope: Scope = text.parse()?;
            if scope.permissions.is_none() {
                return Err(InvalidScope(text.chars().take(80).collect()));
            }
            list.push(scope);
        }
        Ok(Self::of(list))
    }

    fn of(list: Vec<Scope>) -> Self {
        let mut kept: Vec<Scope> = Vec::with_capacity(list.len());
        for mut scope in list {
            // Version 1 has no word for less than both.
            scope.v1 &= scope.permissions == Permissions::EXPORT;
            if !scope.permissions.is_none() && !kept.contains(&scope) {
                kept.push(scope);
            }
        }
        Self { list: kept }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What may be done with a type.
    pub fn on(&self, kind: ResourceType) -> Permissions {
        let fits = |scope: &&Scope| scope.kind.is_none_or(|of| of == kind);
        let all = self.list.iter().filter(fits).map(|scope| scope.permissions);
        all.fold(Permissions::default(), Permissions::or)
    }

    /// Whether this may be done with a type.
    pub fn allow(&self, kind: ResourceType, needed: Permissions) -> bool {
        self.on(kind).covers(needed)
    }

    /// What both allow: what `self` asks for, as far as `registered` goes, in the way it was asked
    /// (R-240, R-251). Never more than either.
    #[must_use]
    pub fn granted_by(&self, registered: &Self) -> Self {
        let mut granted = Vec::new();
        for asked in &self.list {
            for (kind, permissions) in registered.within(asked.kind) {
                granted.push(Scope {
                    kind,
                    permissions: permissions.and(asked.permissions),
                    v1: asked.v1,
                });
            }
        }
        Self::of(granted)
    }

    /// What is registered for one type, or by type when all are asked for.
    fn within(&self, kind: Option<ResourceType>) -> Vec<(Option<ResourceType>, Permissions)> {
        if let Some(kind) = kind {
            return vec![(Some(kind), self.on(kind))];
        }
        let mut all = BTreeMap::new();
        for scope in &self.list {
            let place: &mut Permissions = all.entry(scope.kind).or_default();
            *place = place.or(scope.permissions);
        }
        let everywhere = all.get(&None).copied().unwrap_or_default();
        // What goes for all types need not be said again for one.
        all.retain(|kind, permissions| kind.is_none() || !everywhere.covers(*permissions));
        all.into_iter().collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.list.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{scope}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn granted(asked: &str, registered: &str) -> String {
        let registered = Scopes::strict(registered.split(' ')).unwrap();
        Scopes::lenient(asked).granted_by(&registered).to_string()
    }

    #[test]
    fn r_240_r_251_what_is_asked_and_registered_is_granted_as_it_was_asked() {
        for (asked, registered, expected) in [
            ("system/Patient.read", "system/*.rs", "system/Patient.read"),
            ("system/Patient.rs", "system/*.read", "system/Patient.rs"),
            ("system/*.read", "system/*.rs", "system/*.read"),
            (
                "system/*.rs",
                "system/Patient.rs system/Observation.read",
                "system/Observation.rs system/Patient.rs",
            ),
            ("system/*.*", "system/Patient.rs", "system/Patient.read"),
            ("system/*.cruds", "system/*.rs", "system/*.rs"),
            (
                "system/Patient.cruds",
                "system/Patient.r",
                "system/Patient.r",
            ),
            ("system/Patient.s", "system/Patient.r", ""),
            ("system/Patient.write", "system/*.rs", ""),
            (
                "system/Condition.read system/Patient.read",
                "system/Patient.rs",
                "system/Patient.read",
            ),
            ("openid launch user/*.rs patient/*.rs", "system/*.rs", ""),
            (
                "system/Observation.rs?category=laboratory",
                "system/*.rs",
                "",
            ),
            (
                "system/Foo.rs system/Patient.sr system/Patient.x system/.rs",
                "system/*.rs",
                "",
            ),
            (
                "system/*.rs",
                "system/*.r system/Patient.rs",
                "system/*.r system/Patient.rs",
            ),
        ] {
            assert_eq!(
                granted(asked, registered),
                expected,
                "{asked} of {registered}"
            );
        }
    }

    #[test]
    fn an_administrator_grants_only_what_is_understood() {
        for text in [
            "system/*.write",
            "system/Patient.rs?x=y",
            "patient/*.rs",
            "system/Nobody.rs",
            "",
        ] {
            assert!(Scopes::strict([text]).is_err(), "{text}");
        }
    }

    #[test]
    fn t_071_exporting_takes_reading_and_searching() {
        let patient = ResourceType::PATIENT;
        let allows = |text| Scopes::lenient(text).allow(patient, Permissions::EXPORT);
        assert!(allows("system/Patient.read") && allows("system/*.rs"));
        assert!(allows("system/Patient.r system/*.s"));
        assert!(!allows("system/Patient.r") && !allows("system/Observation.rs"));
    }

    fn scope() -> impl Strategy<Value = String> {
        let kinds = prop::sample::select(vec!["*", "Patient", "Observation", "Group", "Foo"]);
        let actions = prop::sample::select(vec![
            "read", "write", "*", "r", "s", "rs", "cruds", "cud", "sr", "",
        ]);
        (kinds, actions).prop_map(|(kind, action)| format!("system/{kind}.{action}"))
    }

    fn scopes() -> impl Strategy<Value = Scopes> {
        prop::collection::vec(scope(), 0..6).prop_map(|list| Scopes::lenient(&list.join(" ")))
    }

    proptest! {
        /// A grant allows exactly what both sides allow, whatever the words, and survives being
        /// written into a token and read again.
        #[test]
        fn a_grant_is_the_intersection(asked in scopes(), registered in scopes()) {
            let granted = asked.granted_by(&registered);
            prop_assert_eq!(&Scopes::lenient(&granted.to_string()).to_string(), &granted.to_string());
            for kind in ResourceType::all() {
                let both = asked.on(kind).and(registered.on(kind));
                prop_assert_eq!(granted.on(kind), both);
                prop_assert_eq!(Scopes::lenient(&granted.to_string()).on(kind), both);
            }
        }
    }
}
