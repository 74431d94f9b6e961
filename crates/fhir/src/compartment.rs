//! The patient compartment of R4: which elements of which types put a resource into it.
//!
//! From HL7's CompartmentDefinition/patient 4.0.1, its search parameters turned into element
//! paths. Two things differ, on purpose (ADR 0005): a Patient lies in its own compartment only
//! (`Patient.link` would hand out somebody else's record), and a Device lies in the compartment
//! of its `patient`, where US Core expects it.

use crate::ResourceType;

/// Type, then the paths of its references to patients, in dots; sorted by type.
#[rustfmt::skip]
const PATHS: [(&str, &[&str]); 67] = [
    ("Account", &["subject"]),
    ("AdverseEvent", &["subject"]),
    ("AllergyIntolerance", &["patient", "recorder", "asserter"]),
    ("Appointment", &["participant.actor"]),
    ("AppointmentResponse", &["actor"]),
    ("AuditEvent", &["agent.who", "entity.what"]),
    ("Basic", &["subject", "author"]),
    ("BodyStructure", &["patient"]),
    ("CarePlan", &["subject", "activity.detail.performer"]),
    ("CareTeam", &["subject", "participant.member"]),
    ("ChargeItem", &["subject"]),
    ("Claim", &["patient", "payee.party"]),
    ("ClaimResponse", &["patient"]),
    ("ClinicalImpression", &["subject"]),
    ("Communication", &["subject", "sender", "recipient"]),
    ("CommunicationRequest", &["subject", "sender", "recipient", "requester"]),
    ("Composition", &["subject", "author", "attester.party"]),
    ("Condition", &["subject", "asserter"]),
    ("Consent", &["patient"]),
    ("Coverage", &["policyHolder", "subscriber", "beneficiary", "payor"]),
    ("CoverageEligibilityRequest", &["patient"]),
    ("CoverageEligibilityResponse", &["patient"]),
    ("DetectedIssue", &["patient"]),
    ("Device", &["patient"]),
    ("DeviceRequest", &["subject", "performer"]),
    ("DeviceUseStatement", &["subject"]),
    ("DiagnosticReport", &["subject"]),
    ("DocumentManifest", &["subject", "author", "recipient"]),
    ("DocumentReference", &["subject", "author"]),
    ("Encounter", &["subject"]),
    ("EnrollmentRequest", &["candidate"]),
    ("EpisodeOfCare", &["patient"]),
    ("ExplanationOfBenefit", &["patient", "payee.party"]),
    ("FamilyMemberHistory", &["patient"]),
    ("Flag", &["subject"]),
    ("Goal", &["subject"]),
    ("Group", &["member.entity"]),
    ("ImagingStudy", &["subject"]),
    ("Immunization", &["patient"]),
    ("ImmunizationEvaluation", &["patient"]),
    ("ImmunizationRecommendation", &["patient"]),
    ("Invoice", &["subject", "recipient"]),
    ("List", &["subject", "source"]),
    ("MeasureReport", &["subject"]),
    ("Media", &["subject"]),
    ("MedicationAdministration", &["subject", "performer.actor"]),
    ("MedicationDispense", &["subject", "receiver"]),
    ("MedicationRequest", &["subject"]),
    ("MedicationStatement", &["subject"]),
    ("MolecularSequence", &["patient"]),
    ("NutritionOrder", &["patient"]),
    ("Observation", &["subject", "performer"]),
    ("Person", &["link.target"]),
    ("Procedure", &["subject", "performer.actor"]),
    ("Provenance", &["target"]),
    ("QuestionnaireResponse", &["subject", "author"]),
    ("RelatedPerson", &["patient"]),
    ("RequestGroup", &["subject", "action.participant"]),
    ("ResearchSubject", &["individual"]),
    ("RiskAssessment", &["subject"]),
    ("Schedule", &["actor"]),
    ("ServiceRequest", &["subject", "performer"]),
    ("Specimen", &["subject"]),
    ("SupplyDelivery", &["patient"]),
    ("SupplyRequest", &["deliverTo"]),
    ("Task", &["for", "focus"]),
    ("VisionPrescription", &["patient"]),
];

/// The element paths by which a resource of this type belongs to a patient; empty when the type
/// is outside the compartment, or is Patient, which belongs to itself.
pub fn patient_paths(kind: ResourceType) -> &'static [&'static str] {
    match PATHS.binary_search_by_key(&kind.name(), |row| row.0) {
        Ok(at) => PATHS[at].1,
        Err(_) => &[],
    }
}

/// Whether the type is in the patient compartment at all.
pub fn contains(kind: ResourceType) -> bool {
    kind == ResourceType::PATIENT || !patient_paths(kind).is_empty()
}

/// Whether a patient- or group-level export may hold the type. A Group names patients beyond the
/// population asked for, so it leaves only at system level; it can be read at `[base]/Group`.
pub fn is_exportable(kind: ResourceType) -> bool {
    kind.is_exportable() && kind != ResourceType::GROUP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_known_types() {
        assert!(PATHS.is_sorted_by_key(|row| row.0));
        for (name, paths) in PATHS {
            assert!(name.parse::<ResourceType>().is_ok(), "{name}");
            assert!(!paths.is_empty(), "{name}");
        }
    }

    #[test]
    fn nested_and_plain_paths_are_there() {
        let paths = |name: &str| patient_paths(name.parse().unwrap());
        assert_eq!(paths("Observation"), ["subject", "performer"]);
        assert_eq!(paths("Appointment"), ["participant.actor"]);
        assert!(paths("Practitioner").is_empty());
        assert!(contains(ResourceType::PATIENT));
    }
}
