//! No file makes an import panic, hang or lose its place: whatever the bytes, every record that
//! comes out is JSON, stands on a line of the file and is numbered in order, and what becomes an
//! event has a payload that is JSON on one line.
#![no_main]

use std::ops::ControlFlow;

use laterbase_cli::import::{Format, Mapping, preserve, read_records};
use laterbase_cli::time::TimeUnit;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, mut rest)) = bytes.split_first() else { return };
    // The file's text ends at a zero byte, if there is one; behind it stands the pointer.
    let (text, pointer) = match rest.iter().position(|byte| *byte == 0) {
        Some(end) => (&rest[..end], std::str::from_utf8(&rest[end + 1..]).unwrap_or("/a")),
        None => (rest, "/a"),
    };
    rest = text;
    let format = match choice % 4 {
        0 => Format::Json,
        1 => Format::Ndjson,
        2 => Format::Csv { delimiter: b',' },
        _ => Format::of_bytes(text),
    };
    let Ok(pointer) = pointer.parse::<laterbase_cli::pointer::Pointer>() else { return };
    let with_pointer = choice & 4 == 0;
    let mapping = Mapping {
        root: "r".to_owned(),
        key: with_pointer.then(|| pointer.clone()),
        type_name: None,
        valid_at: (choice & 8 == 0).then(|| pointer.clone()),
        time_unit: (choice & 16 == 0).then_some(TimeUnit::Milliseconds),
        tags: vec![("t".to_owned(), pointer.clone())],
        idempotency: Some(pointer.clone()),
        data: (choice & 32 == 0).then(|| pointer.clone()),
    };
    let each = (choice & 64 == 0).then_some(&pointer);
    let lines = text.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
    let mut last = 0;
    let read = read_records(&mut rest, format, each, &mut |item| {
        match item {
            Err(refused) => {
                assert!((1..=lines).contains(&refused.line), "{} of {lines}", refused.line);
                assert!(!refused.reason.to_string().is_empty());
            }
            Ok(record) => {
                assert!((1..=lines).contains(&record.line), "{} of {lines}", record.line);
                assert!(record.number > last);
                last = record.number;
                if let Ok(draft) = mapping.draft(&record, "file#1") {
                    let Ok(payload) = std::str::from_utf8(&draft.payload) else {
                        panic!("a payload that is no text")
                    };
                    assert!(!payload.contains('\n'));
                    assert!(is_one_record(payload), "{payload}");
                }
                let _event_or_reason = preserve(&record, Some("r"), "file#1");
            }
        }
        ControlFlow::Continue(())
    });
    assert!(read.is_ok(), "memory does not fail");
});

fn is_one_record(text: &str) -> bool {
    let mut records = 0;
    let read = read_records(&mut text.as_bytes(), Format::Ndjson, None, &mut |item| {
        records += if item.is_ok() { 1 } else { 1_000 };
        ControlFlow::Continue(())
    });
    read.is_ok() && records == 1
}
