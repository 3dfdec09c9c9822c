//! The questions of a supply chain, asked of the documents; what is expected is read from the
//! documents themselves, without the database.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use super::support::{Sandbox, ndjson};
use super::{documents, import};

/// What an event touched, when, and where that was.
const TOUCHED: &str = "
touched{epc, at, place, seq} :-
    event{at, tags, payload, seq},
    tag in tags,
    epc = slice(tag, 4),
    place = text(payload.bizLocation.id ?? payload.readPoint.id),
    place is not null
";

const INSIDE: &str = "
packed{item, box, at} :-
    epcis.AggregationEvent{at, parentID, childEPCs, action},
    item in childEPCs,
    box = text(parentID),
    action != \"DELETE\"
unpacked{item, box, at} :-
    epcis.AggregationEvent{at, parentID, childEPCs, action},
    item in childEPCs,
    box = text(parentID),
    action = \"DELETE\"
?{item} :-
    packed{item, box: $box, at: since},
    not (unpacked{item, box: $box, at: later}, later >= since)
    as of $known
    valid $at
";

const BATCH: &str = "
names{seq, thing: slice(tag, 4)} :- event{seq, tags}, tag in tags
names{seq, thing: text(q.epcClass)} :- event{seq, payload}, q in payload.quantityList
names{seq, thing: text(q.epcClass)} :- event{seq, payload}, q in payload.childQuantityList
names{seq, thing: text(q.epcClass)} :- event{seq, payload}, q in payload.inputQuantityList
names{seq, thing: text(q.epcClass)} :- event{seq, payload}, q in payload.outputQuantityList
// What came of what, and what was packed into what.
became{from: text(a), to: text(b)} :-
    epcis.TransformationEvent{inputEPCList, outputEPCList},
    a in inputEPCList,
    b in outputEPCList
became{from: text(q.epcClass), to: text(b)} :-
    epcis.TransformationEvent{inputQuantityList, outputEPCList},
    q in inputQuantityList,
    b in outputEPCList
became{from: text(item), to: text(parentID)} :-
    epcis.AggregationEvent{childEPCs, parentID},
    item in childEPCs
reached{thing} :- thing = $batch
reached{thing: to} :- reached{thing}, became{from: thing, to}
?{seq} :- reached{thing}, names{seq, thing}
";

const CUSTODY: &str = "
hot{epc, at} :-
    event{at, tags, payload},
    element in payload.sensorElementList,
    report in element.sensorReport,
    contains(text(report.type), \"emperature\"),
    decimal(report.maxValue ?? report.value) > 20,
    tag in tags,
    epc = slice(tag, 4)
holds{epc, at, party: text(to.destination)} :-
    event{at, tags, payload},
    to in payload.destinationList,
    to.type = \"possessing_party\",
    tag in tags,
    epc = slice(tag, 4)
?{epc, at, party: arg_max(party, since)} :- hot{epc, at}, holds{epc, at: since, party}, since <= at
";

/// An event of a document, as anybody would read it.
struct Read {
    seq: i64,
    at: i64,
    epcs: BTreeSet<String>,
    json: Value,
}

impl Read {
    /// The texts of a list of the event.
    fn list(&self, name: &str) -> Vec<String> {
        let items = self.json[name].as_array().cloned().unwrap_or_default();
        items.iter().map(|item| item.as_str().unwrap().to_owned()).collect()
    }

    /// The classes of a list of quantities.
    fn classes(&self, name: &str) -> Vec<String> {
        let items = self.json[name].as_array().cloned().unwrap_or_default();
        items.iter().map(|item| item["epcClass"].as_str().unwrap().to_owned()).collect()
    }

    fn place(&self) -> Option<String> {
        let place = self.json["bizLocation"]["id"].as_str();
        place.or(self.json["readPoint"]["id"].as_str()).map(str::to_owned)
    }
}

fn read(files: &[PathBuf]) -> Vec<Read> {
    let events = files.iter().flat_map(|path| {
        let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        document["epcisBody"]["eventList"].as_array().unwrap().clone()
    });
    let lists = ["epcList", "childEPCs", "inputEPCList", "outputEPCList"];
    (1..)
        .zip(events)
        .map(|(seq, json)| {
            let at = laterbase_cli::time::parse(json["eventTime"].as_str().unwrap()).unwrap();
            let mut event = Read { seq, at, epcs: BTreeSet::new(), json };
            let epcs = lists.iter().flat_map(|list| event.list(list));
            let epcs = epcs.chain(event.json["parentID"].as_str().map(str::to_owned));
            event.epcs = epcs.collect();
            event
        })
        .collect()
}

fn ask(sandbox: &Sandbox, text: &str, parameters: &[(&str, &str)]) -> Vec<Value> {
    let mut arguments = vec!["query".to_owned(), "--format".into(), "ndjson".into()];
    arguments.extend(["-e".to_owned(), text.to_owned()]);
    for (name, value) in parameters {
        arguments.extend(["--param".to_owned(), format!("{name}=\"{value}\"")]);
    }
    ndjson(&sandbox.run(&arguments).success().stdout)
}

fn text(row: &Value, name: &str) -> String {
    row[name].as_str().unwrap().to_owned()
}

fn micros(row: &Value, name: &str) -> i64 {
    laterbase_cli::time::parse(row[name].as_str().unwrap()).unwrap()
}

#[test]
fn where_everything_is_now_is_where_it_was_seen_last() {
    let Some(files) = documents() else { return };
    let sandbox = Sandbox::with_database();
    import(&sandbox, &files);
    let question =
        format!("{TOUCHED}?{{epc, place: arg_max(place, at)}} :- touched{{epc, at, place}}");
    let found: BTreeMap<String, String> = ask(&sandbox, &question, &[])
        .iter()
        .map(|row| (text(row, "epc"), text(row, "place")))
        .collect();
    let mut expected = BTreeMap::<String, (i64, String)>::new();
    for event in read(&files) {
        let Some(place) = event.place() else { continue };
        for epc in &event.epcs {
            let seen = (event.at, place.clone());
            let last = expected.entry(epc.clone()).or_insert_with(|| seen.clone());
            *last = seen.max(last.clone());
        }
    }
    assert!(expected.len() > 30);
    let expected: BTreeMap<_, _> =
        expected.into_iter().map(|(epc, (_, place))| (epc, place)).collect();
    assert_eq!(found, expected);
}

#[test]
fn what_was_inside_at_a_time_is_asked_as_it_was_known_then() {
    let Some(files) = documents() else { return };
    let sandbox = Sandbox::with_database();
    // The case that was emptied on the eighth comes with the fourth document.
    let (first, second) = files.split_at(3);
    import(&sandbox, first);
    let early = sandbox.moment();
    import(&sandbox, second);
    let late = sandbox.moment();
    let (known_early, known_late) = (read(first), read(&files));
    let boxes =
        ["urn:epc:id:sscc:0614141.1234567890", "urn:epc:id:sgtin:952001.1012345.22222223333"];
    let mut counts = Vec::new();
    for container in boxes {
        for at in ["2013-06-09T00:00:00Z", "2020-06-08T00:00:00Z", "2020-06-09T00:00:00Z"] {
            for (known, events) in [(&early, &known_early), (&late, &known_late)] {
                let parameters = [("box", container), ("at", at), ("known", known.as_str())];
                let rows = ask(&sandbox, INSIDE, &parameters);
                let found: BTreeSet<String> = rows.iter().map(|row| text(row, "item")).collect();
                let expected = inside(events, container, laterbase_cli::time::parse(at).unwrap());
                assert_eq!(found, expected, "{container} {at}");
                counts.push(found.len());
            }
        }
    }
    assert_eq!(counts, [4, 4, 4, 4, 4, 4, 0, 0, 0, 10, 0, 0]);
}

fn inside(events: &[Read], container: &str, at: i64) -> BTreeSet<String> {
    let mut of_it: Vec<&Read> = events
        .iter()
        .filter(|event| event.json["type"] == "AggregationEvent" && event.at <= at)
        .filter(|event| event.json["parentID"] == container)
        .collect();
    // Of what happened at one time, what was taken out is out.
    of_it.sort_by_key(|event| (event.at, event.json["action"] == "DELETE"));
    let mut items = BTreeSet::new();
    for event in of_it {
        for item in event.list("childEPCs") {
            match event.json["action"] == "DELETE" {
                true => items.remove(&item),
                false => items.insert(item),
            };
        }
    }
    items
}

#[test]
fn everything_that_touched_a_batch_is_found_through_what_came_of_it() {
    let Some(files) = documents() else { return };
    let sandbox = Sandbox::with_database();
    import(&sandbox, &files);
    let events = read(&files);
    let quantities =
        ["quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList"];
    for (batch, least) in [
        ("urn:epc:class:lgtin:4012345.011111.4444", 6),
        ("urn:epc:id:sgtin:0614141.107346.2018", 10),
        ("urn:epc:class:lgtin:4023333.055555.ABC123", 3),
        ("nothing", 0),
    ] {
        let mut reached = BTreeSet::from([batch.to_owned()]);
        loop {
            let before = reached.len();
            for event in &events {
                let transformed = event.json["type"] == "TransformationEvent";
                let packed = event.json["type"] == "AggregationEvent";
                let mut from = Vec::new();
                if transformed {
                    from.extend(event.list("inputEPCList"));
                    from.extend(event.classes("inputQuantityList"));
                }
                if packed {
                    from.extend(event.list("childEPCs"));
                }
                if !from.iter().any(|thing| reached.contains(thing)) {
                    continue;
                }
                reached.extend(event.list("outputEPCList").into_iter().filter(|_| transformed));
                let parent = event.json["parentID"].as_str().map(str::to_owned);
                reached.extend(parent.filter(|_| packed));
            }
            if reached.len() == before {
                break;
            }
        }
        let expected: Vec<i64> = events
            .iter()
            .filter(|event| {
                let classes = quantities.iter().flat_map(|list| event.classes(list));
                event.epcs.iter().cloned().chain(classes).any(|thing| reached.contains(&thing))
            })
            .map(|event| event.seq)
            .collect();
        let rows = ask(&sandbox, BATCH, &[("batch", batch)]);
        let found: Vec<i64> = rows.iter().map(|row| row["seq"].as_i64().unwrap()).collect();
        assert_eq!(found, expected, "{batch}");
        assert!(found.len() >= least, "{batch}: {}", found.len());
    }
}

#[test]
fn dwell_times_are_from_the_first_to_the_last_time_that_a_thing_was_seen_somewhere() {
    let Some(files) = documents() else { return };
    let sandbox = Sandbox::with_database();
    import(&sandbox, &files);
    let question = format!(
        "{TOUCHED}stay{{epc, place, from: min(at), until: max(at)}} :- touched{{epc, at, place}}\n\
         ?{{place, things: count(), seconds: sum(seconds(until - from))}} :-\n    \
         stay{{epc, place, from, until}},\n    until > from"
    );
    let found: BTreeMap<String, (i64, f64)> = ask(&sandbox, &question, &[])
        .iter()
        .map(|row| {
            (text(row, "place"), (row["things"].as_i64().unwrap(), seconds(&row["seconds"])))
        })
        .collect();
    let mut stays = BTreeMap::<(String, String), (i64, i64)>::new();
    for event in read(&files) {
        let Some(place) = event.place() else { continue };
        for epc in &event.epcs {
            let stay = stays.entry((place.clone(), epc.clone())).or_insert((event.at, event.at));
            *stay = (stay.0.min(event.at), stay.1.max(event.at));
        }
    }
    let mut expected = BTreeMap::<String, (i64, f64)>::new();
    for ((place, _), (from, until)) in stays.into_iter().filter(|(_, (from, until))| from < until) {
        let dwell = expected.entry(place).or_default();
        *dwell = (dwell.0 + 1, dwell.1 + (until - from) as f64 / 1e6);
    }
    assert!(expected.len() > 2);
    assert_eq!(found.len(), expected.len());
    for (place, (things, dwell)) in expected {
        assert_eq!(found[&place].0, things, "{place}");
        assert!((found[&place].1 - dwell).abs() < 1e-3, "{place}: {found:?} {dwell}");
    }
}

fn seconds(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

#[test]
fn who_had_custody_when_it_was_warm_is_who_got_it_last() {
    let Some(files) = documents() else { return };
    let sandbox = Sandbox::with_database();
    import(&sandbox, &files);
    let found: BTreeSet<(String, i64, String)> = ask(&sandbox, CUSTODY, &[])
        .iter()
        .map(|row| (text(row, "epc"), micros(row, "at"), text(row, "party")))
        .collect();
    let events = read(&files);
    let mut expected = BTreeSet::new();
    for event in events.iter().filter(|event| is_hot(&event.json)) {
        for epc in &event.epcs {
            let holders = events.iter().filter(|other| other.at <= event.at);
            let holders = holders.filter(|other| other.epcs.contains(epc)).flat_map(|other| {
                let to = other.json["destinationList"].as_array().cloned().unwrap_or_default();
                let to = to.into_iter().filter(|to| to["type"] == "possessing_party");
                to.map(|to| (other.at, text(&to, "destination")))
            });
            let last = holders.max();
            expected.extend(last.map(|(_, party)| (epc.clone(), event.at, party)));
        }
    }
    assert!(expected.len() >= 10, "{}", expected.len());
    assert_eq!(found, expected);
}

fn is_hot(event: &Value) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    list(&event["sensorElementList"]).iter().flat_map(|it| list(&it["sensorReport"])).any(|it| {
        let value = it["maxValue"].as_f64().or(it["value"].as_f64());
        let is_temperature = it["type"].as_str().is_some_and(|kind| kind.contains("emperature"));
        is_temperature && value.is_some_and(|value| value > 20.0)
    })
}
