//! Vital signs of a visit.

use super::observation::{self, Observed, VITAL_SIGNS};
use crate::case::Case;
use crate::catalog::ailments::HYPERTENSION;
use crate::catalog::vitals::{
    BREATHING, BY_OXIMETRY, DIASTOLIC, HEART_RATE, HEIGHT, MASS_INDEX, MERCURY, PRESSURE,
    SATURATION, SYSTOLIC, TEMPERATURE, Vital, WEIGHT,
};
use crate::chart::{Chart, Visit};
use crate::decimal::Decimal;
use crate::error::SampleError;
use crate::scribe::Scribe;

/// Writes what was measured.
pub(crate) fn write(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    chart: &Chart,
    visit: &Visit,
) -> Result<(), SampleError> {
    let day = visit.start.day();
    let age = case.person.age_on(day);
    if age >= 3 {
        pressure(scribe, case, chart, visit)?;
    }
    let resting = 118 - age.min(18) * 5 / 2;
    let rate = Decimal::whole(resting + case.dice.between(-9, 14));
    plain(scribe, case, visit, (&HEART_RATE, rate))?;
    if visit.is_yearly || case.dice.chance(400) {
        let breaths = 28 - age.min(18) * 3 / 4 + case.dice.between(-2, 4);
        plain(scribe, case, visit, (&BREATHING, Decimal::whole(breaths)))?;
        let fever = if visit.reason.is_some_and(|it| !it.lasting) {
            14
        } else {
            4
        };
        let heat = Decimal::tenths(364 + case.dice.between(0, fever));
        plain(scribe, case, visit, (&TEMPERATURE, heat))?;
        let saturation = Decimal::whole(case.dice.between(95, 100));
        plain(scribe, case, visit, (&SATURATION, saturation))?;
    }
    if visit.is_yearly || case.dice.chance(400) {
        let weight = case.person.weight_on(day);
        let weight = weight + case.dice.between(-weight / 50, weight / 50);
        plain(scribe, case, visit, (&WEIGHT, Decimal::tenths(weight)))?;
        let height = case.person.height_on(day);
        plain(scribe, case, visit, (&HEIGHT, Decimal::tenths(height)))?;
        if age >= 2 {
            let index = weight * 1_000_000 / (height * height);
            plain(scribe, case, visit, (&MASS_INDEX, Decimal::tenths(index)))?;
        }
    }
    Ok(())
}

fn plain(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    visit: &Visit,
    (vital, value): (&'static Vital, Decimal),
) -> Result<(), SampleError> {
    let by_oximetry = [&vital.code, &BY_OXIMETRY];
    let codes = if vital.code == SATURATION.code {
        &by_oximetry[..]
    } else {
        &by_oximetry[..1]
    };
    let observed = Observed {
        category: &VITAL_SIGNS,
        codes,
        profile: vital.profile,
    };
    let body = |json: &mut crate::json::Json| json.quantity("valueQuantity", value, &vital.unit);
    observation::write(scribe, case, visit, &observed, body).map(drop)
}

fn pressure(
    scribe: &mut Scribe<'_>,
    case: &mut Case,
    chart: &Chart,
    visit: &Visit,
) -> Result<(), SampleError> {
    let age = case.person.age_on(visit.start.day());
    let raised = if chart.has(&HYPERTENSION, visit.start) {
        16
    } else {
        0
    };
    let upper = 94 + age.min(18) + age / 7 + raised + case.dice.between(-8, 14);
    let lower = 60 + age.min(18) / 2 + raised / 2 + case.dice.between(-6, 9);
    let observed = Observed {
        category: &VITAL_SIGNS,
        codes: &[&PRESSURE.code],
        profile: PRESSURE.profile,
    };
    observation::write(scribe, case, visit, &observed, |json| {
        json.list("component", |json| {
            for (code, value) in [(&SYSTOLIC, upper), (&DIASTOLIC, lower)] {
                json.item(|json| {
                    json.concept("code", code);
                    json.quantity("valueQuantity", Decimal::whole(value), &MERCURY);
                });
            }
        });
    })
    .map(drop)
}
