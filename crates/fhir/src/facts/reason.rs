//! Why a line holds no resource that can be exported.

/// Why a line is no resource that can be exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Not UTF-8.
    NotUtf8,
    /// What serde says about the syntax; such texts hold positions, not content.
    Syntax(String),
    /// JSON, but no object.
    NotAnObject,
    /// `resourceType` is missing, repeated or no text.
    NoType,
    /// R4 has no such type.
    UnknownType,
    /// A Bundle or Parameters.
    Container,
    /// `id` is missing, repeated or no text.
    NoId,
    /// `id` is no FHIR id.
    BadId,
    /// `meta.lastUpdated` is no instant.
    BadUpdated,
    /// The members of a Group cannot be read.
    BadGroup,
    /// Left out in either mode: a Binary or OperationOutcome.
    NoData,
}

impl Reason {
    /// The reason without the position, for counting.
    pub fn summary(&self) -> &'static str {
        match self {
            Self::NotUtf8 => "not UTF-8",
            Self::Syntax(_) => "not valid JSON",
            Self::NotAnObject => "not a JSON object",
            Self::NoType => "resourceType is missing, repeated or no text",
            Self::UnknownType => "resourceType is not a type of FHIR R4",
            Self::Container => "a Bundle or Parameters; unpack it, one resource a line",
            Self::NoId => "id is missing, repeated or no text",
            Self::BadId => "id is not a FHIR id (1 to 64 of letters, digits, - and .)",
            Self::BadUpdated => "meta.lastUpdated is not a FHIR instant",
            Self::BadGroup => "the members of the Group cannot be read",
            Self::NoData => "Binary and OperationOutcome are never exported",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.summary())?;
        match self {
            Self::Syntax(detail) => write!(f, " ({detail})"),
            _ => Ok(()),
        }
    }
}
