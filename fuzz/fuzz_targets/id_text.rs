//! No text makes a parser of ids, names or tags panic; what it accepts has a text form that it
//! accepts as the same.
#![no_main]

use laterbase_event::{DatabaseId, EventId, Hash, Key, ReplicaId, RootName, Tag, TypeName};
use libfuzzer_sys::fuzz_target;

macro_rules! round_trips {
    ($text:expr, $($kind:ty),+) => {
        $(if let Ok(value) = $text.parse::<$kind>() {
            assert_eq!(value.to_string().parse::<$kind>(), Ok(value));
        })+
    };
}

fuzz_target!(|text: &str| {
    round_trips!(text, EventId, ReplicaId, DatabaseId, Hash, RootName, Key, TypeName, Tag);
});
