//! The events: a payload of 256 bytes of JSON, a key and a tag that no other event has.

use std::fmt::Write;

/// Bytes of each payload.
pub const PAYLOAD_BYTES: usize = 256;

const TYPES: [&str; 4] = ["booked", "departed", "scanned", "delivered"];

/// One event, as a program would hand it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// One of four.
    pub type_name: &'static str,
    /// Of 16 bytes, of this event alone.
    pub key: String,
    /// `item:` and 16 hexadecimal digits, of this event alone.
    pub tag: String,
    /// A JSON object.
    pub payload: String,
}

/// The endless events of one client.
#[derive(Debug, Clone)]
pub struct Source {
    client: usize,
    next: u64,
}

impl Source {
    /// Clients with different numbers make different events.
    pub fn new(client: usize) -> Self {
        Self { client, next: 0 }
    }

    /// The next `count` events.
    pub fn take(&mut self, count: usize) -> Vec<Event> {
        (0..count).map(|_| self.event()).collect()
    }

    fn event(&mut self) -> Event {
        let (client, number) = (self.client, self.next);
        self.next += 1;
        // Spread, so that no server can profit from tags that come in order.
        let mixed = mix(((client as u64) << 48) | number);
        let mut payload = String::with_capacity(PAYLOAD_BYTES);
        // Writing into a string does not fail.
        let _ = write!(
            payload,
            concat!(
                r#"{{"device":"d-{:05}","reading":{{"temperature":{}.{},"humidity":{}}},"#,
                r#""position":[{}.{:06},{}.{:06}],"battery":{},"sequence":{},"#,
                r#""operator":"o-{:04}","remark":"routine check, seal intact","filler":""#,
            ),
            mixed % 20_000,
            mixed % 40,
            mixed % 10,
            mixed % 100,
            mixed % 90,
            mixed % 1_000_000,
            mixed % 180,
            mixed % 999_983,
            mixed % 101,
            number,
            mixed % 3_000,
        );
        while payload.len() < PAYLOAD_BYTES - 2 {
            payload.push(char::from(b'a' + (payload.len() % 26) as u8));
        }
        payload.push_str("\"}");
        Event {
            type_name: TYPES.get((mixed % 4) as usize).copied().unwrap_or("booked"),
            key: format!("c{client:03}-{number:011}"),
            tag: format!("item:{mixed:016x}"),
            payload,
        }
    }
}

/// SplitMix64's finalizer: different numbers stay different.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn payloads_have_their_bytes_and_no_two_events_share_a_key_or_a_tag() {
        let mut keys = BTreeSet::new();
        let mut tags = BTreeSet::new();
        for client in 0..4 {
            for event in Source::new(client).take(1_000) {
                assert_eq!(event.payload.len(), PAYLOAD_BYTES, "{}", event.payload);
                assert_eq!(event.key.len(), 16);
                assert!(keys.insert(event.key));
                assert!(tags.insert(event.tag));
            }
        }
    }
}
