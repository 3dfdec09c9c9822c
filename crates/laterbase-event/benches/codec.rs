//! Nanoseconds per event for encoding, decoding and verifying: `cargo bench -p laterbase-event`.
//!
//! Each line is the best of several rounds over one warm batch, so that other load on the machine
//! shows least. The last lines are the worst that a small hostile batch can cost. An argument that
//! is part of a line's name runs only the matching lines.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench")]

use std::{hint::black_box, time::Instant};

use laterbase_event::{
    BatchBuilder, BatchDirectory, BatchView, DatabaseId, DecodeScratch, EventDraft, Hash, Hlc,
    Limits, ReplicaId, RootName, Stamp, Verifier,
};

const ROUNDS: u32 = 40;
const PAYLOAD_BYTES: usize = 170;

/// The texts of one event, made before the clock runs.
struct Sample {
    key: String,
    truck: String,
    dock: String,
    payload: Vec<u8>,
}

fn samples(count: usize) -> Vec<Sample> {
    let sample = |index: usize| Sample {
        key: format!("shp-{:08}", index * 7919 % 100_000),
        truck: format!("HH-AB-{:04}", index * 31 % 5000),
        dock: format!("dock-{:02}", index * 17 % 60),
        payload: vec![b'x'; PAYLOAD_BYTES],
    };
    (0..count).map(sample).collect()
}

fn fill(batch: &mut BatchBuilder, samples: &[Sample]) {
    const TYPES: [&str; 4] = ["booked", "scanned", "departed", "sensor-read"];
    batch.clear();
    for (index, sample) in samples.iter().enumerate() {
        let draft = EventDraft {
            valid_at: index.is_multiple_of(20).then_some(1_700_000_000_000_000 + index as i64),
            tags: &[("dock", &sample.dock), ("truck", &sample.truck)],
            content_type: "application/json",
            payload: &sample.payload,
            ..EventDraft::new(sample.key.as_str(), TYPES[index % 4])
        };
        batch.push(black_box(&draft)).unwrap();
    }
}

fn write(batch: &mut BatchBuilder, out: &mut Vec<u8>) -> Hash {
    let hlc = Hlc::new(1_700_000_000_000, 0);
    let stamp = Stamp {
        database: DatabaseId::default(),
        replica: ReplicaId::from_u64(7),
        first_seq: 1,
        first_hlc: hlc,
        commit_hlc: hlc,
        part: 0,
        parts: 1,
        previous: Hash::ZERO,
    };
    let body = batch.finish();
    body.write_batch(&body.stamp(&stamp).unwrap(), out)
}

/// Whether the arguments ask for this line.
fn is_wanted(name: &str) -> bool {
    std::env::args().skip(1).all(|arg| arg.starts_with('-') || name.contains(&arg))
}

fn measure(name: &str, count: usize, mut run: impl FnMut()) {
    if !is_wanted(name) {
        return;
    }
    let rounds = ROUNDS * u32::try_from((10_000 / count).max(1)).unwrap();
    run();
    let mut best = f64::MAX;
    for _ in 0..rounds {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{name:<40} {:>9.1} ns/event", best * 1e9 / count as f64);
}

fn main() {
    for count in [1, 100, 10_000] {
        let samples = samples(count);
        let mut batch = BatchBuilder::new(RootName::try_from("shipment").unwrap());
        let mut bytes = Vec::new();
        measure(&format!("encode/{count}"), count, || fill(&mut batch, &samples));
        fill(&mut batch, &samples);
        measure(&format!("finish (assemble, hash)/{count}"), count, || {
            black_box(batch.finish());
        });
        measure(&format!("finish, stamp, write/{count}"), count, || {
            bytes.clear();
            black_box(write(&mut batch, &mut bytes));
        });
        bytes.clear();
        write(&mut batch, &mut bytes);
        read(count, &bytes);
    }
    hostile();
}

/// Small batches that cost a verifier as much as it can be made to cost, per batch.
fn hostile() {
    let names: Vec<String> = (0..65_536).map(|index| format!("{index:04x}")).collect();
    let events = Limits::BATCH_EVENTS_MAX as usize;
    let meta: Vec<_> = names[..256].iter().map(|name| (name.as_str(), "0123456789")).collect();
    let tags: Vec<_> = names[..4096].iter().map(|name| ("tag", name.as_str())).collect();
    let roots: Vec<_> = names[..65_535].iter().map(|name| (name.as_str(), "k")).collect();
    let plain = EventDraft::new("k", "t");
    verify("hostile: meta again", (0..events).map(|_| EventDraft { meta: &meta, ..plain }));
    verify("hostile: tags again", (0..256).map(|_| EventDraft { tags: &tags, ..plain }));
    let types = names[..events].iter().rev();
    verify("hostile: types", types.map(|name| EventDraft { type_name: name, ..plain }));
    let chunks = roots.rchunks(4096);
    verify("hostile: tag roots", chunks.map(|tags| EventDraft { tags, ..plain }));
}

fn verify<'a>(name: &str, drafts: impl Iterator<Item = EventDraft<'a>>) {
    if !is_wanted(name) {
        return;
    }
    let mut batch = BatchBuilder::new(RootName::try_from("shipment").unwrap());
    drafts.for_each(|draft| {
        batch.push(&draft).unwrap();
    });
    let mut bytes = Vec::new();
    write(&mut batch, &mut bytes);
    let mut verifier = Verifier::new(Limits::default());
    let start = Instant::now();
    black_box(verifier.verify(&BatchView::parse(&bytes).unwrap())).unwrap();
    let millis = start.elapsed().as_secs_f64() * 1e3;
    println!("{name:<40} {millis:>9.1} ms for a batch of {} KB", bytes.len() / 1000);
}

fn read(count: usize, bytes: &[u8]) {
    let mut scratch = DecodeScratch::default();
    let mut verifier = Verifier::new(Limits::default());
    measure(&format!("parse, decode all/{count}"), count, || {
        let view = BatchView::parse(black_box(bytes)).unwrap();
        let mut events = view.events(&mut scratch).unwrap();
        while let Some(event) = events.next().unwrap() {
            black_box((event.id(), event.key(), event.payload(), event.tags().len()));
        }
    });
    measure(&format!("parse, decode all, touch all/{count}"), count, || {
        let view = BatchView::parse(black_box(bytes)).unwrap();
        let mut events = view.events(&mut scratch).unwrap();
        while let Some(event) = events.next().unwrap() {
            black_box((event.type_name(), event.content_type(), event.valid_at(), event.cause()));
            event.tags().for_each(|tag| {
                black_box(tag);
            });
        }
    });
    measure(&format!("verify with hash/{count}"), count, || {
        black_box(verifier.verify(&BatchView::parse(black_box(bytes)).unwrap())).unwrap();
    });
    measure(&format!("hash/{count}"), count, || {
        black_box(BatchView::parse(bytes).unwrap().hash());
    });
    measure(&format!("parse directory/{count}"), 1, || {
        black_box(BatchDirectory::parse_prefix(black_box(bytes)).unwrap());
    });
    let directory = BatchDirectory::parse_prefix(bytes).unwrap();
    let last = (u32::try_from(count).unwrap() - 1).min(15);
    measure(&format!("decode one, its group's last/{count}"), 1, || {
        let group = directory.group_ranges(last).unwrap().envelopes;
        let event = directory.decode_event(last, &bytes[group], &mut scratch).unwrap();
        black_box((event.key(), event.payload_range()));
    });
    if count > 1 {
        println!("{:<40} {:>9.1} bytes/event", "envelopes", envelope_bytes(bytes, count));
    }
}

fn envelope_bytes(bytes: &[u8], count: usize) -> f64 {
    f64::from(BatchView::parse(bytes).unwrap().header().envelopes_len) / count as f64
}
