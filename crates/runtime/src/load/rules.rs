//! Whether a tenant's house rules can be kept.

use std::collections::BTreeSet;

use sluice_fhir::parameters::PARAMETERS;
use sluice_model::TenantId;

use super::{SettingsError, conflict};
use crate::{FilesSetting, TenantSection};

/// Refuses names that nothing has, and rules that leave nothing.
pub(super) fn check(name: &TenantId, tenant: &TenantSection) -> Result<(), SettingsError> {
    let (place, rules) = (format!("tenants.{name}.rules"), tenant.rules.rules());
    let mut parameters = rules.parameters.iter().flatten();
    if let Some(unknown) = parameters.find(|name| !PARAMETERS.contains(&name.as_str())) {
        return conflict(format!(
            "{place}.parameters has {unknown:?}: there are {}",
            PARAMETERS.join(", ")
        ));
    }
    let listed = [rules.types.as_ref(), Some(&rules.companions)];
    let mut listed = listed.into_iter().flatten().flatten();
    if let Some(kind) = listed.find(|kind| !kind.is_exportable()) {
        return conflict(format!("{place} names {kind}, which is never exported"));
    }
    if rules.types.as_ref().is_some_and(BTreeSet::is_empty) {
        return conflict(format!("{place}.types is empty: nothing could be exported"));
    }
    if !rules.scopes_at_status && tenant.files() == FilesSetting::Links {
        return conflict(format!(
            "{place}.scopes_at_status is off, so files must ask: set tenants.{name}.files to \"redirect\" or \"stream\""
        ));
    }
    if tenant.levels_on().is_empty() {
        return conflict(format!(
            "{place}.methods leave no level of tenants.{name}.levels a method"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(rules: &str) -> String {
        let mut tenant = TenantSection::of("ndjson:x".to_owned());
        tenant.rules = toml::from_str(rules).unwrap();
        let refused = check(&"north".parse().unwrap(), &tenant).err();
        refused.map_or(String::new(), |error| error.to_string())
    }

    #[test]
    fn rules_that_cannot_be_kept_are_refused_with_their_place() {
        assert_eq!(refusal("preset = \"soarian\""), "");
        assert_eq!(refusal("preset = \"millennium\""), "");
        for (rules, told) in [
            (
                "parameters = [\"colour\"]",
                "tenants.north.rules.parameters has \"colour\"",
            ),
            ("types = [\"Binary\"]", "Binary, which is never exported"),
            ("types = []", "types is empty"),
            ("scopes_at_status = false", "so files must ask"),
            (
                "methods = { system = [], patient = [], group = [] }",
                "no level",
            ),
        ] {
            assert!(refusal(rules).contains(told), "{rules}: {}", refusal(rules));
        }
        assert!(toml::from_str::<crate::RulesSection>("pathes = \"soarian\"").is_err());
    }
}
