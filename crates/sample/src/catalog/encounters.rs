//! Kinds of visits and what payers are billed for them.

use crate::code::{Code, code, hcpcs, snomed};

/// A kind of visit.
#[derive(Debug)]
pub(crate) struct VisitKind {
    /// The class that v3 `ActCode` has for it.
    pub(crate) class: Code,
    /// What it is clinically.
    pub(crate) code: Code,
    /// What is billed.
    pub(crate) service: Code,
    /// The price in cents.
    pub(crate) price: i64,
    /// The shortest and longest it takes, in minutes.
    pub(crate) minutes: [i64; 2],
}

const ACT: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
const AMBULATORY: Code = code(ACT, "AMB", "ambulatory");

/// A general examination of an adult.
pub(crate) static WELLNESS: VisitKind = VisitKind {
    class: AMBULATORY,
    code: snomed("162673000", "General examination of patient (procedure)"),
    service: hcpcs("G0439", "Annual wellness visit, subsequent visit"),
    price: 14_280,
    minutes: [15, 45],
};

/// A child's preventive visit.
pub(crate) static WELL_CHILD: VisitKind = VisitKind {
    class: AMBULATORY,
    code: snomed("410620009", "Well child visit (procedure)"),
    service: hcpcs(
        "S0302",
        "Completed early periodic screening diagnosis and treatment service",
    ),
    price: 12_550,
    minutes: [15, 40],
};

/// A visit because of a complaint.
pub(crate) static SYMPTOM: VisitKind = VisitKind {
    class: AMBULATORY,
    code: snomed("185345009", "Encounter for symptom (procedure)"),
    service: hcpcs(
        "G0463",
        "Hospital outpatient clinic visit for assessment and management",
    ),
    price: 9_820,
    minutes: [10, 30],
};

/// A visit about an illness that lasts.
pub(crate) static FOLLOW_UP: VisitKind = VisitKind {
    class: AMBULATORY,
    code: snomed("390906007", "Follow-up encounter (procedure)"),
    service: hcpcs("T1015", "Clinic visit/encounter, all-inclusive"),
    price: 11_240,
    minutes: [10, 35],
};

/// A visit without a particular reason.
pub(crate) static CHECK_UP: VisitKind = VisitKind {
    class: AMBULATORY,
    code: snomed("185349003", "Encounter for check up (procedure)"),
    service: hcpcs("T1015", "Clinic visit/encounter, all-inclusive"),
    price: 10_470,
    minutes: [10, 30],
};

/// A visit to the emergency room.
pub(crate) static EMERGENCY: VisitKind = VisitKind {
    class: code(ACT, "EMER", "emergency"),
    code: snomed("50849002", "Emergency room admission (procedure)"),
    service: hcpcs(
        "G0383",
        "Level 4 hospital emergency department visit provided in a type B emergency department",
    ),
    price: 68_390,
    minutes: [60, 420],
};

/// A further service that is billed for a visit, with its price in cents.
pub(crate) type Service = (Code, i64);

/// At the examination of the year.
pub(crate) static VACCINATING: Service = (
    hcpcs("G0008", "Administration of influenza virus vaccine"),
    2_610,
);
/// For those with diabetes.
pub(crate) static TRAINING: Service = (
    hcpcs(
        "G0108",
        "Diabetes outpatient self-management training services, individual",
    ),
    5_640,
);
/// For the obese.
pub(crate) static COUNSELING: Service = (
    hcpcs(
        "G0447",
        "Face-to-face behavioral counseling for obesity, 15 minutes",
    ),
    2_590,
);
/// For everybody else.
pub(crate) static COMPLEXITY: Service = (
    hcpcs(
        "G2211",
        "Visit complexity inherent to evaluation and management",
    ),
    1_605,
);
