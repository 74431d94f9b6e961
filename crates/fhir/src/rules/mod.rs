//! House rules: what one site lets clients ask for and how, and in which form it answers, where the guide
//! leaves it open or another product's clients expect it otherwise.
//!
//! [`Rules::default`] is a site without rules of its own. [`presets`] are those of two products of Oracle's.

mod check;
pub mod presets;

pub use check::{Broken, Held, Refusal};

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Level, ResourceType};

/// The rules of one site.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a rule of its own, and they go together in any way"
)]
pub struct Rules {
    /// The methods of a kick-off; a level that has none is off.
    pub methods: Methods,
    /// Parameters that may be sent; `None` for all that there are.
    pub parameters: Option<BTreeSet<String>>,
    /// Types that are exported; `None` for all that can be.
    pub types: Option<BTreeSet<ResourceType>>,
    /// Types that are asked for only beside others (C-008).
    pub companions: BTreeSet<ResourceType>,
    /// Whether Binary in `_type` is let pass with a remark: its content goes along inside others (C-010).
    pub binary_noted: bool,
    /// Whether `Prefer: handling=lenient` is heeded.
    pub lenient: bool,
    /// Which headers are demanded.
    pub headers: Headers,
    /// Whether a patient-level export must name its patients (C-034).
    pub patients_required: bool,
    /// The most patients that may be named; `None` for any number.
    pub most_patients: Option<u32>,
    /// What a `_typeFilter` may be.
    pub filters: FilterRules,
    /// Whether `includeAssociatedData` beside `_type` wants Provenance in it (C-040).
    pub associated_needs_type: bool,
    /// Whether polls want a token whose scopes open all that is exported, as R-004 does.
    pub scopes_at_status: bool,
    /// Which URLs clients are told.
    pub paths: Paths,
    /// How progress is told.
    pub progress: ProgressForm,
    /// Whose statuses and issue codes are told.
    pub errors: Errors,
    /// Whether answers have an `opc-request-id`, too.
    pub opc_request_id: bool,
    /// Whether `$export-v4` is there.
    pub ballot: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            methods: Methods::default(),
            parameters: None,
            types: None,
            companions: BTreeSet::new(),
            binary_noted: false,
            lenient: true,
            headers: Headers::default(),
            patients_required: false,
            most_patients: None,
            filters: FilterRules::default(),
            associated_needs_type: false,
            scopes_at_status: true,
            paths: Paths::default(),
            progress: ProgressForm::default(),
            errors: Errors::default(),
            opc_request_id: false,
            ballot: true,
        }
    }
}

impl Rules {
    /// Whether a parameter may be sent.
    pub fn admits_parameter(&self, name: &str) -> bool {
        let listed = |names: &BTreeSet<String>| names.contains(name);
        self.parameters.as_ref().is_none_or(listed)
    }

    /// Whether a level is exported by `$export-v4`, which is by POST only.
    pub fn has_ballot(&self, level: &Level) -> bool {
        self.ballot && self.methods.of(level).contains(&KickoffMethod::Post)
    }

    /// Whether a `_typeFilter` of a type may use a search parameter.
    pub fn admits_filter(&self, kind: ResourceType, code: &str) -> bool {
        self.admits_parameter("_typeFilter")
            && !self.filters.excluded_types.contains(&kind)
            && !self.filters.excluded_parameters.contains(code)
    }

    /// Whether a type is exported.
    pub fn admits_type(&self, kind: ResourceType) -> bool {
        let listed = |types: &BTreeSet<ResourceType>| types.contains(&kind);
        kind.is_exportable() && self.types.as_ref().is_none_or(listed)
    }
}

/// The methods of a kick-off, level by level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Methods {
    /// Of `[base]/$export`.
    pub system: BTreeSet<KickoffMethod>,
    /// Of `[base]/Patient/$export`.
    pub patient: BTreeSet<KickoffMethod>,
    /// Of `[base]/Group/[id]/$export`.
    pub group: BTreeSet<KickoffMethod>,
}

impl Default for Methods {
    fn default() -> Self {
        let both = BTreeSet::from([KickoffMethod::Get, KickoffMethod::Post]);
        Self {
            system: both.clone(),
            patient: both.clone(),
            group: both,
        }
    }
}

impl Methods {
    /// Those of a level.
    pub fn of(&self, level: &Level) -> &BTreeSet<KickoffMethod> {
        match level {
            Level::System => &self.system,
            Level::Patient => &self.patient,
            Level::Group(_) => &self.group,
        }
    }
}

/// A method of a kick-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum KickoffMethod {
    /// Parameters in the query.
    Get,
    /// Parameters in the body.
    Post,
}

impl KickoffMethod {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// Which headers kick-offs, polls and deletions must have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Headers {
    /// None; an `Accept` must only leave some JSON (T-003).
    #[default]
    Any,
    /// `Accept` with `application/fhir+json` and `Prefer` with `respond-async` (C-012).
    Strict,
}

/// What a `_typeFilter` may be, beside what can be answered at all (C-039).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterRules {
    /// Whether `_type` must be there and name its type.
    pub needs_type: bool,
    /// Whether a type may have only one.
    pub once: bool,
    /// Types that may have none.
    pub excluded_types: BTreeSet<ResourceType>,
    /// Search parameters that may not be used.
    pub excluded_parameters: BTreeSet<String>,
}

/// Which URLs clients are told for the status and the files. All are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Paths {
    /// `bulk-export/jobs/{job}` and `bulk-export/files/{job}/{path}`.
    #[default]
    Sluice,
    /// `bulk-api/request/{job}` and `bulk-api/download/{job}/{file}_{Type}.ndjson` (C-016).
    Soarian,
    /// `bulk-export/jobs/{job}` and `bulk-export/files/{file}`.
    Millennium,
}

/// What `X-Progress` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProgressForm {
    /// `40% complete, 51234 resources, 20110 per second`.
    #[default]
    Numbers,
    /// `40.0% complete` (C-017).
    Percent,
    /// `in-progress`, and `completed` at the end (C-044).
    Word,
}

/// Whose statuses and issue codes are told, where products differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Errors {
    /// Our own.
    #[default]
    Sluice,
    /// Soarian's (C-012, C-014, C-015, C-029).
    Soarian,
    /// Millennium's (C-039, C-049).
    Millennium,
}
