//! How an Address is written.

use crate::json::Json;
use crate::person::Home;

impl Home {
    /// Writes what an Address holds, for `home` or `work`.
    pub(crate) fn write(&self, json: &mut Json, role: &str) {
        json.text("use", role);
        json.text_list("line", &format_args!("{} {}", self.house, self.street));
        json.text("city", self.city.name);
        json.text("state", self.city.state);
        json.text("postalCode", self.city.zip);
        json.text("country", "US");
    }
}
