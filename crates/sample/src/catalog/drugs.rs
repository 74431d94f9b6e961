//! Medicines with their `RxNorm` codes and how they are taken.

use crate::code::{Code, rxnorm};

/// A medicine.
#[derive(Debug)]
pub(crate) struct Drug {
    /// Its code.
    pub(crate) code: Code,
    /// How it is to be taken.
    pub(crate) directions: &'static str,
    /// How often a day.
    pub(crate) daily: i64,
    /// For how many days it is dispensed.
    pub(crate) days: i64,
}

const fn drug(
    number: &'static str,
    name: &'static str,
    directions: &'static str,
    [daily, days]: [i64; 2],
) -> Drug {
    Drug {
        code: rxnorm(number, name),
        directions,
        daily,
        days,
    }
}

const ONCE: &str = "Take one tablet by mouth once daily.";
const TWICE: &str = "Take one tablet by mouth twice daily with food.";
const INHALE: &str = "Inhale two puffs by mouth every four to six hours as needed for wheezing.";
const THREE: &str = "Take one tablet by mouth three times daily until finished.";

#[rustfmt::skip]
mod table {
    use super::{drug, Drug, INHALE, ONCE, THREE, TWICE};

    pub(crate) static LISINOPRIL: Drug = drug("314076", "lisinopril 10 MG Oral Tablet", ONCE, [1, 90]);
    pub(crate) static METFORMIN: Drug = drug("860975", "24 HR metformin hydrochloride 500 MG Extended Release Oral Tablet", TWICE, [2, 90]);
    pub(crate) static SIMVASTATIN: Drug = drug("312961", "simvastatin 20 MG Oral Tablet", "Take one tablet by mouth once daily in the evening.", [1, 90]);
    pub(crate) static ALBUTEROL: Drug = drug("2123111", "NDA020503 200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler", INHALE, [4, 30]);
    pub(crate) static CLOPIDOGREL: Drug = drug("309362", "clopidogrel 75 MG Oral Tablet", ONCE, [1, 90]);
    pub(crate) static WARFARIN: Drug = drug("855332", "warfarin sodium 5 MG Oral Tablet", ONCE, [1, 30]);
    pub(crate) static LEVOTHYROXINE: Drug = drug("966222", "levothyroxine sodium 0.075 MG Oral Tablet", "Take one tablet by mouth once daily on an empty stomach.", [1, 90]);
    pub(crate) static SERTRALINE: Drug = drug("312941", "sertraline 50 MG Oral Tablet", ONCE, [1, 90]);
    pub(crate) static ALENDRONATE: Drug = drug("904419", "alendronic acid 10 MG Oral Tablet", ONCE, [1, 90]);
    pub(crate) static OMEPRAZOLE: Drug = drug("198051", "omeprazole 20 MG Delayed Release Oral Capsule", "Take one capsule by mouth once daily before breakfast.", [1, 30]);
    pub(crate) static METHYLPHENIDATE: Drug = drug("1091392", "methylphenidate hydrochloride 20 MG Oral Tablet", ONCE, [1, 30]);
    pub(crate) static CETIRIZINE: Drug = drug("1014676", "cetirizine hydrochloride 5 MG Oral Tablet", ONCE, [1, 30]);
    pub(crate) static ACETAMINOPHEN: Drug = drug("313782", "acetaminophen 325 MG Oral Tablet", "Take two tablets by mouth every six hours as needed for pain or fever.", [4, 7]);
    pub(crate) static IBUPROFEN: Drug = drug("310965", "ibuprofen 200 MG Oral Tablet", "Take one tablet by mouth every six hours as needed for pain, with food.", [4, 10]);
    pub(crate) static PENICILLIN: Drug = drug("834061", "penicillin V potassium 250 MG Oral Tablet", THREE, [3, 10]);
    pub(crate) static AMOXICILLIN: Drug = drug("562251", "amoxicillin 250 MG / clavulanate 125 MG Oral Tablet", THREE, [3, 10]);
    pub(crate) static SULFAMETHOXAZOLE: Drug = drug("198335", "sulfamethoxazole 800 MG / trimethoprim 160 MG Oral Tablet", TWICE, [2, 5]);
}

pub(crate) use table::*;
