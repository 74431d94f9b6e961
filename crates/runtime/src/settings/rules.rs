//! A tenant's house rules: those of a preset, and what is set beside it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sluice_fhir::ResourceType;
use sluice_fhir::rules::{
    Errors, FilterRules, Headers, KickoffMethod, Paths, ProgressForm, Rules, presets,
};

/// Rules of one tenant; what is not set is the preset's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RulesSection {
    /// Whose rules.
    pub preset: PresetSetting,
    /// The methods of a kick-off, level by level.
    pub methods: MethodsSection,
    /// Parameters that may be sent.
    pub parameters: Option<BTreeSet<String>>,
    /// Types that are exported.
    pub types: Option<BTreeSet<ResourceType>>,
    /// Types that are asked for only beside others.
    pub companions: Option<BTreeSet<ResourceType>>,
    /// Whether Binary in `_type` is let pass with a remark.
    pub binary_noted: Option<bool>,
    /// Whether `Prefer: handling=lenient` is heeded.
    pub lenient: Option<bool>,
    /// Which headers are demanded.
    pub headers: Option<Headers>,
    /// Whether a patient-level export must name its patients.
    pub patients_required: Option<bool>,
    /// The most patients that may be named; 0 for any number.
    pub most_patients: Option<u32>,
    /// What a `_typeFilter` may be.
    pub type_filter: FilterSection,
    /// Whether `includeAssociatedData` beside `_type` wants Provenance in it.
    pub associated_needs_type: Option<bool>,
    /// Whether polls want a token that opens all that is exported.
    pub scopes_at_status: Option<bool>,
    /// Which URLs clients are told.
    pub paths: Option<Paths>,
    /// What `X-Progress` says.
    pub progress: Option<ProgressForm>,
    /// Whose statuses and issue codes are told.
    pub errors: Option<Errors>,
    /// Whether answers have an `opc-request-id`, too.
    pub opc_request_id: Option<bool>,
    /// Whether `$export-v4` is there.
    pub ballot: Option<bool>,
}

/// Whose rules a tenant has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PresetSetting {
    /// None but the guide's.
    #[default]
    None,
    /// Soarian Clinicals'.
    Soarian,
    /// Millennium's.
    Millennium,
}

/// The methods of a kick-off, level by level; a level that has none is off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MethodsSection {
    /// Of `[base]/$export`.
    pub system: Option<BTreeSet<KickoffMethod>>,
    /// Of `[base]/Patient/$export`.
    pub patient: Option<BTreeSet<KickoffMethod>>,
    /// Of `[base]/Group/[id]/$export`.
    pub group: Option<BTreeSet<KickoffMethod>>,
}

/// What a `_typeFilter` may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilterSection {
    /// Whether `_type` must name its type.
    pub needs_type: Option<bool>,
    /// Whether a type may have only one.
    pub once: Option<bool>,
    /// Types that may have none.
    pub excluded_types: Option<BTreeSet<ResourceType>>,
    /// Search parameters that may not be used.
    pub excluded_parameters: Option<BTreeSet<String>>,
}

impl RulesSection {
    /// The rules that come of it.
    pub fn rules(&self) -> Rules {
        let mut rules = match self.preset {
            PresetSetting::None => Rules::default(),
            PresetSetting::Soarian => presets::soarian(),
            PresetSetting::Millennium => presets::millennium(),
        };
        lay_over(&mut rules.methods.system, self.methods.system.as_ref());
        lay_over(&mut rules.methods.patient, self.methods.patient.as_ref());
        lay_over(&mut rules.methods.group, self.methods.group.as_ref());
        if let Some(parameters) = &self.parameters {
            rules.parameters = Some(parameters.clone());
        }
        if let Some(types) = &self.types {
            rules.types = Some(types.clone());
        }
        lay_over(&mut rules.companions, self.companions.as_ref());
        lay_over(&mut rules.binary_noted, self.binary_noted.as_ref());
        lay_over(&mut rules.lenient, self.lenient.as_ref());
        lay_over(&mut rules.headers, self.headers.as_ref());
        lay_over(
            &mut rules.patients_required,
            self.patients_required.as_ref(),
        );
        if let Some(most) = self.most_patients {
            rules.most_patients = (most > 0).then_some(most);
        }
        self.type_filter.lay_over(&mut rules.filters);
        lay_over(
            &mut rules.associated_needs_type,
            self.associated_needs_type.as_ref(),
        );
        lay_over(&mut rules.scopes_at_status, self.scopes_at_status.as_ref());
        lay_over(&mut rules.paths, self.paths.as_ref());
        lay_over(&mut rules.progress, self.progress.as_ref());
        lay_over(&mut rules.errors, self.errors.as_ref());
        lay_over(&mut rules.opc_request_id, self.opc_request_id.as_ref());
        lay_over(&mut rules.ballot, self.ballot.as_ref());
        rules
    }
}

impl FilterSection {
    fn lay_over(&self, rules: &mut FilterRules) {
        lay_over(&mut rules.needs_type, self.needs_type.as_ref());
        lay_over(&mut rules.once, self.once.as_ref());
        lay_over(&mut rules.excluded_types, self.excluded_types.as_ref());
        lay_over(
            &mut rules.excluded_parameters,
            self.excluded_parameters.as_ref(),
        );
    }
}

fn lay_over<T: Clone>(rule: &mut T, set: Option<&T>) {
    if let Some(set) = set {
        rule.clone_from(set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Rules {
        toml::from_str::<RulesSection>(text).unwrap().rules()
    }

    #[test]
    fn nothing_said_is_no_rule() {
        assert_eq!(read(""), Rules::default());
    }

    #[test]
    fn what_is_set_goes_over_the_preset() {
        assert_eq!(read("preset = \"soarian\""), presets::soarian());
        let rules = read(
            "preset = \"millennium\"\nmethods.group = [\"GET\", \"POST\"]\npaths = \"sluice\"\n\
             most_patients = 0\ntypes = [\"Patient\"]\ntype_filter.once = false",
        );
        assert_eq!(rules.methods.group.len(), 2);
        assert_eq!(rules.methods.patient, presets::millennium().methods.patient);
        assert_eq!((rules.paths, rules.most_patients), (Paths::Sluice, None));
        assert_eq!(rules.types, Some([ResourceType::PATIENT].into()));
        assert!(!rules.filters.once && rules.filters.needs_type);
    }
}
