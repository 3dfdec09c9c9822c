//! What is made of a schema, as golden text that a person has read.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says where")]

use std::path::Path;

use laterbase_generate::{Clash, Source, rust, typescript};
use laterbase_lang::{has_errors, parse, schema};

type Generator = fn(&Source<'_>) -> Result<String, Clash>;

fn made(text: &str, generator: Generator) -> Result<String, Clash> {
    let parsed = parse(text);
    let (declared, mistakes) = schema::declare(&parsed.statements);
    let mistakes = [parsed.diagnostics, mistakes].concat();
    assert!(!has_errors(&mistakes), "{text}: {mistakes:#?}");
    generator(&Source {
        name: "schema.later",
        text,
        schema: &declared,
        canonical: text,
        hash: "0123456789abcdef",
    })
}

#[track_caller]
fn check_golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(actual == expected, "differs from tests/golden/{name}; review with UPDATE_GOLDEN=1");
}

#[test]
fn a_schema_becomes_a_module() {
    let text = include_str!("golden/schema.later");
    check_golden("schema.rs", &made(text, rust).unwrap());
    check_golden("schema.ts", &made(text, typescript).unwrap());
    // The same schema gives the same bytes.
    assert_eq!(made(text, rust), made(text, rust));
}

#[test]
fn names_that_would_be_one_are_refused() {
    for (text, said) in [
        ("root `a.b` { event 1 x }\nroot a_b { event 1 x }", "`a_b`"),
        ("root r { event 1 x { 1 aB: int, 2 a_b: int } }", "`a_b`"),
        ("root r { event 1 left_late\nevent 2 leftLate }", "`LeftLate`"),
        ("table 1 t { 1 tags: set text, 2 tags_insert: text }", "`tags_insert`"),
        ("table 1 t { 1 new: text }", "`new`"),
        ("table 1 t { 1 Key: text }", "`key`"),
    ] {
        let clash = made(text, rust).unwrap_err();
        assert!(clash.to_string().contains(said), "{text}: {clash}");
    }
    for (text, said) in [
        ("root a { event 1 b_c }\nroot a_b { event 1 c }", "`ABC`"),
        ("table 1 client { 1 x: int }", "`Client`"),
        ("table 1 t { 1 aB: int, 2 a_b: int }", "`aB`"),
    ] {
        let clash = made(text, typescript).unwrap_err();
        assert!(clash.to_string().contains(said), "{text}: {clash}");
    }
}

#[test]
fn words_of_the_language_become_names() {
    let text = "root match { event 1 string { 1 type: text, 2 self: int, 3 `名`: bool } }";
    let module = made(text, rust).unwrap();
    for part in [
        "pub mod r#match {",
        "pub struct StringEvent {",
        "pub r#type: String,",
        "#[serde(rename = \"self\", with",
        "pub self_: i64,",
        "#[serde(rename = \"名\", with",
        "pub field_3: bool,",
        "`名`: f3",
    ] {
        assert!(module.contains(part), "{part} in:\n{module}");
    }
}
