//! Whatever a builder takes is read back as it was given, and verifies.
#![no_main]

use laterbase_event::{BatchView, Limits};
use laterbase_fuzz::{Drafts, builder, exercise, read_all, stamp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|drafts: Drafts| {
    let mut batch = builder();
    let taken: Vec<_> = drafts.iter().filter(|draft| draft.push_to(&mut batch).is_ok()).collect();
    let body = batch.finish();
    let Ok(header) = body.stamp(&stamp()) else { return };
    let mut bytes = Vec::new();
    let hash = body.write_batch(&header, &mut bytes);
    let Ok(view) = BatchView::parse(&bytes) else { panic!("a written batch parses") };
    assert_eq!(view.verify(Limits::default()), Ok(hash));
    assert!(exercise(&bytes));
    let events = read_all(&view);
    assert_eq!(events.len(), taken.len());
    assert!(taken.iter().zip(&events).all(|(draft, event)| draft.is(event)));
});
