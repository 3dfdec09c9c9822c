//! Whatever a peer sends, a session neither panics nor goes on for ever, and its copy stays sound:
//! frames of a real session are edited, repeated, left out and mixed with made-up bytes.
#![no_main]

use laterbase_event::{DatabaseId, EventDraft, ReplicaId, RootName};
use laterbase_sync::{MemoryReplica, Replica, Session, SessionConfig, Status};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

#[derive(Arbitrary, Debug)]
struct Input {
    /// Batches that each side wrote, by root.
    left: Vec<bool>,
    right: Vec<bool>,
    /// Both wrote under one id for a while.
    forked: bool,
    deeds: Vec<Deed>,
}

#[derive(Arbitrary, Debug)]
enum Deed {
    Carry { up: bool },
    Drop { up: bool },
    Repeat { up: bool },
    Edit { up: bool, at: u16, byte: u8 },
    Invent { up: bool, bytes: Vec<u8> },
    Wait(u16),
}

const DATABASE: DatabaseId = DatabaseId::from_bytes([7; 16]);

fuzz_target!(|input: Input| {
    let mut copies = [MemoryReplica::new(DATABASE, id(1)), MemoryReplica::new(DATABASE, id(2))];
    if input.forked {
        copies[1] = MemoryReplica::new(DATABASE, id(1));
    }
    for (copy, writes) in copies.iter_mut().zip([&input.left, &input.right]) {
        for (number, is_truck) in writes.iter().take(20).enumerate() {
            write(copy, *is_truck, number as u64);
        }
    }
    let config = SessionConfig { idle_frames_max: 64, ..SessionConfig::default() };
    let mut sessions =
        [Session::initiator(config.clone(), None), Session::responder(config.clone())];
    let mut now_ms = 0;
    for deed in input.deeds.iter().take(200) {
        let up = match deed {
            Deed::Wait(ms) => {
                now_ms += u64::from(*ms);
                continue;
            }
            Deed::Carry { up }
            | Deed::Drop { up }
            | Deed::Repeat { up }
            | Deed::Edit { up, .. }
            | Deed::Invent { up, .. } => *up,
        };
        let (from, to) = if up { (0, 1) } else { (1, 0) };
        let Some(frame) = sessions[from].poll_frame(now_ms, &mut copies[from]) else { continue };
        for frame in done(deed, frame) {
            sessions[to].handle_frame(&frame, now_ms, &mut copies[to]);
        }
    }
    for (session, copy) in sessions.iter_mut().zip(&mut copies) {
        let frames = std::iter::from_fn(|| session.poll_frame(now_ms, copy)).take(10_000).count();
        assert!(frames < 10_000, "it never stops talking");
        assert!(copy.is_sound());
        let _: Status = session.status();
        assert_eq!(copy.heads().is_empty(), copy.batches().is_empty());
    }
});

/// What becomes of a frame on its way.
fn done(deed: &Deed, mut frame: Vec<u8>) -> Vec<Vec<u8>> {
    match deed {
        Deed::Carry { .. } | Deed::Wait(_) => vec![frame],
        Deed::Drop { .. } => Vec::new(),
        Deed::Repeat { .. } => vec![frame.clone(), frame],
        Deed::Edit { at, byte, .. } => {
            let at = usize::from(*at) % frame.len();
            frame[at] ^= byte;
            vec![frame]
        }
        Deed::Invent { bytes, .. } => vec![bytes.clone(), frame],
    }
}

fn id(number: u64) -> ReplicaId {
    ReplicaId::from_u64(number)
}

fn write(copy: &mut MemoryReplica, is_truck: bool, number: u64) {
    let root = if is_truck { "truck" } else { "depot" };
    let Ok(root) = RootName::try_from(root) else { unreachable!("a name") };
    let payload = format!("{number} by {:?}", copy.replica());
    let draft = EventDraft { payload: payload.as_bytes(), ..EventDraft::new("7", "seen") };
    copy.append(&root, 1_800_000_000_000 + number, &[draft]);
}
