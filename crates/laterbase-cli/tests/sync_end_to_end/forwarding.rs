//! One database, two programs: while a server has it, the commands go through the server, and say
//! what they say without one.

use std::path::Path;

use crate::served::{Following, Served};
use crate::support::{Answer, Sandbox, answer, mask, ndjson};

/// Serves the database `name`, which other processes then find by its directory.
fn serve(sandbox: &Sandbox, name: &str, more: &[&str]) -> Served {
    let first = ["serve", "--db", name, "--listen", "127.0.0.1:0", "--sync-every", "3600"];
    Served::start(sandbox.command([&first[..], more].concat()))
}

/// What a command said, without what differs between two runs.
fn said(sandbox: &Sandbox, answer: &Answer) -> String {
    // How long an import took is shown in JSON.
    let timed = |text: &str| match text.split_once(",\"seconds\":") {
        Some((before, after)) => format!("{before}{}", after.trim_start_matches(is_numeric)),
        None => text.to_owned(),
    };
    let lines: String = answer.stdout.lines().map(|line| timed(line) + "\n").collect();
    mask(&format!("{}\n{lines}\n{}", answer.code, answer.stderr), sandbox)
}

fn is_numeric(letter: char) -> bool {
    letter.is_ascii_digit() || letter == '.'
}

/// Events as `read --format ndjson` prints them, for `import --preserve`: the second follows from
/// the first, under another root; the third from the second.
fn elsewhere(sandbox: &Sandbox) -> String {
    sandbox.run(["init", "--db", "elsewhere"]).success();
    let mut cause: Option<String> = None;
    for stream in ["truck/7", "shipment/1", "shipment/1"] {
        let mut line = vec!["append", "--db", "elsewhere", "--json", stream, "seen"];
        line.extend(["--data", "{\"weight\": 1.50}"]);
        if let Some(cause) = &cause {
            line.extend(["--cause", cause]);
        }
        let appended = ndjson(&sandbox.run(line).success().stdout);
        cause = Some(appended[0]["id"].as_str().unwrap().to_owned());
    }
    sandbox.run(["read", "--db", "elsewhere", "--format", "ndjson"]).success().stdout
}

/// Commands that write, each behind `--db NAME` or `--url URL`.
fn writes(data: &Path) -> Vec<Vec<String>> {
    let shipments = data.to_str().unwrap();
    let lines = [
        "append shipment/4711 departed --data {\"port\":\"NLRTM\",\"weight\":1.50} --tag truck:7 \
         --meta by=me --valid-at 2026-03-01T12:00:00Z",
        "append shipment/4711 arrived --data {} --expect 1 --json",
        "append shipment/4711 arrived --data {} --expect 1",
        "append shipment/4711 arrived --data {} --expect none --json",
        "append shipment --data [1,2] looked --idempotency-key once",
        "append shipment --data [1,2] looked --idempotency-key once",
        "append shipment --data [3] looked --idempotency-key once",
        "append note --data hello said --content-type text/plain",
        "append _sys/x seen --data {}",
        "append shipment/4711 departed --data {} --cause 00000000000000000000000000",
    ];
    let mut all: Vec<Vec<String>> =
        lines.iter().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect();
    let import = |more: &[&str]| {
        let line = ["import", "--root", "order", "--key", "/id", "--idempotency", "/n", shipments];
        [&line[..], more].concat().into_iter().map(str::to_owned).collect()
    };
    all.push(import(&["--batch", "3"]));
    all.push(import(&["--batch", "7"]));
    all.push(import(&["--batch", "2", "--json"]));
    for batch in ["1000", "1"] {
        let line = ["import", "--preserve", "elsewhere.ndjson", "--batch", batch];
        all.push(line.into_iter().map(str::to_owned).collect());
    }
    all
}

/// Records for an import: some are refused, one has the key of another one.
fn records() -> String {
    let record = |n: usize, id: &str| format!("{{\"id\":\"{id}\",\"n\":\"n{n}\"}}\n");
    let mut text: String = (0..10).map(|n| record(n, &format!("o{n}"))).collect();
    text.push_str("{\"id\":\"no number\"}\n");
    text.push_str(&record(10, ""));
    text.push_str(&record(11, "o11"));
    text.push_str(&record(3, "another one"));
    text.push_str(&record(12, &"long".repeat(200)));
    text + &record(13, "o13")
}

#[test]
fn commands_write_through_a_server_as_they_do_without_one() {
    let sandbox = Sandbox::new();
    sandbox.file("elsewhere.ndjson", elsewhere(&sandbox));
    let data = sandbox.file("orders.ndjson", records());
    for name in ["plain", "beside", "far"] {
        sandbox.run(["init", "--db", name]).success();
    }
    let (_beside, far) = (serve(&sandbox, "beside", &[]), serve(&sandbox, "far", &[]));
    let places = [["--db", "beside"], ["--url", &far.url]];
    for line in writes(&data) {
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let plain = said(&sandbox, &sandbox.run([&["--db", "plain"][..], &line].concat()));
        for place in places {
            let there = sandbox.run([&place[..], &line].concat());
            assert_eq!(said(&sandbox, &there), plain, "{place:?} {line:?}");
        }
    }
    let read = |place: [&str; 2]| {
        let line = ["read", "--format", "ndjson", "--order", "arrival"];
        let events = sandbox.run([&place[..], &line[..]].concat()).success();
        said(&sandbox, &events)
    };
    let plain = read(["--db", "plain"]);
    assert_eq!(plain.lines().filter(|line| line.starts_with('{')).count(), 21, "{plain}");
    for place in places {
        assert_eq!(read(place), plain);
    }
}

#[test]
fn what_is_read_at_a_url_is_what_is_read_in_the_directory() {
    let sandbox = Sandbox::with_database();
    let sample = sandbox.run(["sample", "--events", "2500"]).success().stdout;
    sandbox.file("sample.ndjson", sample);
    sandbox.run(["import", "--preserve", "sample.ndjson"]).success();
    let mut cause = String::new();
    for _ in 0..3 {
        let mut line = vec!["append", "--json", "chain/1", "link", "--data", "{}"];
        if !cause.is_empty() {
            line.extend(["--cause", &cause]);
        }
        let appended = ndjson(&sandbox.run(line).success().stdout);
        cause = appended[0]["id"].as_str().unwrap().to_owned();
    }
    let first = sandbox.read(&["chain/1", "--limit", "1"])[0]["id"].as_str().unwrap().to_owned();
    let vv = ndjson(&sandbox.run(["stats", "--json"]).success().stdout)[0]["vv"].clone();
    let now = sandbox.moment();
    sandbox.run(["append", "chain/2", "later", "--data", "[1]"]).success();
    let (vv, server) = (vv.as_str().unwrap(), serve(&sandbox, "db", &[]));
    for line in [
        "read",
        "read --limit 1700",
        "read --limit 1000 --reverse",
        "read shipment --order valid --reverse --limit 1500",
        "read --order arrival --root chain",
        "read --type link --type later",
        "read --type link --json",
        "read --type link --json --reverse --order valid --limit 2",
        "read --tag device:scanner-0327 --order valid",
        "read chain/1 --format csv",
        "read --format ndjson --valid-from 2026-01-05T00:00:00Z --valid-until 2026-01-06T00:00:00Z",
        &format!("read --root chain --as-of {now}"),
        &format!("read --root chain --recorded-by {now}"),
        &format!("read --root chain --tx-from {now}"),
        &format!("read --root chain --as-of-vv {vv}"),
        &format!("read --vv {vv}"),
        &format!("read --caused-by {first} --format ndjson"),
        &format!("read --effects-of {first} --format ndjson"),
        &format!("read --causes-of {cause} --json --order arrival"),
        &format!("get {first} {cause}"),
        &format!("get --json {first} 00000000000000000000000000"),
        "get 00000000000000000000000000",
        "tail -n 3",
        "tail -n 5 --type link --json",
        "quarantine list",
        "quarantine list --json",
        &format!("quarantine show {first}"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let here = sandbox.run(&words);
        let there = sandbox.run([&words[..], &["--url", &server.url]].concat());
        let text =
            |answer: &Answer| format!("{} {}\n{}", answer.code, answer.stdout, answer.stderr);
        assert_eq!(text(&here), text(&there), "{line}");
        assert!(here.stdout.len() + here.stderr.len() > 10, "{line}: {}", here.stdout);
    }
    // A listing goes on where it ended, here and there.
    let (mut after, mut seen) = (None::<String>, Vec::new());
    loop {
        let mut line = vec!["read", "--url", &server.url, "--json", "--limit", "900"];
        if let Some(after) = &after {
            line.extend(["--after", after]);
        }
        let page: serde_json::Value =
            serde_json::from_str(&sandbox.run(line).success().stdout).unwrap();
        let events = page["events"].as_array().unwrap();
        seen.extend(events.iter().map(|event| event["id"].clone()));
        after = page["cursor"].as_str().map(str::to_owned);
        if events.len() < 900 {
            break;
        }
    }
    let all: Vec<_> = sandbox.read(&[]).iter().map(|event| event["id"].clone()).collect();
    assert_eq!(seen, all);
    let after = after.unwrap();
    for place in [&["--url", &server.url][..], &[]] {
        let rest = sandbox.run([&["read", "--after", &after, "--json"], place].concat());
        assert!(rest.success().stdout.contains("\"count\":0"));
    }
    let stats = sandbox.run(["stats", "--url", &server.url]).success().stdout;
    assert!(stats.contains("2,504"), "{stats}");
}

#[test]
fn a_tail_at_a_url_outlives_its_server() {
    let sandbox = Sandbox::with_database();
    let server = serve(&sandbox, "db", &[]);
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let append = |key: &str| {
        let stream = format!("shipment/{key}");
        sandbox.run(["append", &stream, "seen", "--data", "{}"]).success();
    };
    append("1");
    let follow = ["tail", "--follow", "--json", "--url", &server.url];
    let mut tail = Following::start(sandbox.command(follow));
    assert_eq!(tail.next()["key"], "1");
    append("2");
    assert_eq!(tail.next()["key"], "2");
    drop(server);
    // While nobody serves it, the database is written here.
    append("3");
    let again = ["serve", "--listen", &address, "--sync-every", "3600"];
    let _again = Served::start(sandbox.command(again));
    append("4");
    assert_eq!([&tail.next()["key"], &tail.next()["key"]], ["3", "4"]);
}

#[test]
fn sync_bundles_and_quarantine_go_through_a_server() {
    let sandbox = Sandbox::new();
    sandbox.run(["init", "--db", "hub"]).success();
    sandbox.run(["append", "--db", "hub", "shipment/1", "seen", "--data", "{}"]).success();
    let hub = serve(&sandbox, "hub", &[]);
    sandbox.run(["init", "--db", "truck", "--join", &hub.url]).success();
    // A hub that nobody gossips to: its events come when they are asked for.
    let truck = serve(&sandbox, "truck", &[]);
    let run = |line: &str| sandbox.run(line.split(' ').collect::<Vec<_>>());
    let synced = run("sync --db truck").success().stdout;
    assert!(synced.starts_with("origin: "), "{synced}");
    let synced = ndjson(&run("sync origin --db truck --json").success().stdout);
    assert_eq!((&synced[0]["peer"], &synced[0]["synced"]), (&"origin".into(), &true.into()));
    assert_eq!(run("sync nobody --db truck").code, 3);
    let direct = run(&format!("sync {} --db truck", hub.url));
    assert!(direct.code == 6 && direct.stderr.contains("peer add"), "{}", direct.stderr);
    assert_eq!(run("sync --watch --db truck").code, 6);
    // Bundles, from a database that is served into one that is.
    run("append --db truck shipment/2 seen --data {}").success();
    let exported = ndjson(&run("export --db truck --json all.bundle").success().stdout);
    assert_eq!(exported[0]["events"], 2);
    sandbox.run(["init", "--db", "depot", "--join", "all.bundle"]).success();
    run("append --db truck shipment/3 seen --data {}").success();
    run("export --db truck all.bundle").success();
    let depot = serve(&sandbox, "depot", &[]);
    let taken = ndjson(&run("import-bundle --db depot --json all.bundle").success().stdout);
    assert_eq!((&taken[0]["events"], &taken[0]["notes"]), (&1.into(), &serde_json::json!([])));
    let taken = run(&format!("import-bundle all.bundle --url {}", depot.url)).success().stdout;
    assert!(taken.starts_with("took in 0 new events"), "{taken}");
    let read = run(&format!("read --url {} --format ndjson", depot.url)).success().stdout;
    assert_eq!(ndjson(&read).len(), 3);
    sandbox.file("no.bundle", "nothing of the kind");
    let refused = run("import-bundle --db depot no.bundle");
    assert!(refused.code == 5 && refused.stderr.contains("bundle"), "{}", refused.stderr);
    let retried = run("quarantine retry --db depot").success().stdout;
    assert_eq!(retried, "0 events admitted; batches that stay refused: 0\n");
    drop(truck);
}

#[test]
fn a_server_that_asks_for_tokens_is_shown_one() {
    let sandbox = Sandbox::with_database();
    sandbox.run(["token", "keygen", "hub.key"]).success();
    let token = |verbs: &[&str]| {
        let first = ["token", "create", "--key", "hub.key", "--database", "default", "--root", "*"];
        let verbs: Vec<&str> = verbs.iter().flat_map(|verb| ["--verb", *verb]).collect();
        sandbox.run([&first[..], &["--never-expires"], &verbs].concat()).success().stdout
    };
    sandbox.file("writer", token(&["read", "write"]));
    sandbox.file("reader", token(&["read"]));
    sandbox.file("peer", token(&["read", "relay"]));
    let server = serve(&sandbox, "db", &["--token-key", "hub.key.pub"]);
    let append = ["append", "shipment/1", "seen", "--data", "{}"];
    for more in [&[][..], &["--access-token", "reader"]] {
        let refused = sandbox.run([&append[..], more].concat());
        let hint = refused.stderr.contains("--access-token");
        assert!(refused.code == 5 && hint, "{}", refused.stderr);
    }
    sandbox.run([&append[..], &["--access-token", "writer"]].concat()).success();
    let mut by_environment = sandbox.command(["read", "--format", "ndjson"]);
    by_environment.env_remove("LATERBASE_DB");
    by_environment.env("LATERBASE_URL", &server.url).env("LATERBASE_ACCESS_TOKEN", "reader");
    assert_eq!(ndjson(&answer(by_environment, "").success().stdout).len(), 1);
    let join = ["init", "--db", "truck", "--join", &server.url];
    let refused = sandbox.run(join);
    assert!(refused.code == 12 && refused.stderr.contains("--token"), "{}", refused.stderr);
    sandbox.run([&join[..], &["--token", "peer"]].concat()).success();
    // It was kept.
    sandbox.run(["sync", "--db", "truck"]).success();
    let read = sandbox.run(["read", "--db", "truck", "--format", "ndjson"]).success().stdout;
    assert_eq!(ndjson(&read).len(), 1);
}

#[test]
fn what_the_command_line_names_goes_before_the_environment() {
    let sandbox = Sandbox::with_database();
    let nobody = "http://127.0.0.1:1";
    let run = |line: &[&str], url: Option<&str>| {
        let mut command = sandbox.command(line);
        if let Some(url) = url {
            command.env("LATERBASE_URL", url);
        }
        answer(command, "")
    };
    run(&["stats", "--db", "db"], Some(nobody)).success();
    let there = run(&["stats", "--url", nobody], None);
    assert!(there.code == 12 && there.stderr.contains("laterbase serve"), "{}", there.stderr);
    for (line, url) in
        [(&["stats", "--db", "db", "--url", nobody][..], None), (&["stats"], Some(nobody))]
    {
        let both = run(line, url);
        assert!(both.code == 2 && both.stderr.contains("--db"), "{}", both.stderr);
    }
    run(&["init", "other"], Some(nobody)).success();
    for line in [&["verify"][..], &["backup", "b"], &["peer", "list"], &["status"]] {
        let refused = run(&[line, &["--url", nobody]].concat(), None);
        assert!(refused.code == 2 && refused.stderr.contains("--db DIR"), "{}", refused.stderr);
    }
    let far = run(&["stats", "--url", "http://192.0.2.7:7410"], None);
    assert!(far.code == 2 && far.stderr.contains("https://"), "{}", far.stderr);
}
