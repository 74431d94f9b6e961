//! Towns of New England with their ZIP codes, and streets.

/// A town.
#[derive(Debug)]
pub(crate) struct City {
    /// Its name.
    pub(crate) name: &'static str,
    /// The two letters of its state.
    pub(crate) state: &'static str,
    /// A ZIP code in it.
    pub(crate) zip: &'static str,
    /// Its telephone area code.
    pub(crate) area: &'static str,
}

const fn city(
    name: &'static str,
    state: &'static str,
    zip: &'static str,
    area: &'static str,
) -> City {
    City {
        name,
        state,
        zip,
        area,
    }
}

/// Towns.
pub(crate) const CITIES: [City; 24] = [
    city("Boston", "MA", "02118", "617"),
    city("Worcester", "MA", "01608", "508"),
    city("Springfield", "MA", "01103", "413"),
    city("Cambridge", "MA", "02139", "617"),
    city("Lowell", "MA", "01852", "978"),
    city("Brockton", "MA", "02301", "508"),
    city("New Bedford", "MA", "02740", "508"),
    city("Quincy", "MA", "02169", "617"),
    city("Lynn", "MA", "01902", "781"),
    city("Pittsfield", "MA", "01201", "413"),
    city("Plymouth", "MA", "02360", "508"),
    city("Hartford", "CT", "06103", "860"),
    city("New Haven", "CT", "06511", "203"),
    city("Stamford", "CT", "06901", "203"),
    city("Norwich", "CT", "06360", "860"),
    city("Providence", "RI", "02903", "401"),
    city("Warwick", "RI", "02886", "401"),
    city("Manchester", "NH", "03101", "603"),
    city("Concord", "NH", "03301", "603"),
    city("Keene", "NH", "03431", "603"),
    city("Portland", "ME", "04101", "207"),
    city("Bangor", "ME", "04401", "207"),
    city("Burlington", "VT", "05401", "802"),
    city("Rutland", "VT", "05701", "802"),
];

/// Streets.
#[rustfmt::skip]
pub(crate) const STREETS: [&str; 28] = [
    "Main Street", "Elm Street", "Maple Avenue", "Oak Street", "Park Avenue", "Washington Street",
    "Church Street", "School Street", "High Street", "Pleasant Street", "Summer Street",
    "Winter Street", "Chestnut Street", "Highland Avenue", "Franklin Street", "River Road",
    "Mill Lane", "Lincoln Avenue", "Cedar Street", "Spring Street", "Union Street", "Prospect Hill",
    "Orchard Lane", "Harbor View", "Beacon Street", "Granite Street", "Linden Road", "Salem Street",
];
