//! Rows that are put, and read by program and by question.

use std::thread;

use laterbase::ask::Value;
use laterbase::{
    After, AppendCondition, AppendError, ConditionItem, ConditionMatch, Cut, NewEvent, TableError,
    TimeRange, Timestamp,
};
use serde::Deserialize;

use crate::support::at;
use crate::{ask, declared};

#[derive(Deserialize, Debug, PartialEq)]
struct Customer {
    key: String,
    name: String,
    points: i64,
    tags: Vec<String>,
    note: Option<String>,
    region: String,
}

#[test]
fn a_row_is_put_changed_deleted_and_put_again() {
    let fixture = declared();
    let customers = fixture.db.table("customer").unwrap();
    let put = customers.put("c1").set("name", "Acme").add("points", 5);
    put.insert("tags", "cold").insert("tags", "dry").set("note", "new").run().unwrap();
    fixture.clock.advance_ms(1);
    let put = customers.put("c1").add("points", -2).remove("tags", "dry");
    put.set("note", Value::Null).run().unwrap();
    let row: Customer = customers.row("c1").unwrap().unwrap().to().unwrap();
    let expected = Customer {
        key: "c1".into(),
        name: "Acme".into(),
        points: 3,
        tags: vec!["cold".into()],
        note: None,
        region: "EU".into(),
    };
    assert_eq!(row, expected);
    let asked = "?{key, name, points, tags, note, region} :- customer{key, name, points, tags, \
                 note, region}";
    let line = r#"{"key":"c1","name":"Acme","note":null,"points":3,"region":"EU","tags":["cold"]}"#;
    assert_eq!(ask(&fixture.db, asked), [line]);

    fixture.clock.advance_ms(1);
    assert!(customers.delete("c1").run().unwrap().is_some());
    assert!(customers.delete("c1").run().unwrap().is_none(), "it is not there");
    assert_eq!(customers.row("c1").unwrap(), None);
    assert_eq!(ask(&fixture.db, asked), [""; 0]);

    fixture.clock.advance_ms(1);
    customers.put("c1").set("name", "Acme again").run().unwrap();
    let row: Customer = customers.row("c1").unwrap().unwrap().to().unwrap();
    assert_eq!((row.points, row.tags), (0, Vec::new()), "nothing of the life before");
}

#[test]
fn what_does_not_fit_is_refused_with_the_way_out() {
    let fixture = declared();
    let table = |name: &str| fixture.db.table(name).map(drop).unwrap_err().to_string();
    assert_eq!(
        table("customers"),
        "there is no table `customers`: there are `customer`, `place`; apply a schema that \
         declares another one"
    );
    let customers = fixture.db.table("customer").unwrap();
    let put = || customers.put("c1").set("name", "A");
    let cases = [
        (put().set("nam", "B").run(), "`customer` has no column `nam`: its columns are"),
        (put().set("points", 3).run(), "`points` is a counter: use `add`"),
        (put().add("name", 3).run(), "`name` is a column: use `set`"),
        (put().insert("note", "x").run(), "`note` is a column: use `set`"),
        (put().set("note", 3).run(), "`note` is a text, and this is a int"),
        (put().insert("tags", 3).run(), "`tags` is a text, and this is a int"),
        (put().set("name", Value::Null).run(), "the row would have no `name`"),
        (customers.put("c1").set("note", "n").run(), "the row would have no `name`"),
        (put().valid(at(5), Some(at(5))).run(), "the valid times end before they begin"),
        (customers.put("k".repeat(300)).set("name", "A").run(), "the key is refused"),
    ];
    for (result, expected) in cases {
        let told = result.unwrap_err().to_string();
        assert!(told.starts_with(expected), "{told}");
    }
    assert_eq!(customers.history("c1").unwrap(), []);
    let read_only =
        laterbase::Database::open_read_only(fixture.dir.path(), crate::support::options());
    let read_only = read_only.unwrap();
    let refused = read_only.table("customer").unwrap().put("c1").set("name", "A").run();
    assert!(matches!(refused, Err(TableError::Append(_))), "{refused:?}");
}

#[test]
fn valid_times_are_cut_where_lives_meet() {
    let fixture = declared();
    let customers = fixture.db.table("customer").unwrap();
    let put = |name: &str, from, until: Option<i64>| {
        customers.put("c1").set("name", name).valid(at(from), until.map(at)).run().unwrap().len()
    };
    assert_eq!(put("A", 100, None), 1);
    customers.delete("c1").valid(at(200), Some(at(300))).run().unwrap().unwrap();
    assert_eq!(put("B", 150, Some(400)), 3, "before, within and behind the deletion");
    let periods = |range: TimeRange| -> Vec<(i64, Option<i64>, String)> {
        let rows = customers.read().key("c1").valid_in(range).rows().unwrap();
        let seconds = |at: Timestamp| at.as_micros() / 1_000_000;
        rows.iter()
            .map(|row| {
                let name = row.get("name").unwrap().as_text().unwrap().to_owned();
                (row.from.map_or(i64::MIN, seconds), row.until.map(seconds), name)
            })
            .collect()
    };
    let name = |it: (i64, Option<i64>, &str)| (it.0, it.1, it.2.to_owned());
    let all = [(100, Some(150), "A"), (150, Some(400), "B"), (400, None, "A")].map(name);
    assert_eq!(periods(TimeRange::default()), all);
    let within = TimeRange::between(at(120), at(160));
    assert_eq!(periods(within), [(120, Some(150), "A"), (150, Some(160), "B")].map(name));
    let around = customers.read().valid_at(at(300)).rows().unwrap();
    assert_eq!((around[0].from, around[0].until), (Some(at(150)), Some(at(400))));
    let asked = "?{name, p} :- customer{name} valid in [time($from), ) as p order by from(p)";
    let asked = fixture.db.query(asked).bind("from", "1970-01-01T00:01:50Z").run().unwrap();
    let periods: Vec<Value> = asked.rows.iter().map(|row| row.values()[1].clone()).collect();
    let period = |from: i64, until: Option<i64>| {
        Value::Period(Some(from * 1_000_000), until.map(|until| until * 1_000_000))
    };
    assert_eq!(periods, [period(110, Some(150)), period(150, Some(400)), period(400, None)]);
    // A row that comes back as it was is one row, where nobody asks when.
    assert_eq!(
        ask(&fixture.db, "?{n: count()} :- (customer{name: \"A\"} valid any)"),
        [r#"{"n":1}"#]
    );
}

#[test]
fn all_cuts_show_what_they_hold() {
    let fixture = declared();
    let customers = fixture.db.table("customer").unwrap();
    let start = at(0);
    let mut moments = Vec::new();
    for (at, name) in ["A", "B", "C"].into_iter().enumerate() {
        let key = format!("c{}", at % 2);
        customers.put(&key).set("name", name).valid(start, None).run().unwrap();
        let now = fixture.clock.advance_ms(10);
        let vector = fixture.db.version_vector().unwrap();
        moments.push((now, vector));
        fixture.clock.advance_ms(10);
    }
    let expected = [vec!["A"], vec!["A", "B"], vec!["C", "B"]];
    for ((now, vector), expected) in moments.into_iter().zip(expected) {
        let cuts = [Cut::KnownAt(now), Cut::RecordedBy(now), Cut::Vector(vector.clone())];
        for cut in cuts {
            let rows = customers.read().as_of(cut.clone()).rows().unwrap();
            let names: Vec<&str> =
                rows.iter().map(|row| row.get("name").unwrap().as_text().unwrap()).collect();
            assert_eq!(names, expected, "{cut:?}");
            let one = customers.read().key("c0").as_of(cut).rows().unwrap();
            assert_eq!(one, rows[..1]);
        }
        let bytes = Value::Bytes(vector.encode().into());
        for (clause, value) in [
            ("$cut", Value::Time(now.as_micros())),
            ("recorded $cut", Value::Time(now.as_micros())),
            ("$cut", bytes),
        ] {
            let text = format!("?{{key, name}} :- customer{{key, name}} as of {clause}");
            let answer = fixture.db.query(text).bind("cut", value).run().unwrap();
            let names: Vec<(String, String)> = answer.rows_as().unwrap();
            let names: Vec<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
            assert_eq!(names, expected, "{clause}");
        }
    }
}

#[test]
fn rows_by_key_are_those_of_the_whole_table() {
    let fixture = declared();
    let customers = fixture.db.table("customer").unwrap();
    for number in 0..120_i64 {
        fixture.clock.advance_ms(1);
        let key = format!("c{}", number * 7 % 30);
        let put = customers.put(&key).set("name", format!("n{number}").as_str());
        put.add("points", number)
            .insert("tags", format!("t{}", number % 4).as_str())
            .run()
            .unwrap();
        if number % 11 == 0 {
            customers.delete(&key).run().unwrap();
        }
    }
    let all = customers.read().rows().unwrap();
    assert!(all.len() > 20, "{}", all.len());
    for row in &all {
        assert_eq!(customers.row(&row.key).unwrap().as_ref(), Some(row));
    }
    let few = customers.read().key("c1").key("c2").key("none").rows().unwrap();
    let named: Vec<_> = all.iter().filter(|it| ["c1", "c2"].contains(&it.key.as_str())).collect();
    assert_eq!(few.iter().collect::<Vec<_>>(), named);
    let joined = "?{key, points} :- wanted{key}, customer{key, points} order by key
        wanted{key: k} :- k in [\"c1\", \"c2\", \"none\"]";
    let joined: Vec<(String, i64)> = fixture.db.query(joined).run().unwrap().rows_as().unwrap();
    let points = |it: &&laterbase::TableRow| match it.get("points") {
        Some(Value::Int(points)) => (it.key.clone(), *points),
        other => panic!("{other:?}"),
    };
    assert_eq!(joined, named.iter().map(points).collect::<Vec<_>>());
    let explained =
        fixture.db.query("explain ?{name} :- customer{key: \"c1\", name}").run().unwrap();
    let shown = explained.explanation().unwrap();
    assert!(shown.contains("customer"), "{shown}");
}

#[test]
fn writers_of_one_row_lose_nothing() {
    let fixture = declared();
    let customers = fixture.db.table("customer").unwrap();
    customers.put("c1").set("name", "Acme").valid(at(0), None).run().unwrap();
    thread::scope(|scope| {
        for writer in 0..4 {
            let customers = customers.clone();
            scope.spawn(move || {
                for number in 0..8 {
                    let tag = format!("{writer}-{number}");
                    loop {
                        let put = customers.put("c1").insert("tags", tag.as_str()).add("points", 1);
                        match put.remove("tags", "none").valid(at(0), None).run() {
                            Ok(_) => break,
                            Err(TableError::Busy { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            });
        }
    });
    let row = customers.row("c1").unwrap().unwrap();
    assert_eq!(row.get("points"), Some(&Value::Int(32)));
    let Some(Value::Set(tags)) = row.get("tags") else { panic!("{row:?}") };
    assert_eq!(tags.len(), 32);
}

#[test]
fn columns_of_a_lax_table_that_are_not_declared_are_kept() {
    let fixture = declared();
    let places = fixture.db.table("place").unwrap();
    places.put("p1").set("port", "NLRTM").set("depth_m", 24).run().unwrap();
    assert_eq!(
        ask(&fixture.db, "?{port, depth_m} :- place{port, depth_m}"),
        [r#"{"depth_m":24,"port":"NLRTM"}"#]
    );
}

#[test]
fn a_condition_fails_when_a_row_has_changed() {
    let fixture = declared();
    let customers = fixture.db.table("customer").unwrap();
    customers.put("c1").set("name", "Acme").run().unwrap();
    let row = ConditionItem { tags: vec!["_table.1:c1".parse().unwrap()], types: Vec::new() };
    let puts = ConditionItem { tags: Vec::new(), types: vec!["put".try_into().unwrap()] };
    for (matches, key, is_touched) in [
        (ConditionMatch::Items(vec![row.clone()]), "c1", true),
        (ConditionMatch::Items(vec![row]), "c2", false),
        (ConditionMatch::Items(vec![puts]), "c2", true),
        (ConditionMatch::All, "c2", true),
    ] {
        let after = After::Cursor(fixture.db.cursor());
        customers.put(key).set("name", "Acme").run().unwrap();
        let mut commit = fixture.db.commit();
        commit.push(&NewEvent::new("invoice", "i1", "sent")).unwrap();
        commit.fail_if(AppendCondition { matches: matches.clone(), after });
        let appended = fixture.db.append(&mut commit).map(drop);
        let failed = matches!(appended, Err(AppendError::ConditionFailed { .. }));
        assert_eq!(failed, is_touched, "{matches:?} {key}: {appended:?}");
    }
}
