//! The format: what is written comes back, the fixture is read for ever, and no bytes whatever make
//! the reader panic or take more memory than they are long.

use std::borrow::Cow;

use laterbase_event::{EventId, Hlc, Position, ReplicaId, Timestamp};
use laterbase_log::storage::{MemoryStorage, OpenMode, Storage};

use super::bytes::Malformed;
use super::file::{FOLDS_DIR, FileWriter, KeptFile, path_of};
use super::head::{Code, Head, Sort, marked};
use super::row::{Block, BlockRows, PointImage, RowImage, TimelineImage};
use crate::fold::aggregate::FoldOrder;
use crate::fold::place::Place;

const FIXTURE: &[u8] = include_bytes!("../../../tests/fixtures/folds-v1/board.v3");

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn head(done: u64) -> Head {
    let (sort, order) = (Sort::View, FoldOrder::Valid);
    let done = Position::new(done);
    Head {
        copy: 0x1122_3344_5566_7788,
        name: "board".to_owned(),
        code: Code { sort, version: 3, order, digest: 0x99aa_bbcc_ddee_ff00 },
        is_complete: true,
        done,
        marks: marked(done).map(|position| position.as_u64() * 1000).collect(),
        unplaced: vec![Position::new(2)],
    }
}

fn place(millis: u64, replica: u64, valid_us: i64, position: u64) -> Place {
    let id = EventId::new(Hlc::new(millis, 1), ReplicaId::from_u64(replica));
    let valid_at = Timestamp::from_micros(valid_us);
    Place { id, valid_at, position: Position::new(position) }
}

/// A row that has everything, one that was hidden, and one without a timeline.
fn rows() -> Vec<RowImage<'static>> {
    let places = [
        place(1_800_000_000_000, 7, -5, 3),
        place(1_800_000_000_900, 8, 1_800_000_000_900_000, 9),
        place(1_800_000_000_400, 7, i64::MAX, 4),
    ];
    let point = |count, last: Place, state: &'static [u8]| PointImage {
        count,
        last,
        position_max: Position::new(9),
        valid_max: last.valid_at,
        state: Cow::Borrowed(state),
    };
    let floor = place(1_799_999_999_000, 9, -6, 2);
    let early = place(1_799_999_998_000, 9, i64::MIN, 1);
    let row = |key: &'static str, first, last, is_hidden, timeline| RowImage {
        key: Cow::Borrowed(key),
        first: Position::new(first),
        last: Position::new(last),
        is_hidden,
        timeline,
    };
    let long = TimelineImage {
        left_out: 12,
        floor: Some(floor),
        places: Cow::Owned(places.to_vec()),
        points: vec![
            point(5, early, b"{\"early\":1}"),
            point(12, floor, b"[1]"),
            point(14, places[1], b"2.5"),
            point(15, places[2], b"null"),
        ],
    };
    let short = TimelineImage {
        left_out: 0,
        floor: None,
        places: Cow::Owned(places[..2].to_vec()),
        points: vec![point(2, places[1], b"\"\"")],
    };
    vec![
        row("", 1, 9, false, Some(long)),
        row("a", 3, 9, true, Some(short)),
        row("ä", 10, 10, false, None),
    ]
}

fn block_of(rows: &[RowImage<'_>]) -> Block {
    let mut block = Block::default();
    rows.iter().for_each(|row| block.push(row));
    block
}

fn read<'a>(bytes: &'a [u8], head: &Head) -> Result<Vec<RowImage<'a>>, Malformed> {
    let mut rows = BlockRows::new(bytes, head.code.order, head.done);
    let mut all = Vec::new();
    while let Some(row) = rows.next_row()? {
        all.push(row);
    }
    Ok(all)
}

fn written(head: &Head, blocks: &[&[RowImage<'_>]]) -> Vec<u8> {
    let storage = MemoryStorage::new();
    let path = path_of(&head.name, head.code);
    let mut file = FileWriter::create(&storage, &path, head).unwrap();
    blocks.iter().for_each(|rows| file.write(block_of(rows)).unwrap());
    file.finish(&storage).unwrap();
    let file = storage.open(&path, OpenMode::READ).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

fn open(bytes: &[u8]) -> Result<KeptFile, super::error::KeptFileError> {
    let storage = MemoryStorage::new();
    storage.create_dir(FOLDS_DIR).unwrap();
    let file = storage.open("folds/x.v1", OpenMode::CREATE).unwrap();
    file.write_at(0, bytes).unwrap();
    KeptFile::open(&storage, "folds/x.v1")
}

/// Reads all that a file has; the number of its rows.
fn exhaust(file: &KeptFile) -> Result<usize, ()> {
    let mut count = 0;
    for entry in &file.blocks {
        let block = file.block(entry).map_err(|_| ())?;
        count += read(&block, &file.head).map_err(|_| ())?.len();
    }
    Ok(count)
}

#[test]
fn version_1_is_read_and_written_as_ever() {
    let (head, rows) = (head(10), rows());
    assert_eq!(written(&head, &[&rows[..2], &rows[2..]]), FIXTURE);
    let file = open(FIXTURE).unwrap();
    assert_eq!(file.head, head);
    assert_eq!(file.blocks.iter().map(|block| block.rows).collect::<Vec<_>>(), [2, 1]);
    let blocks: Vec<_> = file.blocks.iter().map(|entry| file.block(entry).unwrap()).collect();
    let found: Vec<_> = blocks.iter().flat_map(|block| read(block, &head).unwrap()).collect();
    assert_eq!(found, rows);
}

#[test]
fn another_version_is_told_by_its_number() {
    let mut bytes = FIXTURE.to_vec();
    bytes[8] = 2;
    let refused = open(&bytes).unwrap_err().to_string();
    assert!(refused.contains("has format 2, and this build reads 1"), "{refused}");
}

#[test]
fn random_rows_come_back() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let mut rows = Vec::new();
        for key in 0..random.below(20) {
            let mut places: Vec<Place> = (0..random.below(40))
                .map(|_| {
                    let far = [10, 1 << 20, 1 << 48][random.below(3) as usize];
                    let valid_us = random.below(u64::MAX).cast_signed() >> random.below(64);
                    place(random.below(far), random.below(3), valid_us, 1 + random.below(1000))
                })
                .collect();
            places.sort_unstable_by(|a, b| FoldOrder::Valid.compare(a, b));
            let points = (0..places.len()).filter(|_| random.below(4) == 0).collect::<Vec<_>>();
            let points = points.into_iter().map(|at| PointImage {
                count: at as u64 + 1,
                last: places[at],
                position_max: Position::new(random.below(1000)),
                valid_max: Timestamp::from_micros(random.below(u64::MAX).cast_signed()),
                state: Cow::Owned(vec![b'x'; random.below(300) as usize]),
            });
            let points = points.collect();
            let timeline =
                TimelineImage { left_out: 0, floor: None, places: Cow::Owned(places), points };
            let first = 1 + random.below(500);
            rows.push(RowImage {
                key: Cow::Owned(format!("k{key:03}")),
                first: Position::new(first),
                last: Position::new(first + random.below(500)),
                is_hidden: random.below(2) == 0,
                timeline: (random.below(5) > 0).then_some(timeline),
            });
        }
        let block = block_of(&rows);
        assert_eq!(read(&block.bytes, &head(1000)), Ok(rows), "seed {seed}");
    }
}

/// Some bytes changed, cut, repeated or put in between.
fn mutated(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        match random.below(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.below(256) as u8),
            2 => drop(bytes.splice(at..at, [0xff; 9])),
            3 => {
                let copied = bytes[at..].to_vec();
                bytes.extend(copied);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = [random.below(256) as u8, 0xff, 0x80, 0][random.below(4) as usize];
                }
            }
        }
    }
    bytes
}

#[test]
fn mutated_rows_and_heads_are_refused_or_are_what_they_say() {
    let (head, rows) = (head(10), rows());
    let (block, encoded) = (block_of(&rows).bytes, head.encode());
    let (mut random, mut refused) = (Random(1), 0);
    for _ in 0..50_000 {
        let bytes = mutated(&block, &mut random);
        match read(&bytes, &head) {
            Ok(rows) => {
                let timelines = rows.iter().filter_map(|row| row.timeline.as_ref());
                let held =
                    timelines.map(|rows| rows.places.len() + rows.points.len()).sum::<usize>();
                assert!(4 * held <= bytes.len(), "{held} of {} bytes", bytes.len());
                assert!(rows.is_sorted_by(|a, b| a.key < b.key));
            }
            Err(Malformed) => refused += 1,
        }
        if let Ok(head) = Head::decode(&mutated(&encoded, &mut random)) {
            assert_eq!(Head::decode(&head.encode()), Ok(head));
        }
    }
    assert!(refused > 10_000, "{refused}");
}

#[test]
fn mutated_files_are_refused_also_where_their_checksums_fit() {
    let (head, rows) = (head(10), rows());
    let whole = written(&head, &[&rows[..1], &rows[1..]]);
    assert_eq!(exhaust(&open(&whole).unwrap()), Ok(3));
    let mut random = Random(2);
    for _ in 0..20_000 {
        let bytes = mutated(&whole, &mut random);
        if let Ok(file) = open(&bytes) {
            // A change of a block is found when that is read.
            assert!(exhaust(&file).is_err() || bytes == whole);
        }
    }
    // Parts that fit by themselves, in a frame that is right.
    let parts = Parts::of(&whole, &head);
    for _ in 0..20_000 {
        let mut parts = parts.clone();
        match random.below(3) {
            0 => parts.head = mutated(&parts.head, &mut random),
            1 => parts.rows = mutated(&parts.rows, &mut random),
            _ => parts.foot = mutated(&parts.foot, &mut random),
        }
        if let Ok(file) = open(&parts.framed()) {
            let _ = exhaust(&file);
        }
    }
}

/// A file in parts, without what frames them.
#[derive(Clone)]
struct Parts {
    head: Vec<u8>,
    rows: Vec<u8>,
    foot: Vec<u8>,
}

impl Parts {
    fn of(whole: &[u8], head: &Head) -> Self {
        let head = head.encode();
        let rows_at = 16 + head.len() + 4;
        let end_at = whole.len() - 12;
        let foot_bytes = u32::from_le_bytes(whole[end_at..end_at + 4].try_into().unwrap());
        let foot_at = end_at - foot_bytes as usize;
        let (rows, foot) = (whole[rows_at..foot_at].to_vec(), whole[foot_at..end_at - 4].to_vec());
        Self { head, rows, foot }
    }

    fn framed(&self) -> Vec<u8> {
        let mut head = b"LBFOLDS\0\x01\0\0\0".to_vec();
        head.extend_from_slice(&(self.head.len() as u32).to_le_bytes());
        head.extend_from_slice(&self.head);
        let head_sum = crc32c::crc32c(&head).to_le_bytes();
        let foot_sum = crc32c::crc32c(&self.foot).to_le_bytes();
        let foot_bytes = (self.foot.len() as u32 + 4).to_le_bytes();
        let end = b"LBFOLDE\0";
        [&head[..], &head_sum, &self.rows, &self.foot, &foot_sum, &foot_bytes, end].concat()
    }
}
