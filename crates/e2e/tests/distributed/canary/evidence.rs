//! Everything that the services leave behind beside the exported files, and what is found in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sluice_testkit::stack;

use super::planted::Canaries;
use crate::site::{Site, curl};

/// Prints every key of the site with all that it holds. DUMP would do, if it did not pack texts.
const REDIS: &str = "local all, cursor = {}, '0' repeat \
    local found = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000) cursor = found[1] \
    for _, key in ipairs(found[2]) do local kind = redis.call('TYPE', key).ok local held = {} \
    if kind == 'string' then held = redis.call('GET', key) \
    elseif kind == 'hash' then held = redis.call('HGETALL', key) \
    elseif kind == 'zset' then held = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') \
    else held = kind .. ' is not read' end \
    table.insert(all, {key, held}) end until cursor == '0' return all";

/// Places, by what they are called, and where their files are.
pub(super) struct Evidence<'s> {
    site: &'s Site,
    folder: tempfile::TempDir,
    /// Texts that nobody else may know, beside the canaries.
    secrets: BTreeSet<String>,
}

/// What was found: the name of a canary or a secret itself, and the files that have it.
pub(super) type Found = BTreeMap<String, BTreeSet<String>>;

impl<'s> Evidence<'s> {
    pub(super) fn of(site: &'s Site) -> Self {
        Self {
            site,
            folder: tempfile::tempdir().unwrap(),
            secrets: BTreeSet::new(),
        }
    }

    /// A token, a link or a key that must be nowhere.
    pub(super) fn hide(&mut self, secret: &str) {
        assert!(secret.len() > 12, "{secret:?} is found everywhere");
        self.secrets.insert(secret.to_owned());
    }

    /// Keeps something for the search, below the name of its place.
    pub(super) fn keep(&self, name: &str, what: impl AsRef<[u8]>) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, what).unwrap();
    }

    /// What is in Redis now.
    pub(super) fn keep_redis(&self, when: &str) {
        let url = stack("SLUICE_PORTS__INDEX");
        let pattern = format!("{}*", self.site.name);
        let words = ["--no-raw", "-u", &url, "EVAL", REDIS, "0", &pattern];
        let done = Command::new("redis-cli").args(words).output().unwrap();
        assert!(done.stdout.len() > 1000, "there is nothing in Redis");
        let text = String::from_utf8_lossy(&done.stdout);
        assert!(!text.contains("is not read"), "{text}");
        self.keep(&format!("redis/{when}"), &done.stdout);
    }

    /// What every process counts now.
    pub(super) fn keep_metrics(&self, when: &str) {
        for name in self.site.names() {
            let text = curl(&["-s", &self.site.admin(name, "/metrics")]);
            assert!(text.contains("# TYPE"), "{name:?}: {text}");
            self.keep(
                &format!("metrics/{when}-{}-{}", name.0.name(), name.1),
                text,
            );
        }
    }

    /// How the broker is set up, its queues and what waits in them.
    pub(super) fn keep_broker(&self, when: &str) {
        let management = stack("STACK_RABBITMQ_MANAGEMENT");
        let known = |text: &str| text.contains(&self.site.name);
        for what in [
            "definitions",
            "queues",
            "connections",
            "channels",
            "consumers",
        ] {
            let text = curl(&["-s", &format!("{management}/api/{what}")]);
            // Of the last three the broker tells late.
            assert!(known(&text) || text.starts_with('['), "{what}: {text}");
            self.keep(&format!("rabbitmq/{when}-{what}"), text);
        }
    }

    /// Every object of the site but the exported files; of those, how they are called.
    pub(super) async fn keep_objects(&self) {
        let mut keys = Vec::new();
        for prefix in ["one/", "two/", "_audit/", "_clients/"] {
            keys.extend(self.site.all_objects(prefix).await);
        }
        let is_data = |key: &String| key.ends_with(".ndjson") && key.contains("/data/");
        let is_journal = |key: &&String| !is_data(key) || key.contains("/OperationOutcome.");
        for key in keys.iter().filter(is_journal) {
            self.keep(&format!("objects/{key}"), self.site.object(key).await);
        }
        assert!(keys.iter().filter(is_journal).count() > 50, "{keys:?}");
        self.keep("objects/keys", keys.join("\n"));
    }

    /// Looks everywhere.
    pub(super) fn search(&self, canaries: &Canaries) -> Found {
        let servers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/stack");
        let mut found = Found::new();
        let mut add = |more: Found, below: &str| {
            for (what, places) in more {
                let places = places.into_iter().map(|place| format!("{below}{place}"));
                found.entry(what).or_default().extend(places);
            }
        };
        // What the servers wrote to their disks: a log of nearly all that they were ever told.
        for server in ["redis", "rabbitmq"] {
            let disk = self.search_in(canaries, &servers.join(server));
            add(disk, &format!("{server}/disk/"));
        }
        add(self.search_in(canaries, self.folder.path()), "");
        add(self.search_in(canaries, self.site.home()), "processes/");
        found
    }

    /// Looks for every canary in the files of a folder, plain and in base64, and for every secret.
    pub(super) fn search_in(&self, canaries: &Canaries, folder: &Path) -> Found {
        let plain = format!("{}[A-Za-z0-9]*", canaries.mark);
        let mut patterns = vec![plain];
        patterns.extend(canaries.in_base64());
        patterns.extend(self.secrets.iter().map(|secret| escaped(secret)));
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), patterns.join("\n")).unwrap();
        let mut found = Found::new();
        for (path, text) in grep(file.path(), folder) {
            let place = path.strip_prefix(folder).unwrap_or(&path);
            let place = place.display().to_string();
            let what = canaries.place_of(&text);
            found.entry(what).or_default().insert(place);
        }
        found
    }

    /// Whether the search would find every secret.
    pub(super) fn assert_that_secrets_are_found(&self, canaries: &Canaries) {
        let folder = tempfile::tempdir().unwrap();
        let all: Vec<&str> = self.secrets.iter().map(String::as_str).collect();
        fs::write(folder.path().join("all"), all.join(" and ")).unwrap();
        let found = self.search_in(canaries, folder.path());
        assert_eq!(found.len(), self.secrets.len(), "{found:?}");
    }
}

/// What in a folder matches any of the patterns in a file.
fn grep(patterns: &Path, folder: &Path) -> Vec<(PathBuf, String)> {
    let done = Command::new("grep")
        .env("LC_ALL", "C")
        .args(["-r", "-a", "-o", "-Z", "-E", "-f"])
        .args([patterns, folder])
        .output()
        .unwrap();
    assert!(done.status.code() < Some(2), "{done:?}");
    let text = String::from_utf8_lossy(&done.stdout);
    let pairs = text.lines().filter_map(|line| line.split_once('\0'));
    pairs
        .map(|(file, found)| (file.into(), found.to_owned()))
        .collect()
}

/// As grep takes it for itself.
fn escaped(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_ ,=/".contains(letter);
    let letters = text.chars();
    letters
        .map(|letter| {
            if plain(letter) {
                letter.to_string()
            } else {
                format!("[{letter}]")
            }
        })
        .collect()
}
