//! RabbitMQ and Redis themselves stop, die and forget in mid-export; they belong to the test.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;
use sluice_stack::{Private, Rabbitmq, RabbitmqOptions, Redis, RedisOptions, Server};

use crate::faults::Case;
use crate::flow::manifest_of;
use crate::moments::{Moment, assert_unended, eventually, job};
use crate::site::{Service, Site, curl, status};

const QUEUE: &str = "SLUICE_PORTS__QUEUE";
const INDEX: &str = "SLUICE_PORTS__INDEX";

/// What is done to a server.
pub(crate) type Step<S> = fn(&mut Private<S>) -> anyhow::Result<()>;

/// Servers take a while; the client goes on meanwhile.
pub(crate) async fn aside<T: Send + 'static>(
    act: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> T {
    tokio::task::spawn_blocking(act).await.unwrap().unwrap()
}

pub(crate) async fn told<S: Server + Send + 'static>(
    mut server: Private<S>,
    step: Step<S>,
) -> Private<S> {
    aside(move || {
        step(&mut server)?;
        Ok(server)
    })
    .await
}

/// An export of a site of its own, in the middle of which the broker goes and comes back.
async fn through_the_broker(
    name: &str,
    broker: Private<Rabbitmq>,
    end: Step<Rabbitmq>,
) -> Private<Rabbitmq> {
    let mut case = Case::prepared(name);
    case.site.set(QUEUE, &broker.url());
    case.site.start_all(1, 2, 2);
    let mut back = None;
    case.through(Moment::Exporting, async {
        let broker = told(broker, end).await;
        only_the_gateway_is_ready(&case.site, "queue: ").await;
        assert_unended(&case.site).await;
        back = Some(told(broker, Private::start_again).await);
    })
    .await;
    back.unwrap()
}

/// D1, D2: stopped in order, and killed. One after another, because a broker takes long to start.
#[tokio::test(flavor = "multi_thread")]
async fn d1_d2_the_broker_stops_and_dies_in_mid_export() {
    let broker = aside(|| Private::start(&RabbitmqOptions::default())).await;
    let broker = through_the_broker("d1-stop", broker, Private::stop).await;
    through_the_broker("d2-kill", broker, Private::kill).await;
}

/// Without a server behind it a gateway is ready all the same and says what is away: its answers tell clients to come
/// back, and nobody could get them of one that a load balancer has taken out. Who works on chunks is not.
async fn only_the_gateway_is_ready(site: &Site, away: &str) {
    let ready = |service| site.admin((service, 0), "/readyz");
    let (gateway, worker) = (ready(Service::Gateway), ready(Service::Worker));
    eventually(|| curl(&["-s", &gateway]).starts_with(&format!("ready\n{away}"))).await;
    assert_eq!(status(&gateway), "200");
    eventually(|| status(&worker) == "503").await;
}

async fn through_redis(name: &str, end: Step<Redis>) {
    let redis = aside(|| Private::start(&RedisOptions::default())).await;
    let mut case = Case::prepared(name);
    case.site.set(INDEX, &redis.url());
    case.site.start_all(1, 2, 2);
    let mut back = None;
    case.through(Moment::Exporting, async {
        let redis = told(redis, end).await;
        only_the_gateway_is_ready(&case.site, "index: ").await;
        assert_unended(&case.site).await;
        let job = job(&case.site).await.unwrap();
        let job = job.rsplit('/').next().unwrap();
        let url = format!("{}/bulk-export/jobs/{job}", case.site.base("one"));
        eventually(|| status(&url) == "503").await;
        back = Some(told(redis, Private::start_again).await);
    })
    .await;
}

/// E1: with what it kept.
#[tokio::test(flavor = "multi_thread")]
async fn e1_redis_stops_in_mid_export() {
    through_redis("e1-stop", Private::stop).await;
}

/// E1: with what it had written to its log by then.
#[tokio::test(flavor = "multi_thread")]
async fn e1_redis_dies_in_mid_export() {
    through_redis("e1-kill", Private::kill).await;
}

/// E2: it comes back as another that knows nothing.
#[tokio::test(flavor = "multi_thread")]
async fn e2_redis_loses_its_disk_in_mid_export() {
    let end = |redis: &mut Private<Redis>| {
        redis.kill()?;
        redis.server().forget()
    };
    through_redis("e2-empty", end).await;
}

/// C8: the broker takes a message away that is held too long. Its holder sleeps through that, and
/// when it wakes nothing is doubled; and it consumes again.
#[tokio::test(flavor = "multi_thread")]
async fn c8_the_broker_takes_a_chunk_away_from_a_sleeping_worker() {
    let patience = RabbitmqOptions::with_consumer_timeout(Duration::from_secs(5));
    let broker = aside(move || Private::<Rabbitmq>::start(&patience)).await;
    let mut case = Case::prepared("c8");
    case.site.set(QUEUE, &broker.url());
    // The services believe otherwise, so that no deadline of theirs is earlier.
    case.site
        .set("SLUICE_AMQP__CONSUMER_TIMEOUT_MINUTES", "600");
    case.site.start_all(1, 2, 2);
    let sleeper = (Service::Worker, 0);
    case.through(Moment::Exporting, async {
        case.site.signal(sleeper, Signal::STOP);
        eventually(|| taken_away(&broker) > 0).await;
        case.site.signal(sleeper, Signal::CONT);
        let noticed = "a consumer ended and is rebuilt";
        eventually(|| case.site.log(sleeper).contains(noticed)).await;
    })
    .await;
    case.site.kill((Service::Worker, 1));
    case.exports().await;
    a_chunk_that_takes_too_long(&broker).await;
}

/// How many messages the broker took away because they were held too long.
fn taken_away(broker: &Private<Rabbitmq>) -> usize {
    let told = "timed out waiting for delivery acknowledgement";
    broker.server().log().matches(told).count()
}

/// The only worker is awake all the while and holds a chunk for longer than the broker bears. It
/// finishes the chunk, and consumes again.
async fn a_chunk_that_takes_too_long(broker: &Private<Rabbitmq>) {
    let before = taken_away(broker);
    let home = tempfile::tempdir().unwrap();
    let mut site = Site::new("c8-slow", &[("one", home.path())]);
    // One chunk of eight blocks.
    let source = "synthetic:?patients=20000&observations=0&bytes=400&block_ms=1500";
    site.set("SLUICE_TENANTS__ONE__SOURCE", source);
    site.set("SLUICE_TENANTS__ONE__CHUNK_MIB", "8");
    site.set("SLUICE_AMQP__CONSUMER_TIMEOUT_MINUTES", "600");
    site.set(QUEUE, &broker.url());
    site.start_all(1, 1, 1);
    let url = format!("{}/Patient/$export", site.base("one"));
    let (_, slow) = manifest_of(&url).await;
    assert!(taken_away(broker) > before, "the chunk was not slow enough");
    let file = &slow["output"][0];
    let text = curl(&["-s", file["url"].as_str().unwrap()]);
    let lines: BTreeSet<&str> = text.lines().collect();
    assert_eq!((text.lines().count(), lines.len()), (20_000, 20_000));
    let url = format!("{}/Group/first-10/$export", site.base("one"));
    let (_, next) = manifest_of(&url).await;
    assert_eq!(next["output"][0]["count"], 10);
}

/// A5: nothing is there that would take the hint of a kick-off, and nobody but the gateway to make
/// it again.
#[tokio::test(flavor = "multi_thread")]
async fn a5_a_kick_off_without_queues_is_not_lost() {
    let case = Case::prepared("a5");
    case.site.start_all(1, 0, 0);
    assert!(!case.site.queues().is_empty());
    case.site.delete_queues();
    assert!(case.site.queues().is_empty());
    case.through(Moment::Accepted, async {
        eventually(|| case.site.holds_a_message("jobs")).await;
        case.site.start_all(0, 2, 2);
    })
    .await;
}
