//! The module that is checked in is the one that is made today.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use laterbase::SchemaHash;
use laterbase::ask::{canonical, schema_of};
use laterbase_generate::Source;

#[test]
fn the_module_is_what_the_generator_makes_of_the_schema() {
    let text = include_str!("../schema.later");
    let schema = schema_of(text).unwrap();
    let canonical = canonical(&schema);
    let hash = SchemaHash::of(&canonical).to_string();
    let source =
        Source { name: "schema.later", text, schema: &schema, canonical: &canonical, hash: &hash };
    let made = laterbase_generate::rust(&source).unwrap();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/schema.rs");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file, made).unwrap();
        return;
    }
    assert!(
        made == include_str!("../src/schema.rs"),
        "make it again: laterbase generate rust examples/typed/schema.later --out {file}"
    );
}
