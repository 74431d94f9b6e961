//! Writes the whole pool.

use super::{Clinic, Clinician, PAYERS, STAFF, Standing, clinics};
use crate::error::SampleError;
use crate::scribe::Scribe;
use crate::summary::SampleOptions;

/// How many of each kind nothing refers to.
const SPARES: u32 = 3;

/// Writes clinics, clinicians and payers for so many patients, and the spares.
pub(crate) fn write(options: &SampleOptions, scribe: &mut Scribe<'_>) -> Result<(), SampleError> {
    let seed = options.seed;
    for payer in &PAYERS {
        payer.write(seed, scribe)?;
    }
    for number in 0..clinics(options.patients) {
        Clinic::of(seed, number).write(scribe)?;
        for place in 0..STAFF {
            let clinician = Clinician::of(seed, number * STAFF + place, Standing::Regular);
            clinician.write(scribe)?;
            clinician.write_role(scribe)?;
        }
    }
    for number in 0..SPARES {
        Clinic::spare(seed, number).write(scribe)?;
        Clinician::of(seed, number, Standing::Spare).write(scribe)?;
    }
    Ok(())
}
