//! Vital signs: LOINC codes, profiles and units.

use crate::code::{Code, Unit, loinc, unit};

/// A vital sign.
#[derive(Debug)]
pub(crate) struct Vital {
    /// Its code.
    pub(crate) code: Code,
    /// The profile that US Core has for it.
    pub(crate) profile: &'static str,
    /// Its unit.
    pub(crate) unit: Unit,
}

macro_rules! vital {
    ($number:literal, $name:literal, $profile:literal, $shown:literal, $unit:literal) => {
        Vital {
            code: loinc($number, $name),
            profile: concat!("http://hl7.org/fhir/us/core/StructureDefinition/", $profile),
            unit: unit($shown, $unit),
        }
    };
}

#[rustfmt::skip]
mod table {
    use super::{loinc, unit, Code, Unit, Vital};

    pub(crate) static PRESSURE: Vital = vital!("85354-9", "Blood pressure panel with all children optional", "us-core-blood-pressure", "mmHg", "mm[Hg]");
    pub(crate) static HEART_RATE: Vital = vital!("8867-4", "Heart rate", "us-core-heart-rate", "beats/minute", "/min");
    pub(crate) static BREATHING: Vital = vital!("9279-1", "Respiratory rate", "us-core-respiratory-rate", "breaths/minute", "/min");
    pub(crate) static TEMPERATURE: Vital = vital!("8310-5", "Body temperature", "us-core-body-temperature", "Cel", "Cel");
    pub(crate) static SATURATION: Vital = vital!("2708-6", "Oxygen saturation in Arterial blood", "us-core-pulse-oximetry", "%", "%");
    pub(crate) static WEIGHT: Vital = vital!("29463-7", "Body weight", "us-core-body-weight", "kg", "kg");
    pub(crate) static HEIGHT: Vital = vital!("8302-2", "Body height", "us-core-body-height", "cm", "cm");
    pub(crate) static MASS_INDEX: Vital = vital!("39156-5", "Body mass index (BMI) [Ratio]", "us-core-bmi", "kg/m2", "kg/m2");

    /// The second code that pulse oximetry carries.
    pub(crate) static BY_OXIMETRY: Code = loinc("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry");
    pub(crate) static SYSTOLIC: Code = loinc("8480-6", "Systolic blood pressure");
    pub(crate) static DIASTOLIC: Code = loinc("8462-4", "Diastolic blood pressure");
    pub(crate) static MERCURY: Unit = unit("mmHg", "mm[Hg]");
}

pub(crate) use table::*;
