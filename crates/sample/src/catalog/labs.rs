//! Laboratory tests in panels: LOINC codes, units of UCUM and reference ranges.

use crate::code::{Code, Unit, loinc, unit};

/// One measured quantity.
#[derive(Debug)]
pub(crate) struct Analyte {
    /// Its code.
    pub(crate) code: Code,
    /// Its unit.
    pub(crate) unit: Unit,
    /// The ends of its reference range, in units of the last place.
    pub(crate) range: [i64; 2],
    /// How many digits follow the point.
    pub(crate) places: u32,
}

/// Tests that are ordered together.
#[derive(Debug)]
pub(crate) struct Panel {
    /// The code of the panel.
    pub(crate) code: Code,
    /// What it measures.
    pub(crate) analytes: &'static [Analyte],
}

/// A code, a name, and a unit as shown and as coded.
type Test = [&'static str; 4];

const fn analyte(test: Test, range: [i64; 2], places: u32) -> Analyte {
    let [number, name, shown, ucum] = test;
    Analyte {
        code: loinc(number, name),
        unit: unit(shown, ucum),
        range,
        places,
    }
}

#[rustfmt::skip]
mod table {
    use super::{Panel, analyte, loinc};

    pub(crate) static METABOLIC: Panel = Panel {
        code: loinc("24321-2", "Basic metabolic 2000 panel - Serum or Plasma"),
        analytes: &[
            analyte(["2345-7", "Glucose [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL"], [70, 99], 0),
            analyte(["3094-0", "Urea nitrogen [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL"], [7, 20], 0),
            analyte(["2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL"], [60, 120], 2),
            analyte(["17861-6", "Calcium [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL"], [85, 102], 1),
            analyte(["2951-2", "Sodium [Moles/volume] in Serum or Plasma", "mmol/L", "mmol/L"], [136, 145], 0),
            analyte(["2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", "mmol/L"], [35, 51], 1),
            analyte(["2075-0", "Chloride [Moles/volume] in Serum or Plasma", "mmol/L", "mmol/L"], [98, 107], 0),
            analyte(["2028-9", "Carbon dioxide, total [Moles/volume] in Serum or Plasma", "mmol/L", "mmol/L"], [22, 29], 0),
        ],
    };

    pub(crate) static LIPIDS: Panel = Panel {
        code: loinc("57698-3", "Lipid panel with direct LDL - Serum or Plasma"),
        analytes: &[
            analyte(["2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL"], [125, 200], 0),
            analyte(["2571-8", "Triglyceride [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL"], [40, 150], 0),
            analyte(["18262-6", "Cholesterol in LDL [Mass/volume] in Serum or Plasma by Direct assay", "mg/dL", "mg/dL"], [50, 130], 0),
            analyte(["2085-9", "Cholesterol in HDL [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL"], [40, 80], 0),
        ],
    };

    pub(crate) static BLOOD_COUNT: Panel = Panel {
        code: loinc("58410-2", "CBC panel - Blood by Automated count"),
        analytes: &[
            analyte(["6690-2", "Leukocytes [#/volume] in Blood by Automated count", "10*3/uL", "10*3/uL"], [45, 110], 1),
            analyte(["789-8", "Erythrocytes [#/volume] in Blood by Automated count", "10*6/uL", "10*6/uL"], [390, 570], 2),
            analyte(["718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", "g/dL"], [120, 172], 1),
            analyte(["4544-3", "Hematocrit [Volume Fraction] of Blood by Automated count", "%", "%"], [360, 500], 1),
            analyte(["787-2", "MCV [Entitic volume] by Automated count", "fL", "fL"], [80, 100], 0),
            analyte(["777-3", "Platelets [#/volume] in Blood by Automated count", "10*3/uL", "10*3/uL"], [150, 400], 0),
        ],
    };

    pub(crate) static SUGAR: Panel = Panel {
        code: loinc("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
        analytes: &[analyte(["4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", "%"], [40, 56], 1)],
    };

    pub(crate) static THYROID: Panel = Panel {
        code: loinc("3016-3", "Thyrotropin [Units/volume] in Serum or Plasma"),
        analytes: &[analyte(["3016-3", "Thyrotropin [Units/volume] in Serum or Plasma", "m[IU]/L", "m[IU]/L"], [40, 450], 2)],
    };
}

pub(crate) use table::*;
