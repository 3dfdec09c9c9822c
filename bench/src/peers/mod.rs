//! The measured stores, each behind [`crate::store::EventStore`], each set up as its makers advise.
//!
//! Every cache is given [`CACHE_BYTES`]. What was tuned stands in each file's head.

#[cfg(feature = "peers")]
pub(crate) mod fjall;
pub(crate) mod laterbase;
#[cfg(feature = "peers")]
pub(crate) mod lmdb;
#[cfg(feature = "peers")]
pub(crate) mod redb;
#[cfg(feature = "peers")]
pub(crate) mod sqlite;
#[cfg(feature = "peers")]
pub(crate) mod tephra;

/// The cache that each store with a cache of its own gets.
#[cfg(feature = "peers")]
pub(crate) const CACHE_BYTES: usize = 512 << 20;

#[cfg(test)]
mod tests {
    use crate::engine::Engine;
    use crate::workload::{ITEM, PLACE, Workload, touch};

    /// Every store answers every path alike. Catches a peer that would look fast because it leaves
    /// something out: drop one insert from any adapter and this fails.
    #[test]
    fn every_store_answers_every_access_path_alike() {
        let events = Workload::new(1, 2_000).take(2_000);
        let back_dated = events.iter().filter(|event| event.valid_at_us.is_some()).count() as u64;
        let probe = &events[1_234];
        let of_stream = events.iter().filter(|event| event.key == probe.key).count() as u64;
        let place = &probe.tags[1].1;
        let of_place = events.iter().filter(|event| event.tags[1].1 == *place).count() as u64;
        for engine in Engine::ALL {
            let folder = std::env::temp_dir()
                .join(format!("laterbase-bench-{}-{engine}", std::process::id()));
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).unwrap();
            let store = engine.open(&folder).unwrap();
            let mut ids = Vec::new();
            for batch in events.chunks(100) {
                store.append(batch, &mut ids).unwrap();
            }
            assert_eq!(ids.len(), 2_000, "{engine}");
            let mut payload = Vec::new();
            assert!(store.get(ids[1_234], &mut |bytes| payload = bytes.to_vec()).unwrap());
            assert_eq!(payload, probe.payload, "{engine}");
            let mut sum = 0;
            let mut sum_it = |bytes: &[u8]| touch(&mut sum, bytes);
            assert_eq!(store.stream(&probe.key, &mut sum_it).unwrap(), of_stream, "{engine}");
            assert_eq!(store.tag(PLACE, place, &mut sum_it).unwrap(), of_place, "{engine}");
            assert_eq!(store.tag(ITEM, &probe.tags[0].1, &mut sum_it).unwrap(), 1, "{engine}");
            assert_eq!(store.tag(ITEM, "nothing", &mut sum_it).unwrap(), 0, "{engine}");
            let found = store.valid_range(0, 1_600_000_000_000_000, &mut sum_it).unwrap();
            assert!(found.is_none_or(|count| count == back_dated), "{engine}");
            assert_eq!(store.scan(&mut sum_it).unwrap(), 2_000, "{engine}");
            drop(store);
            std::fs::remove_dir_all(&folder).unwrap();
        }
    }
}
