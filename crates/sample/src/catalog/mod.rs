//! The words and codes that the sample draws from.

pub(crate) mod ailments;
pub(crate) mod allergies;
pub(crate) mod drugs;
pub(crate) mod encounters;
pub(crate) mod labs;
pub(crate) mod names;
pub(crate) mod places;
pub(crate) mod procedures;
pub(crate) mod vaccines;
pub(crate) mod vitals;
