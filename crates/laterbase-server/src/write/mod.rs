//! `POST …/e` and `POST …/e/{root}`: events in, ids out.
//!
//! ```text
//!   headers ─▶ form, idempotency key, entity tags        entity_tag
//!   body ─▶ events and conditions                         body, conditions, cloud_events
//!        ─▶ one commit, staged ─▶ on the device ─▶ 201
//!   └ on a thread that may block ─┘ └ waits without one
//!     unless it is short
//! ```
//! All events of a body are one commit: recorded together or not at all. A body with events that
//! are refused is refused whole, and each of them is named by its index. Lines may be several
//! commits (`batches`).

mod batches;
pub(crate) mod body;
pub(crate) mod conditions;
pub(crate) mod entity_tag;
mod lines;
mod refusal;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use laterbase::{
    AppendError, Appended, Commit, Database, Expected, Key, NewEvent, Outcome, RootName, Ticket,
};
use serde_json::json;

use self::body::Forms;
use self::conditions::Conditions;
pub(crate) use self::conditions::{vector, whole_number};
use self::entity_tag::{HeaderCondition, entity_tag};
pub(crate) use self::refusal::not_appended;
use crate::access::{self, Asked, Verb};
use crate::admission::Begun;
use crate::call::{Call, header};
use crate::databases::Hosted;
use crate::describe::vector_text;
use crate::metrics::Ended;
use crate::problem::{Problem, Refused};
use crate::request::{Whole, json, json_text, whole};
use crate::routes::Shared;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Refused events that an answer names at the most.
const REFUSED_MAX: usize = 100;
/// Bodies up to this length are read where the request is: that takes less than to wake a thread
/// for it, or not much more.
const AT_ONCE_BYTES_MAX: usize = 16 << 10;

/// Bytes of an answer with few logs, and for each event in it, about.
const ANSWER_BYTES: usize = 256;
const ANSWER_EVENT_BYTES: usize = 56;

/// What a body has to say: events, each as it was read, and conditions.
pub(crate) struct Read {
    pub(crate) events: Vec<Result<NewEvent, String>>,
    pub(crate) conditions: Conditions,
}

/// A request to record events.
struct Writing {
    shared: Arc<Shared>,
    hosted: Arc<Hosted>,
    headers: HeaderMap,
    root: Option<RootName>,
    forms: Forms,
    key: Option<String>,
    demanded: Option<HeaderCondition>,
    body: Whole,
    /// How many events of the request came before these, where it is recorded in batches.
    before: Option<usize>,
}

/// What became of a body.
enum Pushed {
    /// It has no events, and this is the answer.
    Nothing(Response),
    Events(Box<Ready>),
}

/// A request whose events are in a commit.
struct Ready {
    writing: Writing,
    events: Vec<Result<NewEvent, String>>,
    /// The one that all of them are on, if there is one.
    stream: Option<(RootName, Key)>,
    commit: Commit,
    /// Which versions of which streams it is for.
    exact: Vec<(RootName, Key, Expected)>,
    began: Instant,
}

impl Ready {
    /// Takes its place in the log if that needs no waiting; otherwise nothing is done.
    fn stage_now(&mut self) -> Result<Option<Ticket>, Problem> {
        let ticket = self.writing.hosted.database.append_now(&mut self.commit);
        ticket.map_err(|error| self.refused(&error))
    }

    /// Takes its place in the log; what is left is to wait for the device.
    fn stage(mut self) -> Result<Staged, Problem> {
        let ticket = self.writing.hosted.database.append(&mut self.commit);
        let ticket = ticket.map_err(|error| self.refused(&error))?;
        let is_new = ticket.staged().is_some_and(|staged| staged.outcome == Outcome::Recorded);
        if is_new && self.writing.hosted.database.has_threads() {
            return Ok(self.waiting(ticket));
        }
        // Of earlier events the answer is read, which needs them to be there.
        let appended = ticket.wait().map_err(|error| self.refused(&error))?;
        let events = self.events.len();
        self.count(if is_new { Ended::Recorded(events) } else { Ended::AlreadyApplied });
        self.response(&appended).map(Staged::Answered)
    }

    /// What is staged, with its answer.
    fn waiting(self, ticket: Ticket) -> Staged {
        let used = || Err(Problem::failed("the ticket was used before"));
        let response = ticket.staged().map_or_else(used, |staged| self.response(staged));
        let events = self.events.len();
        let Self { writing: Writing { hosted, .. }, began, .. } = self;
        Staged::Waiting { ticket, response, events, hosted, began }
    }

    fn response(&self, appended: &Appended) -> Result<Response, Problem> {
        let Self { writing, exact, stream, .. } = self;
        let mut response = json_text(answer(&writing.hosted.database, appended, writing.only())?);
        *response.status_mut() = StatusCode::CREATED;
        if let Some(tag) = writing.tag(appended, exact, stream.as_ref()) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        Ok(response)
    }

    fn refused(&self, error: &AppendError) -> Problem {
        let by_header = self.writing.demanded.as_ref().and(self.stream.as_ref());
        let problem = not_appended(error, by_header, &self.events, &|at| at);
        self.count(Ended::of(&problem));
        problem
    }

    fn count(&self, ended: Ended) {
        self.writing.hosted.metrics.count_append(ended, self.began.elapsed());
    }
}

/// How far a request to record events has come without waiting for the device.
enum Staged {
    /// There is nothing to wait for.
    Answered(Response),
    /// This is the answer when the ticket says so.
    Waiting {
        ticket: Ticket,
        response: Result<Response, Problem>,
        events: usize,
        hosted: Arc<Hosted>,
        began: Instant,
    },
}

impl Staged {
    /// Waits for the device, without a thread.
    async fn end(self) -> Result<Response, Problem> {
        match self {
            Self::Answered(response) => Ok(response),
            Self::Waiting { ticket, response, events, hosted, began } => {
                let appended = ticket.await;
                let appended = appended.map_err(|error| not_appended(&error, None, &[], &|at| at));
                let ended = appended.as_ref().map_or_else(Ended::of, |_| Ended::Recorded(events));
                hosted.metrics.count_append(ended, began.elapsed());
                appended.and(response)
            }
        }
    }
}

/// Records the events of a body and answers with what they are called.
pub(crate) async fn append(call: Call) -> Result<Response, Problem> {
    let hosted = call.hosted()?;
    let batch = batches::wanted(&call.parameters()?)?;
    let root = call.root()?;
    if root.is_some_and(|root| root.is_reserved()) {
        return Err(Problem::bad_request(
            "roots that begin with `_` are the database's own: record under another one; rows of \
             tables are written by `put` and `delete`",
        ));
    }
    if let Some(batch) = batch {
        return batches::append(call, hosted, root, batch).await;
    }
    let forms = Forms::of(call.headers())?;
    let key = call.header(&IDEMPOTENCY_KEY)?.map(str::to_owned);
    let demanded = HeaderCondition::of(call.headers())?;
    let Call { shared, parts, body, .. } = call;
    let body = whole(&shared, body).await?;
    let headers = parts.headers;
    let server = Arc::clone(&shared);
    let writing =
        Writing { shared, hosted, headers, root, forms, key, demanded, body, before: None };
    server.admission.run_to_end(move || writing.begin()).await
}

impl Writing {
    /// Does at once what is short and blocks nothing, so that small appends need no other thread.
    fn begin(self) -> Result<Begun<impl Future<Output = Result<Response, Problem>>>, Problem> {
        // An entity tag is held against the stream's version, which is read; where logs are forked
        // the answer's vector is. What somebody's validator does, nobody knows.
        let database = &self.hosted.database;
        let is_short = self.body.len() <= AT_ONCE_BYTES_MAX
            && matches!(self.forms, Forms::Json | Forms::Ndjson)
            && self.demanded.is_none()
            && database.has_threads()
            && !database.has_validators()
            && !database.has_forks().map_err(Problem::failed)?;
        if !is_short {
            return Ok(Begun::Blocks(Box::new(move || {
                Ok(match self.pushed()? {
                    Pushed::Nothing(response) => Staged::Answered(response),
                    Pushed::Events(ready) => ready.stage()?,
                }
                .end())
            })));
        }
        match self.pushed()? {
            Pushed::Nothing(response) => Ok(Begun::Waits(Staged::Answered(response).end())),
            Pushed::Events(mut ready) => Ok(match ready.stage_now()? {
                Some(ticket) => Begun::Waits(ready.waiting(ticket).end()),
                None => Begun::Blocks(Box::new(move || Ok(ready.stage()?.end()))),
            }),
        }
    }

    /// Reads the body into a commit.
    fn pushed(self) -> Result<Pushed, Problem> {
        let root = self.root.as_ref().map(RootName::as_str);
        let Read { mut events, conditions } = self.forms.read(&self.headers, root, &self.body)?;
        if events.is_empty() {
            return self.nothing().map(Pushed::Nothing);
        }
        self.give_keys(&mut events)?;
        self.ready(events, conditions).map(Box::new).map(Pushed::Events)
    }

    /// Makes a commit of events.
    fn ready(
        self,
        events: Vec<Result<NewEvent, String>>,
        conditions: Conditions,
    ) -> Result<Ready, Problem> {
        self.permitted(&events, &conditions)?;
        let stream = one_stream(&events);
        let mut commit = self.hosted.database.commit();
        let before = self.before.unwrap_or(0);
        push(&mut commit, &events, &|at| before + at)?;
        let mut exact = conditions.apply(&mut commit);
        if let Some(demanded) = &self.demanded {
            let Some((root, key)) = &stream else { return Err(no_one_stream()) };
            let expected = demanded.expected(&self.hosted.database, root, key)?;
            commit.expect(*root, key.clone(), expected);
            exact.push((*root, key.clone(), expected));
        }
        let began = Instant::now();
        Ok(Ready { writing: self, events, stream, commit, exact, began })
    }

    /// A body without events. A batch of CloudEvents may be empty, and is then taken as it is.
    fn nothing(&self) -> Result<Response, Problem> {
        if self.forms != Forms::CloudEvents {
            return Err(Problem::bad_request("the body has no events; send at least one"));
        }
        if self.demanded.is_some() {
            return Err(no_one_stream());
        }
        let vv = vector_shown(&self.hosted.database, self.only())?;
        Ok(json(&json!({ "outcome": "nothing", "events": [], "vv": vv })))
    }

    /// The root that the answer tells of: whoever may write under one need not be told how far the
    /// others are.
    fn only(&self) -> Option<RootName> {
        self.root.filter(|_| self.shared.config.authorizer.is_some())
    }

    /// Gives each event that has none an idempotency key that follows from the header's.
    fn give_keys(&self, events: &mut [Result<NewEvent, String>]) -> Result<(), Problem> {
        let Some(key) = &self.key else { return Ok(()) };
        if key.is_empty() {
            return Err(Problem::bad_request("the header Idempotency-Key is empty: leave it out"));
        }
        let is_one = events.len() == 1 && self.before.is_none();
        let before = self.before.unwrap_or(0);
        for (at, event) in events.iter_mut().enumerate() {
            let Ok(event) = event else { continue };
            let index = before + at;
            let derived = if is_one { key.clone() } else { format!("{key}/{index}") };
            event.idempotency_key.get_or_insert_with(|| derived.into_bytes());
        }
        Ok(())
    }

    /// Whether the client may write under each root that only the body names, and read what the
    /// conditions tell of: whether they hold says something of other streams.
    fn permitted(
        &self,
        events: &[Result<NewEvent, String>],
        conditions: &Conditions,
    ) -> Result<(), Problem> {
        let path = self.root.as_ref().map(RootName::as_str);
        let names = events.iter().flatten().map(|event| event.root.as_str());
        let written: BTreeSet<&str> = names.filter(|root| Some(*root) != path).collect();
        let told: BTreeSet<Option<&str>> = conditions.tells_of().into_iter().collect();
        let writes = written.into_iter().map(|root| (Some(root), Verb::Write));
        let reads = told.into_iter().filter(|root| root.is_none() || *root != path);
        let reads = reads.map(|root| (root, Verb::Read));
        let database = Some(self.hosted.name.as_str());
        for (root, verb) in writes.chain(reads) {
            let asked = Asked { database, roots: root.into(), verb };
            access::check(&self.shared, &self.headers, &asked)?;
        }
        Ok(())
    }

    /// The stream's new version, where the request says which one it had: only then is it sure
    /// that nobody else's event is counted in it.
    fn tag(
        &self,
        appended: &Appended,
        exact: &[(RootName, Key, Expected)],
        stream: Option<&(RootName, Key)>,
    ) -> Option<HeaderValue> {
        let (root, key) = stream?;
        let before = exact.iter().find_map(|(of, name, expected)| match expected {
            Expected::At(version) if (of, name) == (root, key) => Some(*version),
            Expected::None if (of, name) == (root, key) => Some(0),
            Expected::Any | Expected::None | Expected::Exists | Expected::At(_) => None,
        })?;
        let recorded = appended.outcome == Outcome::Recorded;
        let version = before + appended.len() as u64;
        recorded.then(|| entity_tag(self.hosted.database.replica(), version))
    }
}

/// Pushes all events, or names those that are refused, each by its index in the body.
fn push(
    commit: &mut Commit,
    events: &[Result<NewEvent, String>],
    index: &dyn Fn(usize) -> usize,
) -> Result<(), Problem> {
    let mut refused = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let pushed = match event {
            Ok(event) => commit.push(event).map(drop).map_err(|error| error.to_string()),
            Err(detail) => Err(detail.clone()),
        };
        if let Err(detail) = pushed {
            refused.push(Refused { index: index(at), detail });
            if refused.len() == REFUSED_MAX {
                break;
            }
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(Problem::refused_events(&refused)) }
}

/// The stream that all events are on, if there is one.
fn one_stream(events: &[Result<NewEvent, String>]) -> Option<(RootName, Key)> {
    let mut events = events.iter();
    let first = events.next()?.as_ref().ok()?;
    let key = first.key.as_deref()?;
    let same = |event: &Result<NewEvent, String>| {
        event
            .as_ref()
            .is_ok_and(|event| event.root == first.root && event.key.as_deref() == Some(key))
    };
    let root = RootName::try_from(first.root.as_str()).ok()?;
    let name = Key::try_from(key).ok()?;
    events.all(same).then_some((root, name))
}

/// The ids and numbers of what was recorded, as JSON. Written straight away: made as a tree, this
/// was as much work as reading the events.
fn answer(
    database: &Database,
    appended: &Appended,
    only: Option<RootName>,
) -> Result<String, Problem> {
    let mut text = String::with_capacity(ANSWER_BYTES + appended.len() * ANSWER_EVENT_BYTES);
    text.push_str("{\"events\":[");
    for (index, id) in appended.ids().enumerate() {
        let seq = match appended.seq(index) {
            Some(seq) => Some(seq),
            None => {
                let found = database.get(id).map_err(Problem::failed)?;
                found.map(|recorded| recorded.event.seq)
            }
        };
        let comma = if index == 0 { "" } else { "," };
        // Writing into a string does not fail; neither ids nor vectors need escaping.
        let _ = match seq {
            Some(seq) => write!(text, "{comma}{{\"id\":\"{id}\",\"seq\":{seq}}}"),
            None => write!(text, "{comma}{{\"id\":\"{id}\",\"seq\":null}}"),
        };
    }
    let outcome = match appended.outcome {
        Outcome::Recorded => "recorded",
        Outcome::AlreadyApplied => "already_applied",
    };
    let vv = vector_shown(database, only)?;
    let _ = writeln!(text, "],\"outcome\":\"{outcome}\",\"vv\":\"{vv}\"}}");
    Ok(text)
}

/// How far a database is, of one root or of all.
fn vector_shown(database: &Database, only: Option<RootName>) -> Result<String, Problem> {
    let vector = database.version_vector().map_err(Problem::failed)?;
    Ok(vector_text(&only.map_or_else(|| vector.clone(), |root| vector.for_root(&root))))
}

fn no_one_stream() -> Problem {
    Problem::bad_request(
        "If-Match and If-None-Match need all events of the body on one key: use `expect` in the \
         body for several",
    )
}

/// The header that is read elsewhere too.
pub(crate) fn if_none_match(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    header(headers, &header::IF_NONE_MATCH)
}
