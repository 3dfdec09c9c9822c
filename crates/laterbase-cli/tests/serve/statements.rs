//! Statements that write, as a person types them: here, and while another process serves.

use crate::served::Served;
use crate::support::{Sandbox, check_golden, mask};

const SCHEMA: &str = "\
root shipment { event 1 departed { 1 port: text }; event 2 arrived { 1 port: text } }
table 1 customer { 1 name: text, 2 points: counter }
";

const STATEMENTS: &str = "\
add shipment.departed{key: \"4711\", port: \"NLRTM\"} valid 2026-03-01T12:00Z
transaction {
    expect none :- shipment.arrived{key: \"4711\"}
    add shipment.arrived{key: \"4711\", port: $port} valid 2026-03-09
    put customer{key: \"c1\", name: \"Acme\", points: +5}
}
delete customer{key: \"c9\"}
?{key, port} :- shipment.arrived{key, port}
";

fn declared() -> Sandbox {
    let sandbox = Sandbox::with_database();
    sandbox.file("fleet.later", SCHEMA);
    sandbox.run(["schema", "apply", "fleet.later"]).success();
    sandbox.file("arrive.later", STATEMENTS);
    sandbox
}

#[test]
fn statements_say_what_they_wrote_and_why_they_did_not() {
    let sandbox = declared();
    let arguments = ["query", "arrive.later", "--param", "port=\"USNYC\""];
    let mut told = sandbox.run(arguments).success().stdout;
    let again = sandbox.run(arguments).code(4);
    told.push_str(&again.stdout);
    told.push_str(&again.stderr);
    for text in [
        "put customer{key: \"c1\", points: 5}",
        "put customer{key: \"c2\", points: +5}",
        "add shipment.departed{key: \"4712\", prot: \"NLRTM\"}",
    ] {
        let answer = sandbox.run(["query", "-e", text]);
        assert!([2, 5].contains(&answer.code), "{answer:?}");
        told.push_str(&answer.stderr);
    }
    let json = sandbox.run(["query", "--json", "-e", "put customer{key: \"c1\", points: -2}"]);
    told.push_str(&json.success().stdout);
    let points = "?{name, points} :- customer{key: \"c1\", name, points}";
    told.push_str(&sandbox.run(["query", "--format", "csv", "-e", points]).success().stdout);
    check_golden("statements.txt", &mask(&told, &sandbox));
}

#[test]
fn a_shell_writes_between_questions() {
    let sandbox = declared();
    let typed = "\
.set port \"USNYC\"
add shipment.departed{key: \"4711\", port: $port};
?{key, port} :- shipment.departed{key, port};
put customer{key: \"c1\", name: \"Acme\", points: +1};
put customer{key, points: +1} :- customer{key};
?{points} :- customer{points};
";
    let answer = sandbox.run_with_input(["shell", "--format", "csv"], typed).success();
    assert_eq!(answer.stdout, "key,port\n4711,USNYC\npoints\n2\n", "{answer:?}");
}

#[test]
fn a_process_that_serves_carries_statements_out() {
    let sandbox = declared();
    let served = Served::start(sandbox.command(["serve", "--listen", "127.0.0.1:0"]));
    let arguments = ["query", "arrive.later", "--param", "port=\"USNYC\"", "--format", "ndjson"];
    let answer = sandbox.run(arguments).success().stdout;
    let lines: Vec<&str> = answer.lines().collect();
    assert_eq!(lines.len(), 4, "{answer}");
    assert!(lines[1].contains("\"events\":2"), "{answer}");
    assert_eq!(lines[2], "{\"commit\":null,\"events\":0}");
    assert_eq!(lines[3], "{\"key\":\"4711\",\"port\":\"USNYC\"}");
    let again = sandbox.run(arguments).code(4);
    assert!(again.stderr.contains("no rows were expected"), "{again:?}");
    served.end();
}
