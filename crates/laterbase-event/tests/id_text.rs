//! The text forms of ids: exact, ordered, and forgiving only where the documentation says so.

#![allow(clippy::unwrap_used, reason = "tests")]

use laterbase_event::{
    DatabaseId, EventId, Hash, Hlc, ParseEventIdError, ParseHexError, ReplicaId,
};
use proptest::prelude::*;

fn check(text: &str, expected: Result<u128, ParseEventIdError>) {
    assert_eq!(text.parse::<EventId>().map(EventId::as_u128), expected, "{text}");
}

#[test]
fn the_least_and_the_greatest_id_have_their_texts() {
    assert_eq!(EventId::from_u128(0).to_string(), "00000000000000000000000000");
    assert_eq!(EventId::from_u128(u128::MAX).to_string(), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    check("00000000000000000000000000", Ok(0));
    check("7ZZZZZZZZZZZZZZZZZZZZZZZZZ", Ok(u128::MAX));
}

#[test]
fn the_time_of_the_ulid_specifications_example_is_read() {
    let id: EventId = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    assert_eq!(id.hlc().millis(), 1_469_922_850_259);
    assert_eq!(id.to_string(), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
}

#[test]
fn a_first_character_above_seven_overflows() {
    check("8ZZZZZZZZZZZZZZZZZZZZZZZZZ", Err(ParseEventIdError::Overflow));
    check("ZZZZZZZZZZZZZZZZZZZZZZZZZZ", Err(ParseEventIdError::Overflow));
}

#[test]
fn lower_case_and_aliases_are_read() {
    check("0000000000000000000000000a", Ok(10));
    for one in ["1", "i", "I", "l", "L"] {
        check(&format!("0000000000000000000000000{one}"), Ok(1));
    }
    for zero in ["0", "o", "O"] {
        check(&format!("0000000000000000000000001{zero}"), Ok(32));
    }
}

#[test]
fn other_characters_and_lengths_are_refused() {
    for other in ["U", "u", "-", " ", "!", "\0"] {
        let digit = ParseEventIdError::Digit { index: 25 };
        check(&format!("0000000000000000000000000{other}"), Err(digit));
    }
    check("", Err(ParseEventIdError::Length { found: 0 }));
    check("0000000000000000000000000", Err(ParseEventIdError::Length { found: 25 }));
    check("000000000000000000000000000", Err(ParseEventIdError::Length { found: 27 }));
    // 26 bytes, but 25 characters.
    check("000000000000000000000000é", Err(ParseEventIdError::Digit { index: 24 }));
}

#[test]
fn hexadecimal_ids_are_read_in_either_case() {
    let replica = ReplicaId::from_u64(0xABCD_EF01_2345_6789);
    assert_eq!(replica.to_string(), "abcdef0123456789");
    assert_eq!("ABCDEF0123456789".parse(), Ok(replica));
    let database = DatabaseId::from_bytes([0x0F; 16]);
    assert_eq!(database.to_string(), "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f");
    assert_eq!(database.to_string().parse(), Ok(database));
    assert_eq!(Hash::of(b"x").to_string().parse(), Ok(Hash::of(b"x")));
}

#[test]
fn damaged_hexadecimal_ids_are_refused() {
    let length = ParseHexError::Length { expected: 16, found: 15 };
    assert_eq!("abcdef012345678".parse::<ReplicaId>(), Err(length));
    let digit = ParseHexError::Digit { index: 3 };
    assert_eq!("abcgef0123456789".parse::<ReplicaId>(), Err(digit));
    assert_eq!("+bcdef0123456789".parse::<ReplicaId>(), Err(ParseHexError::Digit { index: 0 }));
}

proptest! {
    #[test]
    fn an_id_is_read_from_its_text(value in any::<u128>()) {
        let id = EventId::from_u128(value);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert_eq!(id.to_string().to_lowercase().parse(), Ok(id));
        prop_assert_eq!(EventId::new(id.hlc(), id.replica()), id);
    }

    #[test]
    fn ids_and_their_texts_have_one_order(left in any::<u128>(), right in any::<u128>()) {
        let (left, right) = (EventId::from_u128(left), EventId::from_u128(right));
        prop_assert_eq!(left.cmp(&right), left.to_string().cmp(&right.to_string()));
        let parts = |id: EventId| (id.hlc(), id.replica());
        prop_assert_eq!(left.cmp(&right), parts(left).cmp(&parts(right)));
    }

    #[test]
    fn any_text_is_refused_or_has_one_canonical_form(text in "\\PC{0,30}|[0-9A-Za-z]{26}") {
        if let Ok(id) = text.parse::<EventId>() {
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(id.to_string().len(), text.len());
        }
    }

    #[test]
    fn adding_to_a_clock_value_is_adding_to_its_integer(
        value in any::<u64>(), more in any::<u64>(),
    ) {
        let sum = Hlc::from_u64(value).checked_add(more).map(Hlc::as_u64);
        prop_assert_eq!(sum, value.checked_add(more));
    }
}
