//! `sluice clients`, on a store of its own and against a server that runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::folder::sample;
use crate::server::{Site, free_port, said, sluice};

const SECRET: &str = "a secret of more than thirty-two bytes";

/// Where commands are run, and what they are told besides.
struct Desk {
    home: PathBuf,
    reach: Vec<String>,
}

impl Desk {
    fn new(home: &Path, reach: &[&str]) -> Self {
        Self {
            home: home.to_owned(),
            reach: reach.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    fn run(&self, words: &str) -> Output {
        let mut command = sluice();
        command.arg("clients").args(words.split_whitespace());
        command.args(&self.reach).current_dir(&self.home);
        command.output().unwrap()
    }

    /// What it prints when all is well.
    fn ok(&self, words: &str) -> String {
        let done = self.run(words);
        assert!(done.status.success(), "{words}: {}", said(&done));
        String::from_utf8(done.stdout).unwrap()
    }

    fn json(&self, words: &str) -> Value {
        serde_json::from_str(&self.ok(words)).unwrap()
    }

    /// What it says when it ends with this code.
    fn refused(&self, words: &str, code: i32) -> String {
        let done = self.run(words);
        assert_eq!(done.status.code(), Some(code), "{words}: {}", said(&done));
        said(&done)
    }

    fn read(&self, file: &str) -> Value {
        serde_json::from_slice(&fs::read(self.home.join(file)).unwrap()).unwrap()
    }
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

/// Everything that can be done to a client, whatever the way to the registry.
fn from_first_to_last(desk: &Desk) {
    let text = desk.ok("add --id etl --name Warehouse --generate --group g1 --group g2");
    for part in [
        "etl",
        "etl.jwk",
        "/default/oauth2/token",
        "--client-id etl --key etl.jwk --group g1 --out",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(mode(&desk.home.join("etl.jwk")), 0o600);
    let private = desk.read("etl.jwk");
    let (secret, kid) = (
        private["d"].as_str().unwrap(),
        private["kid"].as_str().unwrap(),
    );
    let view = desk.json("show etl");
    assert_eq!(view["kids"], json!([kid]));
    assert_eq!(view["jwks"]["keys"][0]["x"], private["x"]);
    assert_eq!(view["groups"], json!(["g1", "g2"]));
    let listed = desk.ok("list");
    let row = listed.lines().nth(1).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(
        cells,
        [
            "etl",
            "Warehouse",
            "yes",
            "system/*.rs",
            "g1",
            "g2",
            "group",
            "registry"
        ]
    );
    assert!(!listed.contains(secret) && !view.to_string().contains(secret));

    assert!(desk.ok("disable etl").contains("etl is disabled"));
    assert_eq!(desk.json("show etl")["enabled"], false);
    assert!(desk.ok("enable etl").contains("etl is enabled"));
    assert_eq!(desk.json("list --json")["clients"][0]["enabled"], true);

    desk.ok("rotate etl --generate --key-out new.jwk");
    assert_eq!(mode(&desk.home.join("new.jwk")), 0o600);
    let new = desk.read("new.jwk")["kid"].as_str().unwrap().to_owned();
    assert_eq!(desk.json("show etl")["kids"], json!([kid, new]));
    desk.ok(&format!("rotate etl --drop-kid {kid}"));
    let view = desk.json("show etl");
    assert_eq!(
        (&view["kids"], &view["name"]),
        (&json!([new]), &json!("Warehouse"))
    );
    fs::write(desk.home.join("public.jwks"), view["jwks"].to_string()).unwrap();
    desk.ok("rotate etl --generate --replace");
    assert_ne!(desk.json("show etl")["kids"], json!([new]));
    desk.ok("rotate etl --jwks public.jwks --replace");
    assert_eq!(desk.json("show etl")["kids"], json!([new]));
    desk.ok("rotate etl --jwks-url https://etl.example.org/jwks --replace");
    let view = desk.json("show etl");
    assert_eq!(view["jwks_url"], "https://etl.example.org/jwks");
    assert_eq!((view.get("kids"), view.get("jwks")), (None, None));

    assert!(desk.ok("remove etl").contains("can never be used again"));
    let text = desk.refused("show etl", 1);
    assert!(text.contains("no such client"), "{text}");
    let text = desk.refused("add --id etl --generate --key-out other.jwk", 1);
    assert!(text.contains("take another"), "{text}");
    assert!(
        !desk.home.join("other.jwk").exists(),
        "a key that nobody knows is of no use"
    );
}

/// What the command line alone refuses.
fn mistakes(desk: &Desk) {
    fs::write(desk.home.join("there.jwk"), "mine").unwrap();
    let text = desk.refused("add --id b --generate --key-out there.jwk", 1);
    assert!(text.contains("no key is ever overwritten"), "{text}");
    assert_eq!(fs::read(desk.home.join("there.jwk")).unwrap(), b"mine");
    desk.refused("show b", 1);
    let text = desk.refused("add --id b --jwks there.jwk", 1);
    assert!(
        text.contains("no JWK Set") && !text.contains("mine"),
        "{text}"
    );
    let text = desk.refused("add --id b --jwks new.jwk", 1);
    let secret = desk.read("new.jwk")["d"].as_str().unwrap().to_owned();
    assert!(
        text.contains("private key") && !text.contains(&secret),
        "{text}"
    );
    let text = desk.refused("add --id b --jwks-url http://h/ --scope nonsense", 1);
    assert!(
        text.contains("jwks_url") && text.contains("nonsense"),
        "{text}"
    );
    for words in [
        "add --id a/b",
        "add --generate --jwks public.jwks",
        "add --key-out x.jwk",
        "add --level county",
        "rotate etl",
        "rotate etl --replace",
        "rotate etl --generate --replace --drop-kid x",
        "list --tenant A/B",
        "list --admin http://127.0.0.1:1 --config x --admin-secret-file y",
        "show",
    ] {
        desk.refused(words, 2);
    }
}

#[test]
fn clients_in_a_data_directory() {
    let home = tempfile::tempdir().unwrap();
    let desk = Desk::new(home.path(), &["--data-dir", "data"]);
    let text = desk.refused("list", 1);
    assert!(text.contains("there is no data"), "{text}");
    assert!(!home.path().join("data").exists());
    from_first_to_last(&desk);
    assert_eq!(mode(&home.path().join("data")), 0o700);
    mistakes(&desk);

    let told = desk.json(
        "add --json --scope system/Patient.rs --scope=system/Group.r --level group --level patient \
         --most-running 2 --kickoffs-per-hour 30",
    );
    let id = told["id"].as_str().unwrap();
    assert!(id.starts_with("c-") && id.len() == 18, "{id}");
    assert_eq!(told["fhir_base"], "http://127.0.0.1:8080/default/fhir");
    assert_eq!(
        (&told["key_file"], &told["client"]["id"]),
        (&Value::Null, &json!(id))
    );
    let client = &told["client"];
    assert_eq!(
        client["scopes"],
        json!(["system/Patient.rs", "system/Group.r"])
    );
    assert_eq!(client["levels"], json!(["patient", "group"]));
    assert_eq!(
        client["limits"],
        json!({ "most_running": 2, "kickoffs_per_hour": 30 })
    );
    let listed = desk.ok("list");
    assert!(listed.contains(id) && !listed.contains("etl"), "{listed}");
    // Another tenant's are others.
    assert_eq!(desk.ok("list --tenant county"), "");
    desk.ok("add --id etl --tenant county");
    assert!(!desk.ok("list").contains("etl"));
}

#[test]
fn clients_of_a_settings_file() {
    let home = tempfile::tempdir().unwrap();
    let settings = "data_dir = \"there\"\n[server]\npublic_url = \"https://bulk.example.org\"\n\
        [tenants.county]\nsource = \"ndjson:x\"\n\
        [tenants.county.clients.fixed]\nscopes = [\"system/*.rs\"]\n";
    fs::write(home.path().join("s.toml"), settings).unwrap();
    let desk = Desk::new(home.path(), &["--config", "s.toml"]);
    let text = desk.refused("list", 1);
    assert!(text.contains("no tenant default; it has county"), "{text}");
    let desk = Desk::new(home.path(), &["--config", "s.toml", "--tenant", "county"]);
    let text = desk.ok("add --id etl --generate");
    assert!(
        text.contains("https://bulk.example.org/county/fhir"),
        "{text}"
    );
    assert!(
        home.path()
            .join("there/objects/_clients/county/etl")
            .is_dir()
    );
    let row = |id: &str| {
        let listed = desk.ok("list");
        let row = listed.lines().find(|line| line.starts_with(id)).unwrap();
        let cells = row.split_whitespace();
        cells.map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("fixed"), "fixed yes system/*.rs all all settings");
    desk.ok("disable fixed");
    assert_eq!(row("fixed"), "fixed no system/*.rs all all settings");
    for words in ["remove fixed", "rotate fixed --generate", "add --id fixed"] {
        desk.refused(words, 1);
    }
    assert_eq!(
        fs::read_dir(home.path()).unwrap().count(),
        3,
        "etl.jwk, there and s.toml"
    );
}

#[test]
fn clients_of_a_server_that_runs_from_afar_and_from_beside() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    sample(3, &data);
    let admin = format!("127.0.0.1:{}", free_port());
    let site = Site::new(home.path(), &data)
        .with("SLUICE_ADMIN__LISTEN", &admin)
        .with("SLUICE_ADMIN__SECRET", SECRET);
    let server = site.start();
    fs::write(home.path().join("secret"), format!("{SECRET}\n")).unwrap();
    fs::write(home.path().join("wrong"), "another secret").unwrap();
    fs::write(home.path().join("empty"), "\n").unwrap();
    let url = format!("http://{admin}");
    let at = |secret: &str| {
        let reach = ["--admin", &url, "--admin-secret-file", secret];
        Desk::new(home.path(), &reach)
    };
    from_first_to_last(&at("secret"));
    let text = at("wrong").refused("add --id b --generate", 1);
    assert!(text.contains("admin.secret"), "{text}");
    assert!(!home.path().join("b.jwk").exists());
    for secret in ["empty", "missing"] {
        let text = at(secret).refused("list", 1);
        assert!(text.contains(secret), "{text}");
    }
    let text = at("secret").refused("list --tenant county", 1);
    assert!(text.contains("no such tenant"), "{text}");

    // Beside the server, without its lock, and the server sees it: administrators always look anew.
    let beside = Desk::new(home.path(), &["--data-dir", "server"]);
    beside.ok("add --id beside --generate");
    assert_eq!(at("secret").json("show beside"), beside.json("show beside"));
    at("secret").ok("add --id afar");
    assert_eq!(beside.json("show afar")["enabled"], true);
    assert!(server.stop());
    let text = at("secret").refused("add --id c --generate", 1);
    assert!(text.contains("cannot be reached"), "{text}");
    assert!(!home.path().join("c.jwk").exists());
}

#[test]
fn without_a_secret_the_server_says_what_to_set() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    sample(1, &data);
    let admin = format!("127.0.0.1:{}", free_port());
    let site = Site::new(home.path(), &data).with("SLUICE_ADMIN__LISTEN", &admin);
    let _server = site.start();
    fs::write(home.path().join("secret"), SECRET).unwrap();
    let url = format!("http://{admin}/");
    let desk = Desk::new(
        home.path(),
        &["--admin", &url, "--admin-secret-file", "secret"],
    );
    let text = desk.refused("list", 1);
    assert!(text.contains("admin.secret is not set"), "{text}");
}
