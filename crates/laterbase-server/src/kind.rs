//! The closed list of refusals: what each is called, its status, and what to do about it.
//!
//! Names are promised to clients: they stay the same for ever. `docs/reference/http.md` shows the
//! list as a table, and a test holds both against each other.

use axum::http::StatusCode;

/// What kind of refusal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    BadRequest,
    Cursor,
    Unauthorized,
    Foreign,
    Forbidden,
    NotFound,
    NoSuchDatabase,
    NoSuchEvent,
    NoSuchFold,
    NoSuchRow,
    NoSuchConsumer,
    NoSuchPeer,
    Method,
    NotAcceptable,
    Timeout,
    Version,
    Condition,
    Conflict,
    NoDirectory,
    TooManyConsumers,
    TooManyDatabases,
    TooManyDead,
    SessionBusy,
    SessionUnknown,
    Precondition,
    TooLarge,
    UriTooLong,
    MediaType,
    Bundle,
    RefusedEvent,
    Query,
    QueryTooLarge,
    Schema,
    RateLimit,
    HeadersTooLarge,
    Internal,
    NotFolded,
    Busy,
    Slow,
    NotReady,
    Rebuilding,
    Storage,
}

/// What stays the same about a kind.
pub(crate) struct Facts {
    pub(crate) kind: Kind,
    /// The last part of `type`.
    pub(crate) name: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    /// What to do about it, for `GET /problems/{name}`.
    pub(crate) advice: &'static str,
}

/// All kinds, in the order of their declaration.
pub(crate) const KINDS: [Facts; 42] = [
    Facts {
        kind: Kind::BadRequest,
        name: "bad-request",
        status: StatusCode::BAD_REQUEST,
        title: "The request cannot be understood",
        advice: "`detail` names the part that is wrong; /openapi.json describes what is expected.",
    },
    Facts {
        kind: Kind::Cursor,
        name: "cursor",
        status: StatusCode::BAD_REQUEST,
        title: "The cursor is not one of this copy, or of another kind of read",
        advice: "Begin anew without it, or from a version vector: those mean the same everywhere.",
    },
    Facts {
        kind: Kind::Unauthorized,
        name: "unauthorized",
        status: StatusCode::UNAUTHORIZED,
        title: "This needs a token that is good",
        advice: "Send `Authorization: Bearer TOKEN`; ask the operator for a token if yours has \
                 expired, was revoked, or is of another server.",
    },
    Facts {
        kind: Kind::Foreign,
        name: "foreign",
        status: StatusCode::FORBIDDEN,
        title: "Web pages of other places may not ask",
        advice: "Ask as 127.0.0.1 or localhost, or have the operator list the page's origin.",
    },
    Facts {
        kind: Kind::Forbidden,
        name: "forbidden",
        status: StatusCode::FORBIDDEN,
        title: "The token does not allow this",
        advice: "`laterbase token inspect` shows what it allows. What spans all roots needs a \
                 token for all; ask for one root, or the operator for another token.",
    },
    Facts {
        kind: Kind::NotFound,
        name: "not-found",
        status: StatusCode::NOT_FOUND,
        title: "There is nothing here",
        advice: "/openapi.json lists the paths; /console/api shows them.",
    },
    Facts {
        kind: Kind::NoSuchDatabase,
        name: "no-such-database",
        status: StatusCode::NOT_FOUND,
        title: "There is no such database",
        advice: "`GET /db` lists the databases; `PUT /db/{db}` makes one.",
    },
    Facts {
        kind: Kind::NoSuchEvent,
        name: "no-such-event",
        status: StatusCode::NOT_FOUND,
        title: "There is no such event here",
        advice: "It may not have come here yet: sync, or ask another copy.",
    },
    Facts {
        kind: Kind::NoSuchFold,
        name: "no-such-fold",
        status: StatusCode::NOT_FOUND,
        title: "This server has no such aggregates or view",
        advice: "`detail` lists those that its program has named.",
    },
    Facts {
        kind: Kind::NoSuchRow,
        name: "no-such-row",
        status: StatusCode::NOT_FOUND,
        title: "There is no such aggregate or row at that moment",
        advice: "It may not have come here yet, or not have happened by the moment asked for.",
    },
    Facts {
        kind: Kind::NoSuchConsumer,
        name: "no-such-consumer",
        status: StatusCode::NOT_FOUND,
        title: "There is no such consumer here",
        advice: "`GET /db/{db}/c` lists the consumers; `PUT /db/{db}/c/{consumer}` makes one.",
    },
    Facts {
        kind: Kind::NoSuchPeer,
        name: "no-such-peer",
        status: StatusCode::NOT_FOUND,
        title: "There is no such peer",
        advice: "`listed_peers` of `GET /db/{db}` lists them; `laterbase peer add` adds one.",
    },
    Facts {
        kind: Kind::Method,
        name: "method",
        status: StatusCode::METHOD_NOT_ALLOWED,
        title: "This path has other methods",
        advice: "The header Allow lists them.",
    },
    Facts {
        kind: Kind::NotAcceptable,
        name: "not-acceptable",
        status: StatusCode::NOT_ACCEPTABLE,
        title: "There is no answer of the media types that were asked for",
        advice: "`detail` lists the media types that there are; name one of them in Accept.",
    },
    Facts {
        kind: Kind::Timeout,
        name: "timeout",
        status: StatusCode::REQUEST_TIMEOUT,
        title: "The request took too long",
        advice: "Send the body faster, or less of it; nothing of it was recorded unless an \
                 earlier try with the same idempotency key was.",
    },
    Facts {
        kind: Kind::Version,
        name: "version",
        status: StatusCode::CONFLICT,
        title: "A stream has another version than expected",
        advice: "`actual` is the version that it has: read the stream and decide anew.",
    },
    Facts {
        kind: Kind::Condition,
        name: "condition",
        status: StatusCode::CONFLICT,
        title: "What was demanded is not so",
        advice: "`event` is the first one that the append was to fail for; of a statement, `text` \
                 shows what it expects and what it found: read what changed and decide anew.",
    },
    Facts {
        kind: Kind::Conflict,
        name: "conflict",
        status: StatusCode::CONFLICT,
        title: "What is recorded stands against it",
        advice: "An idempotency key stands for another event, or for a part of the request: use a \
                 new key, or leave out what is recorded.",
    },
    Facts {
        kind: Kind::NoDirectory,
        name: "no-directory",
        status: StatusCode::CONFLICT,
        title: "This server cannot make databases",
        advice: "It was started with databases and no directory: make them with `laterbase init`.",
    },
    Facts {
        kind: Kind::TooManyConsumers,
        name: "too-many-consumers",
        status: StatusCode::CONFLICT,
        title: "The database has as many consumers as it may have",
        advice: "`GET /db/{db}/c` lists them; `DELETE /db/{db}/c/{consumer}` removes one.",
    },
    Facts {
        kind: Kind::TooManyDatabases,
        name: "too-many-databases",
        status: StatusCode::CONFLICT,
        title: "There are as many databases as there may be",
        advice: "Use roots of one of them, or have the operator raise the bound.",
    },
    Facts {
        kind: Kind::TooManyDead,
        name: "too-many-dead",
        status: StatusCode::CONFLICT,
        title: "The consumer's list of dead events is full",
        advice: "`GET …/dead` lists them; `retry` or `discard` some with `POST …/settle`.",
    },
    Facts {
        kind: Kind::SessionBusy,
        name: "session-busy",
        status: StatusCode::CONFLICT,
        title: "The session is at work on a request",
        advice: "Wait for its answer, or begin a new session.",
    },
    Facts {
        kind: Kind::SessionUnknown,
        name: "session-unknown",
        status: StatusCode::GONE,
        title: "The session is over or was forgotten",
        advice: "Begin a new one: send a Hello without the session's header.",
    },
    Facts {
        kind: Kind::Precondition,
        name: "precondition",
        status: StatusCode::PRECONDITION_FAILED,
        title: "A stream is not as the request's header demands",
        advice: "`actual` is the version that it has: read the stream and decide anew.",
    },
    Facts {
        kind: Kind::TooLarge,
        name: "too-large",
        status: StatusCode::PAYLOAD_TOO_LARGE,
        title: "The body is too long",
        advice: "`bytes_max` is the most; send it in parts.",
    },
    Facts {
        kind: Kind::UriTooLong,
        name: "uri-too-long",
        status: StatusCode::URI_TOO_LONG,
        title: "The address is too long",
        advice: "Send a large version vector by POST to …/changes.",
    },
    Facts {
        kind: Kind::MediaType,
        name: "media-type",
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        title: "The body is of another type",
        advice: "`detail` lists the media types that are taken.",
    },
    Facts {
        kind: Kind::Bundle,
        name: "bundle",
        status: StatusCode::UNPROCESSABLE_ENTITY,
        title: "The bundle cannot be taken in",
        advice: "Send a file that `laterbase export` wrote from a copy of this database.",
    },
    Facts {
        kind: Kind::RefusedEvent,
        name: "refused-event",
        status: StatusCode::UNPROCESSABLE_ENTITY,
        title: "Events were refused, and nothing of their commit was recorded",
        advice: "`errors` names each by its `index` in the body, from 0: mend them and send all \
                 again; of a body in batches, `done` says from which event on.",
    },
    Facts {
        kind: Kind::Query,
        name: "query",
        status: StatusCode::UNPROCESSABLE_ENTITY,
        title: "A statement is wrong",
        advice: "`mistakes` names each mistake with its line and column, `text` shows them in \
                 their lines; `done` counts the statements in front that were carried out.",
    },
    Facts {
        kind: Kind::QueryTooLarge,
        name: "query-too-large",
        status: StatusCode::UNPROCESSABLE_ENTITY,
        title: "The question takes more than a question may",
        advice: "`detail` names the part that grows: bind more of its fields, or ask for less.",
    },
    Facts {
        kind: Kind::Schema,
        name: "schema",
        status: StatusCode::UNPROCESSABLE_ENTITY,
        title: "The schema is wrong, or changes what may not change",
        advice: "`mistakes` names each one with its line and column and what to do, `text` shows \
                 them in their lines.",
    },
    Facts {
        kind: Kind::RateLimit,
        name: "rate-limit",
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "Too many requests from one place",
        advice: "Come back after the seconds in Retry-After, and send several events in one \
                 request.",
    },
    Facts {
        kind: Kind::HeadersTooLarge,
        name: "headers-too-large",
        status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        title: "The headers are too long",
        advice: "`bytes_max` is the most for all of them together; leave out what is not needed.",
    },
    Facts {
        kind: Kind::Internal,
        name: "internal",
        status: StatusCode::INTERNAL_SERVER_ERROR,
        title: "The database failed",
        advice: "The server's output says more, under the request's id.",
    },
    Facts {
        kind: Kind::NotFolded,
        name: "not-folded",
        status: StatusCode::INTERNAL_SERVER_ERROR,
        title: "An event could not be folded",
        advice: "`event` names it. Mend the program's `apply` or add an upcaster; others go on.",
    },
    Facts {
        kind: Kind::Busy,
        name: "busy",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "The server has too much to do",
        advice: "Come back after the seconds in Retry-After.",
    },
    Facts {
        kind: Kind::Slow,
        name: "slow",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "The answer takes too long",
        advice: "Ask for less: one root or key, a narrower range, a smaller `limit`.",
    },
    Facts {
        kind: Kind::NotReady,
        name: "not-ready",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "A database has failed",
        advice: "Look at the server's output, mend the storage and start the server again.",
    },
    Facts {
        kind: Kind::Rebuilding,
        name: "rebuilding",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "The view is being made anew, and its rows of before do not say this",
        advice: "Come back after the seconds in Retry-After, or ask for now: the rows that another \
                 version has left answer meanwhile. `folds` of `GET /db/{db}` says how far it is.",
    },
    Facts {
        kind: Kind::Storage,
        name: "storage",
        status: StatusCode::INSUFFICIENT_STORAGE,
        title: "The storage failed",
        advice: "Make room or mend the disk; then send the request again with an idempotency key.",
    },
];

/// For a kind that the table forgets; a test says that it forgets none.
const UNKNOWN: Facts = Facts {
    kind: Kind::Internal,
    name: "internal",
    status: StatusCode::INTERNAL_SERVER_ERROR,
    title: "The database failed",
    advice: "",
};

impl Kind {
    pub(crate) fn facts(self) -> &'static Facts {
        KINDS.get(self as usize).unwrap_or(&UNKNOWN)
    }

    pub(crate) fn name(self) -> &'static str {
        self.facts().name
    }

    pub(crate) fn status(self) -> StatusCode {
        self.facts().status
    }

    pub(crate) fn title(self) -> &'static str {
        self.facts().title
    }

    pub(crate) fn advice(self) -> &'static str {
        self.facts().advice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_once_and_stands_in_the_reference_with_its_status() {
        let reference = include_str!("../../../docs/reference/http.md");
        for (index, Facts { kind, .. }) in KINDS.iter().enumerate() {
            assert_eq!(*kind as usize, index, "{kind:?}");
            let row = format!("| `{}` | {} |", kind.name(), kind.status().as_u16());
            assert!(reference.contains(&row), "docs/reference/http.md lacks the row {row}");
        }
        assert_eq!(Kind::Storage as usize + 1, KINDS.len(), "the last kind is not in the table");
        let rows = reference.lines().filter(|line| {
            let mut cells = line.split('|').skip(2);
            line.starts_with("| `")
                && cells.next().is_some_and(|cell| cell.trim().len() == 3)
                && cells.next().is_some()
        });
        assert_eq!(rows.count(), KINDS.len(), "the table lists what there is not");
    }
}
