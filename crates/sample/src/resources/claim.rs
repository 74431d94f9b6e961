//! `ExplanationOfBenefit`: what the payer made of the bill for a visit.

use super::coverage::Cover;
use crate::case::Case;
use crate::catalog::ailments::{DIABETES, OBESITY};
use crate::catalog::encounters::{COMPLEXITY, COUNSELING, Service, TRAINING, VACCINATING};
use crate::chart::Visit;
use crate::code::{Code, code, icd10};
use crate::error::SampleError;
use crate::json::Json;
use crate::kind::Kind;
use crate::scribe::{Head, Scribe};

const PROFILE: &str = "http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-ExplanationOfBenefit-Professional-NonClinician";
const ADJUDICATION: &str = "http://terminology.hl7.org/CodeSystem/adjudication";
static SUBMITTED: Code = code(ADJUDICATION, "submitted", "Submitted Amount");
static ELIGIBLE: Code = code(ADJUDICATION, "eligible", "Eligible Amount");
static COPAY: Code = code(ADJUDICATION, "copay", "CoPay");
static BENEFIT: Code = code(ADJUDICATION, "benefit", "Benefit Amount");
static EXAMINATION: Code = icd10(
    "Z00.00",
    "Encounter for general adult medical examination without abnormal findings",
);
static CHILD_EXAMINATION: Code = icd10(
    "Z00.129",
    "Encounter for routine child health examination without abnormal findings",
);

/// A service with its price in cents.
type Line = (&'static Code, i64);

/// Writes what became of the bill, for half of the visits.
pub(crate) fn write(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    visit: &Visit,
    cover: Cover,
) -> Result<(), SampleError> {
    // The others were billed to somebody whom this data set does not hold.
    if !case.dice.chance(470) {
        return Ok(());
    }
    let me = case.next(Kind::ExplanationOfBenefit);
    let created = visit
        .end
        .plus_minutes(case.dice.between(3, 9) * 1440)
        .not_after_today();
    let updated = case.recorded(created);
    let mut lines: Vec<Line> = vec![(&visit.kind.service, visit.kind.price)];
    if case.dice.chance(450) {
        let (service, price) = further(visit);
        lines.push((service, *price));
    }
    let total = lines
        .iter()
        .map(|line| Amounts::of(line.1))
        .fold(Amounts::default(), Amounts::plus);
    let person = &case.person;
    let head = Head {
        what: me,
        profile: PROFILE,
        updated,
        narrative: Some(&format_args!(
            "Claim for the visit of {}",
            visit.start.day()
        )),
    };
    scribe.resource(&head, |json| {
        heading(json, case, visit, cover);
        json.text("created", &created);
        json.reference_to("insurer", cover.payer.who(person.seed), &cover.payer.name);
        json.reference_to("provider", visit.clinic.organization(), &visit.clinic);
        json.text("outcome", "complete");
        care_team(json, visit);
        diagnosis(json, case, visit);
        json.single("insurance", |json| {
            json.bare("focal", &true);
            json.reference_to("coverage", cover.me, &cover.payer.plan);
        });
        json.list("item", |json| {
            for (at, line) in lines.iter().enumerate() {
                json.item(|json| item(json, visit, (at + 1, *line)));
            }
        });
        json.list("total", |json| total.write(json));
        json.object("payment", |json| {
            json.text("date", &created.day());
            json.money("amount", total.benefit);
        });
    })
}

fn heading(json: &mut Json, case: &Case, visit: &Visit, cover: Cover) {
    let person = &case.person;
    json.list("identifier", |json| {
        let number = visit.me.id;
        json.identifier(
            "https://sluice.example/claims",
            &format_args!("{}-{number}", cover.payer.group),
        );
    });
    json.text("status", "active");
    let system = "http://terminology.hl7.org/CodeSystem/claim-type";
    json.coded("type", &code(system, "professional", "Professional"));
    json.text("use", "claim");
    json.reference_to("patient", person.me, &person.name);
    json.period("billablePeriod", visit.start, Some(visit.end));
}

fn care_team(json: &mut Json, visit: &Visit) {
    json.single("careTeam", |json| {
        json.bare("sequence", &1);
        json.reference_to("provider", visit.clinician.who(), &visit.clinician);
        let system = "http://terminology.hl7.org/CodeSystem/claimcareteamrole";
        json.coded("role", &code(system, "primary", "Primary provider"));
    });
}

fn diagnosis(json: &mut Json, case: &Case, visit: &Visit) {
    let child = case.person.age_on(visit.start.day()) < 18;
    let usual = if child {
        &CHILD_EXAMINATION
    } else {
        &EXAMINATION
    };
    json.single("diagnosis", |json| {
        json.bare("sequence", &1);
        let billed = visit
            .reason
            .as_ref()
            .map_or(usual, |reason| &reason.what.billing);
        json.coded("diagnosisCodeableConcept", billed);
        let system = "http://terminology.hl7.org/CodeSystem/ex-diagnosistype";
        json.concepts("type", &code(system, "principal", "Principal Diagnosis"));
    });
}

fn item(json: &mut Json, visit: &Visit, (number, (service, price)): (usize, Line)) {
    json.bare("sequence", &number);
    json.list("diagnosisSequence", |json| json.bare_item(&1));
    json.coded("productOrService", service);
    json.period("servicedPeriod", visit.start, Some(visit.end));
    let system =
        "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set";
    let place = if visit.kind.class.symbol == "EMER" {
        code(system, "23", "Emergency Room - Hospital")
    } else {
        code(system, "11", "Office")
    };
    json.coded("locationCodeableConcept", &place);
    json.list("encounter", |json| json.reference_item(visit.me));
    json.list("adjudication", |json| Amounts::of(price).write(json));
}

/// What is billed besides the visit itself.
fn further(visit: &Visit) -> &'static Service {
    let billed = visit.reason.map(|reason| reason.what.billing);
    match billed {
        _ if visit.is_yearly => &VACCINATING,
        Some(code) if code == DIABETES.billing => &TRAINING,
        Some(code) if code == OBESITY.billing => &COUNSELING,
        _ => &COMPLEXITY,
    }
}

/// What becomes of a price, in cents.
#[derive(Clone, Copy, Debug, Default)]
struct Amounts {
    submitted: i64,
    eligible: i64,
    benefit: i64,
}

impl Amounts {
    const fn of(submitted: i64) -> Self {
        let eligible = submitted * 9 / 10;
        Self {
            submitted,
            eligible,
            benefit: eligible * 4 / 5,
        }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            submitted: self.submitted + other.submitted,
            eligible: self.eligible + other.eligible,
            benefit: self.benefit + other.benefit,
        }
    }

    fn write(self, json: &mut Json) {
        for (category, cents) in [
            (&SUBMITTED, self.submitted),
            (&ELIGIBLE, self.eligible),
            (&COPAY, self.eligible - self.benefit),
            (&BENEFIT, self.benefit),
        ] {
            json.item(|json| {
                json.coded("category", category);
                json.money("amount", cents);
            });
        }
    }
}
