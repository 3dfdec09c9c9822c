//! Routes of the server itself, of databases as a whole, and of sync.

use super::parts::{FRAMES, JSON, SESSION, content, get, ok};
use super::{Answer, Content, Method, RootOf, Route};
use crate::access::Verb;
use crate::problem::Kind;
use crate::{admin, bundles, describe, live, openapi, peers, quarantine, sync_post};

const HEALTH: &[Content] = &[content(JSON, "Health")];
const DATABASE: &[Content] = &[content(JSON, "Database")];
const TEXT: &[Content] = &[content("text/plain; charset=utf-8", "Text")];

pub(super) const ROUTES: &[Route] = &[
    Route {
        answers: &[ok("The server answers.", HEALTH)],
        run: |call| Box::pin(describe::live(call)),
        ..get("health", "/health", "Says that the server answers.")
    },
    Route {
        answers: &[ok("The server answers.", HEALTH)],
        run: |call| Box::pin(describe::live(call)),
        ..get("health-live", "/health/live", "Says that the server answers.")
    },
    Route {
        answers: &[ok("Every database takes appends.", HEALTH)],
        problems: &[Kind::NotReady],
        run: |call| Box::pin(describe::ready(call)),
        ..get("health-ready", "/health/ready", "Says whether every database takes appends.")
    },
    Route {
        verb: Verb::Admin,
        answers: &[ok(
            "Counts, in the Prometheus text format.",
            &[content("text/plain; version=0.0.4; charset=utf-8", "Text")],
        )],
        run: |call| Box::pin(describe::metrics(call)),
        ..get("metrics", "/metrics", "Counts and sizes, for Prometheus.")
    },
    Route {
        answers: &[ok("This document.", &[content(JSON, "Any")])],
        run: |call| Box::pin(openapi::document_answer(call)),
        ..get("openapi", "/openapi.json", "Describes this interface: OpenAPI 3.1.")
    },
    Route {
        answers: &[ok("A page.", &[content("text/html; charset=utf-8", "Text")])],
        run: |call| Box::pin(openapi::console_answer(call)),
        ..get("console-api", "/console/api", "A page that shows this interface.")
    },
    Route {
        answers: &[ok("What the kind means, and what to do.", TEXT)],
        problems: &[Kind::NotFound],
        run: |call| Box::pin(describe::problem(call)),
        ..get("problem", "/problems/{name}", "Says what a kind of problem means.")
    },
    Route {
        verb: Verb::Read,
        answers: &[ok("The databases, by name.", &[content(JSON, "Databases")])],
        run: |call| Box::pin(describe::list(call)),
        ..get("list-databases", "/db", "Lists the databases.")
    },
    Route {
        verb: Verb::Read,
        answers: &[ok("The database.", DATABASE)],
        problems: &[Kind::NoSuchDatabase],
        run: |call| Box::pin(describe::one(call)),
        ..get("describe-database", "/db/{db}", "Describes a database.")
    },
    Route {
        method: Method::Put,
        verb: Verb::Admin,
        bodies: &[content(JSON, "MakeDatabase")],
        answers: &[
            ok("It was there.", DATABASE),
            Answer { status: 201, about: "It was made.", contents: DATABASE, headers: &[] },
        ],
        problems: &[
            Kind::Conflict,
            Kind::TooManyDatabases,
            Kind::NoDirectory,
            Kind::TooLarge,
            Kind::MediaType,
            Kind::Storage,
        ],
        run: |call| Box::pin(admin::make(call)),
        ..get("make-database", "/db/{db}", "Makes a database, if there is none of the name.")
    },
    Route {
        verb: Verb::Read,
        answers: &[ok("Batches that validators refused.", &[content(JSON, "Quarantine")])],
        problems: &[Kind::NoSuchDatabase],
        run: |call| Box::pin(quarantine::list(call)),
        ..get("list-quarantine", "/db/{db}/quarantine", "Lists what is in quarantine.")
    },
    Route {
        method: Method::Post,
        verb: Verb::Admin,
        answers: &[ok("What came of it.", &[content(JSON, "Retried")])],
        problems: &[Kind::NoSuchDatabase, Kind::Storage],
        run: |call| Box::pin(quarantine::retry(call)),
        ..get(
            "retry-quarantine",
            "/db/{db}/quarantine/retry",
            "Has the validators look at what is in quarantine again.",
        )
    },
    Route {
        method: Method::Post,
        verb: Verb::Relay,
        bodies: &[content(FRAMES, "Bytes")],
        answers: &[ok("What came of it.", &[content(JSON, "Taken")])],
        problems: &[Kind::NoSuchDatabase, Kind::MediaType, Kind::Bundle, Kind::Storage],
        run: |call| Box::pin(bundles::take(call)),
        ..get("take-bundle", "/db/{db}/bundle", "Takes in a file that `laterbase export` wrote.")
    },
    Route {
        method: Method::Post,
        verb: Verb::Admin,
        bodies: &[content(JSON, "WithWhom")],
        answers: &[ok("What came of it, for each peer.", &[content(JSON, "Synced")])],
        problems: &[Kind::NoSuchDatabase, Kind::NoSuchPeer, Kind::TooLarge, Kind::MediaType],
        run: |call| Box::pin(peers::sync(call)),
        ..get("sync-with-peers", "/db/{db}/peers/sync", "Syncs with the peers of the list, now.")
    },
    Route {
        method: Method::Post,
        short: Some("/sync"),
        verb: Verb::Relay,
        root_of: RootOf::Session,
        parameters: &[SESSION],
        bodies: &[content(FRAMES, "Bytes")],
        body_required: false,
        answers: &[
            Answer {
                status: 200,
                about: "The flight that answers; a Bye if something is wrong.",
                contents: &[content(FRAMES, "Bytes")],
                headers: &["Laterbase-Session"],
            },
            Answer { status: 204, about: "Gossip was heard.", contents: &[], headers: &[] },
        ],
        problems: &[
            Kind::NoSuchDatabase,
            Kind::SessionBusy,
            Kind::SessionUnknown,
            Kind::TooLarge,
            Kind::MediaType,
        ],
        run: |call| Box::pin(sync_post::exchange(call)),
        ..get("sync", "/db/{db}/sync", "One round trip of a sync.")
    },
    Route {
        short: Some("/sync"),
        verb: Verb::Relay,
        root_of: RootOf::Session,
        is_socket: true,
        answers: &[Answer {
            status: 101,
            about: "A WebSocket of frames, both ways.",
            contents: &[],
            headers: &[],
        }],
        problems: &[Kind::NoSuchDatabase],
        run: |call| Box::pin(live::upgrade(call)),
        ..get("sync-live", "/db/{db}/sync", "Live sync, with `Upgrade: websocket`.")
    },
];
