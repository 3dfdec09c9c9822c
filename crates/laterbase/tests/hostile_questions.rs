//! Questions that were written to hurt, asked of a database: each is answered within its limits, or
//! refused with a reason, and the next question is answered as ever.
//!
//! What takes a square of its length, or goes back and forth in a pattern, does not finish here.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use laterbase::NewEvent;
use laterbase::ask::{AskError, AskFault, Limits, QueryError, Value};
use serde_json::json;
use support::Fixture;

/// A thousand events, `n` from 0 on.
fn thousand() -> Fixture {
    let fixture = Fixture::new();
    let mut commit = fixture.db.commit();
    for n in 0..1_000 {
        let event = NewEvent::new("ship", format!("k{}", n % 10), "seen");
        commit.push(&event.json(&json!({ "n": n })).unwrap()).unwrap();
    }
    fixture.db.append(&mut commit).unwrap().wait().unwrap();
    fixture
}

/// Why a question is not answered; another one is, afterwards.
fn refused(fixture: &Fixture, text: &str, limits: Limits) -> AskError {
    let error = match fixture.db.query(text).limits(limits).run() {
        Ok(answer) => panic!("{} rows: {}", answer.rows.len(), &text[..text.len().min(200)]),
        Err(error) => error,
    };
    let next = fixture.db.query("?{n: count()} :- ship.seen{}").run().unwrap();
    assert_eq!(next.rows.iter().next().unwrap().value(0), Value::Int(1_000));
    error
}

/// A question that uses more than it may: what it is told.
fn exhausted(fixture: &Fixture, text: &str, limits: Limits) -> String {
    let error = refused(fixture, text, limits);
    let is_budget = matches!(&error.fault, AskFault::Query(QueryError::Exhausted(_)));
    assert!(is_budget, "{}", error.render("query"));
    error.to_string()
}

#[test]
fn deep_nesting_is_a_mistake_that_is_shown() {
    let fixture = thousand();
    let deep = 100_000;
    let nested = |open: &str, inside: &str, close: &str| {
        format!("{}{inside}{}", open.repeat(deep), close.repeat(deep))
    };
    for text in [
        format!("?{{x}} :- x = {}", nested("(", "1", ")")),
        format!("?{{x}} :- x = {}", nested("[", "1", "]")),
        format!("?{{x}} :- x = {}", nested("-", "1", "")),
        format!("?{{x}} :- x = {}", nested("abs(", "1", ")")),
        format!("?{{x}} :- x = 1, {}", nested("not (", "x = 2", ")")),
        format!("?{{x}} :- x = {}", nested("if(true, ", "1", ", 2)")),
        format!("?{{x: {}}} :- ship.seen{{n: x}}", nested("one {x: ", "x", "} :- ship.seen{n: x}")),
    ] {
        let error = refused(&fixture, &text, Limits::default());
        assert!(!error.diagnostics().is_empty(), "{error}");
    }
    let wide = format!("?{{x}} :- x = 1{}", " + 1".repeat(deep));
    refused(&fixture, &wide, Limits::default());
}

#[test]
fn ten_megabytes_of_text_are_too_long() {
    let fixture = thousand();
    let text = format!("// {}\n?{{n}} :- ship.seen{{n}}", "x".repeat(10 << 20));
    let error = refused(&fixture, &text, Limits::default());
    let said = error.to_string();
    assert!(said.contains("at most 4194304 are read at once") && said.len() < 1_000, "{said}");
    // As long as a text may be, and without an end.
    let rules = "a{n} :- ship.seen{n}, n > 1\n".repeat(100_000);
    let error = refused(&fixture, &rules, Limits::default());
    assert!(error.to_string().len() < 100_000, "{}", error.to_string().len());
}

#[test]
fn hostile_patterns_are_matched_in_time_or_refused() {
    let fixture = thousand();
    let text = "a".repeat(1 << 20);
    let asked = |pattern: &str| {
        let question = "?{is: matches($text, $pattern)} :- ship.seen{n: 1}";
        let ask = fixture.db.query(question).bind("text", text.as_str());
        ask.bind("pattern", pattern).run()
    };
    for pattern in ["(a*)*b", "(a|aa)+$b", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*)(.*)(.*)(.*)(.*)b"] {
        let answer = asked(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        let is = answer.rows.iter().next().unwrap().value(0);
        assert_eq!(is, Value::Bool(false), "{pattern}");
    }
    let deep = format!("{}a{}", "(".repeat(10_000), ")".repeat(10_000));
    let long = "a|".repeat(1 << 20);
    for pattern in ["((a{1000}){1000}){1000}", "(\\w{500}){500}", deep.as_str(), long.as_str()] {
        let error = asked(pattern).unwrap_err();
        assert!(error.to_string().contains("pattern"), "{error}");
    }
    // A pattern of its own for each row.
    let each = "?{n: count()} :- ship.seen{n}, matches(text(n), \"^(x|\" ++ text(n) ++ \")+$\")";
    let answer = fixture.db.query(each).run().unwrap();
    assert_eq!(answer.rows.iter().next().unwrap().value(0), Value::Int(1_000));
}

#[test]
fn products_and_recursions_without_an_end_stop_at_their_limits() {
    let fixture = thousand();
    let few = Limits { rows_max: 100_000, steps_max: 5_000_000, ..Limits::default() };
    // A million rows, and a thousand million that are only counted.
    let rows = "?{a, b} :- ship.seen{n: a}, ship.seen{n: b}";
    exhausted(&fixture, rows, few);
    let counted = "?{n: count()} :- ship.seen{n: a}, ship.seen{n: b}, ship.seen{n: c}, a != b + c";
    exhausted(&fixture, counted, few);
    let endless = "up{n} :- n = 1\nup{n: n + 1} :- up{n}\n?{n} :- up{n}";
    assert!(exhausted(&fixture, endless, few).contains("up"));
    let doubled = "long{t} :- t = \"ab\"\nlong{t: t ++ t} :- long{t}\n?{n: length(t)} :- long{t}";
    let small = Limits { bytes_max: 16 << 20, ..few };
    exhausted(&fixture, doubled, small);
    let listed =
        "l{x, n} :- x = [1], n = 1\nl{x: [x, x], n: n + 1} :- l{x, n}, n < 100\n?{n} :- l{n}";
    refused(&fixture, listed, small);
    // The same million within what is allowed.
    let answer = fixture.db.query(rows).run().unwrap();
    assert_eq!(answer.rows.len(), 1_000_000);
}
