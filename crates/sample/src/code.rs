//! Codes of the public terminologies.

/// A code with the words that its terminology has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    /// The URI of the terminology.
    pub(crate) system: &'static str,
    /// What stands for the meaning.
    pub(crate) symbol: &'static str,
    /// Its words.
    pub(crate) display: &'static str,
}

/// A unit of UCUM, as shown and as coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    /// What people read.
    pub(crate) shown: &'static str,
    /// What UCUM writes.
    pub(crate) code: &'static str,
}

/// A unit of UCUM.
pub(crate) const fn unit(shown: &'static str, code: &'static str) -> Unit {
    Unit { shown, code }
}

/// A code of the given system.
pub(crate) const fn code(
    system: &'static str,
    symbol: &'static str,
    display: &'static str,
) -> Code {
    Code {
        system,
        symbol,
        display,
    }
}

/// SNOMED CT.
pub(crate) const fn snomed(number: &'static str, display: &'static str) -> Code {
    code("http://snomed.info/sct", number, display)
}

/// LOINC.
pub(crate) const fn loinc(number: &'static str, display: &'static str) -> Code {
    code("http://loinc.org", number, display)
}

/// `RxNorm`.
pub(crate) const fn rxnorm(number: &'static str, display: &'static str) -> Code {
    code(
        "http://www.nlm.nih.gov/research/umls/rxnorm",
        number,
        display,
    )
}

/// CVX.
pub(crate) const fn cvx(number: &'static str, display: &'static str) -> Code {
    code("http://hl7.org/fhir/sid/cvx", number, display)
}

/// ICD-10-CM.
pub(crate) const fn icd10(number: &'static str, display: &'static str) -> Code {
    code("http://hl7.org/fhir/sid/icd-10-cm", number, display)
}

/// HCPCS level II, which payers bill by.
pub(crate) const fn hcpcs(number: &'static str, display: &'static str) -> Code {
    code(
        "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
        number,
        display,
    )
}
