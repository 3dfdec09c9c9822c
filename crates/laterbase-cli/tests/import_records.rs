//! What the readers of `laterbase import` make of files: records, lines, numbers, refusals.
//!
//! Each case is a file's text and the report that a person would write down after reading it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::fmt::Write as _;
use std::ops::ControlFlow;

use laterbase_cli::import::{Format, Mapping, preserve, read_records};
use laterbase_cli::pointer::Pointer;
use laterbase_cli::time::TimeUnit;

/// Reads `text` and compares the report, line by line, with `expected`.
#[track_caller]
fn check(format: Format, each: Option<&str>, text: impl AsRef<[u8]>, expected: &str) {
    let each: Option<Pointer> = each.map(|each| each.parse().unwrap());
    let mut report = String::new();
    let mut input = text.as_ref();
    read_records(&mut input, format, each.as_ref(), &mut |item| {
        match item {
            Ok(record) => {
                writeln!(report, "{}:{} {}", record.line, record.number, record.json).unwrap();
            }
            Err(refused) => writeln!(report, "{}! {}", refused.line, refused.reason).unwrap(),
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(report.trim_end(), expected.trim_end());
}

#[test]
fn ndjson_lines_are_records_with_their_lines() {
    check(
        Format::Ndjson,
        None,
        "\u{feff}{\"a\":1}\n\n  {\"a\":2}  \r\n3",
        "1:1 {\"a\":1}\n3:2 {\"a\":2}\n4:3 3\n",
    );
}

#[test]
fn a_bad_ndjson_line_is_refused_and_the_next_is_read() {
    check(
        Format::Ndjson,
        None,
        b"{\"a\":}\n{\"b\":\"\xff\"}\n{\"c\":1} x\n{\"d\":4}\n{\"e\":",
        "1! not JSON: expected value at line 1, column 6\n\
         2! not UTF-8 from byte 6 of the record on; convert the file to UTF-8 first\n\
         3! not JSON: trailing characters at line 3, column 9\n\
         4:4 {\"d\":4}\n\
         5! not JSON: EOF while parsing a value at line 5, column 5",
    );
}

#[test]
fn a_json_array_is_its_elements_with_their_lines() {
    check(
        Format::Json,
        None,
        "[\n  {\"a\": 1},\n  {\"a\":\n 2}, 3\n]",
        "2:1 {\"a\": 1}\n3:2 {\"a\":\n 2}\n4:3 3",
    );
}

#[test]
fn each_picks_the_records_of_a_json_document() {
    let text = "{\"body\": {\n\"list\": [\n1,\n2\n]}}";
    check(Format::Json, Some("/body/list"), text, "3:1 1\n4:2 2");
    check(Format::Json, Some("/body/list/1"), text, "4:1 2");
    check(Format::Json, Some("/body/events"), text, "1! nothing at --each /body/events");
    check(Format::Json, Some(""), "{\"a\":1}", "1:1 {\"a\":1}");
}

#[test]
fn a_broken_json_document_is_refused_with_the_line_of_the_mistake() {
    check(
        Format::Json,
        None,
        "[\n1,\n2,\n",
        "4! not JSON: EOF while parsing a value at line 4, column 0",
    );
    check(
        Format::Json,
        None,
        b"[\n\"\xc3\x28\"]",
        "2! not UTF-8 from byte 3 of the record on; convert the file to UTF-8 first",
    );
    check(Format::Json, None, "", "");
}

#[test]
fn documents_one_after_the_other_are_read() {
    check(Format::Json, None, "{\"a\":\n1}\n{\"b\":2}", "1:1 {\"a\":\n1}\n3:2 {\"b\":2}");
}

#[test]
fn deep_nesting_is_no_danger() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let expected = format!("1:1 {deep}\n2:2 2");
    check(Format::Ndjson, None, format!("{deep}\n2\n"), &expected);
}

#[cfg(feature = "csv")]
#[test]
fn csv_rows_are_objects_of_strings() {
    check(
        Format::Csv { delimiter: b',' },
        None,
        "key,note\n007,\"two\nlines, \"\"quoted\"\"\"\nx,\n",
        "2:1 {\"key\":\"007\",\"note\":\"two\\nlines, \\\"quoted\\\"\"}\n\
         4:2 {\"key\":\"x\",\"note\":\"\"}",
    );
}

#[cfg(feature = "csv")]
#[test]
fn a_csv_row_that_does_not_fit_the_header_is_refused() {
    check(
        Format::Csv { delimiter: b';' },
        None,
        b"a;b\n1\n\xff;2\n3;4\n",
        "2! not a CSV row: 1 fields where the header has 2\n\
         3! not UTF-8 from byte 0 of the record on; convert the file to UTF-8 first\n\
         4:3 {\"a\":\"3\",\"b\":\"4\"}",
    );
    check(
        Format::Csv { delimiter: b',' },
        None,
        "a,a\n1,2\n",
        "1! not a CSV row: the header has \"a\" twice",
    );
}

#[cfg(feature = "csv")]
#[test]
fn an_unclosed_quote_does_not_swallow_the_file_into_memory() {
    let text = format!("a\nfine\n\"{}", "x".repeat(70 << 20));
    check(
        Format::Csv { delimiter: b',' },
        None,
        text,
        "2:1 {\"a\":\"fine\"}\n\
         3! longer than 67108864 bytes, the most that one record may have",
    );
}

#[test]
fn a_line_that_is_too_long_is_skipped() {
    let text = format!("\"{}\"\n7\n", "x".repeat(65 << 20));
    check(
        Format::Ndjson,
        None,
        text,
        "1! longer than 67108864 bytes, the most that one record may have\n2:2 7",
    );
}

/// Maps one record and compares what becomes of it.
#[track_caller]
fn check_mapping(change: impl FnOnce(&mut Mapping), json: &str, expected: &str) {
    let mut mapping = Mapping {
        root: "r".to_owned(),
        key: None,
        type_name: None,
        valid_at: None,
        time_unit: None,
        tags: Vec::new(),
        idempotency: None,
        data: None,
    };
    change(&mut mapping);
    let mut report = String::new();
    read_records(&mut json.as_bytes(), Format::Ndjson, None, &mut |record| {
        report = match mapping.draft(&record.unwrap(), "file#1") {
            Err(reason) => format!("refused: {reason}"),
            Ok(draft) => format!(
                "{:?} {} {:?} {:?} {} {}",
                draft.key,
                draft.type_name,
                draft.valid_at_micros,
                draft.tags.iter().map(|(root, key)| format!("{root}:{key}")).collect::<Vec<_>>(),
                String::from_utf8(draft.idempotency.unwrap()).unwrap(),
                String::from_utf8(draft.payload).unwrap(),
            ),
        };
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(report, expected);
}

fn pointer(text: &str) -> Option<Pointer> {
    Some(text.parse().unwrap())
}

#[test]
fn without_pointers_the_defaults_serve() {
    check_mapping(|_| {}, "{ \"a\" : 1.10 }", r#"None event None [] file#1 {"a":1.10}"#);
}

#[test]
fn pointers_fill_the_event() {
    check_mapping(
        |mapping| {
            mapping.key = pointer("/id");
            mapping.type_name = pointer("/kind");
            mapping.valid_at = pointer("/at");
            mapping.idempotency = pointer("/n");
            mapping.data = pointer("/d");
            mapping.tags = vec![
                ("truck".to_owned(), pointer("/trucks").unwrap()),
                ("site".to_owned(), pointer("/site").unwrap()),
                ("none".to_owned(), pointer("/none").unwrap()),
            ];
        },
        concat!(
            r#"{"id":4711,"kind":"left","at":"1970-01-01T00:00:01Z","n":1.0,"d":[1, 2],"#,
            r#""trucks":["a",null,7,""],"site":"x","none":null}"#
        ),
        r#"Some("4711") left Some(1000000) ["truck:a", "truck:7", "site:x"] 1.0 [1,2]"#,
    );
}

#[test]
fn what_must_be_there_refuses_and_what_may_be_missing_is_skipped() {
    check_mapping(
        |mapping| mapping.key = pointer("/id"),
        "{}",
        "refused: no key at /id (without --key each event's own id is its key)",
    );
    check_mapping(
        |mapping| mapping.type_name = pointer("/kind"),
        r#"{"kind":null}"#,
        "refused: no type at /kind (without --type every event is of type `event`)",
    );
    check_mapping(
        |mapping| mapping.valid_at = pointer("/at"),
        r#"{"at":""}"#,
        "refused: no valid time at /at \
         (without --valid-at the time of the import is the valid time)",
    );
    check_mapping(
        |mapping| mapping.idempotency = pointer("/n"),
        "{}",
        "None event None [] file#1 {}",
    );
    check_mapping(
        |mapping| mapping.tags = vec![("t".to_owned(), pointer("/o").unwrap())],
        r#"{"o":[{}]}"#,
        "refused: tag at /o is an array with an object in it; a string or a number is needed",
    );
}

#[test]
fn numbers_as_times_need_their_unit() {
    check_mapping(
        |mapping| mapping.valid_at = pointer("/at"),
        r#"{"at":17}"#,
        "refused: valid time: `17` is a number; \
         say what it counts since 1970 with --time-unit s, ms or us",
    );
    check_mapping(
        |mapping| {
            mapping.valid_at = pointer("/at");
            mapping.time_unit = Some(TimeUnit::Milliseconds);
        },
        r#"{"at":17}"#,
        r#"None event Some(17000) [] file#1 {"at":17}"#,
    );
}

#[track_caller]
fn check_preserve(json: &str, expected: &str) {
    let mut report = String::new();
    read_records(&mut json.as_bytes(), Format::Ndjson, None, &mut |record| {
        report = match preserve(&record.unwrap(), None, "file#1") {
            Err(reason) => format!("refused: {reason}"),
            Ok(draft) => format!("{draft:?}"),
        };
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(report.contains(expected), "{report}");
}

#[test]
fn preserve_refuses_what_it_would_lose() {
    let not = "refused: not an event as `laterbase read --format ndjson` writes it: ";
    check_preserve("{\"type\":\"x\",\"data\":1}", &format!("{not}it has no `root`"));
    check_preserve("{\"root\":\"r\",\"data\":1}", &format!("{not}missing field `type`"));
    check_preserve("{\"root\":\"r\",\"type\":\"x\"}", &format!("{not}it has neither"));
    check_preserve(
        "{\"root\":\"r\",\"type\":\"x\",\"data\":1,\"colour\":2}",
        &format!("{not}unknown field `colour`"),
    );
    check_preserve(
        "{\"root\":\"r\",\"type\":\"x\",\"data\":1,\"tags\":[\"a\"]}",
        "a tag is written root:key",
    );
}

#[test]
fn preserve_refuses_ids_that_are_none() {
    check_preserve(
        r#"{"id":"A","root":"r","type":"t","data":1}"#,
        "`id`: an event id has 26 characters",
    );
    check_preserve(r#"{"root":"r","type":"t","data":1,"cause":"B"}"#, "`cause`: an event id has");
}

#[test]
fn preserve_keeps_the_first_identity_in_meta() {
    let first = concat!(
        r#"{"id":"01ARZ3NDEK000E00000000001A","root":"r","key":"k","type":"t","data":1,"#,
        r#""tx":"2026-01-01T00:00:00Z","seq":3,"origin":"00"}"#
    );
    check_preserve(
        first,
        concat!(
            r#""origin.id": "01ARZ3NDEK000E00000000001A", "origin.replica": "00", "#,
            r#""origin.seq": "3", "origin.tx": "2026-01-01T00:00:00Z""#
        ),
    );
    let second = concat!(
        r#"{"id":"01ARZ3NDEK000E00000000001B","root":"r","key":"k","type":"t","data":1,"#,
        r#""seq":9,"meta":{"origin.id":"01ARZ3NDEK000E00000000001A"}}"#
    );
    check_preserve(second, r#"meta: {"origin.id": "01ARZ3NDEK000E00000000001A"}"#);
}
