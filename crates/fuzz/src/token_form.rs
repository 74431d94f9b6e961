//! The body of a token request: read as every other server reads a form, and nothing twice.

use sluice_auth::TokenForm;
use url::form_urlencoded;

/// Takes the input as the body of a token request.
///
/// # Panics
///
/// When a form is read that says something twice, or is read otherwise than the URL standard has it.
pub fn token_form(data: &[u8]) {
    let Ok(form) = TokenForm::read(data) else {
        return;
    };
    let assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let read = [
        ("grant_type", Some("client_credentials")),
        ("client_assertion_type", Some(assertion_type)),
        ("client_assertion", Some(form.assertion.as_str())),
        ("scope", Some(form.scope.as_str())),
        ("client_id", form.client_id.as_deref()),
    ];
    for (name, value) in read {
        // An empty value is as good as none (RFC 6749 section 3.2).
        let all = form_urlencoded::parse(data);
        let found: Vec<_> = all
            .filter(|(other, value)| other == name && !value.is_empty())
            .map(|(_, value)| value)
            .collect();
        let expected: Vec<&str> = value.into_iter().collect();
        assert!(
            found == expected,
            "{name} is read otherwise than it is said"
        );
    }
}
