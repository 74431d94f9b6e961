//! One patient's resources, written in the order in which a clinic would meet them.

mod address;
mod allergy;
mod claim;
mod condition;
mod coverage;
mod device;
mod encounter;
mod goal;
mod immunization;
mod laboratory;
mod medication;
mod note;
mod observation;
mod patient;
mod plan;
mod procedure;
mod provenance;
mod report;
mod smoking;
mod team;
mod vitals;

use crate::case::Case;
use crate::chart::{Chart, Visit};
use crate::error::SampleError;
use crate::scribe::Scribe;
use coverage::Cover;

/// Writes everything that is the n-th patient's.
pub(crate) fn write(scribe: &mut Scribe<'_>, seed: u64, n: u32) -> Result<(), SampleError> {
    let mut case = Case::open(seed, n);
    let chart = Chart::plan(&mut case);
    patient::write(scribe, &mut case, &chart)?;
    let covers = coverage::write(scribe, &mut case)?;
    let team = team::write(scribe, &mut case, &chart)?;
    for problem in &chart.problems {
        condition::write(scribe, &mut case, &chart, problem)?;
    }
    allergy::write(scribe, &mut case, &chart)?;
    device::write(scribe, &mut case, &chart)?;
    plan::write(scribe, &mut case, &chart, team)?;
    for visit in &chart.visits {
        write_visit(scribe, &mut case, &chart, visit)?;
        claim::write(scribe, &mut case, visit, Cover::on(&covers, visit.start))?;
    }
    Ok(())
}

fn write_visit(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    chart: &Chart,
    visit: &Visit,
) -> Result<(), SampleError> {
    case.fresh.clear();
    encounter::write(scribe, case, visit)?;
    vitals::write(scribe, case, chart, visit)?;
    smoking::write(scribe, case, visit)?;
    laboratory::write(scribe, case, chart, visit)?;
    medication::write(scribe, case, chart, visit)?;
    procedure::write(scribe, case, visit)?;
    immunization::write(scribe, case, visit)?;
    note::write(scribe, case, chart, visit)?;
    provenance::write(scribe, case, visit)
}
