//! Which names are allowed, to the byte.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use laterbase_event::{
    Key, NameError, ParseTagError, RootName, Tag, TypeName, check_content_type, check_key,
    check_root, check_type_name,
};

fn too_long(bytes: usize, bytes_max: usize) -> Result<(), NameError> {
    Err(NameError::TooLong { bytes, bytes_max })
}

fn bad(index: usize, byte: u8) -> Result<(), NameError> {
    Err(NameError::Byte { index, byte })
}

#[test]
fn roots_take_lower_case_digits_and_three_marks() {
    assert_eq!(check_root("abcdefghijklmnopqrstuvwxyz0123456789_.-"), Ok(()));
    assert_eq!(check_root(&"a".repeat(64)), Ok(()));
    assert_eq!(check_root(""), Err(NameError::Empty));
    assert_eq!(check_root(&"a".repeat(65)), too_long(65, 64));
    assert_eq!(check_root("aB"), bad(1, b'B'));
    assert_eq!(check_root("a:b"), bad(1, b':'));
    assert_eq!(check_root("a/b"), bad(1, b'/'));
    assert_eq!(check_root("é"), bad(0, 0xC3));
}

#[test]
fn keys_take_any_text_without_control_characters() {
    assert_eq!(check_key("urn:epc:id:sgtin:0614141.107346.2017 / Ä 𝄞"), Ok(()));
    assert_eq!(check_key(&"k".repeat(255)), Ok(()));
    assert_eq!(check_key(""), Err(NameError::Empty));
    assert_eq!(check_key(&"k".repeat(256)), too_long(256, 255));
    assert_eq!(check_key("a\nb"), bad(1, b'\n'));
    assert_eq!(check_key("a\0"), bad(1, 0));
    assert_eq!(check_key("\x7f"), bad(0, 0x7F));
}

#[test]
fn types_have_a_lower_limit() {
    assert_eq!(check_type_name(&"t".repeat(128)), Ok(()));
    assert_eq!(check_type_name(&"t".repeat(129)), too_long(129, 128));
    assert_eq!(check_type_name(""), Err(NameError::Empty));
}

#[test]
fn content_types_may_be_empty() {
    assert_eq!(check_content_type(""), Ok(()));
    assert_eq!(check_content_type(&"c".repeat(255)), Ok(()));
    assert_eq!(check_content_type(&"c".repeat(256)), too_long(256, 255));
    assert_eq!(check_content_type("a\tb"), bad(1, b'\t'));
}

#[test]
fn owned_names_keep_their_rules_and_their_text() {
    assert_eq!(RootName::try_from("_sys").unwrap().as_str(), "_sys");
    assert!(RootName::try_from("_sys").unwrap().is_reserved());
    assert!(!RootName::try_from("sys_").unwrap().is_reserved());
    assert_eq!(RootName::try_from("A"), Err(NameError::Byte { index: 0, byte: b'A' }));
    assert_eq!("4711".parse::<Key>().unwrap().as_str(), "4711");
    assert_eq!(TypeName::try_from(String::new()), Err(NameError::Empty));
}

#[test]
fn roots_are_ordered_by_their_bytes() {
    let root = |name: &str| RootName::try_from(name).unwrap();
    assert!(root("a") < root("aa") && root("aa") < root("b"));
    assert_eq!(root("a"), root("a"));
}

#[test]
fn a_tag_is_divided_at_its_first_colon() {
    let tag: Tag = "epc:urn:epc:1".parse().unwrap();
    assert_eq!((tag.root.as_str(), tag.key.as_str()), ("epc", "urn:epc:1"));
    assert_eq!(tag.to_string(), "epc:urn:epc:1");
    assert_eq!("truck".parse::<Tag>(), Err(ParseTagError::NoColon));
    assert_eq!(":key".parse::<Tag>(), Err(ParseTagError::Root(NameError::Empty)));
    assert_eq!("truck:".parse::<Tag>(), Err(ParseTagError::Key(NameError::Empty)));
}

#[test]
fn a_control_character_is_found_wherever_it_stands() {
    for len in 1..40 {
        for at in 0..len {
            for byte in 0..=0x7F_u8 {
                let mut text = vec![b'~'; len];
                text[at] = byte;
                let text = String::from_utf8(text).unwrap();
                let expected = if byte.is_ascii_control() { bad(at, byte) } else { Ok(()) };
                assert_eq!(check_key(&text), expected);
            }
        }
        // Bytes above 7F are never taken for control characters.
        assert_eq!(check_key(&"é".repeat(len)), Ok(()));
    }
}
