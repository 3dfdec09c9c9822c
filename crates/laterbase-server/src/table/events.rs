//! Routes of events: in, out, and as a feed.

use super::parts::*;
use super::{Answer, Content, Method, Parameter, RootOf, Route};
use crate::access::Verb;
use crate::problem::Kind;
use crate::{read, write};

/// Parameters of a listing, the root apart.
macro_rules! listing {
    ($($first:expr),*) => {
        &[
            $($first,)* VV, LC, AFTER, KEYS, KEY, TAG, TYPE, CAUSED_BY, CAUSES_OF, EFFECTS_OF,
            TX_FROM, TX_UNTIL, VALID_FROM, VALID_UNTIL, AS_OF, ORDER, REVERSE, LIMIT, CE_MODE,
            LAST_EVENT_ID, IF_NONE_MATCH_READ,
        ]
    };
}

const WRITING: &[Parameter] = &[
    BATCH,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH_WRITE,
    CE_SPECVERSION,
    CE_ID,
    CE_SOURCE,
    CE_TYPE,
    CE_SUBJECT,
    CE_TIME,
];

const RECORDED: &[Answer] = &[
    ok("There was nothing to record: an empty batch.", &[content(JSON, "Appended")]),
    Answer {
        status: 201,
        about: "The events are on the device.",
        contents: &[content(JSON, "Recorded")],
        headers: &["ETag"],
    },
];

const REFUSALS: &[Kind] = &[
    Kind::NoSuchDatabase,
    Kind::Cursor,
    Kind::Version,
    Kind::Condition,
    Kind::Conflict,
    Kind::Precondition,
    Kind::TooLarge,
    Kind::MediaType,
    Kind::RefusedEvent,
    Kind::Storage,
];

const CE: &str = "application/cloudevents+json";
/// CloudEvents in binary mode: any media type that is none of the others.
const BINARY: &str = "application/octet-stream";
const CE_BATCH: &str = "application/cloudevents-batch+json";

const LISTED: &[Content] = &[
    content(JSON, "Page"),
    content(NDJSON, "Text"),
    content("application/cbor", "Bytes"),
    content(CE_BATCH, "CloudEvents"),
    content(CE, "CloudEventOut"),
    content(BINARY, "Bytes"),
    content("text/event-stream", "Text"),
];

const READING: &[Answer] = &[
    Answer {
        status: 200,
        about: "The events.",
        contents: LISTED,
        headers: &[
            "ETag",
            "Laterbase-Next",
            "Laterbase-Cursor",
            "Laterbase-VV",
            "Laterbase-Missing",
        ],
    },
    Answer {
        status: 304,
        about: "The stream has that version.",
        contents: &[],
        headers: &["ETag"],
    },
];

const READ_REFUSALS: &[Kind] =
    &[Kind::NoSuchDatabase, Kind::NoSuchEvent, Kind::Cursor, Kind::NotAcceptable];

pub(super) const ROUTES: &[Route] = &[
    Route {
        id: "append",
        method: Method::Post,
        path: "/db/{db}/e",
        short: Some("/e"),
        about: "Records events, each under the root that it names: all of them or none.",
        verb: Verb::Write,
        root_of: RootOf::Path,
        is_socket: false,
        parameters: WRITING,
        bodies: &[
            content(JSON, "RootedBody"),
            content(NDJSON, "Lines"),
            content(CE, "RootedCloudEvent"),
            content(CE_BATCH, "RootedCloudEvents"),
            content(BINARY, "BinaryData"),
        ],
        body_required: true,
        answers: RECORDED,
        problems: REFUSALS,
        run: |call| Box::pin(write::append(call)),
    },
    Route {
        id: "append-under-root",
        method: Method::Post,
        path: "/db/{db}/e/{root}",
        short: Some("/e/{root}"),
        about: "Records events under a root: all of them or none.",
        verb: Verb::Write,
        root_of: RootOf::Path,
        is_socket: false,
        parameters: WRITING,
        bodies: &[
            content(JSON, "Body"),
            content(NDJSON, "Lines"),
            content(CE, "CloudEvent"),
            content(CE_BATCH, "CloudEventBatch"),
            content(BINARY, "BinaryData"),
        ],
        body_required: true,
        answers: RECORDED,
        problems: REFUSALS,
        run: |call| Box::pin(write::append(call)),
    },
    Route {
        id: "read",
        method: Method::Get,
        path: "/db/{db}/e",
        short: Some("/e"),
        about: "Reads events: by id, by range, what a version vector lacks, or as a feed.",
        verb: Verb::Read,
        root_of: RootOf::Path,
        is_socket: false,
        parameters: listing!(ROOT),
        bodies: &[],
        body_required: false,
        answers: READING,
        problems: READ_REFUSALS,
        run: |call| Box::pin(read::read(call)),
    },
    Route {
        id: "read-root",
        method: Method::Get,
        path: "/db/{db}/e/{root}",
        short: Some("/e/{root}"),
        about: "Reads the events of a root: by range, what a version vector lacks, or as a feed.",
        verb: Verb::Read,
        root_of: RootOf::Path,
        is_socket: false,
        parameters: listing!(),
        bodies: &[],
        body_required: false,
        answers: READING,
        problems: READ_REFUSALS,
        run: |call| Box::pin(read::read(call)),
    },
    Route {
        id: "changes",
        method: Method::Post,
        path: "/db/{db}/changes",
        short: Some("/changes"),
        about: "Reads what a version vector lacks, where that is too long for an address.",
        verb: Verb::Read,
        root_of: RootOf::Path,
        is_socket: false,
        parameters: &[],
        bodies: &[content(JSON, "Changes")],
        body_required: true,
        answers: READING,
        problems: &[
            Kind::NoSuchDatabase,
            Kind::NoSuchEvent,
            Kind::Cursor,
            Kind::NotAcceptable,
            Kind::TooLarge,
            Kind::MediaType,
        ],
        run: |call| Box::pin(read::changes(call)),
    },
];
