//! Settings: what wins, what is refused before anything is opened, what is shown.

use crate::served::Served;
use crate::support::{Sandbox, answer, check_golden, mask};

/// The guide's example of a file.
fn example() -> String {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guides/operations.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let block = guide.split("```toml\n").nth(1).unwrap();
    block.split("```").next().unwrap().to_owned()
}

#[test]
fn the_file_of_the_guide_is_read_as_it_stands_there() {
    let sandbox = Sandbox::new();
    sandbox.file("serve.toml", example());
    let mut command = sandbox.command(["serve", "--config", "serve.toml", "--print-config"]);
    command.env_remove("LATERBASE_DB");
    let shown = answer(command, "").success();
    check_golden("serve-config.txt", &mask(&shown.stdout, &sandbox));
}

#[test]
fn what_is_shown_says_where_each_value_came_from() {
    let sandbox = Sandbox::new();
    sandbox.file("serve.toml", "\nlive_max = 3\ngrace = \"5s\"\ndb = \"elsewhere\"\n");
    let mut command = sandbox.command(["serve", "--print-config", "--json", "--grace", "7s"]);
    command.env("LATERBASE_CONFIG", "serve.toml").env("LATERBASE_LOG_REQUESTS", "true");
    let shown = answer(command, "").success().stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let of = |name: &str| {
        let all = shown["settings"].as_array().unwrap();
        let one = all.iter().find(|one| one["name"] == name).unwrap();
        format!("{} {}", one["value"], one["source"])
    };
    assert_eq!(of("live_max"), "3 \"serve.toml:2\"");
    assert_eq!(of("grace"), "\"7s\" \"--grace\"");
    assert_eq!(of("log_requests"), "true \"LATERBASE_LOG_REQUESTS\"");
    assert_eq!(of("tls_cert"), "null \"default\"");
    // Of every command, and no different here.
    assert_eq!(of("db"), "\"db\" \"LATERBASE_DB\"");
    assert_eq!(of("log"), "\"json\" \"default\"");
}

#[test]
fn what_is_wrong_is_refused_before_a_database_is_opened() {
    let sandbox = Sandbox::new();
    sandbox.file("serve.toml", "listen = \"127.0.0.1:0\"\nbody_byte_max = \"8MiB\"\n");
    sandbox.file("old.toml", "listen = \"127.0.0.1:0\"\ntls_cert = \"hub.pem\"\ntls_key = \"k\"");
    let mut said = String::new();
    // There is no database here, of which nothing is said.
    for (arguments, variable) in [
        (&["--config", "serve.toml"][..], None),
        (&["--config", "nowhere.toml"], None),
        (&["--config", "old.toml"], None),
        (&["--requests-max", "many"], None),
        (&["--listen", "0.0.0.0:7410"], None),
        (&["--listen", "here"], None),
        (&[], Some(("LATERBASE_CONFIG", "nowhere.toml"))),
        (&[], Some(("LATERBASE_KEEP_ALIVE", "1ms"))),
        (&[], Some(("LATERBASE_TOKEN_KEY", ""))),
        (&["--tls-cert", "hub.pem"], None),
        (&["--log", "xml"], None),
    ] {
        let mut command = sandbox.command([&["serve"], arguments].concat());
        let mut before = String::new();
        if let Some((name, value)) = variable {
            command.env(name, value);
            before = format!("{name}={value} ");
        }
        let refused = answer(command, "");
        said.push_str(&format!("$ {before}laterbase serve {}\n", arguments.join(" ")));
        said.push_str(&format!("{}[{}]\n", refused.stderr, refused.code));
        assert_eq!(refused.stdout, "");
    }
    check_golden("serve-mistakes.txt", &mask(&said, &sandbox));
}

#[test]
fn what_a_file_sets_is_what_the_server_does() {
    let sandbox = Sandbox::new();
    sandbox.run(["init", "--db", "hub"]).success();
    sandbox.file(
        "serve.toml",
        "db = \"hub\"\nlisten = \"127.0.0.1:0\"\nbody_bytes_max = \"1KiB\"\n\
         uri_bytes_max = 300\ncors_origin = \"https://fleet.example\"\n",
    );
    let mut command = sandbox.command(["serve", "--config", "serve.toml"]);
    command.env_remove("LATERBASE_DB").env("LATERBASE_URI_BYTES_MAX", "400");
    let served = Served::start(command);
    let body = format!("{{\"type\":\"seen\",\"data\":\"{}\"}}", "x".repeat(2_000));
    let json = "content-type: application/json";
    let origin = "origin: https://fleet.example";
    let refused = served.ask("POST", "/e/truck", &[json, origin], &body);
    assert!(refused.starts_with("HTTP/1.1 413"), "{refused}");
    assert!(refused.contains("\"bytes_max\":1024"), "{refused}");
    assert!(refused.contains("access-control-allow-origin: https://fleet.example"), "{refused}");
    let path = |length: usize| format!("/health?{}", "x".repeat(length));
    // Unknown parameters are refused where addresses that are too long are not.
    assert!(served.ask("GET", &path(350), &[], "").starts_with("HTTP/1.1 400"));
    assert!(served.ask("GET", &path(450), &[], "").starts_with("HTTP/1.1 414"));
    served.end();
}
