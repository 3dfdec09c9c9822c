//! Holds the schemas of bodies against the structs that read them: the same members, each.
//!
//! A struct tells its members to whoever asks to read it; so nothing has to be written down twice.

use std::collections::BTreeSet;

use laterbase_json::EventIn;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor, value::Error};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use super::document::document;
use crate::read::selection;
use crate::write::{body, conditions};
use crate::{admin, consumers, peers};

/// Notes the members of the struct that is read from it, and gives nothing.
struct Spy<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Spy<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("no struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        members: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = members;
        Err(Error::custom("nothing is here"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn members_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut members: &'static [&'static str] = &[];
    assert!(T::deserialize(Spy(&mut members)).is_err(), "it was read from nothing");
    assert!(!members.is_empty(), "it is no struct");
    members
}

/// The members that a schema describes, whichever of its alternatives they belong to.
fn described(schema: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for part in [&schema["oneOf"], &schema["anyOf"]] {
        part.as_array().into_iter().flatten().for_each(|one| all.extend(described(one)));
    }
    all.extend(schema["properties"].as_object().into_iter().flat_map(|all| all.keys().cloned()));
    all
}

#[track_caller]
fn check(schema: &Value, members: &[&str]) {
    let members: BTreeSet<String> = members.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(described(schema), members);
}

#[test]
fn every_body_is_described_with_the_members_that_it_takes_and_no_others() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    check(&schemas["MakeDatabase"], members_of::<admin::MakeDatabase>());
    check(&schemas["EventIn"], members_of::<EventIn<'_>>());
    check(&schemas["RootedEventIn"], members_of::<EventIn<'_>>());
    check(&schemas["Body"]["oneOf"][2], members_of::<body::Envelope<'_>>());
    check(&schemas["RootedBody"]["oneOf"][2], members_of::<body::Envelope<'_>>());
    check(&schemas["FailIf"], members_of::<conditions::FailIf>());
    let item = &schemas["FailIf"]["oneOf"][0]["properties"]["items"]["items"];
    check(item, members_of::<conditions::Item>());
    check(&schemas["Changes"], &selection::NAMES);
    check(&schemas["WithWhom"], members_of::<peers::WithWhom>());
    check(&schemas["MakeConsumer"], members_of::<consumers::Make>());
    check(&schemas["Settle"], members_of::<consumers::Settle>());
    let rejected = &schemas["Settle"]["properties"]["reject"]["items"];
    check(rejected, members_of::<consumers::Rejected>());
}
