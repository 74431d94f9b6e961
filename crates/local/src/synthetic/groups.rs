//! Groups of the first so many patients: `first-10`, `first-100`, or any other number.

use std::collections::BTreeMap;

use bytes::Bytes;
use sluice_ports::{GroupPage, GroupQuery};

use super::lines::{ID_LEN, META, patient_id};
use super::options::{BLOCK, SyntheticOptions};

/// A Group longer than this is found without its members; reading it by its id gives them.
const LONG: u64 = BLOCK;
/// Bytes after which a page ends.
const PAGE_BYTES: usize = 4 << 20;

/// More than one member and the end take: with so much room a piece stays within a block.
const SPARE: u64 = 128;

const MEMBER: &str = r#"{"entity":{"reference":"Patient/"#;
const MEMBER_END: &str = "\"}}";
const END: &str = "]}";
/// Marks a Group that is shown without its members.
const SUBSETTED: &str = r#""meta":{"lastUpdated":"2020-01-01T00:00:00.000Z","tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]},"#;

/// The first so many patients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// How many; never 0.
    pub(super) members: u32,
}

impl Group {
    /// The Group with an id.
    pub(super) fn find(options: &SyntheticOptions, id: &str) -> Option<Self> {
        let members = id.strip_prefix("first-")?.parse().ok()?;
        let group = Self { members };
        // One Group has one id: neither first-010 nor first-+10.
        let is_there = (1..=options.patients).contains(&members) && group.id() == id;
        is_there.then_some(group)
    }

    /// The Groups that a search without ids finds, smallest first, which is also the order of
    /// their ids.
    pub(super) fn listed(options: &SyntheticOptions) -> Vec<Self> {
        (1..=u32::MAX.ilog10())
            .map(|digits| 10_u32.pow(digits))
            .take_while(|members| *members <= options.patients)
            .map(|members| Self { members })
            .collect()
    }

    pub(super) fn id(self) -> String {
        format!("first-{}", self.members)
    }

    fn name(self) -> String {
        format!("First {} patients", self.members)
    }

    /// All before the members. `meta` ends with a comma.
    fn head(self, meta: &str) -> String {
        let (id, name, quantity) = (self.id(), self.name(), self.members);
        format!(
            r#"{{"resourceType":"Group","id":"{id}",{meta}"active":true,"type":"person","actual":true,"name":"{name}","quantity":{quantity}"#
        )
    }

    /// Bytes of the whole Group, without a newline.
    pub(super) fn len(self) -> u64 {
        let fixed = self.head(META).len() + r#","member":["#.len() + END.len();
        let member = MEMBER.len() + ID_LEN + MEMBER_END.len() + ",".len();
        let members = size(member) * u64::from(self.members) - 1;
        size(fixed) + members
    }

    /// The Group in pieces of at most a block, followed by `ending`.
    pub(super) fn pieces(self, ending: &'static str) -> Pieces {
        Pieces {
            group: self,
            ending,
            next: Some(1),
        }
    }

    /// The Group as a search shows it.
    fn shown(self) -> Bytes {
        if self.len() > LONG {
            return (self.head(SUBSETTED) + "}").into();
        }
        self.pieces("").flatten().collect()
    }
}

/// A Group being written.
pub(super) struct Pieces {
    group: Group,
    ending: &'static str,
    /// The next member to write; `None` when all is written.
    next: Option<u32>,
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut member = self.next?;
        let length = self.group.len().min(BLOCK);
        let mut out = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
        if member == 1 {
            out.extend_from_slice(self.group.head(META).as_bytes());
            out.extend_from_slice(br#","member":["#);
        }
        while member <= self.group.members && size(out.len()) + SPARE <= BLOCK {
            if member > 1 {
                out.push(b',');
            }
            out.extend_from_slice(MEMBER.as_bytes());
            patient_id(&mut out, member);
            out.extend_from_slice(MEMBER_END.as_bytes());
            member += 1;
        }
        self.next = (member <= self.group.members).then_some(member);
        if self.next.is_none() {
            out.extend_from_slice(END.as_bytes());
            out.extend_from_slice(self.ending.as_bytes());
        }
        Some(out.into())
    }
}

/// A page of Groups. They have no identifiers, so who asks for one finds none.
pub(super) fn search(options: &SyntheticOptions, query: &GroupQuery) -> GroupPage {
    let candidates = if query.ids.is_empty() {
        Group::listed(options)
    } else {
        let ids = query.ids.iter();
        ids.filter_map(|id| Group::find(options, id)).collect()
    };
    let names: Vec<String> = query.names.iter().map(|name| name.to_lowercase()).collect();
    let is_named = |group: &Group| {
        let name = group.name().to_lowercase();
        names.is_empty() || names.iter().any(|prefix| name.starts_with(prefix))
    };
    let found: BTreeMap<String, Group> = candidates
        .into_iter()
        .filter(|group| query.identifiers.is_empty() && is_named(group))
        .map(|group| (group.id(), group))
        .collect();
    let (mut groups, mut bytes) = (Vec::new(), 0);
    for group in found.values().skip(query.offset).take(query.limit) {
        let group = group.shown();
        bytes += group.len();
        groups.push(group);
        if bytes >= PAGE_BYTES {
            break;
        }
    }
    GroupPage {
        groups,
        total: found.len(),
    }
}

fn size(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(query: &str) -> SyntheticOptions {
        SyntheticOptions::from_uri_path(query).unwrap()
    }

    #[test]
    fn only_plain_numbers_of_patients_name_a_group() {
        let options = options("?patients=50");
        for id in ["first-1", "first-7", "first-50"] {
            assert_eq!(Group::find(&options, id).unwrap().id(), id);
        }
        for id in ["first-0", "first-51", "first-07", "first-+7", "first-", "7"] {
            assert!(Group::find(&options, id).is_none(), "{id}");
        }
    }

    #[test]
    fn powers_of_ten_are_listed() {
        let listed = |query| Group::listed(&options(query));
        let sizes = |query| -> Vec<u32> { listed(query).iter().map(|g| g.members).collect() };
        assert!(listed("?patients=9").is_empty());
        assert_eq!(sizes("?patients=999"), [10, 100]);
        assert_eq!(sizes("?patients=99999999").len(), 7);
    }

    #[test]
    fn pieces_are_bounded_and_make_up_the_group() {
        for members in [1, 2, 1_000, 22_700, 100_000] {
            let group = Group { members };
            let pieces: Vec<Bytes> = group.pieces("\n").collect();
            assert!(pieces.iter().all(|piece| size(piece.len()) <= BLOCK));
            let whole = pieces.concat();
            assert_eq!(size(whole.len()), group.len() + 1);
            let json: serde_json::Value = serde_json::from_slice(&whole).unwrap();
            let member = json["member"].as_array().unwrap();
            assert_eq!(member.len(), usize::try_from(members).unwrap());
            let last = &member[member.len() - 1]["entity"]["reference"];
            assert_eq!(*last, format!("Patient/p{members:08}"));
        }
    }

    #[test]
    fn a_search_holds_to_all_criteria_and_shortens_what_is_long() {
        let options = options("?patients=1000000");
        let search = |query: GroupQuery| search(&options, &query);
        let ids = |page: &GroupPage| -> Vec<String> {
            let json = page
                .groups
                .iter()
                .map(|group| serde_json::from_slice(group));
            json.map(|json: Result<serde_json::Value, _>| {
                json.unwrap()["id"].as_str().unwrap().to_owned()
            })
            .collect()
        };
        let text = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        let all = search(GroupQuery {
            limit: 50,
            ..GroupQuery::default()
        });
        assert_eq!((all.total, all.groups.len()), (6, 6));
        let long = String::from_utf8_lossy(&all.groups[5]);
        assert!(long.contains("SUBSETTED") && !long.contains("member"));
        serde_json::from_str::<serde_json::Value>(&long).unwrap();
        let page = search(GroupQuery {
            offset: 1,
            limit: 2,
            ..GroupQuery::default()
        });
        assert_eq!(ids(&page), ["first-100", "first-1000"]);
        let by_id = search(GroupQuery {
            ids: text(&["first-7", "first-7", "first-12", "other"]),
            names: text(&["nobody", "FIRST"]),
            limit: 9,
            ..GroupQuery::default()
        });
        assert_eq!(
            (by_id.total, ids(&by_id)),
            (2, text(&["first-12", "first-7"]))
        );
        for none in [
            GroupQuery {
                names: text(&["last"]),
                limit: 9,
                ..GroupQuery::default()
            },
            GroupQuery {
                identifiers: text(&["x"]),
                limit: 9,
                ..GroupQuery::default()
            },
        ] {
            assert_eq!(search(none), GroupPage::default());
        }
    }
}
