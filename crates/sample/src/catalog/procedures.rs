//! Procedures, and who has them done.

use crate::code::{Code, snomed};

/// A procedure.
#[derive(Debug)]
pub(crate) struct Act {
    /// Its code.
    pub(crate) code: Code,
    /// The ages at which it is done.
    pub(crate) ages: [i64; 2],
    /// How many minutes it takes at most.
    pub(crate) minutes: i64,
    /// Whether it is for women only.
    pub(crate) women: bool,
    /// The illnesses it is done for, as payers code them; none when it is routine.
    pub(crate) reasons: &'static [&'static str],
}

const fn act(number: &'static str, name: &'static str, ages: [i64; 2], minutes: i64) -> Act {
    Act {
        code: snomed(number, name),
        ages,
        minutes,
        women: false,
        reasons: &[],
    }
}

const fn because(
    number: &'static str,
    name: &'static str,
    reasons: &'static [&'static str],
    minutes: i64,
) -> Act {
    Act {
        reasons,
        ..act(number, name, [0, 120], minutes)
    }
}

/// Procedures.
#[rustfmt::skip]
pub(crate) static ACTS: [Act; 14] = [
    act("428191000124101", "Documentation of current medications (procedure)", [0, 120], 5),
    act("430193006", "Medication reconciliation (procedure)", [0, 120], 10),
    act("710824005", "Assessment of health and social care needs (procedure)", [0, 120], 20),
    act("171207006", "Depression screening (procedure)", [12, 120], 15),
    act("73761001", "Colonoscopy (procedure)", [45, 80], 60),
    Act { women: true, ..act("24623002", "Screening mammography (procedure)", [40, 80], 30) },
    because("29303009", "Electrocardiographic procedure (procedure)", &["I10", "I48.91", "I25.10"], 15),
    because("40701008", "Echocardiography (procedure)", &["I48.91", "I25.10"], 45),
    because("399208008", "Plain X-ray of chest (procedure)", &["J18.9", "J20.9", "J44.9"], 15),
    because("127783003", "Spirometry (procedure)", &["J45.909", "J44.9"], 20),
    because("401191002", "Diabetic foot examination (procedure)", &["E11.9"], 10),
    because("117015009", "Throat culture (procedure)", &["J02.0", "J02.9"], 5),
    because("274474001", "Bone immobilization (procedure)", &["S93.409A"], 40),
    because("288086009", "Suture open wound (procedure)", &["S51.819A"], 30),
];
