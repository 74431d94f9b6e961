//! Laboratory results of a visit, by panel.

use super::observation::{self, LABORATORY, Observed};
use super::report;
use crate::case::Case;
use crate::catalog::ailments::DIABETES;
use crate::catalog::labs::{Analyte, BLOOD_COUNT, LIPIDS, METABOLIC, Panel, SUGAR, THYROID};
use crate::chart::{Chart, Visit};
use crate::code::{Code, code};
use crate::decimal::Decimal;
use crate::error::SampleError;
use crate::identity::Ref;
use crate::profile::us_core;
use crate::scribe::Scribe;

const MEANING: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";
static NORMAL: Code = code(MEANING, "N", "Normal");
static HIGH: Code = code(MEANING, "H", "High");
static LOW: Code = code(MEANING, "L", "Low");

/// Writes the panels that were ordered, each with its report.
pub(crate) fn write(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    chart: &Chart,
    visit: &Visit,
) -> Result<(), SampleError> {
    let sweet = chart.has(&DIABETES, visit.start);
    let adult = case.person.age_on(visit.start.day()) >= 18;
    let often = if adult { 1 } else { 4 };
    for (panel, yearly, other) in [
        (&METABOLIC, 400, 90),
        (&LIPIDS, 350, 40),
        (&BLOOD_COUNT, 300, 90),
        (
            &SUGAR,
            if sweet { 900 } else { 150 },
            if sweet { 400 } else { 15 },
        ),
        (&THYROID, 90, 15),
    ] {
        if case
            .dice
            .chance(if visit.is_yearly { yearly } else { other } / often)
        {
            write_panel(scribe, case, visit, (panel, sweet))?;
        }
    }
    Ok(())
}

fn write_panel(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    visit: &Visit,
    (panel, sweet): (&'static Panel, bool),
) -> Result<(), SampleError> {
    let mut results = Vec::with_capacity(panel.analytes.len());
    for analyte in panel.analytes {
        results.push(write_result(scribe, case, visit, (analyte, sweet))?);
    }
    report::write(scribe, case, visit, (panel, &results))
}

fn write_result(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    visit: &Visit,
    (analyte, sweet): (&'static Analyte, bool),
) -> Result<Ref, SampleError> {
    let [low, high] = analyte.range;
    let value = measure(case, analyte, sweet);
    let meaning = match value {
        value if value < low => &LOW,
        value if value > high => &HIGH,
        _ => &NORMAL,
    };
    let of = |value| Decimal {
        value,
        places: analyte.places,
    };
    let unit = &analyte.unit;
    let observed = Observed {
        category: &LABORATORY,
        codes: &[&analyte.code],
        profile: us_core!("observation-lab"),
    };
    observation::write(scribe, case, visit, &observed, |json| {
        json.quantity("valueQuantity", of(value), unit);
        json.concepts("interpretation", meaning);
        json.single("referenceRange", |json| {
            json.quantity("low", of(low), unit);
            json.quantity("high", of(high), unit);
        });
    })
}

/// A value mostly within the range; sugar is high where there is diabetes.
fn measure(case: &mut Case, analyte: &Analyte, sweet: bool) -> i64 {
    let [low, high] = analyte.range;
    let width = high - low;
    if sweet && matches!(analyte.code.symbol, "2345-7" | "4548-4") {
        return high + case.dice.between(-width / 4, width * 2);
    }
    match case.dice.below(100) {
        ..6 => low - case.dice.between(0, width / 8),
        6..16 => high + case.dice.between(0, width / 3),
        _ => case.dice.between(low, high),
    }
}
