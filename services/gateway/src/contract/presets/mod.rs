//! Sites whose rules are a preset's, as the settings have it.

mod millennium;
mod soarian;

use actix_web::http::{Method, StatusCode, header};
use actix_web::test::TestRequest;
use serde_json::Value;
use sluice_engine::{Authorization, Duplicates, Files, Policy, TenantAccess};
use sluice_runtime::{DuplicatesSetting, FilesSetting, PresetSetting, TenantSection};
use sluice_testkit::Faults;

use super::{Got, Site, local};

/// What a tenant of this preset, and of nothing else, says about who may do what.
pub(super) fn access(preset: PresetSetting) -> TenantAccess {
    let section = section(preset);
    TenantAccess {
        levels: section.levels_on(),
        files: match section.files() {
            FilesSetting::Links => Files::Links,
            FilesSetting::Redirect => Files::Redirect,
            FilesSetting::Stream => Files::Stream,
        },
        rules: section.rules.rules(),
        ..TenantAccess::default()
    }
}

fn section(preset: PresetSetting) -> TenantSection {
    let mut section = TenantSection::of("ndjson:x".to_owned());
    section.rules.preset = preset;
    section
}

fn site(preset: PresetSetting, change: impl FnOnce(&mut TenantAccess)) -> Site {
    let section = section(preset);
    let policy = Policy {
        duplicates: match section.duplicates() {
            DuplicatesSetting::Reject => Duplicates::Reject,
            DuplicatesSetting::Allow | DuplicatesSetting::Join => Duplicates::Allow,
        },
        most_running: Some(section.most_running()).filter(|most| *most > 0),
        ..Policy::default()
    };
    let mut access = access(preset);
    change(&mut access);
    let tenants = [("default", access)];
    Site::assembled(&Faults::default(), policy, &tenants, |_, _| {
        Authorization::Off
    })
}

/// A request with the headers that Soarian's pages show.
fn asking(method: Method, url: &str) -> TestRequest {
    TestRequest::default()
        .method(method)
        .uri(local(url))
        .insert_header((header::ACCEPT, "application/fhir+json"))
        .insert_header(("Prefer", "respond-async"))
}

impl Site {
    async fn ask(&self, url: &str) -> Got {
        self.send(asking(Method::GET, url)).await
    }

    async fn ask_with(&self, method: Method, url: &str, body: &Value) -> Got {
        let kind = (header::CONTENT_TYPE, "application/fhir+json");
        let request = asking(method, url).insert_header(kind);
        self.send(request.set_payload(body.to_string())).await
    }

    /// Polls as told until the manifest is there.
    async fn manifest(&self, status: &str) -> Got {
        loop {
            let got = self.ask(status).await;
            if got.status == StatusCode::OK {
                return got;
            }
            assert_eq!(got.status, StatusCode::ACCEPTED);
            let told = got.header("retry-after").parse().unwrap();
            self.clock.pass(std::time::Duration::from_secs(told));
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }
}

fn refused(got: &Got) -> (u16, String) {
    (got.status.as_u16(), got.issue())
}

#[actix_web::test]
async fn without_a_preset_there_is_no_id_of_oracles_and_a_missing_header_is_no_failure() {
    let site = site(PresetSetting::None, |_| {});
    let got = site.get(super::EXPORT).await;
    assert_eq!(got.status, StatusCode::ACCEPTED);
    assert_eq!(got.header("opc-request-id"), "");
}
