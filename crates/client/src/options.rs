//! What to export, from where, to where.

use std::path::PathBuf;

use url::Url;

use crate::{Credentials, ExportError};

/// Whose data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Level {
    /// All there is.
    System,
    /// All patients.
    Patient,
    /// The members of a Group.
    Group(String),
}

/// One export.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// The FHIR base URL.
    pub server: Url,
    /// Whose data.
    pub level: Level,
    /// Only these types; all when empty.
    pub types: Vec<String>,
    /// Only what changed later.
    pub since: Option<String>,
    /// Only what changed earlier.
    pub until: Option<String>,
    /// Searches within one type, such as `Observation?category=laboratory`; of that type, only what meets one.
    pub filters: Vec<String>,
    /// Only these root elements, as `Type.element` or `element`.
    pub elements: Vec<String>,
    /// What `includeAssociatedData` asks for, such as `LatestProvenanceResources`.
    pub associated: Vec<String>,
    /// Files with a block for each resource of this type, which is Patient as a rule.
    pub organize_by: Option<String>,
    /// Ask the server to ignore what it does not support.
    pub lenient: bool,
    /// Sent with every request to the server's own origin.
    pub headers: Vec<(String, String)>,
    /// Holds the access token.
    pub bearer_token_file: Option<PathBuf>,
    /// Gets access tokens by itself, as SMART Backend Services says.
    pub credentials: Option<Credentials>,
    /// The folder to write.
    pub out: PathBuf,
    /// Downloads at once.
    pub parallel: usize,
    /// Delete the export on the server once every file is verified.
    pub delete: bool,
    /// Forget what the folder knows of an earlier run.
    pub restart: bool,
    /// Go on with this export instead of starting one.
    pub status_url: Option<Url>,
}

impl ExportOptions {
    /// An export with every option at its default.
    pub fn new(server: Url, level: Level, out: impl Into<PathBuf>) -> Self {
        Self {
            server,
            level,
            types: Vec::new(),
            since: None,
            until: None,
            filters: Vec::new(),
            elements: Vec::new(),
            associated: Vec::new(),
            organize_by: None,
            lenient: false,
            headers: Vec::new(),
            bearer_token_file: None,
            credentials: None,
            out: out.into(),
            parallel: 4,
            delete: false,
            restart: false,
            status_url: None,
        }
    }

    /// Tells one request from another.
    pub(crate) fn request(&self) -> Result<String, ExportError> {
        let url = self.kickoff_url()?;
        Ok(if self.lenient {
            format!("{url} (lenient)")
        } else {
            url.to_string()
        })
    }

    /// The kick-off URL.
    pub fn kickoff_url(&self) -> Result<Url, ExportError> {
        let mut url = self.server.clone();
        let wrong = || ExportError::BadOption("the server URL must begin with http".to_owned());
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong());
        }
        {
            let mut path = url.path_segments_mut().map_err(|()| wrong())?;
            path.pop_if_empty();
            match &self.level {
                Level::System => path.push("$export"),
                Level::Patient => path.extend(["Patient", "$export"]),
                Level::Group(id) => path.extend(["Group", id, "$export"]),
            };
        }
        let mut query = url.query_pairs_mut();
        query.clear();
        query.append_pair("_outputFormat", "application/fhir+ndjson");
        if !self.types.is_empty() {
            query.append_pair("_type", &self.types.join(","));
        }
        for (name, value) in [("_since", &self.since), ("_until", &self.until)] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        for filter in &self.filters {
            query.append_pair("_typeFilter", filter);
        }
        if !self.elements.is_empty() {
            query.append_pair("_elements", &self.elements.join(","));
        }
        if !self.associated.is_empty() {
            query.append_pair("includeAssociatedData", &self.associated.join(","));
        }
        if let Some(kind) = &self.organize_by {
            query.append_pair("organizeOutputBy", kind);
        }
        drop(query);
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_made_below_the_base_and_encoded() {
        let server: Url = "http://h/default/fhir/".parse().unwrap();
        let mut options = ExportOptions::new(server, Level::Group("a b".into()), "out");
        options.types = vec!["Patient".into(), "Observation".into()];
        options.since = Some("2026-03-01T00:00:00+05:00".into());
        options.filters = vec!["Observation?code=a|b&status=final".into()];
        options.elements = vec!["id".into(), "Patient.name".into()];
        options.associated = vec!["LatestProvenanceResources".into()];
        options.organize_by = Some("Patient".into());
        assert_eq!(
            options.kickoff_url().unwrap().as_str(),
            "http://h/default/fhir/Group/a%20b/$export?_outputFormat=application%2Ffhir%2Bndjson\
             &_type=Patient%2CObservation&_since=2026-03-01T00%3A00%3A00%2B05%3A00\
             &_typeFilter=Observation%3Fcode%3Da%7Cb%26status%3Dfinal&_elements=id%2CPatient.name\
             &includeAssociatedData=LatestProvenanceResources&organizeOutputBy=Patient"
        );
    }
}
