//! The page of the language: its examples are read, checked and laid out, and its tables are
//! complete. `UPDATE_GOLDEN=1` lays the examples out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use laterbase_lang::schema::{self, Schema};
use laterbase_lang::syntax::{StatementKind, Step, TimesSyntax};
use laterbase_lang::{
    Aggregate, Context, Evaluate, Function, Span, Value, check_expect, check_mutation, check_query,
    format, parse, render_all,
};
use laterbase_query::scalar::Scalars;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/language.md");

/// The blocks of the language: what stands behind the word on the fence, and the text.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let starts = page.split("```laterlog").skip(1);
    let blocks = starts.map(|rest| {
        let (word, rest) = rest.split_once('\n').unwrap();
        (word.trim(), rest.split_once("```").unwrap().0)
    });
    blocks.collect()
}

/// What is wrong with the statements of a block, as text.
fn mistakes(schema: &Schema, text: &str) -> String {
    let parsed = parse(text);
    let mut all = parsed.diagnostics;
    let evaluate: Evaluate = |function, values| {
        Scalars::default().call(function, values, Span::default()).map_err(|it| it.to_string())
    };
    let parameters = BTreeMap::from([
        (Arc::from("since"), Value::Time(1_772_323_200_000_000)),
        (Arc::from("truck"), Value::text("truck-7")),
    ]);
    let stored = BTreeMap::new();
    let context = Context { schema, stored: &stored, parameters: &parameters, now: 0, evaluate };
    let mut rules = Vec::new();
    for statement in &parsed.statements {
        if let StatementKind::Rule(rule) = &statement.kind {
            rules.push(rule.clone());
        }
    }
    for statement in &parsed.statements {
        match &statement.kind {
            StatementKind::Query(query) => {
                all.extend(check_query(&context, &rules, query).diagnostics);
            }
            StatementKind::Mutation(mutation) => {
                let times = TimesSyntax::default();
                all.extend(check_mutation(&context, &rules, mutation, &times).diagnostics);
            }
            StatementKind::Transaction(transaction) => {
                for step in &transaction.steps {
                    let times = &transaction.times;
                    all.extend(match step {
                        Step::Mutation(step) => {
                            check_mutation(&context, &rules, step, times).diagnostics
                        }
                        Step::Expect(step) => {
                            check_expect(&context, &rules, step, times).diagnostics
                        }
                        Step::Rule(_) => Vec::new(),
                    });
                }
            }
            StatementKind::Rule(_) | StatementKind::Declaration(_) => {}
        }
    }
    render_all(&all, "language.md", text)
}

#[test]
fn examples_mean_something() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let mut schema = Schema::default();
    for (word, text) in blocks(&page) {
        match word {
            "schema" => {
                let parsed = parse(text);
                let (declared, diagnostics) = schema::declare(&parsed.statements);
                let all = [parsed.diagnostics, diagnostics].concat();
                assert!(all.is_empty(), "{}", render_all(&all, "language.md", text));
                schema = declared;
                let view = mistakes(&schema, "?{shipment} :- in_transit{shipment}");
                assert_eq!(view, "");
            }
            "" => assert_eq!(mistakes(&schema, text), "", "{text}"),
            "parsed" => assert_eq!(render_all(&parse(text).diagnostics, "", text), ""),
            other => panic!("what is `laterlog {other}`?"),
        }
    }
    assert!(blocks(&page).len() >= 10);
}

#[test]
fn examples_are_laid_out() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let mut next = page.clone();
    for (_, text) in blocks(&page) {
        next = next.replace(text, &format(text).unwrap());
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(PAGE, next).unwrap();
    } else {
        let first = page.lines().zip(next.lines()).find(|(page, next)| page != next);
        assert!(page == next, "lay it out with UPDATE_GOLDEN=1: {first:?}");
    }
}

/// The names that stand first in the rows of a section's table.
fn names_of<'a>(page: &'a str, section: &str) -> BTreeSet<&'a str> {
    let (_, rest) = page.split_once(&format!("\n## {section}\n")).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split('(').next().unwrap()).collect()
}

#[test]
fn every_function_aggregate_and_operator_has_its_row() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let functions: BTreeSet<&str> = Function::NAMES.iter().map(|(name, _)| *name).collect();
    let written = names_of(&page, "Functions");
    assert_eq!(written, &functions | &BTreeSet::from(["now"]));
    let aggregates: BTreeSet<&str> = Aggregate::NAMES.iter().map(|(name, _)| *name).collect();
    assert_eq!(names_of(&page, "Aggregates"), aggregates);
    let (_, rest) = page.split_once("\n## Operators\n").unwrap();
    let operators = rest.split("\n## ").next().unwrap();
    for (operator, _) in Function::OPERATORS {
        let form = match *operator {
            "[]" => "a[i]",
            "." => "a.name",
            "list" => "`[a, b]` is a list",
            "record" => "`{a: x, b}` a record",
            other => other,
        };
        assert!(operators.contains(form), "no row for {form}");
    }
}
