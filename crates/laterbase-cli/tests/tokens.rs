//! Keys and tokens: what the commands print, what they keep to themselves, and what a server makes
//! of it.

#![cfg(feature = "tokens")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::{Sandbox, check_golden};

/// A sandbox with a key, and a token that may read all.
fn keyed() -> Sandbox {
    let sandbox = Sandbox::with_database();
    sandbox.run(["token", "keygen", "hub.key"]).success();
    let token = create(&sandbox, &["--root", "*", "--verb", "read", "--verb", "write"]);
    sandbox.file("token", token);
    sandbox
}

#[track_caller]
fn create(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let first =
        ["token", "create", "--key", "hub.key", "--database", "default", "--expires", "2100-01-01"];
    sandbox.run([&first[..], arguments].concat()).success().stdout
}

/// Ids and keys are different each time.
fn masked(text: &str) -> String {
    let is_hex = |word: &str| word.len() >= 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let word = |word: &str| if is_hex(word) { "<id>" } else { word }.to_owned();
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn a_token_is_made_narrowed_shown_and_revoked() {
    let sandbox = Sandbox::with_database();
    let mut all = String::new();
    let mut run = |line: &str| {
        let answer = sandbox.run(line.split(' ')).success();
        let is_token = ["token create ", "token narrow "].iter().any(|it| line.starts_with(it));
        let said = if is_token { "<token>\n".to_owned() } else { masked(&answer.stdout) };
        all.push_str(&format!("$ laterbase {line}\n{said}"));
        answer.stdout
    };
    run("token keygen hub.key");
    let token = run(
        "token create --key hub.key --database default --root shipment --root truck --verb read \
         --verb write --expires 2100-01-01",
    );
    sandbox.file("token", token);
    let narrower = run("token narrow token --root shipment --verb read --expires 2099-01-01");
    sandbox.file("narrower", narrower);
    run("token inspect narrower");
    run("token revoke narrower --list revoked --why lost");
    let list = std::fs::read_to_string(sandbox.path("revoked")).unwrap();
    all.push_str(&format!("$ cat revoked\n{}", masked(&list)));
    check_golden("token.txt", &all);
}

#[test]
fn mistakes_with_tokens_say_what_to_do() {
    let sandbox = keyed();
    let mut all = String::new();
    for line in [
        "token keygen hub.key",
        "token create --key hub.key --database default --root a --verb fly --never-expires",
        "token create --key hub.key --database default --root a --verb read",
        "token create --key hub.key.pub --database default --root a --verb read --never-expires",
        "token create --key nowhere --database default --root a --verb read --never-expires",
        "token create --key hub.key --database default --root a --verb sync-own --replica x",
        "token narrow token",
        "token narrow token --root *",
        "token narrow hub.key.pub --root a",
        "token inspect nowhere",
        "token revoke hub.key.pub --list revoked",
        "token revoke token --list hub.key.pub",
        "serve --token-key hub.key",
        "serve --token-key hub.key.pub --revoked nowhere",
    ] {
        let answer = sandbox.run(line.split(' '));
        assert_ne!(answer.code, 0, "{line}");
        all.push_str(&format!("$ laterbase {line}\n{}[{}]\n", answer.stderr, answer.code));
    }
    check_golden("token-mistakes.txt", &all);
}

#[test]
fn the_secret_key_is_its_owners_alone_and_is_never_printed() {
    let sandbox = Sandbox::with_database();
    let said = sandbox.run(["token", "keygen", "hub.key", "--json"]).success().stdout;
    let secret = std::fs::read_to_string(sandbox.path("hub.key")).unwrap();
    let digits = secret.trim().rsplit('/').next().unwrap();
    assert_eq!(digits.len(), 64);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(sandbox.path("hub.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let made = create(&sandbox, &["--root", "*", "--verb", "read"]);
    let refused = sandbox.run(["serve", "--token-key", "hub.key"]).stderr;
    for text in [said, made, refused] {
        assert!(!text.contains(digits), "{text}");
    }
}

/// A server that ends with the test.
struct Serving(Child, String);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(mut command: Command) -> Serving {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().rsplit('/').next().unwrap().to_owned();
    Serving(child, address)
}

fn status(server: &Serving, method: &str, path: &str, token: &str) -> u16 {
    let mut stream = TcpStream::connect(&server.1).unwrap();
    let body = "{\"type\":\"seen\",\"data\":1}";
    let length = body.len();
    let token = token.trim();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n\
         {body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_server_takes_the_tokens_of_its_key_until_they_are_revoked() {
    let sandbox = keyed();
    let token = std::fs::read_to_string(sandbox.path("token")).unwrap();
    let narrower = sandbox.run(["token", "narrow", "token", "--verb", "read"]).success().stdout;
    sandbox.file("revoked", "laterbase-revoked 1\n");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--token-key", "hub.key.pub"];
    let server = serve(sandbox.command([&arguments[..], &["--revoked", "revoked"]].concat()));
    assert_eq!(status(&server, "POST", "/e/a", ""), 401);
    assert_eq!(status(&server, "POST", "/e/a", &token), 201);
    assert_eq!(status(&server, "GET", "/e/a", &narrower), 200);
    assert_eq!(status(&server, "POST", "/e/a", &narrower), 403);
    sandbox.run(["token", "revoke", "token", "--list", "revoked"]).success();
    assert_eq!(status(&server, "POST", "/e/a", &token), 401);
    assert_eq!(status(&server, "GET", "/e/a", &narrower), 401);
}

#[test]
fn a_peer_that_asks_for_a_token_is_synced_with_by_one() {
    let hub = keyed();
    hub.run(["append", "a/1", "seen", "--data", "1"]).success();
    let token = create(&hub, &["--root", "*", "--verb", "relay"]);
    let id = hub.run(["stats", "--json"]).success().stdout;
    let id: serde_json::Value = serde_json::from_str(&id).unwrap();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--token-key", "hub.key.pub"];
    let database = id["database"].as_str().unwrap().to_owned();
    let copy = Sandbox::new();
    let options = laterbase::Options::default();
    let joined = laterbase::Database::create_joined(copy.db(), options, database.parse().unwrap());
    joined.unwrap().close().unwrap();
    let server = serve(hub.command(arguments));
    let url = format!("http://{}", server.1);
    copy.file("token", token);
    let refused = copy.run(["sync", &url]);
    assert_eq!(refused.code, 12, "{}", refused.stderr);
    assert!(refused.stderr.contains("401"), "{}", refused.stderr);
    copy.run(["peer", "add", "hub", &url, "--token", "token"]).success();
    copy.run(["sync"]).success();
    assert_eq!(copy.read(&[]).len(), 1);
    copy.run(["peer", "remove", "hub"]).success();
    assert_eq!(copy.run(["sync", &url]).code, 12);
    copy.run(["sync", &url, "--token", "token"]).success();
}

#[test]
fn a_device_brings_what_it_wrote_with_a_token_for_itself() {
    let hub = keyed();
    hub.run(["append", "a/1", "seen", "--data", "1"]).success();
    let stats = |sandbox: &Sandbox| -> serde_json::Value {
        serde_json::from_str(&sandbox.run(["stats", "--json"]).success().stdout).unwrap()
    };
    let database = stats(&hub)["database"].as_str().unwrap().parse().unwrap();
    let device = Sandbox::new();
    let options = laterbase::Options::default();
    let joined = laterbase::Database::create_joined(device.db(), options, database);
    joined.unwrap().close().unwrap();
    device.run(["append", "b/1", "scanned", "--data", "1"]).success();
    let replica = stats(&device)["replica"].as_str().unwrap().to_owned();
    let rights = ["--root", "*", "--verb", "sync-own", "--verb", "read"];
    hub.file("broad", create(&hub, &rights));
    let narrow = |replica: &str| {
        hub.run(["token", "narrow", "broad", "--replica", replica]).success().stdout
    };
    device.file("broad", std::fs::read_to_string(hub.path("broad")).unwrap());
    device.file("token", narrow(&replica));
    device.file("other", narrow("0000000000000007"));
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--token-key", "hub.key.pub"];
    let server = serve(hub.command(arguments));
    let url = format!("http://{}", server.1);
    let refused = device.run(["sync", &url, "--token", "broad"]);
    assert!(refused.code == 12 && refused.stderr.contains("403"), "{}", refused.stderr);
    let refused = device.run(["sync", &url, "--token", "other"]);
    assert!(refused.stderr.contains("granted to another replica"), "{}", refused.stderr);
    device.run(["peer", "add", "hub", &url, "--token", "token"]).success();
    device.run(["sync"]).success();
    assert_eq!(device.read(&[]).len(), 2);
    // Served, it does so by itself.
    let serving = serve(device.command(["serve", "--listen", "127.0.0.1:0"]));
    assert_eq!(status(&serving, "POST", "/e/b", ""), 201);
    let deadline = Instant::now() + Duration::from_secs(60);
    while hub.read(&[]).len() < 3 {
        assert!(Instant::now() < deadline, "what the device recorded does not come");
    }
    drop((serving, server));
    assert_eq!(hub.read(&[]).len(), 3);
}
