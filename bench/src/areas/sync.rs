//! What sync costs on the wire: bytes of bodies and round trips, over real HTTP on this machine.
//!
//! A server and a client in this process, each with a database on the device. The events are 188
//! bytes of JSON each, as they come from one device: recorded one by one, in commits of a hundred,
//! and in commits of a thousand; and those of `laterbase sample --seed 1`.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use laterbase::sync::{MemoryReplica, Replica as _, SessionConfig};
use laterbase::{Database, EventDraft, NewEvent, Options, ReplicaId, RootName};
use laterbase_cli::sample::{Plan, Sample};
use laterbase_client::{HttpWire, PeerAddress, Report as SyncReport, drive};
use laterbase_server::{Databases, Listening, Server, ServerConfig, check_address};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::{Context, blame};
use crate::engine::Engine;
use crate::error::{BenchError, StoreError};
use crate::measurement::{Better, Measurement};
use crate::report::{OURS, Report};

const AREA: &str = "sync";
const EVENTS: u32 = 10_000;
const LOGS: u64 = 1_000;
const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn run(context: &Context, report: &mut Report) -> Result<(), BenchError> {
    for together in [1, 100, 1_000] {
        let case = format!("{EVENTS} events, commits of {together}");
        let pair = blame(Engine::Laterbase, Pair::new(context))?;
        let fill = pair.filled(|database| records(database, 0..EVENTS, together));
        let mut running = blame(Engine::Laterbase, fill)?;
        let cold = blame(Engine::Laterbase, running.sync(&format!("cold, {case}"), report))?;
        report.note(AREA, cold);
        let more = blame(Engine::Laterbase, running.missing(together, report));
        report.note(AREA, more?);
    }
    let pair = blame(Engine::Laterbase, Pair::new(context))?;
    let mut running = blame(Engine::Laterbase, pair.filled(sample))?;
    let line = running.sync(&format!("cold, {EVENTS} events of the sample"), report);
    report.note(AREA, blame(Engine::Laterbase, line)?);
    let line = blame(Engine::Laterbase, many_logs(context, report))?;
    report.note(AREA, line);
    for round in 0..context.rounds.max(1) {
        let line = blame(Engine::Laterbase, hub(context, round, report))?;
        report.note(AREA, line);
    }
    Ok(())
}

/// The folders of a server and a client.
struct Pair {
    scratch: super::Scratch,
}

impl Pair {
    fn new(context: &Context) -> Result<Self, StoreError> {
        Ok(Self { scratch: context.scratch("sync")? })
    }

    fn filled(
        self,
        fill: impl FnOnce(&Database) -> Result<(), StoreError>,
    ) -> Result<Running, StoreError> {
        let path = self.scratch.path().join("server");
        let database = Database::create(&path, Options::default())?;
        fill(&database)?;
        let id = database.id();
        let serving = Serving::start(&path, database)?;
        let client = self.scratch.path().join("client");
        let client = Database::create_joined(client, Options::default(), id)?;
        Ok(Running { _scratch: self.scratch, client, serving })
    }
}

/// A server that answers, until it is dropped.
struct Serving {
    database: Database,
    wire: HttpWire,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    fn start(path: &Path, database: Database) -> Result<Self, StoreError> {
        let config = Arc::new(ServerConfig::default());
        let mut databases = Databases::default();
        databases.add("default".to_owned(), path.to_owned(), database.clone(), &config);
        let server = Server::new(databases, config, Arc::new(|_| {}), Arc::new(|_, _| {}));
        let listening = Listening::new(server, check_address("127.0.0.1:0")?)?;
        let wire = HttpWire::new(PeerAddress::new(listening.address(), "default"), TIMEOUT);
        let (stop, told) = watch::channel(false);
        let thread = Some(std::thread::spawn(move || listening.run(told)));
        Ok(Self { database, wire, stop, thread })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A server that is up, and a client of it.
struct Running {
    client: Database,
    serving: Serving,
    _scratch: super::Scratch,
}

impl Running {
    /// One sync; adds what it took and says it in a line.
    fn sync(&mut self, case: &str, report: &mut Report) -> Result<String, StoreError> {
        let mut port = self.client.sync_port()?;
        let memory = port.recall(self.serving.database.replica());
        let mut told = SyncReport::default();
        let began = Instant::now();
        let config = SessionConfig::default();
        drive(&mut port, &mut self.serving.wire, &config, memory, &mut told, &mut |_| {})?;
        let seconds = began.elapsed().as_secs_f64();
        add(report, case, "up", "bytes", told.bytes_out as f64);
        add(report, case, "down", "bytes", told.bytes_in as f64);
        add(report, case, "round trips", "count", f64::from(told.round_trips));
        add(report, case, "time", "s", seconds);
        Ok(format!(
            "{case}: {} bytes up, {} down, {} round trips, {} events",
            told.bytes_out, told.bytes_in, told.round_trips, told.progress.pull_events
        ))
    }

    /// A hundred events more on the server, then a sync; and one with nothing to do.
    fn missing(&mut self, together: u32, report: &mut Report) -> Result<String, StoreError> {
        records(&self.serving.database, EVENTS..EVENTS + 100, together)?;
        let line = self.sync(&format!("100 missing, commits of {together}"), report)?;
        self.sync("nothing to do, 1 log", report)?;
        Ok(line)
    }
}

fn add(report: &mut Report, case: &str, what: &str, unit: &'static str, value: f64) {
    report.add(Measurement {
        area: AREA,
        case: format!("{case}: {what}"),
        subject: OURS.to_owned(),
        unit,
        better: Better::Lower,
        samples: vec![value],
    });
}

/// Events of 188 bytes of JSON each.
fn records(
    database: &Database,
    numbers: std::ops::Range<u32>,
    together: u32,
) -> Result<(), StoreError> {
    let mut commit = database.commit();
    let last = numbers.end - 1;
    for number in numbers {
        let json = format!(
            "{{\"event\":\"departed\",\"shipment\":\"S-{number:06}\",\"truck\":\"HH-XY {:04}\",\
             \"dock\":\"D{:02}\",\"weight_kg\":{:05},\"driver\":\"d{:05}\",\"temperature\":{:03},\
             \"note\":\"left the yard on time, seals were checked\"}}",
            number * 7 % 9999,
            number % 40,
            number * 31 % 99_999,
            number * 13 % 99_999,
            number % 900
        );
        let json = format!("{json:<188}");
        let event = NewEvent::new("shipment", format!("S-{number:06}"), "departed");
        commit.push(&event.bytes("application/json", json))?;
        if (number + 1).is_multiple_of(together) || number == last {
            database.append(&mut commit)?.wait()?;
            commit.clear();
        }
    }
    Ok(())
}

/// What a line of the sample says.
#[derive(Deserialize)]
struct Line<'a> {
    root: &'a str,
    key: &'a str,
    #[serde(rename = "type")]
    type_name: &'a str,
    tags: Vec<&'a str>,
    idempotency_key: &'a str,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// The sample's events, in commits of a thousand.
fn sample(database: &Database) -> Result<(), StoreError> {
    let plan = Plan { events: EVENTS.into(), seed: 1, back_dated_percent: 5.0 };
    let mut sample = Sample::new(plan);
    let mut bytes = Vec::new();
    while sample.next_into(&mut bytes) {}
    let text = String::from_utf8_lossy(&bytes);
    let mut commit = database.commit();
    for (index, line) in text.lines().enumerate() {
        let line: Line<'_> = serde_json::from_str(line)?;
        let tags: Vec<(&str, &str)> =
            line.tags.iter().filter_map(|tag| tag.split_once(':')).collect();
        let draft = EventDraft {
            tags: &tags,
            idempotency: Some(line.idempotency_key.as_bytes()),
            content_type: "application/json",
            payload: line.data.get().as_bytes(),
            ..EventDraft::new(line.key, line.type_name)
        };
        commit.push_draft(line.root, &draft)?;
        if (index + 1).is_multiple_of(1_000) {
            database.append(&mut commit)?.wait()?;
            commit.clear();
        }
    }
    Ok(())
}

/// Nothing to do, and a hundred events more, among a thousand logs.
fn many_logs(context: &Context, report: &mut Report) -> Result<String, StoreError> {
    let mut running = Pair::new(context)?.filled(|_| Ok(()))?;
    let root = RootName::try_from("shipment")?;
    let database = running.serving.database.id();
    let mut writer = MemoryReplica::new(database, ReplicaId::from_u64(1));
    for number in 1..=LOGS {
        writer.reincarnate(ReplicaId::from_u64(number));
        let draft = EventDraft::new("4711", "seen");
        writer.append(&root, 1_700_000_000_000 + number, &[draft]);
    }
    let mut told = SyncReport::default();
    let config = SessionConfig::default();
    drive(&mut writer, &mut running.serving.wire, &config, None, &mut told, &mut |_| {})?;
    running.sync(&format!("cold, {LOGS} logs of one event"), report)?;
    let line = running.sync(&format!("nothing to do, {LOGS} logs"), report)?;
    records(&running.serving.database, 0..100, 100)?;
    running.sync(&format!("100 missing, {LOGS} logs"), report)?;
    Ok(line)
}

/// Copies that send to the hub at the same time.
const SENDERS: u32 = 64;
/// Events of each, in commits of a hundred.
const EVENTS_EACH: u32 = 1_000;

/// How fast a hub takes in what 64 peers send at once, beside how fast it would record the same
/// events itself.
fn hub(context: &Context, round: usize, report: &mut Report) -> Result<String, StoreError> {
    let scratch = context.scratch("sync-hub")?;
    let path = scratch.path().join("hub");
    let database = Database::create(&path, Options::default())?;
    let id = database.id();
    let mut senders = Vec::new();
    for number in 0..SENDERS {
        let path = scratch.path().join(format!("sender-{number}"));
        let sender = Database::create_joined(path, Options::default(), id)?;
        records(&sender, number * EVENTS_EACH..(number + 1) * EVENTS_EACH, 100)?;
        senders.push(sender);
    }
    let local = Database::create(scratch.path().join("local"), Options::default())?;
    let began = Instant::now();
    records(&local, 0..SENDERS * EVENTS_EACH, 100)?;
    let alone = began.elapsed().as_secs_f64();
    drop(local);
    let serving = Serving::start(&path, database)?;
    let began = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            senders.iter().map(|sender| scope.spawn(|| push(sender, &serving.wire))).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().map_err(|_| StoreError::from("a sender panicked"))?
        })
    })?;
    let taken = began.elapsed().as_secs_f64();
    let events = f64::from(SENDERS * EVENTS_EACH);
    let held = serving.database.statistics()?.events;
    let mut add_rate = |case: &str, seconds: f64| {
        report.add(Measurement {
            area: AREA,
            case: case.to_owned(),
            subject: OURS.to_owned(),
            unit: "events/s",
            better: Better::Higher,
            samples: vec![events / seconds],
        });
    };
    add_rate(&format!("hub, {SENDERS} senders, round {round}"), taken);
    add_rate(&format!("the same recorded alone, round {round}"), alone);
    Ok(format!(
        "hub: {held} events of {SENDERS} senders at {:.2} of the rate of local appends",
        alone / taken
    ))
}

/// Sends what a copy has to the hub.
fn push(sender: &Database, wire: &HttpWire) -> Result<(), StoreError> {
    let mut port = sender.sync_port()?;
    let (config, mut told) = (SessionConfig::default(), SyncReport::default());
    drive(&mut port, &mut wire.clone(), &config, None, &mut told, &mut |_| {})?;
    Ok(())
}
