//! Layout of every text of the golden files, and of random ones.

use proptest::prelude::*;

use super::{laid_out, marks::Marks, tree::Source};
use crate::parser::parse;
use crate::token::tokens;

/// That a text is laid out, if it can be read, that this says the same, and changes nothing more
/// when done again.
fn check(text: &str) -> bool {
    let Ok((formatted, is_same)) = laid_out(text) else { return false };
    assert!(is_same, "it says something else:\n{text}\n---\n{formatted}");
    let (again, _) = laid_out(&formatted).unwrap();
    assert_eq!(again, formatted, "formatted twice:\n{text}");
    assert_eq!(syntax(text), syntax(&formatted), "syntax:\n{text}\n---\n{formatted}");
    assert!(formatted.lines().all(|line| !line.ends_with(' ')), "blanks at an end:\n{formatted}");
    assert!(!formatted.contains("\n\n\n"), "empty lines:\n{formatted}");
    true
}

/// The syntax of a text, without where it stands.
fn syntax(text: &str) -> String {
    let written = format!("{:?}", parse(text).statements);
    let mut parts = written.split("Span { start: ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |found, part| found + part.split_once('}').map_or("", |(_, rest)| rest))
}

#[test]
fn every_golden_text_is_laid_out_once_and_for_all() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let mut formatted = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        for file in std::fs::read_dir(entry.unwrap().path()).unwrap() {
            let file = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for case in file.split("\n# ").skip(1) {
                let (_, body) = case.split_once('\n').unwrap();
                let (text, answer) = body.split_once("---\n").unwrap_or((body, ""));
                let (old, new) = text.split_once("===\n").unwrap_or((text, ""));
                for text in [old, new, answer] {
                    formatted += usize::from(check(text));
                }
            }
        }
    }
    assert!(formatted > 300, "{formatted} texts could be read");
}

#[test]
fn what_cannot_be_read_is_refused_with_its_mistakes() {
    for text in ["?{x :- a{x}", "\"open", "root r { event a }", "`", "?{x} :- a{x} ?{y}"] {
        let told = crate::format(text).unwrap_err();
        assert!(!told.is_empty(), "{text}");
    }
}

#[test]
fn a_text_that_says_something_else_is_told_from_its_source() {
    let differs = |a: &str, b: &str| {
        let (source, other) = (Source::new(a, tokens(a)), Source::new(b, tokens(b)));
        let marks = |source: &Source<'_>, text| Marks::of(source, &parse(text).statements);
        !source.says_the_same(&other) || marks(&source, a) != marks(&other, b)
    };
    assert!(differs("?{x} :- a{x}", "?{x} :- a{x};"));
    assert!(differs("?{x} :- a{x} // b", "?{x} :- a{x}"));
    assert!(differs("?{x} :- a{x} having {y} = z", "?{x} :- a{x}\nhaving {y} :- z"));
    assert!(!differs("?{x} :- a{x} // b", "?{x}\n:-  a{x}// b"));
    let (a, b) = ("?{x} :- a{x}\n// b", "?{x} :- a{x} // b");
    assert!(differs(a, b) || crate::format(a) != crate::format(b));
}

/// Texts of the grammar, with blanks, ends of lines and comments where they may stand.
fn program() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("a"),
        Just("key"),
        Just("limit"),
        Just("valid"),
        Just("order_of_things"),
        Just("`odd one`"),
        Just("x"),
        Just("removed"),
        Just("not_this_one_which_is_long"),
    ];
    let leaf = prop_oneof![
        name.clone().prop_map(str::to_owned),
        prop_oneof![
            Just("1"),
            Just("-5"),
            Just("1_000.50"),
            Just("\"text, with { signs }\""),
            Just("2026-03-01"),
            Just("$since"),
            Just("null"),
            Just("x\"00\""),
            Just("1h30m"),
        ]
        .prop_map(str::to_owned),
    ];
    let expression = leaf.prop_recursive(4, 24, 4, |inner| {
        let two = (inner.clone(), inner.clone());
        let many = proptest::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            (
                two,
                prop_oneof![
                    Just("+"),
                    Just("-"),
                    Just("*"),
                    Just("and"),
                    Just("or"),
                    Just("??"),
                    Just("++"),
                ]
            )
                .prop_map(|((a, b), sign)| format!("({a} {sign} {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} and {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} <= {b})")),
            inner.clone().prop_map(|a| format!("(not {a})")),
            inner.clone().prop_map(|a| format!("- {a}")),
            inner.clone().prop_map(|a| format!("({a} is not null)")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}).f[{b}]")),
            many.clone().prop_map(|all| format!("f({})", all.join(" , "))),
            many.clone().prop_map(|all| format!("[{}]", all.join(","))),
            many.clone().prop_map(|all| format!("set [{}]", all.join(","))),
            inner.prop_map(|a| format!("{{b: {a}, c}}")),
        ]
    });
    let field =
        (name.clone(), proptest::option::of(expression.clone())).prop_map(|(name, value)| {
            match value {
                Some(value) => format!("{name}: {value}"),
                None => name.to_owned(),
            }
        });
    let fields = proptest::collection::vec(field, 0..4).prop_map(|all| all.join(", "));
    let times = prop_oneof![
        3 => Just(String::new()),
        1 => Just(" as of recorded $t".to_owned()),
        1 => expression.clone().prop_map(|it| format!(" valid in [{it}, ) as p")),
        1 => Just(" as of latest valid any".to_owned()),
    ];
    let literal = prop_oneof![
        3 => (name.clone(), fields.clone()).prop_map(|(name, it)| format!("{name}.seen{{{it}}}")),
        1 => (fields.clone(), times.clone()).prop_map(|(it, times)| format!("(b{{{it}}}{times})")),
        1 => (fields.clone(), fields.clone())
            .prop_map(|(a, b)| format!("not (c{{{a}}}, d{{{b}}})")),
        1 => fields.clone().prop_map(|it| format!("not e{{{it}}}")),
        2 => expression.clone(),
    ];
    let body = proptest::collection::vec(literal, 1..5).prop_map(|all| all.join(", "));
    let clauses = (expression.clone(), expression, times.clone()).prop_flat_map(|(a, b, times)| {
        prop_oneof![
            Just(times.clone()),
            Just(format!(" having {a} order by {b} desc, key limit 5{times}")),
            Just(format!(" offset 3{times} limit {a}")),
        ]
    });
    let query = (fields.clone(), body.clone(), clauses)
        .prop_map(|(head, body, clauses)| format!("?{{{head}}} :- {body}{clauses}"));
    let tree = query.clone().prop_map(|it| it.replacen('?', "?{a, tree: many ", 1) + "} :- b{a}");
    let mutation = (fields.clone(), body.clone(), times.clone())
        .prop_map(|(it, body, times)| format!("put t{{n: +5, m: -\"x\", {it}}} :- {body}{times}"));
    let rule =
        (name, fields, body).prop_map(|(name, it, body)| format!("{name}{{{it}}} :- {body}"));
    let steps = proptest::collection::vec(prop_oneof![mutation.clone(), rule.clone()], 0..3);
    let transaction = (steps, times)
        .prop_map(|(steps, times)| format!("transaction{times} {{\n{}\n}}", steps.join("\n")));
    let schema = Just("root r { event 1 a { 1 x: int? = 5, removed 2, 3 }\nevent 2 b }".to_owned());
    let statement = prop_oneof![4 => query, 2 => tree, 2 => rule, 1 => mutation, 1 => transaction,
        1 => schema];
    let separator = prop_oneof![Just("\n"), Just(";"), Just("\n\n\n// between\n\n"), Just(" ;;\n")];
    proptest::collection::vec((statement, separator), 1..4)
        .prop_map(|all| all.into_iter().map(|(it, end)| it + end).collect())
}

/// A text with other white space: blanks become what the numbers say.
fn spaced(text: &str, numbers: &[u8]) -> String {
    let mut numbers = numbers.iter().cycle();
    let mut inside = false;
    text.chars()
        .map(|letter| {
            inside ^= matches!(letter, '"' | '`');
            if letter != ' ' || inside {
                return letter.to_string();
            }
            match numbers.next() {
                Some(0) => "\n".to_owned(),
                Some(1) => " // said\n  ".to_owned(),
                Some(2) => "\n\n// on its own\n".to_owned(),
                Some(3) => "   ".to_owned(),
                Some(_) | None => " ".to_owned(),
            }
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_texts_say_the_same_in_their_layout(
        text in program(),
        numbers in proptest::collection::vec(0_u8..40, 64),
    ) {
        prop_assert!(check(&text), "{text}");
        check(&spaced(&text, &numbers));
    }
}
