//! Vaccines with their CVX codes and the ages they are given at.

use crate::code::{Code, cvx};

/// A vaccine.
#[derive(Debug)]
pub(crate) struct Vaccine {
    /// Its code.
    pub(crate) code: Code,
    /// The ages at which it is given, in years.
    pub(crate) ages: [i64; 2],
}

const fn vaccine(number: &'static str, name: &'static str, ages: [i64; 2]) -> Vaccine {
    Vaccine {
        code: cvx(number, name),
        ages,
    }
}

/// The yearly one.
pub(crate) static INFLUENZA: Vaccine =
    vaccine("140", "Influenza, split virus, trivalent, PF", [0, 120]);

/// The others.
pub(crate) static OTHERS: [Vaccine; 19] = [
    vaccine("08", "Hep B, adolescent or pediatric", [0, 1]),
    vaccine("119", "rotavirus, monovalent", [0, 0]),
    vaccine("20", "DTaP", [0, 6]),
    vaccine("49", "Hib (PRP-OMP)", [0, 1]),
    vaccine("10", "IPV", [0, 6]),
    vaccine("133", "Pneumococcal conjugate PCV 13", [0, 2]),
    vaccine("03", "MMR", [1, 6]),
    vaccine("21", "varicella", [1, 6]),
    vaccine("83", "Hep A, ped/adol, 2 dose", [1, 3]),
    vaccine("115", "Tdap", [11, 64]),
    vaccine("165", "HPV9", [11, 26]),
    vaccine("114", "meningococcal MCV4P", [11, 18]),
    vaccine(
        "113",
        "Td (adult), 5 Lf tetanus toxoid, preservative free, adsorbed",
        [20, 120],
    ),
    vaccine(
        "207",
        "COVID-19, mRNA, LNP-S, PF, 100 mcg/0.5mL dose or 50 mcg/0.25mL dose",
        [18, 120],
    ),
    vaccine(
        "208",
        "COVID-19, mRNA, LNP-S, PF, 30 mcg/0.3 mL dose",
        [12, 120],
    ),
    vaccine("187", "zoster recombinant", [50, 120]),
    vaccine("33", "pneumococcal polysaccharide PPV23", [65, 120]),
    vaccine("43", "Hep B, adult", [20, 59]),
    vaccine("52", "Hep A, adult", [20, 70]),
];
