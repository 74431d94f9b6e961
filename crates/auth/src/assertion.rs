//! The client's signed assertion: first what anyone can see, in the same words for
//! every client there is or is not; then the proof.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use crate::jwt::{LONGEST_NAME, OneOrMany, Unproven};
use crate::{ClientId, Jwks, LEEWAY, LONGEST, Refusal};

/// The longest `jti`.
const LONGEST_JTI: usize = 512;

/// What an assertion must be for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The token endpoint's URL as configured, never as a request's headers have it (T-066).
    pub audience: &'a str,
    /// Seconds since 1970.
    pub now: i64,
}

/// An assertion of the right shape; unproven until [`Assertion::prove`].
pub struct Assertion<'t> {
    unproven: Unproven<'t>,
    algorithm: Algorithm,
    kid: String,
    client: ClientId,
    jti: String,
}

/// Every claim that is looked at. The times are whole numbers of seconds, as SMART says.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: OneOrMany,
    exp: i64,
    jti: String,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    iat: Option<i64>,
}

impl<'t> Assertion<'t> {
    /// Checks everything that needs no knowledge of the client.
    pub fn read(text: &'t str, expected: Expected<'_>) -> Result<Self, Refusal> {
        let refuse = |reason| Err(Refusal::client(reason));
        let Some(unproven) = Unproven::read(text) else {
            return refuse(
                "client_assertion is no signed JWT, or its header has members that are not \
                 supported here",
            );
        };
        let header = &unproven.header;
        let algorithm = match header.alg.as_str() {
            "RS384" => Algorithm::RS384,
            "ES384" => Algorithm::ES384,
            _ => return refuse("the assertion must be signed with RS384 or ES384"),
        };
        // SMART wants `JWT`; it is not what keeps an access token out, for that has a type of its own.
        if !header
            .typ
            .as_ref()
            .is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"))
        {
            return refuse("the typ of the assertion's header must be JWT");
        }
        let Some(kid) = header.kid.clone().filter(|kid| !kid.is_empty()) else {
            return refuse("the assertion's header must have the kid of a registered key");
        };
        let Some(claims) = unproven.claims::<Claims>() else {
            return refuse(
                "the assertion must have iss, sub, aud, exp and jti; exp is a whole number of \
                 seconds, the others are text",
            );
        };
        let client = check(&claims, expected).map_err(Refusal::client)?;
        Ok(Self {
            unproven,
            algorithm,
            kid,
            client,
            jti: claims.jti,
        })
    }

    /// Who it says to be from.
    pub fn client(&self) -> &ClientId {
        &self.client
    }

    /// The key it says to be signed with.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Where it says that its key is; must be what is registered.
    pub fn jku(&self) -> Option<&str> {
        self.unproven.header.jku.as_deref()
    }

    /// Its own name, which may be used once.
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// For how long it must be remembered, in seconds: longer than any server would still take it, by a
    /// clock that differs as much as clocks may.
    pub const MEMORY: u64 = 390;

    /// Whether one of these keys, and one only, made it.
    pub fn prove(&self, keys: &Jwks) -> Result<(), Refusal> {
        match keys.only(&self.kid, self.algorithm) {
            Some(key) if self.unproven.is_signed_by(key, self.algorithm) => Ok(()),
            Some(_) => Err(Refusal::UNPROVEN),
            None => Err(self.prove_nothing()),
        }
    }

    /// Checks a signature as [`Assertion::prove`] does, and fails: the time should not tell which clients there
    /// are. That the keys of some have to be fetched first it cannot hide.
    pub fn prove_nothing(&self) -> Refusal {
        let decoy = decoy(self.algorithm);
        let _never = self.unproven.is_signed_by(&decoy, self.algorithm);
        Refusal::UNPROVEN
    }
}

/// A key to spend the time on: the curve's base point, or a number of the usual size. Anyone can sign
/// for that point, whose private half is 1, so what comes of it must never count.
fn decoy(algorithm: Algorithm) -> DecodingKey {
    const POINT: [&str; 2] = [
        "qofKIr6LBTeOscce8yCtdG4dO2KLp5uYWfdB4IJUKjhVAvJdv1UpbDpUXjhydgq3",
        "NhfeSpYmLG9dnpi_kpLcKfj0Hb0omhR86doxE7XwuMAKYLHOHX6BnXpDHXyQ6g5f",
    ];
    let point = DecodingKey::from_ec_components(POINT[0], POINT[1]);
    match (algorithm, point) {
        (Algorithm::ES384, Ok(point)) => point,
        _ => DecodingKey::from_rsa_raw_components(&[0xc1; 256], &[1, 0, 1]),
    }
}

fn check(claims: &Claims, expected: Expected<'_>) -> Result<ClientId, &'static str> {
    let now = expected.now;
    if claims.iss != claims.sub {
        return Err("iss and sub of the assertion must both be the client id");
    }
    if !claims.aud.is_only(expected.audience) {
        return Err("aud of the assertion must be the URL of this token endpoint and nothing else");
    }
    if claims.exp <= now - LEEWAY {
        return Err(
            "the assertion has expired; check the clock, and sign a new one for each request",
        );
    }
    if claims.exp > now.saturating_add(LONGEST + LEEWAY) {
        return Err("exp of the assertion must be at most five minutes from now");
    }
    let early = |time: Option<i64>| time.is_some_and(|time| time > now.saturating_add(LEEWAY));
    if early(claims.nbf) || early(claims.iat) {
        return Err("the assertion is from the future; check the clock");
    }
    if claims.jti.is_empty() || claims.jti.len() > LONGEST_JTI {
        return Err("jti of the assertion must have 1 to 512 bytes");
    }
    if claims.iss.len() > LONGEST_NAME {
        return Err(Refusal::UNPROVEN.reason);
    }
    claims.iss.parse().map_err(|_| Refusal::UNPROVEN.reason)
}
