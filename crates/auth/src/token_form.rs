//! The body of a token request.

use sluice_fhir::parameters::from_query;

use crate::{OAuthCode, Refusal};

/// The one way in which clients prove who they are.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A token request of the right shape.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenForm {
    /// The client's proof; a secret.
    pub assertion: String,
    /// What it asks for.
    pub scope: String,
    /// Who it says to be outside of the assertion, if it does.
    pub client_id: Option<String>,
}

impl TokenForm {
    /// Reads a form. A parameter that comes twice is refused (RFC 6749 section 3.2), one that is not
    /// known is passed over.
    pub fn read(body: &[u8]) -> Result<Self, Refusal> {
        let unreadable =
            Refusal::request("the body must be a form (application/x-www-form-urlencoded)");
        let text = std::str::from_utf8(body).map_err(|_| unreadable)?;
        let fields = from_query(text).map_err(|_| unreadable)?;
        let one = |name: &str| -> Result<Option<String>, Refusal> {
            let mut found = fields.iter().filter(|field| field.name == name);
            match (found.next(), found.next()) {
                (found, None) => Ok(found.map(|field| field.value.clone())),
                _ => Err(Refusal::request(
                    "a parameter of the token request comes twice",
                )),
            }
        };
        match one("grant_type")?.as_deref() {
            Some("client_credentials") => {}
            None => return Err(Refusal::request("grant_type=client_credentials is missing")),
            Some(_) => {
                return Err(Refusal {
                    code: OAuthCode::UnsupportedGrantType,
                    reason: "grant_type must be client_credentials",
                });
            }
        }
        if one("client_assertion_type")?.as_deref() != Some(ASSERTION_TYPE) {
            return Err(Refusal::request(
                "client_assertion_type must be \
                 urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ));
        }
        let assertion = one("client_assertion")?;
        let scope = one("scope")?;
        Ok(Self {
            assertion: assertion.ok_or(Refusal::request("client_assertion is missing"))?,
            scope: scope.ok_or(Refusal::request(
                "scope is missing; ask for such as system/*.rs",
            ))?,
            client_id: one("client_id")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "grant_type=client_credentials&scope=system%2FPatient.rs+system%2F*.read\
        &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
        &client_assertion=a.b.c";

    #[test]
    fn r_228_the_four_parameters_are_read_once_each() {
        let form = TokenForm::read(GOOD.as_bytes()).unwrap();
        assert_eq!(form.scope, "system/Patient.rs system/*.read");
        assert_eq!(form.assertion, "a.b.c");
        let code = |text: &str| TokenForm::read(text.as_bytes()).err().unwrap().code;
        for (from, to, expected) in [
            (
                "client_credentials",
                "password",
                OAuthCode::UnsupportedGrantType,
            ),
            ("grant_type=", "grant=", OAuthCode::InvalidRequest),
            ("jwt-bearer", "saml2-bearer", OAuthCode::InvalidRequest),
            ("client_assertion=", "assertion=", OAuthCode::InvalidRequest),
            ("scope=", "scopes=", OAuthCode::InvalidRequest),
            (
                "a.b.c",
                "a.b.c&client_assertion=d",
                OAuthCode::InvalidRequest,
            ),
            ("a.b.c", "a.b.c&scope=x", OAuthCode::InvalidRequest),
            ("a.b.c", "%FF", OAuthCode::InvalidRequest),
        ] {
            assert_eq!(code(&GOOD.replace(from, to)), expected, "{from} -> {to}");
        }
    }
}
