//! Routes of aggregates and views.

use super::parts::*;
use super::{Answer, Content, Parameter, Route};
use crate::access::Verb;
use crate::folds;
use crate::problem::Kind;

const ONE: &[Parameter] = &[AS_OF, VALID_AT, LAST_EVENT_ID, IF_NONE_MATCH_READ];

const MANY: &[Parameter] =
    &[AS_OF, VALID_AT, FROM_KEY, UNTIL_KEY, LIMIT_ROWS, AFTER_PAGE, LAST_EVENT_ID];

const ROW: &[Content] = &[content(JSON, "Row"), content("text/event-stream", "Text")];

const ROWS: &[Content] =
    &[content(JSON, "Rows"), content(NDJSON, "Text"), content("text/event-stream", "Text")];

const ONE_HEADERS: &[&str] =
    &["ETag", "Laterbase-Cursor", "Laterbase-Fold-Version", "Laterbase-Fold-Building"];

const ONE_ANSWERS: &[Answer] = &[
    Answer { status: 200, about: "The state.", contents: ROW, headers: ONE_HEADERS },
    Answer {
        status: 304,
        about: "The stream has that version.",
        contents: &[],
        headers: &["ETag"],
    },
];

const MANY_ANSWERS: &[Answer] = &[Answer {
    status: 200,
    about: "The rows, in key order, or a stream of them and of each change.",
    contents: ROWS,
    headers: &[
        "Laterbase-Next",
        "Laterbase-Cursor",
        "Laterbase-Fold-Version",
        "Laterbase-Fold-Building",
    ],
}];

const ONE_REFUSALS: &[Kind] = &[
    Kind::NoSuchDatabase,
    Kind::NoSuchFold,
    Kind::NoSuchRow,
    Kind::Cursor,
    Kind::NotAcceptable,
    Kind::NotFolded,
    Kind::Rebuilding,
];

const MANY_REFUSALS: &[Kind] =
    &[Kind::NoSuchDatabase, Kind::NoSuchFold, Kind::Cursor, Kind::NotAcceptable, Kind::Rebuilding];

pub(super) const ROUTES: &[Route] = &[
    Route {
        short: Some("/a/{root}"),
        verb: Verb::Read,
        parameters: MANY,
        answers: MANY_ANSWERS,
        problems: MANY_REFUSALS,
        run: |call| Box::pin(folds::aggregates(call)),
        ..get(
            "aggregates",
            "/db/{db}/a/{root}",
            "All aggregates of a root, a page at a time, or as they change.",
        )
    },
    Route {
        short: Some("/a/{root}/{key}"),
        verb: Verb::Read,
        parameters: ONE,
        answers: ONE_ANSWERS,
        problems: ONE_REFUSALS,
        run: |call| Box::pin(folds::aggregate(call)),
        ..get(
            "aggregate",
            "/db/{db}/a/{root}/{key}",
            "One aggregate, now or at any past, or as it changes.",
        )
    },
    Route {
        short: Some("/{db}/{view}"),
        verb: Verb::Read,
        parameters: MANY,
        answers: MANY_ANSWERS,
        problems: MANY_REFUSALS,
        run: |call| Box::pin(folds::rows(call)),
        ..get("view", "/db/{db}/v/{view}", "A view's rows, a page at a time, or as they change.")
    },
    Route {
        verb: Verb::Read,
        parameters: ONE,
        answers: ONE_ANSWERS,
        problems: ONE_REFUSALS,
        run: |call| Box::pin(folds::row(call)),
        ..get(
            "view-row",
            "/db/{db}/v/{view}/{key}",
            "One row of a view, now or at any past, or as it changes.",
        )
    },
];
