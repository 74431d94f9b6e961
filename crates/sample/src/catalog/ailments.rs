//! Illnesses: SNOMED CT and ICD-10-CM codes, who gets them and what is taken for them.

use crate::catalog::drugs::{self, Drug};
use crate::code::{Code, icd10, snomed};

/// An illness.
#[derive(Debug)]
pub(crate) struct Ailment {
    /// As clinicians code it.
    pub(crate) clinical: Code,
    /// As payers want it.
    pub(crate) billing: Code,
    /// The ages at which it begins.
    pub(crate) ages: [i64; 2],
    /// How many in a thousand of that age have it, if it lasts; its weight, if it passes.
    pub(crate) per_mille: u32,
    /// What is prescribed for it.
    pub(crate) drug: Option<&'static Drug>,
}

/// A pair of code and words.
type Word = (&'static str, &'static str);

const fn ailment(
    clinical: Word,
    billing: Word,
    ages: [i64; 2],
    per_mille: u32,
    drug: Option<&'static Drug>,
) -> Ailment {
    let (clinical, billing) = (snomed(clinical.0, clinical.1), icd10(billing.0, billing.1));
    Ailment {
        clinical,
        billing,
        ages,
        per_mille,
        drug,
    }
}

/// Diabetes, which the registry is about; whether somebody has it is decided apart.
pub(crate) static DIABETES: Ailment = ailment(
    ("44054006", "Type 2 diabetes mellitus"),
    ("E11.9", "Type 2 diabetes mellitus without complications"),
    [18, 99],
    0,
    Some(&drugs::METFORMIN),
);

/// Hypertension, which shows in the blood pressure.
pub(crate) static HYPERTENSION: Ailment = ailment(
    ("59621000", "Essential hypertension"),
    ("I10", "Essential (primary) hypertension"),
    [35, 99],
    420,
    Some(&drugs::LISINOPRIL),
);

/// Obesity, which shows in the weight.
pub(crate) static OBESITY: Ailment = ailment(
    ("162864005", "Body mass index 30+ - obesity"),
    ("E66.9", "Obesity, unspecified"),
    [25, 99],
    0,
    None,
);

/// Atrial fibrillation, for which some carry a pacemaker.
pub(crate) static FIBRILLATION: Ailment = ailment(
    ("49436004", "Atrial fibrillation"),
    ("I48.91", "Unspecified atrial fibrillation"),
    [60, 99],
    200,
    Some(&drugs::WARFARIN),
);

/// Illnesses that last, besides the four above.
#[rustfmt::skip]
pub(crate) static LASTING: [Ailment; 15] = [
    ailment(("55822004", "Hyperlipidemia"), ("E78.5", "Hyperlipidemia, unspecified"), [30, 99], 330, Some(&drugs::SIMVASTATIN)),
    ailment(("195967001", "Asthma"), ("J45.909", "Unspecified asthma, uncomplicated"), [4, 60], 100, Some(&drugs::ALBUTEROL)),
    ailment(("13645005", "Chronic obstructive lung disease"), ("J44.9", "Chronic obstructive pulmonary disease, unspecified"), [50, 99], 90, Some(&drugs::ALBUTEROL)),
    ailment(("53741008", "Coronary arteriosclerosis"), ("I25.10", "Atherosclerotic heart disease of native coronary artery without angina pectoris"), [50, 99], 120, Some(&drugs::CLOPIDOGREL)),
    ailment(("40930008", "Hypothyroidism"), ("E03.9", "Hypothyroidism, unspecified"), [25, 99], 70, Some(&drugs::LEVOTHYROXINE)),
    ailment(("370143000", "Major depressive disorder"), ("F32.9", "Major depressive disorder, single episode, unspecified"), [16, 90], 120, Some(&drugs::SERTRALINE)),
    ailment(("197480006", "Anxiety disorder"), ("F41.9", "Anxiety disorder, unspecified"), [14, 90], 130, Some(&drugs::SERTRALINE)),
    ailment(("239873007", "Osteoarthritis of knee"), ("M17.9", "Osteoarthritis of knee, unspecified"), [50, 99], 180, Some(&drugs::IBUPROFEN)),
    ailment(("64859006", "Osteoporosis"), ("M81.0", "Age-related osteoporosis without current pathological fracture"), [60, 99], 120, Some(&drugs::ALENDRONATE)),
    ailment(("235595009", "Gastroesophageal reflux disease"), ("K21.9", "Gastro-esophageal reflux disease without esophagitis"), [25, 99], 170, Some(&drugs::OMEPRAZOLE)),
    ailment(("433144002", "Chronic kidney disease stage 3"), ("N18.30", "Chronic kidney disease, stage 3 unspecified"), [55, 99], 90, None),
    ailment(("37796009", "Migraine"), ("G43.909", "Migraine, unspecified, not intractable, without status migrainosus"), [12, 60], 110, Some(&drugs::IBUPROFEN)),
    ailment(("406506008", "Attention deficit hyperactivity disorder"), ("F90.9", "Attention-deficit hyperactivity disorder, unspecified type"), [6, 30], 90, Some(&drugs::METHYLPHENIDATE)),
    ailment(("24079001", "Atopic dermatitis"), ("L20.9", "Atopic dermatitis, unspecified"), [0, 40], 110, None),
    ailment(("446096008", "Perennial allergic rhinitis"), ("J30.89", "Other allergic rhinitis"), [3, 70], 160, Some(&drugs::CETIRIZINE)),
];

/// Illnesses and injuries that pass.
#[rustfmt::skip]
pub(crate) static PASSING: [Ailment; 17] = [
    ailment(("444814009", "Viral sinusitis"), ("J01.90", "Acute sinusitis, unspecified"), [2, 99], 120, Some(&drugs::ACETAMINOPHEN)),
    ailment(("195662009", "Acute viral pharyngitis"), ("J02.9", "Acute pharyngitis, unspecified"), [0, 99], 110, Some(&drugs::ACETAMINOPHEN)),
    ailment(("10509002", "Acute bronchitis"), ("J20.9", "Acute bronchitis, unspecified"), [0, 99], 90, Some(&drugs::ACETAMINOPHEN)),
    ailment(("65363002", "Otitis media"), ("H66.90", "Otitis media, unspecified, unspecified ear"), [0, 14], 260, Some(&drugs::AMOXICILLIN)),
    ailment(("43878008", "Streptococcal sore throat"), ("J02.0", "Streptococcal pharyngitis"), [3, 40], 60, Some(&drugs::PENICILLIN)),
    ailment(("38822007", "Cystitis"), ("N30.90", "Cystitis, unspecified without hematuria"), [12, 99], 60, Some(&drugs::SULFAMETHOXAZOLE)),
    ailment(("54150009", "Upper respiratory infection"), ("J06.9", "Acute upper respiratory infection, unspecified"), [0, 99], 130, None),
    ailment(("44465007", "Sprain of ankle"), ("S93.409A", "Sprain of unspecified ligament of unspecified ankle, initial encounter"), [6, 80], 60, Some(&drugs::IBUPROFEN)),
    ailment(("283371005", "Laceration of forearm"), ("S51.819A", "Laceration without foreign body of unspecified forearm, initial encounter"), [3, 90], 40, Some(&drugs::ACETAMINOPHEN)),
    ailment(("62106007", "Concussion with no loss of consciousness"), ("S06.0X0A", "Concussion without loss of consciousness, initial encounter"), [4, 90], 25, Some(&drugs::ACETAMINOPHEN)),
    ailment(("25374005", "Gastroenteritis"), ("K52.9", "Noninfective gastroenteritis and colitis, unspecified"), [0, 99], 60, None),
    ailment(("840539006", "Disease caused by severe acute respiratory syndrome coronavirus 2"), ("U07.1", "COVID-19"), [0, 99], 50, Some(&drugs::ACETAMINOPHEN)),
    ailment(("233604007", "Pneumonia"), ("J18.9", "Pneumonia, unspecified organism"), [0, 99], 25, Some(&drugs::AMOXICILLIN)),
    ailment(("6142004", "Influenza"), ("J11.1", "Influenza due to unidentified influenza virus with other respiratory manifestations"), [0, 99], 50, Some(&drugs::ACETAMINOPHEN)),
    ailment(("279039007", "Low back pain"), ("M54.50", "Low back pain, unspecified"), [18, 99], 90, Some(&drugs::IBUPROFEN)),
    ailment(("9826008", "Conjunctivitis"), ("H10.9", "Unspecified conjunctivitis"), [0, 99], 40, None),
    ailment(("271807003", "Eruption of skin"), ("R21", "Rash and other nonspecific skin eruption"), [0, 99], 40, None),
];
