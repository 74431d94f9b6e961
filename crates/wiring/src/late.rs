//! A tenant's source that need not be there when the process starts: one hospital's database that is being
//! maintained must not keep the others' exports from starting.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sluice_model::{Scope, Slice, Snapshot, TenantId};
use sluice_ports::{
    BlockStream, ByteStream, GroupPage, GroupQuery, PlanStep, PopulationError, PortError, PortKind,
    Source,
};
use tokio_util::task::AbortOnDropHandle;

use crate::OpenSource;

/// Between two tries to open one: this long at first, twice as long each time, and never longer than that.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a process waits for a source on another machine before it starts without.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a later try may take: a connection that falls silent must not be the last one.
const LATER_PATIENCE: Duration = Duration::from_mins(5);

/// What there is of a source once it is open.
pub(crate) type Opened = Arc<OnceLock<OpenSource>>;

/// All of them, by their tenants.
pub(crate) type Sources = Arc<[(TenantId, Opened)]>;

/// Those that are not open, a line each.
pub(crate) fn closed(sources: &Sources) -> Vec<String> {
    let closed = sources.iter().filter(|(_, opened)| opened.get().is_none());
    closed
        .map(|(tenant, _)| format!("source of {tenant}: is not open yet"))
        .collect()
}

/// A source that answers that it cannot be reached until it is open.
struct LateSource {
    opened: Opened,
    /// Why it is not, as the last try found.
    why: Arc<Mutex<String>>,
}

impl LateSource {
    fn get(&self) -> Result<&dyn Source, PortError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened.source.as_ref());
        }
        let why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        Err(PortError {
            kind: PortKind::NotReady,
            action: "opening the source".to_owned(),
            cause: Some(why.clone().into()),
        })
    }
}

#[async_trait]
impl Source for LateSource {
    async fn snapshot(&self) -> Result<Snapshot, PortError> {
        self.get()?.snapshot().await
    }

    async fn check(&self, scope: &Scope) -> Result<(), PopulationError> {
        self.get()?.check(scope).await
    }

    async fn groups(&self, query: &GroupQuery) -> Result<GroupPage, PortError> {
        self.get()?.groups(query).await
    }

    async fn group(&self, id: &str) -> Result<Option<ByteStream>, PortError> {
        self.get()?.group(id).await
    }

    async fn plan(
        &self,
        scope: &Scope,
        target: u64,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<PlanStep, PortError> {
        self.get()?.plan(scope, target, limit, cursor).await
    }

    async fn remarks(&self, scope: &Scope) -> Result<Vec<sluice_fhir::Issue>, PortError> {
        self.get()?.remarks(scope).await
    }

    async fn read(&self, scope: &Scope, slice: &Slice) -> Result<BlockStream, PortError> {
        self.get()?.read(scope, slice).await
    }
}

/// Whether what keeps a source closed may pass by itself. What does not, such as a database without our schema, is
/// for whoever starts the process: a rollout of wrong settings should stop.
fn may_pass(error: &anyhow::Error) -> bool {
    let found = error.downcast_ref::<PortError>();
    found.is_some_and(PortError::is_transient)
}

/// Opens a tenant's source, now or, if what keeps it closed may pass, later: then with what tries. One on another
/// machine may take long to be found away.
pub(crate) async fn open<F>(
    tenant: &TenantId,
    (opened, is_remote): (&Opened, bool),
    open: impl Fn() -> F + Send + 'static,
) -> anyhow::Result<(Arc<dyn Source>, Option<AbortOnDropHandle<()>>)>
where
    F: Future<Output = anyhow::Result<OpenSource>> + Send,
{
    let first = if is_remote {
        within(PATIENCE, open()).await
    } else {
        open().await
    };
    let error = match first {
        Ok(open) => return Ok((ready(tenant, opened, open), None)),
        Err(error) if may_pass(&error) => error,
        Err(error) => return Err(error),
    };
    let why = Arc::new(Mutex::new(told(tenant, &error)));
    let source = LateSource {
        opened: Arc::clone(opened),
        why: Arc::clone(&why),
    };
    let (tenant, opened) = (tenant.clone(), Arc::clone(opened));
    let trying = tokio::spawn(async move {
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            match within(LATER_PATIENCE, open()).await {
                Ok(open) => return drop(ready(&tenant, &opened, open)),
                Err(error) => {
                    let told = told(&tenant, &error);
                    *why.lock().unwrap_or_else(PoisonError::into_inner) = told;
                }
            }
        }
    });
    Ok((Arc::new(source), Some(AbortOnDropHandle::new(trying))))
}

async fn within(
    patience: Duration,
    opening: impl Future<Output = anyhow::Result<OpenSource>>,
) -> anyhow::Result<OpenSource> {
    let opened = tokio::time::timeout(patience, opening).await;
    opened.unwrap_or_else(|late| Err(PortError::transient("waiting for an answer", late).into()))
}

fn told(tenant: &TenantId, error: &anyhow::Error) -> String {
    let why = format!("{error:#}");
    tracing::warn!(%tenant, error = why, "a source cannot be opened now; it is tried again");
    why
}

fn ready(tenant: &TenantId, opened: &Opened, open: OpenSource) -> Arc<dyn Source> {
    let catalog = &open.catalog;
    tracing::info!(
        %tenant, resources = catalog.resources, files = catalog.files,
        skipped = catalog.skipped, ignored = catalog.ignored.len(), "source ready"
    );
    Arc::clone(&opened.get_or_init(|| open).source)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use sluice_local::SystemClock;
    use sluice_local::synthetic::{SyntheticOptions, SyntheticSource};

    use super::*;
    use crate::Catalog;

    fn small() -> OpenSource {
        let options = SyntheticOptions::from_uri_path("?patients=3").unwrap();
        OpenSource {
            source: Arc::new(SyntheticSource::new(options, Arc::new(SystemClock))),
            catalog: Catalog::default(),
            figures: None,
        }
    }

    fn tenant() -> TenantId {
        "north".parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_is_away_is_opened_when_it_is_back() {
        let (opened, tries) = (Opened::default(), Arc::new(AtomicU32::new(0)));
        let (tenant, count) = (tenant(), Arc::clone(&tries));
        let opening = open(&tenant, (&opened, true), move || {
            let number = count.fetch_add(1, Ordering::Relaxed);
            async move {
                match number {
                    0..3 => Err(PortError::transient("connecting", "nobody is there").into()),
                    // Whoever comes back may not be as expected yet.
                    3 => Err(PortError::permanent("connecting", "wrong password").into()),
                    _ => Ok(small()),
                }
            }
        });
        let (source, trying) = opening.await.unwrap();
        let refused = source.snapshot().await.err().unwrap();
        assert_eq!(refused.kind, PortKind::NotReady);
        assert!(refused.chain().ends_with("nobody is there"), "{refused}");
        assert!(opened.get().is_none());
        tokio::time::sleep(Duration::from_secs(20)).await;
        let refused = source.groups(&GroupQuery::default()).await.err().unwrap();
        assert!(refused.is_transient(), "it may be mended yet");
        assert!(refused.chain().ends_with("wrong password"), "{refused}");
        trying.unwrap().await.unwrap();
        assert!(source.snapshot().await.is_ok() && opened.get().is_some());
        assert_eq!(tries.load(Ordering::Relaxed), 5);
    }

    /// Neither the first try nor a later one holds up what follows.
    #[tokio::test(start_paused = true)]
    async fn one_that_never_answers_is_not_waited_for() {
        let (tenant, opened) = (tenant(), Opened::default());
        let tries = Arc::new(AtomicU32::new(0));
        let opening = open(&tenant, (&opened, true), move || {
            let number = tries.fetch_add(1, Ordering::Relaxed);
            async move {
                if number < 2 {
                    std::future::pending::<()>().await;
                }
                Ok(small())
            }
        });
        let (source, trying) = opening.await.unwrap();
        let refused = source.snapshot().await.err().unwrap();
        assert!(refused.is_for_another() && refused.is_transient());
        trying.unwrap().await.unwrap();
        assert!(source.snapshot().await.is_ok());
    }

    #[tokio::test]
    async fn what_will_not_pass_is_for_whoever_starts_the_process() {
        let wrong = || async { Err(PortError::permanent("opening", "it has no schema").into()) };
        let refused = open(&tenant(), (&Opened::default(), true), wrong).await;
        let refused = format!("{:#}", refused.err().unwrap());
        assert_eq!(refused, "opening: it has no schema");
        let text = || async { anyhow::bail!("no such kind of source") };
        assert!(
            open(&tenant(), (&Opened::default(), false), text)
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn one_that_is_there_is_used_as_it_is() {
        let opened = Opened::default();
        let there = || async { Ok(small()) };
        let (source, trying) = open(&tenant(), (&opened, false), there).await.unwrap();
        assert!(trying.is_none());
        assert!(Arc::ptr_eq(&source, &opened.get().unwrap().source));
    }
}
