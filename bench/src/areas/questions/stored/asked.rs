//! What is asked of stored events, and with which parameters.
//!
//! The same questions stand in `bench/question-peers/stored.py`, in SQL, by the same names.

use std::collections::BTreeMap;

use super::make::{Made, pallet, truck};
use crate::random::Random;

/// A parameter: a text, or a time in microseconds.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub(super) enum Parameter {
    Time(i64),
    Text(String),
}

/// The parameters of one time that a question is asked.
pub(super) type Parameters = BTreeMap<String, Parameter>;

/// A question in Laterlog.
pub(super) struct Stored {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    /// Whether it is about everything.
    pub(super) is_whole: bool,
    /// Which parameters it takes.
    takes: &'static [&'static str],
}

/// What the fields are.
pub(super) const SCHEMA: &str = "
root box { event 1 packed { 1 item: text } }
root shipment {
    event 1 departed {
        1 port: text, 2 carrier: text, 3 weight_kg: decimal, 4 gate: int, 5 seal: text,
        6 driver: text
    }
}
";

macro_rules! inside {
    ($text:literal) => {
        concat!(
            "inside{item, box} :- box.packed{key: box, item}\n",
            "inside{item, box} :- box.packed{key: box, item: m}, inside{item, box: m}\n",
            $text
        )
    };
}

pub(super) const QUESTIONS: [Stored; 14] = [
    selective("key", "?{at, port} :- shipment.departed{key: $key, at, port}", &["key"]),
    selective(
        "key, as of",
        "?{at, port} :- shipment.departed{key: $key, at, port} as of $tx",
        &["key", "tx"],
    ),
    selective(
        "key, valid",
        "?{at, port} :- shipment.departed{key: $key, at, port}, at >= $from, at < $until",
        &["key", "from", "until"],
    ),
    selective(
        "key, as of, valid",
        "?{at, port} :- shipment.departed{key: $key, at, port}, at >= $from, at < $until as of $tx",
        &["key", "tx", "from", "until"],
    ),
    selective(
        "last one of a key",
        "?{at, port} :- shipment.departed{key: $key, at, port} order by at desc limit 1",
        &["key"],
    ),
    selective(
        "range of valid time",
        "?{key, at} :- shipment.departed{key, at}, at >= $from, at < $soon",
        &["from", "soon"],
    ),
    selective(
        "range of valid time, as of",
        "?{key, at} :- shipment.departed{key, at}, at >= $from, at < $soon as of $tx",
        &["from", "soon", "tx"],
    ),
    selective(
        "range of transaction time",
        "?{key, at} :- shipment.departed{key, at, tx}, tx >= $commit, tx < $next",
        &["commit", "next"],
    ),
    selective("on a truck", inside!("?{item} :- inside{item, box: $truck}"), &["truck"]),
    selective(
        "on a pallet, as of",
        inside!("?{item} :- inside{item, box: $pallet} as of $tx"),
        &["pallet", "tx"],
    ),
    selective(
        "ports of a pallet's shipments",
        inside!(
            "?{port, n: count()} :- inside{item, box: $pallet}, \
             shipment.departed{id, key: item, port}"
        ),
        &["pallet"],
    ),
    whole("count by port", "?{port, n: count()} :- shipment.departed{id, port}", &[]),
    whole(
        "weight by carrier",
        "?{carrier, kg: sum(weight_kg)} :- shipment.departed{id, carrier, weight_kg}",
        &[],
    ),
    whole("one seal, no index", "?{key, at} :- shipment.departed{key, at, seal: $seal}", &["seal"]),
];

const fn selective(
    name: &'static str,
    text: &'static str,
    takes: &'static [&'static str],
) -> Stored {
    Stored { name, text, is_whole: false, takes }
}

const fn whole(name: &'static str, text: &'static str, takes: &'static [&'static str]) -> Stored {
    Stored { name, text, is_whole: true, takes }
}

/// Parameters for each question, the same ones for everybody.
pub(super) fn parameters(made: &Made) -> BTreeMap<&'static str, Vec<Parameters>> {
    let mut random = Random::new(crate::areas::SEED);
    let mut asked = BTreeMap::new();
    for question in &QUESTIONS {
        let count = if question.is_whole { 1 } else { made.known.len() };
        let each = made.known.iter().take(count).map(|known| {
            let box_number = random.below(made.trucks.max(1));
            let commit = random.below(made.commits_us.len().saturating_sub(1) as u64) as usize;
            let commit_us = |at: usize| made.commits_us.get(at).copied().unwrap_or_default();
            let middle = commit_us(made.commits_us.len() / 2);
            let day = 86_400_000_000;
            let all = [
                ("key", Parameter::Text(known.key.clone())),
                ("seal", Parameter::Text(known.seal.clone())),
                ("tx", Parameter::Time(known.tx_us.max(middle))),
                ("from", Parameter::Time(known.at_us)),
                ("until", Parameter::Time(known.at_us + 10 * day)),
                // About a thousand events, of which four in fifteen are asked for.
                ("soon", Parameter::Time(known.at_us + 259_000_000)),
                ("commit", Parameter::Time(commit_us(commit))),
                ("next", Parameter::Time(commit_us(commit + 1))),
                ("truck", Parameter::Text(truck(box_number))),
                ("pallet", Parameter::Text(pallet(box_number, random.below(10)))),
            ];
            let taken = all.into_iter().filter(|(name, _)| question.takes.contains(name));
            taken.map(|(name, value)| (name.to_owned(), value)).collect()
        });
        asked.insert(question.name, each.collect());
    }
    asked
}
