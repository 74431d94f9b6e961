//! Checks what the settings say of a tenant's source.

use sluice_model::TenantId;

use super::{SettingsError, conflict};
use crate::{FhirAuthSetting, FhirSection, PostgresSection, TenantSection};

/// Refuses what does not go together.
pub(super) fn check(name: &TenantId, tenant: &TenantSection) -> Result<(), SettingsError> {
    check_fhir(name, tenant)?;
    check_postgres(name, tenant)
}

fn check_fhir(name: &TenantId, tenant: &TenantSection) -> Result<(), SettingsError> {
    let section = &tenant.fhir;
    let schemes = ["https://", "http://"];
    if !schemes
        .iter()
        .any(|scheme| tenant.source.starts_with(scheme))
    {
        return if *section == FhirSection::default() {
            Ok(())
        } else {
            conflict(format!(
                "tenants.{name}.fhir is set, and tenants.{name}.source is no https:// address"
            ))
        };
    }
    if section.certificate.is_some() != section.key.is_some() {
        return conflict(format!(
            "tenants.{name}.fhir.certificate and key belong together"
        ));
    }
    let (wanted, is_there) = match section.auth {
        FhirAuthSetting::None => ("", true),
        FhirAuthSetting::Bearer => ("token_file", section.token_file.is_some()),
        FhirAuthSetting::Basic => ("user", section.user.is_some()),
        FhirAuthSetting::Smart => (
            "client_id, key_file and key_id",
            section.client_id.is_some() && section.key_file.is_some() && section.key_id.is_some(),
        ),
    };
    if !is_there {
        return conflict(format!("tenants.{name}.fhir.auth needs {wanted} beside it"));
    }
    Ok(())
}

fn check_postgres(name: &TenantId, tenant: &TenantSection) -> Result<(), SettingsError> {
    let section = &tenant.postgres;
    let is_postgres = ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| tenant.source.starts_with(scheme));
    if !is_postgres {
        return if *section == PostgresSection::default() {
            Ok(())
        } else {
            conflict(format!(
                "tenants.{name}.postgres is set, and tenants.{name}.source is no postgres:// address"
            ))
        };
    }
    let authority = tenant.source.split("://").nth(1).unwrap_or_default();
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    if user.contains(':') || tenant.source.contains("password=") {
        return conflict(format!(
            "tenants.{name}.source holds a password: put it into tenants.{name}.postgres.password, \
             which is not shown"
        ));
    }
    if section.reads > section.connections {
        return conflict(format!(
            "tenants.{name}.postgres.reads is more than its connections"
        ));
    }
    if section.certificate.is_some() != section.key.is_some() {
        return conflict(format!(
            "tenants.{name}.postgres.certificate and key belong together"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(source: &str, change: impl FnOnce(&mut PostgresSection)) -> Option<String> {
        let mut tenant = TenantSection::of(source.to_owned());
        change(&mut tenant.postgres);
        let name = "north".parse().ok()?;
        check(&name, &tenant).err().map(|error| error.to_string())
    }

    #[test]
    fn passwords_have_a_place_of_their_own() {
        for source in [
            "postgres://me:hunter2@db/fhir",
            "postgresql://me@db/fhir?password=hunter2",
        ] {
            let refused = refusal(source, |_| {}).unwrap();
            assert!(refused.contains("tenants.north.postgres.password"));
            assert!(!refused.contains("hunter2"), "{refused}");
        }
        assert_eq!(
            refusal("postgres://me@db/fhir?sslmode=require", |_| {}),
            None
        );
    }

    #[test]
    fn what_a_fhir_server_needs_goes_together() {
        let refusal = |source: &str, change: fn(&mut FhirSection)| {
            let mut tenant = TenantSection::of(source.to_owned());
            change(&mut tenant.fhir);
            let refused = check(&"north".parse().unwrap(), &tenant).err();
            refused.map(|error| error.to_string()).unwrap_or_default()
        };
        let basic = |section: &mut FhirSection| section.auth = FhirAuthSetting::Basic;
        assert!(refusal("https://h/fhir", basic).contains("needs user"));
        assert!(refusal("ndjson:data", basic).contains("no https://"));
        let half = |section: &mut FhirSection| section.key = Some("k".into());
        assert!(refusal("https://h/fhir", half).contains("belong together"));
        let smart = |section: &mut FhirSection| {
            section.auth = FhirAuthSetting::Smart;
            section.client_id = Some("sluice".to_owned());
            section.key_file = Some("k.pem".into());
            section.key_id = Some("k".to_owned());
        };
        assert_eq!(refusal("https://h/fhir", smart), "");
    }

    #[test]
    fn a_database_that_is_not_the_source_has_no_settings() {
        let pool = |section: &mut PostgresSection| {
            section.connections = std::num::NonZeroU32::MIN;
        };
        assert!(
            refusal("ndjson:data", pool)
                .unwrap()
                .contains("no postgres://")
        );
        let refused = refusal("postgres://db/fhir", pool).unwrap();
        assert!(refused.contains("reads is more than its connections"));
    }
}
