//! A server's SMART configuration: where tokens are had, with what key, and in which words scopes
//! are asked for.

use serde::Deserialize;
use url::Url;

use crate::http::is_loopback;
use crate::{ExportError, PrivateKey};

/// Who the client is, for a server that gives tokens as SMART Backend Services says.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The name by which the server knows the client.
    pub client_id: String,
    /// Its private key, of which the server knows the public half.
    pub key: PrivateKey,
    /// What to ask for, a scope or several with spaces between them each; when empty, to read the
    /// types that are exported.
    pub scopes: Vec<String>,
}

/// What matters of `.well-known/smart-configuration`.
#[derive(Deserialize)]
pub(crate) struct Configuration {
    token_endpoint: Option<String>,
    scopes_supported: Option<Vec<String>>,
    capabilities: Option<Vec<String>>,
    token_endpoint_auth_signing_alg_values_supported: Option<Vec<String>>,
}

/// Where tokens are had.
pub(crate) struct Endpoint {
    pub(crate) url: Url,
    /// The same to the letter, as an assertion must name it.
    pub(crate) audience: String,
}

/// Where a server's configuration is.
pub(crate) fn configuration_url(base: &Url) -> Result<Url, ExportError> {
    let mut url = base.clone();
    let wrong = |()| ExportError::BadOption("the server URL must begin with http".to_owned());
    url.path_segments_mut()
        .map_err(wrong)?
        .pop_if_empty()
        .extend([".well-known", "smart-configuration"]);
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

impl Configuration {
    /// The token endpoint. What is sent there must not be read on the way.
    pub(crate) fn endpoint(&self, base: &Url) -> Result<Endpoint, ExportError> {
        let no_token = |text: &str| ExportError::NoToken {
            text: format!("its SMART configuration {text}"),
        };
        let audience = self.token_endpoint.clone();
        let audience = audience.ok_or_else(|| no_token("names no token_endpoint"))?;
        let url: Url = audience
            .parse()
            .map_err(|_| no_token("has a token_endpoint that is no absolute URL"))?;
        let at_home = base.scheme() == "http" && is_loopback(base) && is_loopback(&url);
        match url.scheme() {
            "https" => {}
            "http" if at_home => {}
            _ => return Err(no_token("has a token_endpoint without https")),
        }
        Ok(Endpoint { url, audience })
    }

    /// Fails early if the server says that it cannot verify what the key signs.
    pub(crate) fn check(&self, key: &PrivateKey) -> Result<(), ExportError> {
        let known = self
            .token_endpoint_auth_signing_alg_values_supported
            .as_deref();
        let known = known.unwrap_or_default();
        let algorithm = key.algorithm();
        if known.is_empty() || known.iter().any(|one| one == algorithm) {
            return Ok(());
        }
        let known = known.join(", ");
        Err(ExportError::NoToken {
            text: format!(
                "it verifies {known}, and the key signs with {algorithm}; use another key"
            ),
        })
    }

    /// What to ask for to export these types, all when there are none.
    pub(crate) fn scope(&self, types: &[String]) -> String {
        let verb = if self.wants_version_1() { "read" } else { "rs" };
        if types.is_empty() {
            return format!("system/*.{verb}");
        }
        let scopes = types.iter().map(|name| format!("system/{name}.{verb}"));
        scopes.collect::<Vec<String>>().join(" ")
    }

    /// Whether the server knows `.read` and not `.rs`.
    fn wants_version_1(&self) -> bool {
        let capabilities = self.capabilities.as_deref().unwrap_or_default();
        let has = |name: &str| capabilities.iter().any(|one| one == name);
        if has("permission-v2") || has("permission-v1") {
            return !has("permission-v2");
        }
        let scopes = self.scopes_supported.as_deref().unwrap_or_default();
        let verbs = scopes.iter().filter_map(|scope| {
            let (_, access) = scope.split_once('/')?;
            let access = access.split('?').next().unwrap_or_default();
            access.rsplit_once('.').map(|(_, verb)| verb)
        });
        let (mut old, mut new) = (false, false);
        for verb in verbs {
            match verb {
                "read" => old = true,
                "write" | "*" => {}
                _ => new = true,
            }
        }
        old && !new
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn configuration(json: Value) -> Configuration {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_configuration_is_below_the_base() {
        for base in ["http://h/a/fhir", "http://h/a/fhir/", "http://h/a/fhir?b#c"] {
            let url = configuration_url(&base.parse().unwrap()).unwrap();
            let expected = "http://h/a/fhir/.well-known/smart-configuration";
            assert_eq!(url.as_str(), expected);
        }
    }

    #[test]
    fn an_endpoint_is_https_or_stays_on_this_machine() {
        let found = |base: &str, endpoint: &str| {
            let known = configuration(json!({ "token_endpoint": endpoint }));
            known.endpoint(&base.parse().unwrap()).ok()
        };
        let found_at = found("https://h/fhir", "https://H:443/token").unwrap();
        assert_eq!(found_at.url.as_str(), "https://h/token");
        assert_eq!(found_at.audience, "https://H:443/token", "as it is written");
        assert!(found("http://h/fhir", "https://o/token").is_some());
        assert!(found("http://localhost:1/fhir", "http://127.0.0.1:2/token").is_some());
        assert!(found("http://[::1]:1/fhir", "http://[::1]:1/token").is_some());
        for (base, endpoint) in [
            ("https://localhost/fhir", "http://localhost/token"),
            ("http://h/fhir", "http://h/token"),
            ("http://localhost/fhir", "http://h/token"),
            ("http://localhost/fhir", "/token"),
            ("http://localhost/fhir", "ftp://localhost/token"),
        ] {
            assert!(found(base, endpoint).is_none(), "{base} {endpoint}");
        }
        let none = configuration(json!({ "token_endpoint": null }));
        assert!(none.endpoint(&"https://h".parse().unwrap()).is_err());
    }

    #[test]
    fn scopes_are_in_the_servers_words() {
        let scope = |json: Value, types: &[&str]| {
            let types: Vec<String> = types.iter().map(|name| (*name).to_owned()).collect();
            configuration(json).scope(&types)
        };
        assert_eq!(scope(json!({}), &[]), "system/*.rs");
        let v1 = json!({ "capabilities": ["permission-v1"] });
        assert_eq!(scope(v1.clone(), &[]), "system/*.read");
        let two = ["Patient", "Observation"];
        assert_eq!(
            scope(v1, &two),
            "system/Patient.read system/Observation.read"
        );
        let both = json!({ "capabilities": ["permission-v1", "permission-v2"] });
        assert_eq!(scope(both, &two), "system/Patient.rs system/Observation.rs");
        let old = json!({ "scopes_supported": ["openid", "system/*.read", "system/*.*"] });
        assert_eq!(scope(old, &[]), "system/*.read");
        let mixed = json!({ "scopes_supported": ["system/*.read", "system/Patient.rs?a=b.c"] });
        assert_eq!(scope(mixed, &[]), "system/*.rs");
        let silent = json!({ "scopes_supported": ["openid"], "capabilities": null });
        assert_eq!(scope(silent, &[]), "system/*.rs");
    }

    #[test]
    fn a_key_that_the_server_cannot_verify_is_refused() {
        let key = PrivateKey::generate().unwrap();
        let name = "token_endpoint_auth_signing_alg_values_supported";
        let check = |known: Value| configuration(json!({ name: known })).check(&key);
        for fine in [json!(null), json!([]), json!(["RS384", "ES384"])] {
            check(fine).unwrap();
        }
        let refused = check(json!(["RS384"])).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.to_string().contains("ES384"), "{refused}");
    }
}
