//! What patients share: clinics, the people who work there, payers, and a few that nobody names.
//!
//! The pool grows slowly with the patients, and a patient only ever refers to what was there when
//! their number was reached: the pool of a smaller data set is the beginning of a larger one's.

mod clinic;
mod clinician;
mod payer;
mod write;

pub(crate) use clinic::Clinic;
pub(crate) use clinician::Clinician;
pub(crate) use payer::{PAYERS, Payer};
pub(crate) use write::write;

/// How many people work at a clinic.
const STAFF: u32 = 4;

/// What the last number of an id says about a member of the pool.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Standing {
    /// Patients refer to it.
    Regular,
    /// It pays.
    Paying,
    /// Nothing refers to it.
    Spare,
}

/// How many clinics there are when so many patients have come.
pub(crate) const fn clinics(patients: u32) -> u32 {
    let by_size = patients / 50;
    if by_size < 3 { 3 } else { by_size }
}
