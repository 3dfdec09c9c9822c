//! Reads a batch in every way there is; none may panic, and all must agree.

use laterbase_event::{BatchDirectory, BatchView, DecodeScratch, Event, Limits};

/// The events of a batch in order, up to the first that makes no sense.
#[must_use]
pub fn read_all(view: &BatchView<'_>) -> Vec<Event> {
    let mut scratch = DecodeScratch::default();
    let mut out = Vec::new();
    let Ok(mut events) = view.events(&mut scratch) else { return out };
    while let Ok(Some(event)) = events.next() {
        out.push(Event::from(&event));
    }
    out
}

/// Reads the batch in every way and returns whether it verifies.
///
/// # Panics
/// If two ways of reading disagree about an accepted batch.
#[must_use]
pub fn exercise(bytes: &[u8]) -> bool {
    let directory = BatchDirectory::parse_prefix(bytes);
    let Ok(view) = BatchView::parse(bytes) else { return false };
    let accepted = view.verify(Limits::default()).is_ok();
    let all = read_all(&view);
    assert!(!accepted || all.len() == view.header().count as usize);
    let mut scratch = DecodeScratch::default();
    let Ok(directory) = directory else {
        assert!(!accepted);
        return false;
    };
    for index in 0..directory.header().count.min(200) {
        let event = directory.group_ranges(index).ok().and_then(|ranges| {
            let group = bytes.get(ranges.envelopes)?;
            let envelope = directory.decode_event(index, group, &mut scratch).ok()?;
            let range = envelope.payload_range();
            let payload = view.payloads().get(range)?;
            envelope.with_payload(payload).map(|event| Event::from(&event))
        });
        assert!(!accepted || event.as_ref() == all.get(index as usize));
    }
    accepted
}
