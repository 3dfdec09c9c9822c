//! Routes of durable consumers.

use super::parts::*;
use super::{Answer, Method, RootOf, Route};
use crate::access::Verb;
use crate::consumers;
use crate::problem::Kind;

const CONSUMER: &[super::Content] = &[content(JSON, "Consumer")];

const REFUSALS: &[Kind] = &[Kind::NoSuchDatabase, Kind::NoSuchConsumer, Kind::Cursor];

const BODY_REFUSALS: &[Kind] =
    &[Kind::NoSuchDatabase, Kind::NoSuchConsumer, Kind::Cursor, Kind::TooLarge, Kind::MediaType];

pub(super) const ROUTES: &[Route] = &[
    Route {
        verb: Verb::Read,
        answers: &[ok("The consumers, by name.", &[content(JSON, "Consumers")])],
        problems: &[Kind::NoSuchDatabase],
        run: |call| Box::pin(consumers::list(call)),
        ..get("list-consumers", "/db/{db}/c", "Lists the durable consumers.")
    },
    Route {
        verb: Verb::Read,
        root_of: RootOf::Later,
        answers: &[ok("The consumer.", CONSUMER)],
        problems: REFUSALS,
        run: |call| Box::pin(consumers::describe(call)),
        ..get("describe-consumer", "/db/{db}/c/{consumer}", "Describes a durable consumer.")
    },
    Route {
        method: Method::Put,
        verb: Verb::Read,
        root_of: RootOf::Later,
        bodies: &[content(JSON, "MakeConsumer")],
        answers: &[
            ok("It was there.", CONSUMER),
            Answer { status: 201, about: "It was made.", contents: CONSUMER, headers: &[] },
        ],
        problems: &[
            Kind::NoSuchDatabase,
            Kind::Cursor,
            Kind::TooManyConsumers,
            Kind::TooLarge,
            Kind::MediaType,
        ],
        run: |call| Box::pin(consumers::make(call)),
        ..get("make-consumer", "/db/{db}/c/{consumer}", "Makes a durable consumer.")
    },
    Route {
        method: Method::Delete,
        verb: Verb::Admin,
        answers: &[Answer { status: 204, about: "It is gone.", contents: &[], headers: &[] }],
        problems: REFUSALS,
        run: |call| Box::pin(consumers::remove(call)),
        ..get("remove-consumer", "/db/{db}/c/{consumer}", "Removes a durable consumer.")
    },
    Route {
        method: Method::Post,
        verb: Verb::Read,
        root_of: RootOf::Later,
        parameters: &[LIMIT_ROWS],
        answers: &[ok("Events to deal with.", &[content(JSON, "Deliveries")])],
        problems: &[Kind::NoSuchDatabase, Kind::NoSuchConsumer, Kind::Cursor, Kind::TooManyDead],
        run: |call| Box::pin(consumers::fetch(call)),
        ..get("fetch", "/db/{db}/c/{consumer}/fetch", "Gives a consumer its next events.")
    },
    Route {
        method: Method::Post,
        verb: Verb::Read,
        root_of: RootOf::Later,
        bodies: &[content(JSON, "Settle")],
        answers: &[ok("How many were settled.", &[content(JSON, "Settled")])],
        problems: BODY_REFUSALS,
        run: |call| Box::pin(consumers::settle(call)),
        ..get("settle", "/db/{db}/c/{consumer}/settle", "Says what became of events.")
    },
    Route {
        verb: Verb::Read,
        root_of: RootOf::Later,
        answers: &[ok("Events that were given too often.", &[content(JSON, "DeadLetters")])],
        problems: REFUSALS,
        run: |call| Box::pin(consumers::dead(call)),
        ..get("dead-letters", "/db/{db}/c/{consumer}/dead", "Lists what was given too often.")
    },
];
