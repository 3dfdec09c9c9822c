//! No text makes the language panic, hang or end its stack: it is read, declared, checked, shown
//! and laid out, or refused with diagnostics. A layout is laid out to itself.
#![no_main]

use std::collections::BTreeMap;

use laterbase_lang::schema;
use laterbase_lang::syntax::{RuleSyntax, StatementKind, Step, TimesSyntax};
use laterbase_lang::{
    Context, Diagnostic, Evaluate, Value, check_expect, check_mutation, check_query, format, parse,
    render_all,
};
use libfuzzer_sys::fuzz_target;

/// What a text may name, besides what it declares itself.
const SCHEMA: &str = "root r { event 1 e { 1 x: int, 2 y: text? } }
table 1 t { 1 x: json, 2 n: counter, 3 s: set text }
view 1 v{x} :- r.e{x}
";

fuzz_target!(|input: (bool, bool, &str)| {
    let (has_schema, is_repeated, text) = input;
    let mut text = if has_schema { format!("{SCHEMA}{text}") } else { text.to_owned() };
    if is_repeated && !text.is_empty() {
        // A small input becomes a longer text; those of a megabyte are in the tests of the crate.
        text = text.repeat((1 << 13) / text.len().max(1 << 6));
    }
    let parsed = parse(&text);
    let (declared, mut diagnostics) = schema::declare(&parsed.statements);
    diagnostics.extend(parsed.diagnostics);
    let _changes = schema::difference(&declared, &declared);
    let (stored, parameters) = (BTreeMap::new(), BTreeMap::new());
    // The engine's functions are exercised where they stand.
    let evaluate: Evaluate = |_, values| Ok(values.first().cloned().unwrap_or(Value::Null));
    let context =
        Context { schema: &declared, stored: &stored, parameters: &parameters, now: 0, evaluate };
    let mut rules = Vec::new();
    for statement in &parsed.statements {
        if let StatementKind::Rule(rule) = &statement.kind {
            rules.push(rule.clone());
        }
    }
    for statement in parsed.statements.iter().take(16) {
        diagnostics.extend(checked(&context, &rules, &statement.kind));
    }
    let _shown = render_all(&diagnostics, "text", &text);
    if let Ok(formatted) = format(&text) {
        assert_eq!(format(&formatted).as_ref(), Ok(&formatted));
    }
});

/// What is wrong with a statement; what it means is shown as well.
fn checked(
    context: &Context<'_>,
    rules: &[RuleSyntax],
    statement: &StatementKind,
) -> Vec<Diagnostic> {
    match statement {
        StatementKind::Query(query) => {
            let checked = check_query(context, rules, query);
            let _plan = checked.plan.map(|plan| plan.to_string());
            checked.diagnostics
        }
        StatementKind::Mutation(mutation) => {
            let checked = check_mutation(context, rules, mutation, &TimesSyntax::default());
            let _write = checked.step.map(|write| write.to_string());
            checked.diagnostics
        }
        StatementKind::Transaction(transaction) => {
            let mut told = Vec::new();
            for step in transaction.steps.iter().take(4) {
                let times = &transaction.times;
                told.extend(match step {
                    Step::Mutation(step) => check_mutation(context, rules, step, times).diagnostics,
                    Step::Expect(step) => check_expect(context, rules, step, times).diagnostics,
                    Step::Rule(_) => Vec::new(),
                });
            }
            told
        }
        StatementKind::Declaration(_) | StatementKind::Rule(_) => Vec::new(),
    }
}
