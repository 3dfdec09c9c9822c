//! Golden text: statements beside what they mean, or what is wrong with them.
//!
//! A file under `tests/golden/checks` starts with a schema; then each case is a title (`# …`), a
//! text, a line `---`, and the plan or the diagnostics. One under `tests/golden/schemas` has a
//! schema, a line `===` and the next schema in its place, and what that changes. `UPDATE_GOLDEN=1`
//! writes what is answered, to be reviewed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use laterbase_lang::schema::{self, Schema};
use laterbase_lang::syntax::{
    Declaration, QueryMode, RuleSyntax, StatementKind, Step, TimesSyntax,
};
use laterbase_lang::{
    Context, Diagnostic, Function, Span, Value, check_expect, check_mutation, check_query,
    has_errors, parse, render_all,
};
use laterbase_query::scalar::Scalars;

/// What `now()` is: 2026-03-10T12:00Z.
const NOW: i64 = 1_773_144_000_000_000;

#[test]
fn statements_mean_what_the_files_say() {
    check_files("checks", |preamble, text| {
        let parsed = parse(preamble);
        let (schema, diagnostics) = schema::declare(&parsed.statements);
        let all = [parsed.diagnostics, diagnostics].concat();
        assert!(all.is_empty(), "{}", render_all(&all, "schema", preamble));
        meaning(&schema, text)
    });
}

#[test]
fn schemas_change_what_the_files_say() {
    check_files("schemas", |_, text| {
        let (old, new) = text.split_once("===\n").unwrap_or(("", text));
        let (old, _) = schema::declare(&parse(old).statements);
        let parsed = parse(new);
        let (next, diagnostics) = schema::declare(&parsed.statements);
        let mut all = [parsed.diagnostics, diagnostics].concat();
        let (changes, refusals) = schema::difference(&old, &next);
        all.extend(
            refusals.into_iter().map(|it| Diagnostic::error(it.span, it.message).help(it.help)),
        );
        let mut lines: Vec<String> = changes.iter().map(ToString::to_string).collect();
        if !all.is_empty() {
            lines.push(render_all(&all, "schema", new));
        }
        lines.join("\n")
    });
}

#[test]
fn statements_are_read_as_the_files_say() {
    check_files("statements", |_, text| match laterbase_lang::format(text) {
        Ok(formatted) => {
            let parsed = parse(text).statements;
            let kinds: Vec<&str> = parsed.iter().map(|statement| kind(&statement.kind)).collect();
            format!("{}\n{formatted}", kinds.join(", "))
        }
        Err(diagnostics) => render_all(&diagnostics, "text", text),
    });
}

fn kind(kind: &StatementKind) -> &'static str {
    match kind {
        StatementKind::Declaration(Declaration::Root(_)) => "root",
        StatementKind::Declaration(Declaration::Table(_)) => "table",
        StatementKind::Declaration(Declaration::Index(_)) => "index",
        StatementKind::Declaration(Declaration::View(_)) => "view",
        StatementKind::Rule(_) => "rule",
        StatementKind::Query(_) => "query",
        StatementKind::Mutation(_) => "mutation",
        StatementKind::Transaction(_) => "transaction",
    }
}

#[test]
fn texts_are_laid_out_as_the_files_say() {
    check_files("formats", |_, text| match laterbase_lang::format(text) {
        Ok(formatted) => formatted,
        Err(diagnostics) => render_all(&diagnostics, "text", text),
    });
}

/// The plan of each query of a text, or what is wrong.
fn meaning(schema: &Schema, text: &str) -> String {
    let parsed = parse(text);
    let mut answers = Vec::new();
    let mut diagnostics = parsed.diagnostics;
    let stored = BTreeMap::from([
        (Arc::from("scan"), BTreeSet::from([Arc::from("seen"), Arc::from("lost")])),
        (Arc::from("old.root-1"), BTreeSet::new()),
    ]);
    let parameters = BTreeMap::from([
        (Arc::from("since"), Value::Time(1_772_323_200_000_000)),
        (Arc::from("port"), Value::text("NLRTM")),
    ]);
    let context = Context { schema, stored: &stored, parameters: &parameters, now: NOW, evaluate };
    let rules: Vec<_> = parsed
        .statements
        .iter()
        .filter_map(|statement| {
            let StatementKind::Rule(rule) = &statement.kind else { return None };
            Some(rule.clone())
        })
        .collect();
    if has_errors(&diagnostics) {
        return render_all(&diagnostics, "query", text);
    }
    for statement in &parsed.statements {
        if let StatementKind::Query(query) = &statement.kind {
            assert_ne!(query.mode, QueryMode::Live);
            let checked = check_query(&context, &rules, query);
            diagnostics.extend(checked.diagnostics);
            answers.extend(checked.plan.map(|plan| plan.to_string()));
        }
        let mut write = |rules: &[RuleSyntax], mutation, times| {
            let checked = check_mutation(&context, rules, mutation, times);
            diagnostics.extend(checked.diagnostics);
            answers.extend(checked.step.map(|write| write.to_string()));
        };
        match &statement.kind {
            StatementKind::Mutation(mutation) => {
                write(&rules, mutation, &TimesSyntax::default());
            }
            StatementKind::Transaction(transaction) => {
                let mut rules = rules.clone();
                for step in &transaction.steps {
                    if let Step::Rule(rule) = step {
                        rules.push(rule.clone());
                    }
                }
                for step in &transaction.steps {
                    match step {
                        Step::Mutation(mutation) => write(&rules, mutation, &transaction.times),
                        Step::Expect(_) | Step::Rule(_) => {}
                    }
                }
                for step in &transaction.steps {
                    let Step::Expect(expect) = step else { continue };
                    let checked = check_expect(&context, &rules, expect, &transaction.times);
                    diagnostics.extend(checked.diagnostics);
                    answers.extend(checked.step.map(|demand| demand.to_string()));
                }
            }
            StatementKind::Query(_) | StatementKind::Rule(_) | StatementKind::Declaration(_) => {}
        }
    }
    if !diagnostics.is_empty() {
        answers.push(render_all(&diagnostics, "query", text));
    }
    answers.join("\n")
}

fn evaluate(function: Function, values: &[Value]) -> Result<Value, String> {
    Scalars::default().call(function, values, Span::default()).map_err(|it| it.to_string())
}

/// Compares every case of every file of a folder with what `answer` says of it.
fn check_files(folder: &str, answer: impl Fn(&str, &str) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut cases = 0;
    for path in paths {
        let file = std::fs::read_to_string(&path).unwrap();
        let (preamble, rest) = file.split_once("\n# ").unwrap_or((&file, ""));
        let mut written = format!("{}\n", preamble.trim_end());
        for case in rest.split("\n# ").filter(|case| !case.trim().is_empty()) {
            let (title, body) = case.split_once('\n').unwrap();
            let text = body.split_once("---\n").map_or(body, |(text, _)| text);
            let text = format!("{}\n", text.trim_end());
            let answer = answer(preamble, &text);
            written.push_str(&format!("\n# {title}\n{text}---\n{}\n", answer.trim_end()));
            cases += 1;
        }
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, written).unwrap();
        } else {
            let name = path.file_name().unwrap().to_string_lossy();
            let first = file.lines().zip(written.lines()).find(|(file, written)| file != written);
            assert!(file == written, "{name} differs; review it with UPDATE_GOLDEN=1: {first:#?}");
        }
    }
    assert!(cases > 0, "no cases in {}", folder.display());
}
