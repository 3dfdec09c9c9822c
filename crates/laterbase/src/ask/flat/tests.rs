//! The reader of flat objects beside `serde_json`, on payloads of all kinds: where it answers at
//! all, it answers the same.

use std::sync::Arc;

use super::*;
use crate::ask::payload::json_fields;

/// Two names of today, the first of which was called otherwise before, and one that is no word.
fn wanted() -> Vec<Wanted> {
    let named = |name, cell, is_former| Wanted::of_many(Arc::from(name), cell, is_former);
    vec![named("a", 0, false), named("old", 0, true), named("bé", 1, false), named("", 2, false)]
}

fn flat(payload: &[u8], names: &[Wanted]) -> Option<Vec<Value>> {
    let mut cells = [const { Cell::Absent }; 3];
    let is_read = read(payload, names, &mut cells);
    is_read.then(|| cells.iter().map(Cell::to_value).collect())
}

fn by_serde(payload: &[u8], names: &[Wanted]) -> Vec<Value> {
    let mut cells = [const { Cell::Absent }; 3];
    json_fields(payload, names, &mut cells);
    cells.iter().map(Cell::to_value).collect()
}

/// Whether all names were read here; what was read of all, or of one, is what `serde_json` reads.
fn check(payload: &[u8]) -> bool {
    let names = wanted();
    let (first, of_one) = (names.get(..1).unwrap(), names.get(..2).unwrap());
    let mut is_read = false;
    for names in [first, of_one, &names] {
        let read = flat(payload, names);
        is_read = read.is_some();
        if let Some(read) = read {
            let expected = by_serde(payload, names);
            let shown = String::from_utf8_lossy(payload);
            // As they are written too: `1.0` is not `1`, though they are equal.
            assert_eq!(format!("{read:?}"), format!("{expected:?}"), "{shown}");
        }
    }
    is_read
}

struct Random(u64);

impl Random {
    fn below(&mut self, count: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % count
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }
}

const SPACES: [&str; 8] = ["", "", "", "", " ", "\n\t", "\r", "  "];
const NAMES: [&str; 10] =
    ["a", "old", "bé", "", "b", "aa", "\\u0061", "other", "a\\n", "schlüssel"];
const VALUES: [&str; 24] = [
    "null",
    "true",
    "false",
    "\"\"",
    "\"NLRTM\"",
    "\"a text that is longer than eight bytes\"",
    "\"é and ü, 語 and 🚢\"",
    "\"with \\\"quotes\\\" and \\\\\"",
    "\"\\u00e9\\ud83d\\udea2\"",
    "\"\\ud83d\"",
    "\"a\": \"b",
    "{}",
    "[]",
    "{\"a\": 1, \"old\": [2]}",
    "[{\"a\": [1, 2, {\"x\": \"}\"}]}, \"]\"]",
    "[1 2]",
    "{\"a\" 1}",
    "nul",
    "truefalse",
    "\"\u{1}\"",
    "\"\u{7f}\"",
    "NaN",
    "'a'",
    "",
];

/// A number as JSON may have it, and now and then not.
fn number(random: &mut Random) -> String {
    let mut digits = |most: u64| -> String {
        (0..random.below(most + 1)).map(|_| char::from(b'0' + random.below(10) as u8)).collect()
    };
    let (whole, fraction, exponent) = (digits(22), digits(22), digits(3));
    let whole = match random.below(4) {
        0 => String::from("0"),
        1 => whole.chars().take(3).collect(),
        _ => whole,
    };
    let sign = random.one(&["", "", "-", "+"]);
    let point = match random.below(4) {
        0 => format!(".{fraction}"),
        1 => format!(".{}", fraction.chars().take(3).collect::<String>()),
        2 => format!(".{}", random.one(&["0", "00", "50", "500", "5"])),
        _ => String::new(),
    };
    let power = match random.below(8) {
        0 => format!("{}{}{exponent}", random.one(&["e", "E"]), random.one(&["", "-", "+"])),
        _ => String::new(),
    };
    format!("{sign}{whole}{point}{power}")
}

fn payload(random: &mut Random) -> String {
    let mut text = String::from(random.one(&SPACES));
    text.push('{');
    for at in 0..random.below(7) {
        if at > 0 {
            text.push_str(random.one(&SPACES));
            text.push_str(random.one(&[",", ",", ",", ",", ",", ",", ",", ",,", ""]));
        }
        let value = match random.below(3) {
            0 => number(random),
            // The first ones are what most payloads hold.
            1 => random.one(&VALUES[..7]).to_owned(),
            _ => random.one(&VALUES).to_owned(),
        };
        let parts = [random.one(&SPACES), random.one(&NAMES), random.one(&SPACES)];
        let [before, name, behind] = parts;
        text.push_str(&format!("{before}\"{name}\"{behind}:{before}{value}{behind}"));
    }
    text.push_str(random.one(&["}", "}", "}", "}", "} ", "}x", "]", ""]));
    text
}

#[test]
fn what_is_read_is_what_serde_reads() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut read = 0;
    for _ in 0..60_000 {
        read += u32::from(check(payload(&mut random).as_bytes()));
    }
    // Most of it is hostile; enough of it is not.
    assert!(read > 6_000, "{read}");
}

#[test]
fn what_ends_early_or_holds_other_bytes_is_read_as_serde_reads_it() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for _ in 0..1_500 {
        let mut bytes = payload(&mut random).into_bytes();
        for len in 0..bytes.len() {
            check(&bytes[..len]);
        }
        for _ in 0..bytes.len() {
            let at = random.below(bytes.len() as u64) as usize;
            let other = match random.below(3) {
                0 => random.below(256) as u8,
                1 => random.one(&["\"", "\\", "{", "}", ",", ":", "0", "."]).as_bytes()[0],
                _ => 0x80 | random.below(128) as u8,
            };
            let before = std::mem::replace(&mut bytes[at], other);
            check(&bytes);
            bytes[at] = before;
        }
    }
}

#[test]
fn every_byte_is_found_at_every_place_of_a_text() {
    for byte in 0..=255 {
        for at in 0..20 {
            for behind in [0, 9] {
                let mut text = vec![b'x'; at];
                text.push(byte);
                text.extend(vec![b'y'; behind]);
                for name in ["a", "z"] {
                    let mut payload = format!("{{\"{name}\":\"").into_bytes();
                    payload.extend(&text);
                    payload.extend(b"\",\"b\xc3\xa9\":1}");
                    check(&payload);
                    let mut payload = b"{\"".to_vec();
                    payload.extend(&text);
                    payload.extend(b"\":2,\"a\":1}");
                    check(&payload);
                }
            }
        }
    }
}

#[test]
fn numbers_are_what_their_doubles_are_read_back_as() {
    let mut random = Random(0xda94_2042_e4dd_58b5);
    let mut read = 0;
    for _ in 0..100_000 {
        let number = number(&mut random);
        read += u32::from(check(format!("{{\"a\":{number}}}").as_bytes()));
    }
    assert!(read > 20_000, "{read}");
    // The greatest that are read here, and the least that are not.
    for (number, is_read) in [
        ("-0", true),
        ("-0.0", true),
        ("0.1", true),
        ("1.50", true),
        ("-120.00", true),
        ("00", false),
        ("01", false),
        ("1.", false),
        (".5", false),
        ("2e2", false),
        ("99999999999999.9", true),
        ("999999999999999.5", false),
        ("9007199254740993.0", false),
        ("999999999999999999", true),
        ("-999999999999999999", true),
        ("9223372036854775807", false),
        ("18446744073709551616", false),
        ("0.00000000000000001", true),
        ("0.000000000000000001", false),
    ] {
        assert_eq!(check(format!("{{\"a\":{number}}}").as_bytes()), is_read, "{number}");
        assert!(check(format!("{{\"z\":{number}}}").as_bytes()) || !is_read, "{number}");
    }
}

#[test]
fn a_name_that_comes_again_with_escapes_is_not_overlooked() {
    let payload = r#"{"":0,"bé":0,"a":1,"\u0061":2}"#.as_bytes();
    assert!(!check(payload));
    assert_eq!(by_serde(payload, &wanted())[0], Value::Int(2));
}

#[test]
fn payloads_of_every_day_are_read_here() {
    for (payload, expected) in [
        (r#"{"a":"x","b":{"a":2},"bé":17.5,"n":[1,[]]}"#, ["\"x\"", "17.5", "null"]),
        (r#"{"":0,"a":1,"bé":0,"n":{"a":3},"x":"a","a":2}"#, ["2", "0", "0"]),
        (r#"{"":0,"a":1,"bé":0,"n":{"a":3},"x":"a"}"#, ["1", "0", "0"]),
        (r#"{"":0,"a":1,"bé":0,"a":null,"old":3}"#, ["3", "0", "0"]),
        (r#"{"":0,"old":1,"bé":0,"a":4}"#, ["4", "0", "0"]),
        (r#"{"a":1,"a":2}"#, ["2", "null", "null"]),
        (r#"{"a":1,"a":null}"#, ["null", "null", "null"]),
        (r#"{"old":1,"a":2}"#, ["2", "null", "null"]),
        (r#"{"a":2,"old":1}"#, ["2", "null", "null"]),
        (r#"{"a":null,"old":1}"#, ["1", "null", "null"]),
        (r#"{"":true,"e":1.5e300}"#, ["null", "null", "true"]),
        (" { } ", ["null", "null", "null"]),
    ] {
        assert!(check(payload.as_bytes()), "{payload}");
        let read = flat(payload.as_bytes(), &wanted()).unwrap();
        assert_eq!(read.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{payload}");
    }
}
