//! A FHIR server, what it offers, and the ways in which it turned out to be peculiar.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sluice_fhir::ResourceType;
use sluice_ports::{Clock, Entropy, PortError};

use crate::bundle::{self, Page};
use crate::failure::Failure;
use crate::http::{Ask, Http};
use crate::offer::Offer;
use crate::options::{FhirOptions, PostSearch};

/// A longer URL goes by POST; some proxies cut at 2,048.
const LONG_URL: usize = 1_800;
/// Tries at a page that is cut off or no Bundle.
const PAGE_TRIES: u32 = 3;

/// A FHIR server.
pub(crate) struct Upstream {
    pub(crate) http: Http,
    pub(crate) offer: Offer,
    no_sort: AtomicBool,
    no_post: AtomicBool,
    no_count: AtomicBool,
    /// Whether a type is found by a list of ids; known once some were found so, or not.
    lists_ids: Mutex<HashMap<ResourceType, bool>>,
}

/// What is searched for.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) kind: ResourceType,
    pub(crate) params: Vec<(Cow<'static, str>, String)>,
}

impl Query {
    pub(crate) fn new(kind: ResourceType) -> Self {
        Self {
            kind,
            params: Vec::new(),
        }
    }

    /// The same, narrowed.
    pub(crate) fn with(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }
}

impl Upstream {
    /// Reads the server's CapabilityStatement.
    pub(crate) async fn connect(
        options: FhirOptions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, PortError> {
        let http = Http::new(options, clock, entropy)?;
        let action = format!(
            "reading the CapabilityStatement of the FHIR server at {}",
            http.host()
        );
        let body = http.ask(&Ask::Get(http.url("metadata"))).await;
        let offer = body.and_then(|body| Offer::read(&body));
        let offer = offer.map_err(|failure| failure.during(action))?;
        Ok(Self {
            http,
            offer,
            no_sort: AtomicBool::default(),
            no_post: AtomicBool::default(),
            no_count: AtomicBool::default(),
            lists_ids: Mutex::default(),
        })
    }

    pub(crate) fn lists_ids(&self) -> MutexGuard<'_, HashMap<ResourceType, bool>> {
        self.lists_ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The first page of a search, so many resources a page, by id if the server sorts.
    pub(crate) async fn first(&self, query: &Query, size: usize) -> Result<Page, Failure> {
        let unsorted = query.clone().with("_count", size.to_string());
        if self.no_sort.load(Ordering::Relaxed) {
            return self.search(&unsorted).await;
        }
        match self.search(&unsorted.clone().with("_sort", "_id")).await {
            Err(failure @ Failure::Status(400 | 422 | 501)) => {
                let Ok(page) = self.search(&unsorted).await else {
                    return Err(failure);
                };
                self.no_sort.store(true, Ordering::Relaxed);
                Ok(page)
            }
            first => first,
        }
    }

    /// How many match, as the server counts; `None` when it does not.
    pub(crate) async fn count(&self, query: &Query) -> Result<Option<u64>, Failure> {
        if self.no_count.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match self.search(&query.clone().with("_summary", "count")).await {
            Ok(page) => Ok(page.total),
            Err(failure) if failure.is_no() => {
                self.no_count.store(true, Ordering::Relaxed);
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn search(&self, query: &Query) -> Result<Page, Failure> {
        let mut url = self.http.url(query.kind.name());
        url.query_pairs_mut().extend_pairs(&query.params);
        let by_post = match self.http.options.post {
            PostSearch::Always => true,
            PostSearch::Never => false,
            PostSearch::Long => {
                url.as_str().len() > LONG_URL && !self.no_post.load(Ordering::Relaxed)
            }
        };
        if !by_post {
            return self.page(&Ask::Get(url)).await;
        }
        let form = url.query().unwrap_or_default().to_owned();
        let at = self.http.url(&format!("{}/_search", query.kind));
        match self.page(&Ask::Post(at, form)).await {
            Err(Failure::Status(404 | 405 | 415 | 501))
                if self.http.options.post == PostSearch::Long =>
            {
                let page = self.page(&Ask::Get(url)).await?;
                self.no_post.store(true, Ordering::Relaxed);
                Ok(page)
            }
            page => page,
        }
    }

    /// A page; one that is cut off is asked for again.
    pub(crate) async fn page(&self, ask: &Ask) -> Result<Page, Failure> {
        let mut tried = 0;
        loop {
            tried += 1;
            match bundle::page(&self.http.ask(ask).await?) {
                Err(Failure::Nonsense(_)) if tried < PAGE_TRIES => {}
                page => return page,
            }
        }
    }

    /// One resource; `None` when it is not there.
    pub(crate) async fn read(
        &self,
        kind: ResourceType,
        id: &str,
    ) -> Result<Option<Bytes>, Failure> {
        let ask = Ask::Get(self.http.url(&format!("{kind}/{id}")));
        match self.http.ask(&ask).await {
            Ok(body) => bundle::resource(&body).map(Some),
            Err(failure) if failure.is_gone() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// What was tried, for errors.
    pub(crate) fn action(&self, kind: ResourceType) -> String {
        format!(
            "reading {kind} from the FHIR server at {}",
            self.http.host()
        )
    }
}
