//! The plan of a patient's last ten years: the visits, and the illnesses that led to them.

use crate::case::Case;
use crate::catalog::ailments::{
    Ailment, DIABETES, FIBRILLATION, HYPERTENSION, LASTING, OBESITY, PASSING,
};
use crate::catalog::encounters::{
    CHECK_UP, EMERGENCY, FOLLOW_UP, SYMPTOM, VisitKind, WELL_CHILD, WELLNESS,
};
use crate::family::is_diabetic;
use crate::identity::Ref;
use crate::kind::Kind;
use crate::moment::{Day, Moment, TODAY};
use crate::pool::{Clinic, Clinician, clinics};

/// An illness of a patient.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Problem {
    /// The Condition.
    pub(crate) me: Ref,
    /// Which illness.
    pub(crate) what: &'static Ailment,
    /// When it began.
    pub(crate) onset: Moment,
    /// When it passed, if it did.
    pub(crate) passed: Option<Moment>,
    /// The visit at which it was noticed.
    pub(crate) noticed: usize,
    /// Whether it is one that lasts.
    pub(crate) lasting: bool,
}

/// A visit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    /// The Encounter.
    pub(crate) me: Ref,
    /// When it began.
    pub(crate) start: Moment,
    /// When it ended.
    pub(crate) end: Moment,
    /// What kind it was.
    pub(crate) kind: &'static VisitKind,
    /// Who was seen.
    pub(crate) clinician: Clinician,
    /// Where.
    pub(crate) clinic: Clinic,
    /// What it was about.
    pub(crate) reason: Option<Problem>,
    /// Whether it is the general examination of the year.
    pub(crate) is_yearly: bool,
}

/// The plan.
#[derive(Debug)]
pub(crate) struct Chart {
    /// The visits, in order.
    pub(crate) visits: Vec<Visit>,
    /// The illnesses, those that last first.
    pub(crate) problems: Vec<Problem>,
}

impl Chart {
    /// Plans the chart of a patient.
    pub(crate) fn plan(case: &mut Case) -> Self {
        let days = visit_days(case);
        let mut problems = lasting_problems(case, &days);
        let mut visits = Vec::with_capacity(days.len());
        let mut year = 0;
        for (at, &day) in days.iter().enumerate() {
            let is_yearly = day.year() != year;
            year = day.year();
            visits.push(plan_visit(case, &mut problems, (at, day, is_yearly)));
        }
        Self { visits, problems }
    }

    /// The illnesses that last.
    pub(crate) fn lasting(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| problem.lasting)
    }

    /// Whether the patient has an illness at a moment.
    pub(crate) fn has(&self, what: &Ailment, at: Moment) -> bool {
        let same = |problem: &&Problem| problem.what.billing == what.billing;
        self.lasting()
            .filter(same)
            .any(|problem| problem.onset <= at)
    }
}

/// The days of the visits: about two a year, more for the old, spread evenly with some play.
fn visit_days(case: &mut Case) -> Vec<Day> {
    let last = case.person.last_day();
    let first = case.person.birth.day.plus(3).max(TODAY.plus(-3652));
    let age = case.person.age_on(last);
    let count = match age {
        ..18 => case.dice.between(16, 24),
        18..50 => case.dice.between(16, 26),
        50..70 => case.dice.between(21, 33),
        _ => case.dice.between(26, 40),
    };
    let span = last.0 - first.0;
    let count = count.min(span / 12).max(1);
    (0..count)
        .map(|at| first.plus(span * at / count + case.dice.between(0, span / count - 1)))
        .collect()
}

fn lasting_problems(case: &mut Case, days: &[Day]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let person = case.person;
    let (diabetic, obese) = (is_diabetic(person.seed, person.n), person.is_obese());
    for what in [&DIABETES, &OBESITY, &HYPERTENSION, &FIBRILLATION]
        .into_iter()
        .chain(&LASTING)
    {
        let drawn = case.dice.chance(what.per_mille);
        let has = drawn
            || (what.billing == DIABETES.billing && diabetic)
            || (what.billing == OBESITY.billing && obese);
        let old_enough = |day: &Day| person.age_on(*day) >= what.ages[0];
        let Some(earliest) = days.iter().position(old_enough).filter(|_| has) else {
            continue;
        };
        if person.age_on(days[earliest]) > what.ages[1] {
            continue;
        }
        let later = u32::try_from((days.len() - earliest) / 3).unwrap_or(0);
        let noticed = earliest + case.dice.below(later) as usize;
        let onset = days[noticed]
            .plus(-case.dice.between(0, 40))
            .max(person.birth.day);
        problems.push(Problem {
            me: case.next(Kind::Condition),
            what,
            onset: onset.at_minute(case.dice.between(400, 1200)),
            passed: None,
            noticed,
            lasting: true,
        });
    }
    problems
}

fn plan_visit(
    case: &mut Case,
    problems: &mut Vec<Problem>,
    (at, day, is_yearly): (usize, Day, bool),
) -> Visit {
    let person = case.person;
    let start = day.at_minute(case.dice.between(8 * 60, 17 * 60));
    let (kind, reason) = if is_yearly {
        (
            if person.age_on(day) < 18 {
                &WELL_CHILD
            } else {
                &WELLNESS
            },
            None,
        )
    } else if case.dice.chance(430) {
        let problem = passing_problem(case, at, start);
        problems.push(problem);
        (
            if case.dice.chance(130) {
                &EMERGENCY
            } else {
                &SYMPTOM
            },
            Some(problem),
        )
    } else {
        let known: Vec<Problem> = problems
            .iter()
            .filter(|it| it.lasting && it.noticed <= at)
            .copied()
            .collect();
        let reason = if known.is_empty() {
            None
        } else {
            Some(*case.dice.pick(&known))
        };
        (reason.map_or(&CHECK_UP, |_| &FOLLOW_UP), reason)
    };
    let usual = Clinic::of(person.seed, case.person.trait_draw % clinics(person.n));
    let other = Clinic::of(person.seed, case.dice.below(clinics(person.n)));
    let clinic = if case.dice.chance(800) { usual } else { other };
    let minutes = case.dice.between(kind.minutes[0], kind.minutes[1]);
    Visit {
        me: case.next(Kind::Encounter),
        start,
        end: start.plus_minutes(minutes),
        kind,
        clinician: Clinician::at(person.seed, clinic, &mut case.dice),
        clinic,
        reason,
        is_yearly,
    }
}

fn passing_problem(case: &mut Case, at: usize, start: Moment) -> Problem {
    let age = case.person.age_on(start.day());
    let fits = |it: &&Ailment| (it.ages[0]..=it.ages[1]).contains(&age);
    let weight: u32 = PASSING.iter().filter(fits).map(|it| it.per_mille).sum();
    let mut draw = case.dice.below(weight);
    let mut what = &PASSING[0];
    for candidate in PASSING.iter().filter(fits) {
        what = candidate;
        if draw < candidate.per_mille {
            break;
        }
        draw -= candidate.per_mille;
    }
    let born = case.person.birth.day.at_minute(0);
    let onset = start
        .plus_minutes(-case.dice.between(120, 3 * 1440))
        .max(born);
    let passed = start.plus_minutes(case.dice.between(5, 18) * 1440);
    let passed = (passed.day() <= case.person.last_day()).then_some(passed);
    Problem {
        me: case.next(Kind::Condition),
        what,
        onset,
        passed,
        noticed: at,
        lasting: false,
    }
}
