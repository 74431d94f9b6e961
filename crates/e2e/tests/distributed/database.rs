//! A tenant whose resources are in PostgreSQL, which goes away in mid-export and comes back.

use std::path::Path;
use std::time::Duration;

use sluice_source_postgres::{Input, PostgresOptions, Writer, load, migrate};
use sluice_stack::{Postgres, PostgresOptions as ServerOptions, Private};

use crate::faults::Case;
use crate::moments::{Moment, assert_unended};
use crate::servers::{aside, told};

/// Makes the tables of a database and loads a folder into them.
pub(crate) async fn fill(uri: &str, folder: &Path) {
    let options = PostgresOptions::new(uri);
    migrate(&options).await.unwrap();
    let writer = Writer::connect(&options, false).await.unwrap();
    let inputs = [Input::Resources(folder.to_owned())];
    let report = load(&writer, &inputs, 2, |_| {}).await.unwrap();
    assert_eq!(report.rejected(), 0);
}

/// C24: the database is killed and is away for 20 seconds. Chunks that were being read fail and are tried
/// again; what was exported before and after is of the same state.
#[tokio::test(flavor = "multi_thread")]
async fn c24_the_database_dies_in_mid_export_and_is_back_after_20_seconds() {
    let database = aside(|| Private::<Postgres>::start(&ServerOptions::default())).await;
    let mut case = Case::prepared("database");
    fill(&database.url(), &case.folder).await;
    case.site
        .set("SLUICE_TENANTS__ONE__SOURCE", &database.url());
    case.site.start_all(1, 2, 2);
    let mut back = None;
    case.through(Moment::Exporting, async {
        let database = told(database, Private::kill).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_unended(&case.site).await;
        back = Some(told(database, Private::start_again).await);
    })
    .await;
    // And once more with nothing wrong, over the connections that are there now.
    case.exports().await;
    drop(back);
}
