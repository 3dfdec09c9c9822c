//! The route of statements in Laterlog.

use super::parts::*;
use super::{Answer, Content, Method, RootOf, Route};
use crate::access::Verb;
use crate::ask;
use crate::problem::Kind;

const FORMS: &[Content] =
    &[content(JSON, "QueryRows"), content(NDJSON, "Text"), content("text/csv", "Text")];

const ANSWERS: &[Answer] =
    &[ok("The rows of the last query of the text, and what each other statement wrote.", FORMS)];

pub(super) const ROUTES: &[Route] = &[Route {
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
}];
