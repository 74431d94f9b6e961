//! The resource types that the sample holds.

/// One resource type of the sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Patient,
    Encounter,
    Condition,
    Observation,
    MedicationRequest,
    Procedure,
    Immunization,
    AllergyIntolerance,
    DiagnosticReport,
    DocumentReference,
    CarePlan,
    CareTeam,
    Goal,
    Device,
    Coverage,
    ExplanationOfBenefit,
    Provenance,
    Practitioner,
    PractitionerRole,
    Organization,
    Location,
    Group,
}

impl Kind {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::Group as usize + 1;

    /// The name that FHIR gives it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Patient => "Patient",
            Self::Encounter => "Encounter",
            Self::Condition => "Condition",
            Self::Observation => "Observation",
            Self::MedicationRequest => "MedicationRequest",
            Self::Procedure => "Procedure",
            Self::Immunization => "Immunization",
            Self::AllergyIntolerance => "AllergyIntolerance",
            Self::DiagnosticReport => "DiagnosticReport",
            Self::DocumentReference => "DocumentReference",
            Self::CarePlan => "CarePlan",
            Self::CareTeam => "CareTeam",
            Self::Goal => "Goal",
            Self::Device => "Device",
            Self::Coverage => "Coverage",
            Self::ExplanationOfBenefit => "ExplanationOfBenefit",
            Self::Provenance => "Provenance",
            Self::Practitioner => "Practitioner",
            Self::PractitionerRole => "PractitionerRole",
            Self::Organization => "Organization",
            Self::Location => "Location",
            Self::Group => "Group",
        }
    }
}
