//! The routes of statements in Laterlog, and of schemas.

use super::parts::*;
use super::{Answer, Content, Method, RootOf, Route};
use crate::access::Verb;
use crate::problem::Kind;
use crate::{ask, schema};

const FORMS: &[Content] =
    &[content(JSON, "QueryRows"), content(NDJSON, "Text"), content("text/csv", "Text")];

const ANSWERS: &[Answer] =
    &[ok("The rows of the last query of the text, and what each other statement wrote.", FORMS)];

const SCHEMA: &[Content] = &[content(JSON, "Schema"), content("text/plain", "Text")];

const TAG: &[&str] = &["ETag"];

const SHOWN: &[Answer] = &[
    Answer { headers: TAG, ..ok("The schema, its conflicts and its history.", SCHEMA) },
    Answer { status: 304, about: "It is as it was.", contents: &[], headers: TAG },
];

const APPLIED: &[Answer] =
    &[Answer { headers: TAG, ..ok("What it changed.", &[content(JSON, "SchemaChange")]) }];

pub(super) const ROUTES: &[Route] = &[QUESTIONS, SHOW, APPLY];

const SHOW: Route = Route {
    verb: Verb::Read,
    parameters: &[IF_NONE_MATCH_SCHEMA],
    answers: SHOWN,
    problems: &[Kind::NoSuchDatabase, Kind::NotAcceptable],
    run: |call| Box::pin(schema::show(call)),
    ..get("show-schema", "/db/{db}/schema", "Shows what the database may hold.")
};

const APPLY: Route = Route {
    method: Method::Put,
    verb: Verb::Admin,
    parameters: &[DRY_RUN, IF_MATCH_SCHEMA],
    bodies: &[content("text/plain", "Text")],
    body_required: true,
    answers: APPLIED,
    problems: &[
        Kind::NoSuchDatabase,
        Kind::Precondition,
        Kind::Schema,
        Kind::TooLarge,
        Kind::MediaType,
        Kind::Storage,
    ],
    run: |call| Box::pin(schema::apply(call)),
    ..get("apply-schema", "/db/{db}/schema", "Makes a text the schema of the database.")
};

const QUESTIONS: Route = Route {
    method: Method::Post,
    short: Some("/q"),
    verb: Verb::Read,
    root_of: RootOf::Later,
    bodies: &[content(JSON, "QueryRequest"), content("text/plain", "Text")],
    body_required: true,
    answers: ANSWERS,
    problems: &[
        Kind::NoSuchDatabase,
        Kind::Query,
        Kind::Condition,
        Kind::Conflict,
        Kind::NotAcceptable,
        Kind::TooLarge,
        Kind::MediaType,
        Kind::QueryTooLarge,
        Kind::Slow,
    ],
    run: |call| Box::pin(ask::ask(call)),
    ..get("query", "/db/{db}/q", "Asks and writes in Laterlog.")
};
