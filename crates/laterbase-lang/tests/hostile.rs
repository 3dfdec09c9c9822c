//! Texts that were written to hurt: everything is read, checked, shown and formatted, or refused
//! with a diagnostic, without a panic, a deep stack or work beyond what the text is long.
//!
//! What takes a square of its length does not finish here: the texts are long enough for that.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says where")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use laterbase_lang::schema::{self, Schema};
use laterbase_lang::syntax::StatementKind;
use laterbase_lang::{Context, Diagnostic, check_query, format, parse, render_all};
use laterbase_query::scalar::Scalars;
use proptest::prelude::*;

/// Does everything with a text that can be done with it; its mistakes as they are shown.
fn exercise(schema: Option<&Schema>, text: &str) -> String {
    let parsed = parse(text);
    let (declared, more) = schema::declare(&parsed.statements);
    let mut all: Vec<Diagnostic> = [parsed.diagnostics, more].concat();
    let schema = schema.unwrap_or(&declared);
    let (stored, parameters) = (BTreeMap::new(), BTreeMap::new());
    let evaluate = |function, values: &[_]| {
        Scalars::default().call(function, values, Default::default()).map_err(|it| it.to_string())
    };
    let context = Context { schema, stored: &stored, parameters: &parameters, now: 0, evaluate };
    let rules: Vec<_> = parsed
        .statements
        .iter()
        .filter_map(|statement| {
            let StatementKind::Rule(rule) = &statement.kind else { return None };
            Some(rule.clone())
        })
        .collect();
    for statement in &parsed.statements {
        if let StatementKind::Query(query) = &statement.kind {
            let checked = check_query(&context, &rules, query);
            all.extend(checked.diagnostics);
            let plan = checked.plan.map(|plan| plan.to_string());
            assert!(plan.is_none_or(|plan| !plan.is_empty()));
        }
    }
    // Longer ones are laid out in a test of their own.
    if text.len() < 1 << 20
        && let Ok(formatted) = format(text)
    {
        assert_eq!(format(&formatted).as_deref(), Ok(formatted.as_str()));
    }
    assert!(all.len() <= 200, "{} mistakes are told", all.len());
    let shown = render_all(&all, "text", text);
    assert!(shown.len() < 2_000_000, "{} bytes of mistakes", shown.len());
    shown
}

/// A text of many parts.
fn many(count: usize, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect()
}

/// That a text is refused with a message.
fn refused(text: &str, message: &str) {
    let shown = exercise(None, text);
    assert!(shown.contains(message), "{}", shown.chars().take(2_000).collect::<String>());
}

#[test]
fn a_hundred_thousand_fields_in_a_head_and_an_atom() {
    let fields = many(100_000, |at| format!("f{at},"));
    exercise(None, &format!("?{{{fields}}} :- event{{{fields}}}"));
    let declared = many(100_000, |at| format!("{} f{at}: int?,", at + 1));
    let schema = format!("root r {{ event 1 e {{ {declared} }} }}");
    assert_eq!(exercise(None, &schema), "");
    let (schema, _) = schema::declare(&parse(&schema).statements);
    assert_eq!(exercise(Some(&schema), &format!("?{{{fields}}} :- r.e{{{fields}}}")), "");
    let fields = many(20_000, |at| format!("f{at},"));
    let rule = format!("a{{{fields}}} :- r.e{{{fields}}}\na{{{fields}}} :- a{{{fields}}}\n");
    assert_eq!(exercise(Some(&schema), &format!("{rule}?{{f0}} :- a{{{fields}}}")), "");
    exercise(Some(&schema), &format!("a{{x: 1}} :- r.e{{f1}}\n{rule}?{{f0}} :- a{{{fields}}}"));
}

#[test]
fn fifty_thousand_rules_of_one_name_and_of_many() {
    let rules = many(50_000, |at| format!("a{{x}} :- x = {at}\n"));
    assert_eq!(exercise(None, &format!("{rules}?{{x}} :- a{{x}}")), "");
    let rules = many(50_000, |at| format!("a{at}{{x}} :- a{}{{x}}\n", at + 1));
    refused(
        &format!("{rules}a50000{{x}} :- x = 1\n?{{x}} :- a0{{x}}"),
        "more than 10000 relations",
    );
    let rules = many(9_000, |at| format!("a{at}{{x}} :- a{}{{x}}\n", at + 1));
    assert_eq!(exercise(None, &format!("{rules}a9000{{x}} :- x = 1\n?{{x}} :- a0{{x}}")), "");
    // One circle, in which the type comes from the last one.
    let circle = format!("{rules}a9000{{x}} :- a0{{x}}\na9000{{x}} :- x = 1\n?{{x}} :- a0{{x}}");
    assert_eq!(exercise(None, &circle), "");
    let ghosts = format!("{rules}a9000{{x}} :- a0{{x}}\n?{{x}} :- a0{{x}}");
    refused(&ghosts, "the type of `x` in `a0` cannot be told");
}

#[test]
fn types_that_go_round_in_a_circle_are_given_up() {
    let columns = many(3_000, |at| format!("c{at},"));
    let shifted = many(2_999, |at| format!("c{at}: c{},", at + 1));
    let rule = format!("a{{{columns}}} :- a{{{shifted} c2999: c0}}\n");
    exercise(None, &format!("{rule}?{{c0}} :- a{{c0}}"));
}

#[test]
fn a_rule_is_asked_at_many_times() {
    let atoms = many(12_000, |at| format!("(a{{x}} valid {at}), "));
    exercise(None, &format!("a{{x}} :- event{{seq: x}}\n?{{x}} :- {atoms} x > 1"));
    let atoms =
        many(12_000, |at| format!("(a{{x}} valid \"{}-01-01T00:00Z\"), ", 1000 + at % 9000));
    let literals = many(2_000, |at| format!("event{{seq: x, version: v{at}}}, "));
    refused(
        &format!("a{{x}} :- {literals} x > 1\n?{{x}} :- {atoms} x > 1"),
        "these rules take too long to check",
    );
}

#[test]
fn a_hundred_thousand_conditions_that_each_wait_for_the_next() {
    let conditions = many(100_000, |at| format!("x{at} = x{} + 1, ", at + 1));
    assert_eq!(exercise(None, &format!("?{{x0}} :- {conditions} x100000 = 1")), "");
    refused(&format!("?{{x0}} :- {conditions} x100001 = 1"), "nothing binds `x1`");
    let nots = many(30_000, |at| format!("not event{{seq: x{at}}}, "));
    exercise(
        None,
        &format!("?{{x0}} :- {} {nots} 1 = 1", many(30_000, |at| format!("x{at} = {at},"))),
    );
}

#[test]
fn names_and_values_of_a_megabyte() {
    let long = "a".repeat(1 << 20);
    refused(&format!("?{{{long}}} :- {long}.a{{a: {long}}}"), "a name of 1048576 bytes");
    refused(&format!("?{{x}} :- a{{x: `{long}`}}"), "a name of 1048576 bytes");
    exercise(None, &format!("?{{x}} :- event{{seq: x}}, x = ${long}"));
    exercise(None, &format!("?{{x}} :- event{{seq: x}} as of \"{long}\" limit \"{long}\""));
    exercise(None, &format!("?{{x}} :- event{{seq: \"{long}\"}}, x = \"{long}\" ++ 1"));
    for start in ["#", "1", "1.", "0x", "2026-03-01T12:00", "\"", "x\"", "`", "$", "//", "1e"] {
        exercise(None, &format!("{start}{}", "9".repeat(1 << 20)));
        exercise(None, &format!("?{{x}} :- event{{seq: {start}{}", "9".repeat(1 << 20)));
    }
    refused(&format!("add {}", "a.".repeat(1 << 19)), "more than 64 names with dots between");
    exercise(None, &format!("?{{x}} :- {}b{{x}}", "a.".repeat(1 << 19)));
}

#[test]
fn ten_thousand_unknown_names() {
    let names = many(10_000, |at| format!("unknown_name_{at}, "));
    refused(
        &format!("?{{{names}}} :- event{{seq: unknown_nam}}"),
        "nothing binds `unknown_name_0`",
    );
    let atoms = many(10_000, |at| format!("relation_{at}{{x}}, "));
    refused(&format!("?{{x}} :- {atoms} event{{seq: x}}"), "there is no relation `relation_0`");
    let fields = many(10_000, |at| format!("{} f{at}: ref unknown_{at}, ", at + 1));
    let tables = many(10_000, |at| format!("table {} unknown{at} {{}}\n", at + 1));
    refused(&format!("{tables}table 20000 t {{ {fields} }}"), "no root and no table is called");
    let events = many(10_000, |at| format!("event {} event_{at}, ", at + 1));
    let atoms = many(10_000, |at| format!("r.evnt_{at}{{}}, "));
    refused(&format!("root r {{ {events} }}\n?{{}} :- {atoms} 1 = 1"), "`r` has no event `evnt_0`");
    let calls = many(10_000, |at| format!("c{at}: functionn_{at}(1), "));
    refused(&format!("?{{{calls}}} :- event{{}}"), "there is no function `functionn_0`");
}

#[test]
fn schemas_of_many_declarations() {
    let tables = many(50_000, |at| format!("table {} t{at} {{ 1 a: int, 2 b: ref t0 }}\n", at + 1));
    let indexes = many(20_000, |at| format!("index t{at}{{a, b}}\n"));
    assert_eq!(exercise(None, &format!("{tables}{indexes}")), "");
    let (schema, _) = schema::declare(&parse(&tables).statements);
    assert_eq!(schema::difference(&schema, &schema), (Vec::new(), Vec::new()));
    let atoms = many(20_000, |at| format!("t{at}{{a: x}}, "));
    assert_eq!(exercise(Some(&schema), &format!("?{{x}} :- {atoms} x > 1")), "");
    let events = many(50_000, |at| format!("event {} e{at} {{ 1 a: int }}\n", at + 1));
    assert_eq!(exercise(None, &format!("root r {{ {events} }}")), "");
    let twins = many(50_000, |_| "event 1 e\n".to_owned());
    refused(&format!("root r {{ {twins} }}"), "event 1 `e` is declared twice");
    let removed = many(50_000, |at| format!("removed {}, {}\n", at + 1, at + 2));
    exercise(None, &format!("root r {{ {removed} }} table 1 t {{ {removed} }}"));
}

#[test]
fn nesting_is_refused_before_the_stack_ends() {
    let opens = [
        "(",
        "[",
        "{a:",
        "f(",
        "not ",
        "- ",
        "not (",
        "a[",
        "set [",
        "((",
        "{a: [",
        "if(a, b, ",
        "x and not (",
        "not (a{}, ",
        "(a{x: ",
        "a{b: [",
    ];
    for open in opens {
        for deep in [40, 60, 126, 200, 5_000] {
            let nested = open.repeat(deep);
            for start in
                ["?{x} :- ", "?{x} :- a{x}, ", "?{x: ", "", "root r { event 1 a { 1 x: int = "]
            {
                exercise(None, &format!("{start}{nested}"));
                exercise(None, &format!("{start}{nested}1"));
            }
        }
    }
    for deep in [30, 62, 63, 64, 1_000, 20_000] {
        let (trees, ends) = ("x: many {".repeat(deep), "} :- event{seq: y}".repeat(deep));
        exercise(None, &format!("?{{{trees} y {ends}}} :- event{{}}"));
        let unclosed = format!("?{{{trees} y {ends}");
        exercise(None, &unclosed);
    }
    let lists = "list ".repeat(100_000);
    refused(&format!("table 1 t {{ 1 a: {lists} int }}"), "nests deeper than");
    exercise(None, &format!("table 1 t {{ 1 a: {} int }}", "list ".repeat(120)));
}

#[test]
fn chains_of_operators_end() {
    for sign in ["+", "-", "*", "and", "or", "++", "??", "=", "in"] {
        let chain = format!(" {sign} x").repeat(200_000);
        exercise(None, &format!("?{{y: x{chain}}} :- event{{seq: x}}"));
        let chain = format!(" {sign} x").repeat(100);
        exercise(
            None,
            &format!("?{{y: x{chain}}} :- event{{seq: x}}, {}", chain.replace('x', "(1)")),
        );
    }
    refused(
        &format!("?{{x}} :- event{{seq: x}}, x = 1{}", " + 1".repeat(300)),
        "a chain of more than",
    );
    exercise(None, &format!("?{{x}} :- event{{payload: x}}, y = x{}", ".f".repeat(200_000)));
    exercise(None, &format!("?{{x}} :- event{{payload: x}}, y = x{}", "[0]".repeat(200_000)));
    // Chains within chains, as deep as both may be.
    let mut nested = "x".to_owned();
    for _ in 0..40 {
        nested = format!("({nested}{})", " + x".repeat(100));
    }
    refused(&format!("?{{y: {nested}}} :- event{{seq: x}}"), "a chain of more than");
}

#[test]
fn texts_of_megabytes_are_laid_out() {
    let rules = many(50_000, |at| format!("a{at}{{x}} :- a{at}{{x, y: {at}}}, x > 1 // said\n"));
    assert!(format(&rules).is_ok_and(|formatted| formatted == rules));
    let fields = many(200_000, |at| format!("f{at},"));
    let formatted = format(&format!("?{{{fields}}} :- event{{}}")).unwrap();
    assert_eq!(formatted.lines().count(), 200_003);
}

#[test]
fn many_mistakes_are_told_up_to_an_end() {
    exercise(None, &"\u{e9}".repeat(500_000));
    exercise(None, &format!("\"{}\"", "\\q".repeat(500_000)));
    exercise(None, &"?{x} :- a{x\n".repeat(100_000));
    exercise(None, &format!("?{{{}}}", "1,".repeat(500_000)));
    exercise(None, &format!("?{{x}} :- a{{{}", "x y ".repeat(300_000)));
    exercise(None, &";".repeat(1 << 20));
    exercise(None, &"\n".repeat(1 << 20));
    exercise(None, &"// c\n".repeat(200_000));
    exercise(None, &"a ".repeat(500_000));
    let shown = exercise(None, &many(60, |_| "?{x} :- nowhere{x}; ".to_owned()));
    assert_eq!(shown.matches("no relation").count(), 60);
}

#[test]
fn a_tree_of_many_columns_and_a_head_of_many_trees() {
    let columns = many(3_000, |at| format!("x{at} = {at}, "));
    let trees = many(3_000, |at| format!("t{at}: one {{y}} :- event{{seq: y}} limit 1, "));
    exercise(None, &format!("?{{{trees}}} :- {columns} 1 = 1"));
    let mut text = String::from("?{a: x0");
    for at in 0..20_000 {
        let _ = write!(text, ", c{at}: count()");
    }
    exercise(None, &format!("{text}}} :- event{{seq: x0}}"));
    let sums = many(20_000, |at| format!("c{at}: sum(x) / count(), "));
    assert_eq!(exercise(None, &format!("?{{{sums}}} :- event{{seq: x}}")), "");
}

/// Pieces of texts, in any order.
fn soup() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "?{x} :- ",
        "?{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "{",
        ",",
        ":",
        ";",
        ".",
        "?",
        ":-",
        "=",
        "!=",
        "<",
        "<=",
        "+",
        "++",
        "-",
        "*",
        "/",
        "%",
        "??",
        "\n",
        "\n",
        " ",
        "not ",
        "and ",
        "or ",
        "in ",
        "is ",
        "null",
        "as of ",
        "valid ",
        "recorded ",
        "latest",
        "any",
        "many ",
        "one ",
        "having ",
        "order by ",
        "limit ",
        "offset ",
        "desc",
        "root r { ",
        "event ",
        "table 1 t { ",
        "index ",
        "view 1 v",
        "removed ",
        "add ",
        "put ",
        "delete ",
        "transaction { ",
        "expect ",
        "none",
        "some ",
        "exists",
        "at ",
        "explain ",
        "why ",
        "live ",
        "set ",
        "list ",
        "ref ",
        "int",
        "text",
        "counter",
        "lax ",
        "strict ",
        "x",
        "y",
        "key",
        "a{x}",
        "r.e{x}",
        "event{x}",
        "t{key: x}",
        "count()",
        "sum(x)",
        "first(x)",
        "lower(x)",
        "if(",
        "1",
        "2.5",
        "1e3",
        "90m",
        "\"text\"",
        "x\"00\"",
        "`q`",
        "$p",
        "#01JCZ6V9QYKX3M8T2B4N5P7R6S",
        "2026-03-01",
        "2026-03-01T12:00Z",
        "_",
        "// c\n",
        "é",
        "\\",
        "\"",
        "9223372036854775808",
    ]);
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn soup_of_tokens_is_read_or_refused(text in soup()) {
        exercise(None, &text);
    }

    #[test]
    fn what_was_begun_well_is_read_or_refused(text in soup(), end in soup()) {
        let schema = "root r { event 1 e { 1 x: int, 2 y: text? } }\ntable 1 t { 1 x: json }\n";
        exercise(None, &format!("{schema}?{{x}} :- r.e{{x, y}}, {text}\n{end}"));
        exercise(None, &format!("{schema}a{{x}} :- {text}\n?{{x, n: count()}} :- a{{x}} {end}"));
    }
}
