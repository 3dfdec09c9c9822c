//! No bytes make a reader of an index panic, hang or take memory without bound: neither a run, a
//! manifest or a part of one as they come, nor a run that was edited and sealed again, so that
//! every checksum fits what is wrong.
#![no_main]

use laterbase_event::Position;
use laterbase_index::{
    Entry, Family, IndexConfig, IndexFollower, IndexWriter, PendingEntries, Range, probe,
};
use laterbase_log::storage::{MemoryStorage, OpenMode, Storage};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use std::sync::Arc;

const DIR: &str = "index";
const RUN: &str = "index/00000001.run";
const MANIFEST: &str = "index/MANIFEST";

#[derive(Arbitrary, Debug)]
enum Input {
    Part(Vec<u8>),
    Manifest(Vec<u8>),
    Run(Vec<u8>),
    Edited { entries: Vec<SmallEntry>, edits: Vec<(u16, u8)>, keep: u16 },
}

#[derive(Arbitrary, Debug)]
struct SmallEntry {
    family: u8,
    a: u64,
    narrow: u8,
    b: u64,
    extra: u16,
    repeat: u8,
}

fuzz_target!(|input: Input| {
    match input {
        Input::Part(bytes) => probe::decode_parts(&bytes),
        Input::Manifest(bytes) => look(None, &bytes),
        Input::Run(mut bytes) => {
            if let Some(manifest) = probe::reseal(&mut bytes, [0; 16]) {
                look(Some(&bytes), &manifest);
            }
        }
        Input::Edited { entries, edits, keep } => {
            let mut run = run_of(&entries);
            for (place, value) in edits {
                let place = usize::from(place) % run.len();
                if let Some(byte) = run.get_mut(place) {
                    *byte = value;
                }
            }
            if keep != 0 {
                run.truncate(run.len() - usize::from(keep) % run.len());
            }
            if let Some(manifest) = probe::reseal(&mut run, [0; 16]) {
                look(Some(&run), &manifest);
            }
        }
    }
});

/// A run of these entries, as it is written.
fn run_of(entries: &[SmallEntry]) -> Vec<u8> {
    let storage = Arc::new(MemoryStorage::new());
    let mut index =
        IndexWriter::create(storage.clone(), DIR, IndexConfig::small_device()).expect("memory");
    let mut pending = PendingEntries::new();
    let mut position = 1;
    for entry in entries.iter().take(200) {
        let family = Family::ALL[usize::from(entry.family) % Family::ALL.len()];
        for again in 0..=u64::from(entry.repeat) {
            let (a, b) = (entry.a >> (entry.narrow & 63), entry.b.wrapping_add(again << 16));
            pending.push(family, Entry::new(a, b, entry.extra, position));
            position += 1;
        }
    }
    pending.push(Family::Id, Entry::new(1, 1, 1, position));
    pending.set_upto(Position::new(position));
    index.absorb(&mut pending).expect("positions are right");
    index.write_out(Position::new(position)).expect("memory does not fail");
    index.snapshot().verify(&mut |_| {}).expect("what was written is in order");
    let file = storage.open(RUN, OpenMode::READ).expect("the run");
    let mut bytes = vec![0; file.len().expect("its length") as usize];
    file.read_at(0, &mut bytes).expect("its bytes");
    bytes
}

/// Opens an index of these files and reads all of it, as far as it goes.
fn look(run: Option<&[u8]>, manifest: &[u8]) {
    let storage = Arc::new(MemoryStorage::new());
    storage.create_dir(DIR).expect("memory");
    for (path, bytes) in [(RUN, run), (MANIFEST, Some(manifest))] {
        if let Some(bytes) = bytes {
            let file = storage.open(path, OpenMode::CREATE).expect("memory");
            file.write_at(0, bytes).expect("memory");
        }
    }
    let Ok(index) = IndexFollower::open(storage, DIR, IndexConfig::small_device()) else { return };
    let snapshot = index.snapshot();
    for family in Family::ALL {
        for range in [Range::all(family), Range::all(family).descending()] {
            let (mut cursor, mut last) = (snapshot.cursor(&range), None);
            while let Ok(Some(entry)) = cursor.next() {
                last = Some(entry);
            }
            if let Some(last) = last {
                let term = Range::term(family, last.a).with_extra(last.extra());
                let _ = (snapshot.first(&term), snapshot.last(&term), snapshot.count(&term));
            }
            let _ = snapshot.count(&range.upto(Position::new(7)));
        }
    }
    let _ = snapshot.verify(&mut |_| {});
}
