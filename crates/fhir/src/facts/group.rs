//! What the index keeps of a Group: how to find it, and who belongs to it when.

use super::reason::Reason;
use super::scan::{Target, target};
use crate::{Instant, ResourceType};
use serde::Deserialize;

/// What the index keeps of a Group.
#[derive(Debug)]
pub struct GroupFacts {
    /// Not marked inactive.
    pub active: bool,
    /// Its name, or nothing.
    pub name: String,
    /// System and value.
    pub identifiers: Vec<(String, String)>,
    /// Members that are not marked inactive.
    pub members: Vec<Member>,
}

/// A member and the bounds of its period.
#[derive(Debug)]
pub struct Member {
    /// `None` when it is named by nothing that can be followed.
    pub entity: Option<Target>,
    /// `period.start`, a date or dateTime.
    pub start: Option<String>,
    /// `period.end`.
    pub end: Option<String>,
}

#[derive(Deserialize)]
struct Raw {
    active: Option<bool>,
    name: Option<String>,
    #[serde(default)]
    identifier: Vec<RawIdentifier>,
    #[serde(default)]
    member: Vec<RawMember>,
}

#[derive(Deserialize)]
struct RawIdentifier {
    #[serde(default)]
    system: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct RawMember {
    entity: Option<RawEntity>,
    period: Option<RawPeriod>,
    inactive: Option<bool>,
}

#[derive(Deserialize)]
struct RawEntity {
    reference: Option<String>,
}

#[derive(Deserialize)]
struct RawPeriod {
    start: Option<String>,
    end: Option<String>,
}

impl GroupFacts {
    /// Reads the line of a Group. One period that cannot be read makes the Group unusable: it is
    /// better to refuse it than to guess whose data go out.
    pub fn read(text: &str) -> Result<Self, Reason> {
        let raw: Raw = serde_json::from_str(text).map_err(|_| Reason::BadGroup)?;
        let members = raw.member.into_iter();
        let members = members.filter(|member| member.inactive != Some(true));
        let identifiers = raw.identifier.into_iter();
        Ok(Self {
            active: raw.active != Some(false),
            name: raw.name.unwrap_or_default(),
            identifiers: identifiers.map(|one| (one.system, one.value)).collect(),
            members: members.map(Member::read).collect::<Result<_, _>>()?,
        })
    }
}

impl Member {
    fn read(raw: RawMember) -> Result<Self, Reason> {
        let reference = raw.entity.and_then(|entity| entity.reference);
        let entity = reference.as_deref().and_then(target).map(|target| Target {
            kind: target.kind.or(Some(ResourceType::PATIENT)),
            ..target
        });
        let (start, end) = match raw.period {
            Some(period) => (period.start, period.end),
            None => (None, None),
        };
        for bound in [&start, &end].into_iter().flatten() {
            if !is_date_time(bound) {
                return Err(Reason::BadGroup);
            }
        }
        Ok(Self { entity, start, end })
    }
}

fn is_date_time(text: &str) -> bool {
    if text.len() > 10 {
        return text.parse::<Instant>().is_ok();
    }
    let full = match text.len() {
        4 => format!("{text}-01-01T00:00:00Z"),
        7 => format!("{text}-01T00:00:00Z"),
        10 => format!("{text}T00:00:00Z"),
        _ => return false,
    };
    full.parse::<Instant>().is_ok()
}

/// Whether a period holds a time. A date stands for all of its day, month or year, in UTC.
pub fn contains(start: Option<&str>, end: Option<&str>, time: Instant) -> bool {
    let day = time.to_string();
    let compare = |bound: &str| {
        let date = || day.get(..bound.len()).unwrap_or(&day).cmp(bound);
        bound
            .parse::<Instant>()
            .map_or_else(|_| date(), |bound| time.cmp(&bound))
    };
    start.is_none_or(|start| compare(start).is_ge()) && end.is_none_or(|end| compare(end).is_le())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_stand_for_all_of_their_span() {
        let time: Instant = "2026-05-17T12:00:00Z".parse().unwrap();
        for (start, end, inside) in [
            (None, None, true),
            (Some("2026"), Some("2026"), true),
            (Some("2026-05"), Some("2026-05"), true),
            (Some("2026-05-17"), Some("2026-05-17"), true),
            (
                Some("2026-05-17T12:00:00Z"),
                Some("2026-05-17T14:00:00+02:00"),
                true,
            ),
            (Some("2026-05-18"), None, false),
            (Some("2027"), None, false),
            (None, Some("2026-05-16"), false),
            (None, Some("2026-04"), false),
            (None, Some("2026-05-17T11:59:59Z"), false),
        ] {
            assert_eq!(contains(start, end, time), inside, "{start:?} {end:?}");
        }
    }

    #[test]
    fn inactive_members_and_broken_periods() {
        let facts = GroupFacts::read(
            r#"{"member":[{"entity":{"reference":"Patient/a"},"inactive":true},
                {"entity":{"reference":"Patient/b"},"period":{"end":"2026-02"}}]}"#,
        )
        .unwrap();
        assert_eq!(facts.members.len(), 1);
        assert!(facts.active);
        let broken = r#"{"member":[{"period":{"end":"soon"}}]}"#;
        assert_eq!(GroupFacts::read(broken).unwrap_err(), Reason::BadGroup);
    }
}
