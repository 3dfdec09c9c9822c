//! The embedded library from outside: append, read by every access path, conditions, reopening.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use laterbase::{
    After, AppendCondition, AppendError, Cause, ConditionItem, ConditionMatch, Cut, Database,
    Direction, Durability, EventId, Expected, Follow, Lineage, NewEvent, Options, Order, Outcome,
    Query, Recorded, Start, Ticket, TimeRange, Timestamp, VersionVector,
};
use support::{Fixture, at, event, keys, stream, tag};

#[test]
fn an_acknowledged_event_is_read_by_every_path() {
    let fixture = Fixture::new();
    let db = &fixture.db;
    let cause = fixture.append(&event("booked")).id(0).unwrap();
    let appended = fixture.append(
        &event("departed")
            .valid_at(at(5))
            .tag(tag("truck:7"))
            .cause(Cause::Id(cause))
            .idempotency_key("k1")
            .meta("actor", "anna"),
    );
    let id = appended.id(0).unwrap();
    let expect = |query: Query| assert_eq!(fixture.ids(&query), [id], "{query:?}");
    expect(Query::tag(tag("truck:7")));
    expect(stream().of_type("departed".try_into().unwrap()));
    expect(Query::all().of_type("departed".try_into().unwrap()));
    expect(Query::caused_by(cause));
    expect(Query::all().valid_in(TimeRange::between(at(5), at(6))));
    expect(stream().backward().limit(1));
    expect(Query::all().order(Order::Arrival).backward().limit(1));
    expect(Query { lineage: Some(Lineage { of: cause, follow: Follow::Effects }), ..Query::all() });
    let read = db.get(id).unwrap().unwrap();
    assert_eq!(read.event.meta, [("actor".to_owned(), "anna".to_owned())]);
    assert_eq!((read.event.seq, read.position.as_u64()), (2, 2));
    let keyed = db.find_by_idempotency_key("shipment", b"k1").unwrap().unwrap();
    assert_eq!(keyed.event.id, id);
    assert_eq!(db.find_by_idempotency_key("truck", b"k1").unwrap(), None);
}

#[test]
fn a_tag_finds_the_stream_of_its_name_too() {
    let fixture = Fixture::new();
    let own = fixture.append(&NewEvent::new("truck", "7", "started")).id(0).unwrap();
    let tagged = fixture.append(&event("loaded").tag(tag("truck:7"))).id(0).unwrap();
    assert_eq!(fixture.ids(&Query::tag(tag("truck:7"))), [own, tagged]);
    assert_eq!(fixture.ids(&Query::tag(tag("truck:7")).with_tag(tag("shipment:1"))), [tagged]);
}

/// Events of two roots and three types, by turns within two commits; every fourth has a tag.
fn mixed() -> Fixture {
    let fixture = Fixture::new();
    for first in [0, 40] {
        let mut commit = fixture.db.commit();
        for index in first..first + 40 {
            let root = if index % 5 == 0 { "box" } else { "shipment" };
            let new = NewEvent::new(root, format!("{index}"), ["a", "b", "c"][index % 3]);
            let tagged = if index % 4 == 0 { new.tag(tag("truck:7")) } else { new };
            commit.push(&tagged).unwrap();
        }
        fixture.db.append(&mut commit).unwrap().wait().unwrap();
    }
    fixture
}

#[test]
fn in_order_of_arrival_what_is_asked_for_is_found_among_others() {
    let fixture = mixed();
    let read = |query: &Query| -> Vec<_> {
        fixture.db.read(query).unwrap().map(|event| event.unwrap()).collect()
    };
    let arrival = Query::all().order(Order::Arrival);
    let all = read(&arrival);
    let root = |root: &str| Some(root.try_into().unwrap());
    let shipments = Query { root: root("shipment"), ..arrival.clone() };
    let some_type = |query: &Query, name: &str| query.clone().of_type(name.try_into().unwrap());
    let tagged = Query { tags: vec![tag("truck:7")], ..arrival.clone() };
    for (query, is_it) in [
        (shipments.clone(), (|index| index % 5 != 0) as fn(usize) -> bool),
        (some_type(&shipments, "b"), |index| index % 5 != 0 && index % 3 == 1),
        (some_type(&some_type(&arrival, "a"), "c"), |index| index % 3 != 1),
        (some_type(&arrival, "none"), |_| false),
        (Query { root: root("none"), ..arrival.clone() }, |_| false),
        (some_type(&tagged, "a"), |index| index % 4 == 0 && index % 3 == 0),
    ] {
        let is_expected = |event: &&Recorded| is_it(event.event.key.parse().unwrap());
        let expected: Vec<_> = all.iter().filter(is_expected).cloned().collect();
        assert_eq!(read(&query), expected, "{query:?}");
        let mut subscription = fixture.db.subscribe(&query, Start::Beginning).unwrap();
        let followed = std::iter::from_fn(|| subscription.try_next().unwrap());
        assert_eq!(followed.collect::<Vec<_>>(), expected, "{query:?}");
        let (mut paged, mut page) = (Vec::new(), query.clone().limit(3));
        loop {
            let mut events = fixture.db.read(&page).unwrap();
            let before = paged.len();
            paged.extend(events.by_ref().map(|event| event.unwrap()));
            if paged.len() == before {
                break;
            }
            page.after = events.cursor();
        }
        assert_eq!(paged, expected, "{query:?}");
    }
}

#[test]
fn valid_order_merges_given_and_default_times() {
    let fixture = Fixture::new();
    let now = fixture.append(&event("now")).id(0).unwrap();
    let future = fixture.append(&event("future").valid_at(at(9_999_999_999))).id(0).unwrap();
    let past = fixture.append(&event("past").valid_at(at(1))).id(0).unwrap();
    let ancient = fixture.append(&event("ancient").valid_at(at(-1))).id(0).unwrap();
    let by_valid = Query::all().order(Order::Valid);
    assert_eq!(fixture.ids(&by_valid), [ancient, past, now, future]);
    assert_eq!(fixture.ids(&by_valid.clone().backward()), [future, now, past, ancient]);
    let until_two = Query::all().valid_in(TimeRange { from: None, until: Some(at(2)) });
    assert_eq!(fixture.ids(&until_two), [past, ancient], "in transaction order");
}

#[test]
fn pages_by_cursor_are_the_whole_answer() {
    let fixture = Fixture::new();
    for batch in 0..20 {
        let mut commit = fixture.db.commit();
        for index in 0..=batch % 4 {
            let valid_at = at((batch * 31 + index) % 17);
            commit.push(&event("scanned").valid_at(valid_at).tag(tag("truck:7"))).unwrap();
            commit.push(&NewEvent::new("truck", "7", "moved")).unwrap();
        }
        fixture.db.append(&mut commit).unwrap().wait().unwrap();
    }
    for order in [Order::Tx, Order::Valid, Order::Arrival] {
        for direction in [Direction::Forward, Direction::Backward] {
            for base in [Query::all(), Query::tag(tag("truck:7")), stream()] {
                let query = Query { order, direction, ..base };
                let whole = fixture.ids(&query);
                let mut paged = Vec::new();
                let mut page = query.clone().limit(3);
                loop {
                    let mut events = fixture.db.read(&page).unwrap();
                    let before = paged.len();
                    paged.extend(events.by_ref().map(|event| event.unwrap().event.id));
                    if paged.len() == before {
                        break;
                    }
                    let cursor = events.cursor().unwrap().to_string().parse().unwrap();
                    page = page.after(cursor);
                }
                assert_eq!(paged, whole, "{query:?}");
                assert!(!whole.is_empty());
            }
        }
    }
}

#[test]
fn expected_versions_are_exact() {
    let fixture = Fixture::new();
    let attempt = |expected| {
        let mut commit = fixture.db.commit();
        commit.push(&event("booked")).unwrap();
        commit.expect("shipment".try_into().unwrap(), "1".try_into().unwrap(), expected);
        fixture.db.append(&mut commit).map(|ticket| ticket.wait().unwrap())
    };
    assert!(attempt(Expected::Exists).is_err());
    attempt(Expected::None).unwrap();
    let error = attempt(Expected::None).unwrap_err();
    assert!(matches!(error, AppendError::VersionMismatch { actual: 1, .. }), "{error}");
    attempt(Expected::At(1)).unwrap();
    assert!(attempt(Expected::At(1)).is_err());
    attempt(Expected::Any).unwrap();
    assert_eq!(fixture.db.stream_version("shipment", "1").unwrap(), 3);
    assert_eq!(fixture.ids(&Query::all()).len(), 3, "refused appends wrote nothing");
}

#[test]
fn an_append_condition_sees_only_what_came_after() {
    let fixture = Fixture::new();
    fixture.append(&event("booked").tag(tag("truck:7")));
    let cursor = fixture.db.cursor();
    let vector = fixture.db.version_vector().unwrap();
    let attempt = |matches: ConditionMatch, after: After| {
        let mut commit = fixture.db.commit();
        commit.push(&NewEvent::new("other", "x", "noted")).unwrap();
        commit.fail_if(AppendCondition { matches, after });
        fixture.db.append(&mut commit).map(|ticket| ticket.wait().unwrap())
    };
    let on_truck = || {
        ConditionMatch::Items(vec![ConditionItem {
            types: vec!["departed".try_into().unwrap(), "booked".try_into().unwrap()],
            tags: vec![tag("truck:7")],
        }])
    };
    let error = attempt(on_truck(), After::Start).unwrap_err();
    assert!(matches!(error, AppendError::ConditionFailed { condition: 0, .. }), "{error}");
    attempt(on_truck(), After::Cursor(cursor)).unwrap();
    attempt(on_truck(), After::Vector(vector.clone())).unwrap();
    attempt(ConditionMatch::Items(Vec::new()), After::Start).unwrap();
    assert!(attempt(ConditionMatch::All, After::Cursor(cursor)).is_err());
    fixture.append(&event("departed").tag(tag("truck:7")));
    assert!(attempt(on_truck(), After::Cursor(cursor)).is_err());
    assert!(attempt(on_truck(), After::Vector(vector)).is_err());
    let other_type = ConditionMatch::Items(vec![ConditionItem {
        types: vec!["lost".try_into().unwrap()],
        tags: vec![tag("truck:7")],
    }]);
    attempt(other_type, After::Start).unwrap();
}

#[test]
fn an_idempotency_key_counts_in_every_mode_and_across_restarts() {
    for durability in [Durability::Flushed, Durability::Buffered, Durability::Relaxed] {
        let mut fixture = Fixture::new();
        let first = fixture.append_with(&event("paid").idempotency_key("k"), durability);
        assert_eq!(first.outcome, Outcome::Recorded);
        for _ in 0..2 {
            let again = fixture.append_with(&event("paid").idempotency_key("k"), durability);
            assert_eq!(again.outcome, Outcome::AlreadyApplied);
            assert_eq!(again.id(0), first.id(0));
            let other = event("refunded").idempotency_key("k");
            let mut commit = fixture.db.commit();
            commit.push(&other).unwrap();
            let error = fixture.db.append(&mut commit).unwrap_err();
            assert!(matches!(error, AppendError::IdempotencyConflict { index: 0, .. }), "{error}");
            fixture.reopen();
        }
        assert_eq!(fixture.ids(&Query::all()).len(), 1);
    }
}

#[test]
fn a_commit_that_was_partly_applied_is_named() {
    let fixture = Fixture::new();
    let first = fixture.append(&event("a").idempotency_key("1"));
    let mut commit = fixture.db.commit();
    commit.push(&event("b").idempotency_key("2")).unwrap();
    commit.push(&event("a").idempotency_key("1")).unwrap();
    let error = fixture.db.append(&mut commit).unwrap_err();
    let AppendError::PartlyApplied { applied, events: 2 } = error else { panic!("{error}") };
    assert_eq!(applied, [(1, first.id(0).unwrap())]);
}

#[test]
fn as_of_answers_what_was_known_then() {
    let fixture = Fixture::with_clock(1_800_000_000_000);
    let first = fixture.append(&event("a").valid_at(at(50))).id(0).unwrap();
    let known = fixture.clock.advance_ms(1000);
    let vector = fixture.db.version_vector().unwrap();
    fixture.clock.advance_ms(1000);
    let second = fixture.append(&event("b").valid_at(at(10))).id(0).unwrap();
    let by_valid = Query::all().order(Order::Valid);
    assert_eq!(fixture.ids(&by_valid), [second, first], "back-dated");
    for cut in [Cut::KnownAt(known), Cut::Vector(vector.clone()), Cut::RecordedBy(known)] {
        assert_eq!(fixture.ids(&by_valid.clone().as_of(cut.clone())), [first], "{cut:?}");
    }
    assert_eq!(fixture.ids(&Query::all().as_of(Cut::KnownAt(at(0)))), []);
    assert_eq!(fixture.ids(&Query::all().unknown_to(vector)), [second]);
    assert_eq!(fixture.ids(&Query::all().unknown_to(VersionVector::new())), [first, second]);
}

#[test]
fn everything_is_there_after_reopening_and_after_losing_the_indexes() {
    let mut fixture = Fixture::new();
    for index in 0..500 {
        fixture.append_with(
            &event("scanned").tag(tag(&format!("pallet:{}", index % 7))).valid_at(at(500 - index)),
            Durability::Relaxed,
        );
    }
    fixture.db.flush().unwrap();
    let queries = [
        Query::all(),
        Query::all().order(Order::Valid),
        Query::all().order(Order::Arrival),
        Query::tag(tag("pallet:3")),
        stream(),
        Query::all().valid_in(TimeRange::between(at(100), at(120))),
    ];
    let before: Vec<_> = queries.iter().map(|query| fixture.ids(query)).collect();
    fixture.reopen();
    let reopened: Vec<_> = queries.iter().map(|query| fixture.ids(query)).collect();
    assert_eq!(reopened, before);
    fixture.reopen_without_indexes();
    assert!(fixture.db.opened().indexes_rebuilt);
    let rebuilt: Vec<_> = queries.iter().map(|query| fixture.ids(query)).collect();
    assert_eq!(rebuilt, before);
    let report = fixture.db.verify(&mut |_| {}).unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    assert_eq!(report.events, 500);
}

#[test]
fn causes_and_effects_are_followed_all_the_way() {
    let fixture = Fixture::new();
    let mut commit = fixture.db.commit();
    commit.push(&event("a")).unwrap();
    commit.push(&event("b").cause(Cause::Earlier(0))).unwrap();
    commit.push(&event("c").cause(Cause::Earlier(1))).unwrap();
    let appended = fixture.db.append(&mut commit).unwrap().wait().unwrap();
    let ids: Vec<_> = appended.ids().collect();
    let later = fixture.append(&event("d").cause(Cause::Id(ids[1]))).id(0).unwrap();
    let lineage = |of, follow| Query { lineage: Some(Lineage { of, follow }), ..Query::all() };
    assert_eq!(fixture.ids(&lineage(ids[0], Follow::Effects)), [ids[1], ids[2], later]);
    assert_eq!(fixture.ids(&lineage(later, Follow::Causes)), [ids[0], ids[1]]);
    assert_eq!(fixture.ids(&Query::caused_by(ids[1])), [ids[2], later]);
}

#[test]
fn a_commit_over_several_roots_is_one() {
    let fixture = Fixture::new();
    let mut commit = fixture.db.commit();
    commit.push(&event("loaded")).unwrap();
    commit.push(&NewEvent::new("truck", "7", "loaded")).unwrap();
    commit.push(&event("sealed")).unwrap();
    let appended = fixture.db.append(&mut commit).unwrap().wait().unwrap();
    let ids: Vec<_> = appended.ids().collect();
    let by_id: Vec<_> = fixture.db.get_many(&ids).unwrap().events;
    let types: Vec<_> = by_id.iter().map(|e| (&*e.event.root, &*e.event.type_name)).collect();
    assert_eq!(types, [("shipment", "loaded"), ("truck", "loaded"), ("shipment", "sealed")]);
    assert_eq!((appended.seq(0), appended.seq(1), appended.seq(2)), (Some(1), Some(1), Some(2)));
}

#[test]
fn an_event_without_a_key_is_a_stream_of_its_own() {
    let fixture = Fixture::new();
    let id = fixture.append(&NewEvent::keyless("reading", "measured")).id(0).unwrap();
    let read = fixture.db.get(id).unwrap().unwrap();
    assert_eq!(read.event.key, id.to_string());
    let own =
        Query::stream("reading".try_into().unwrap(), id.to_string().as_str().try_into().unwrap());
    assert_eq!(fixture.ids(&own), [id]);
}

#[test]
fn missing_ids_are_named() {
    let fixture = Fixture::new();
    let id = fixture.append(&event("a")).id(0).unwrap();
    let unknown = laterbase::EventId::from_u128(42);
    let found = fixture.db.get_many(&[unknown, id]).unwrap();
    assert_eq!(keys(&found.events), ["1"]);
    assert_eq!(found.missing, [unknown]);
}

#[test]
fn a_validator_refuses_with_its_message() {
    let validators = laterbase::Validators::default().with(|candidate| {
        if candidate.type_name == "lost" { Err("nothing gets lost".to_owned()) } else { Ok(()) }
    });
    let dir = tempfile::tempdir().unwrap();
    let db = Database::create(dir.path(), Options::default().validators(validators)).unwrap();
    let mut commit = db.commit();
    commit.push(&event("booked")).unwrap();
    let error = commit.push(&event("lost")).unwrap_err();
    assert_eq!(error.to_string(), "refused by a validator: nothing gets lost");
    assert_eq!(db.append(&mut commit).unwrap().wait().unwrap().len(), 1);
    let _ = Timestamp::from_micros(0);
}

#[test]
fn a_repetition_may_name_the_cause_by_its_id_or_by_its_place_in_the_commit() {
    let chain = |keys: &str| {
        let link = |key: char| event("link").idempotency_key(key.to_string());
        keys.chars().map(link).collect::<Vec<_>>()
    };
    // Recorded together, or one by one; repeated the other way round.
    for together in [true, false] {
        let fixture = Fixture::new();
        let events = chain("abc");
        let mut ids: Vec<EventId> = Vec::new();
        let mut both = fixture.db.commit();
        for (index, event) in events.iter().enumerate() {
            let mut event = event.clone();
            if together {
                event.cause = index.checked_sub(1).map_or(Cause::None, Cause::Earlier);
                both.push(&event).unwrap();
            } else {
                event.cause = ids.last().map_or(Cause::None, |id| Cause::Id(*id));
                ids.push(fixture.append(&event).id(0).unwrap());
            }
        }
        if together {
            let appended = fixture.db.append(&mut both).unwrap().wait().unwrap();
            ids = appended.ids().collect();
        }
        let mut again = fixture.db.commit();
        for (index, event) in events.iter().enumerate() {
            let mut one = fixture.db.commit();
            let mut event = event.clone();
            event.cause = index.checked_sub(1).map_or(Cause::None, |at| Cause::Id(ids[at]));
            one.push(&event).unwrap();
            let appended = fixture.db.append(&mut one).unwrap().wait().unwrap();
            assert_eq!(appended.outcome, Outcome::AlreadyApplied);
            event.cause = index.checked_sub(1).map_or(Cause::None, Cause::Earlier);
            again.push(&event).unwrap();
        }
        let appended = fixture.db.append(&mut again).unwrap().wait().unwrap();
        assert_eq!(appended.ids().collect::<Vec<_>>(), ids);
        // Another cause is another event.
        for wrong in [Cause::None, Cause::Id(ids[0]), Cause::Earlier(0)] {
            let mut other = fixture.db.commit();
            other.push(&event("new").idempotency_key("d")).unwrap();
            let mut event = events[2].clone();
            event.cause = wrong;
            other.push(&event).unwrap();
            let error = fixture.db.append(&mut other).and_then(Ticket::wait).unwrap_err();
            let is_conflict = matches!(error, AppendError::IdempotencyConflict { index: 1, .. });
            // As far as can be known: an earlier event that has not been recorded is some event of
            // the commit.
            let is_unknown = together && wrong == Cause::Earlier(0);
            assert!(is_conflict != is_unknown, "{together} {wrong:?}: {error}");
        }
    }
}

#[test]
fn a_commit_that_demands_nothing_is_recorded_at_once() {
    let fixture = Fixture::new();
    let mut commit = fixture.db.commit();
    commit.push(&event("booked")).unwrap();
    let ticket = fixture.db.append_now(&mut commit).unwrap().expect("there is room");
    let id = ticket.wait().unwrap().id(0).unwrap();
    assert_eq!(fixture.ids(&Query::all()), [id]);
}

#[test]
fn a_commit_with_demands_is_left_to_those_who_may_wait() {
    let fixture = Fixture::new();
    let mut expecting = fixture.db.commit();
    expecting.push(&event("booked")).unwrap();
    expecting.expect("shipment".try_into().unwrap(), "1".try_into().unwrap(), Expected::None);
    let mut keyed = fixture.db.commit();
    keyed.push(&event("departed").idempotency_key("k1")).unwrap();
    for commit in [&mut expecting, &mut keyed] {
        let before = fixture.db.version_vector().unwrap();
        assert!(fixture.db.append_now(commit).unwrap().is_none());
        assert_eq!(fixture.db.version_vector().unwrap(), before, "nothing was done");
        fixture.db.append(commit).unwrap().wait().unwrap();
    }
    assert_eq!(fixture.ids(&Query::all()).len(), 2);
}

#[test]
fn while_indexes_have_no_room_nothing_is_recorded_at_once() {
    let mut options = support::quiet();
    options.pending_entries_max = 1;
    let fixture = Fixture::with_options(1_000, options);
    let mut commit = fixture.db.commit();
    commit.push(&event("booked")).unwrap();
    assert!(fixture.db.append_now(&mut commit).unwrap().is_some(), "nothing waits yet");
    assert!(fixture.db.append_now(&mut commit).unwrap().is_none());
    fixture.db.append(&mut commit).unwrap().wait().unwrap();
    assert_eq!(fixture.ids(&Query::all()).len(), 2);
}
