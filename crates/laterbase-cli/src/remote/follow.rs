//! What comes, as a server tells of it: server-sent events.

use std::io::{BufRead as _, BufReader, Read};
use std::time::Duration;

use laterbase::{Cursor, Query, Recorded};
use laterbase_client::{Backoff, RemoteError};
use laterbase_json::RecordedIn;

use super::There;
use super::pages::{Parameters, parameters};
use crate::failure::Failure;

/// How often a lost connection is made again, without a word of the server in between.
const ATTEMPTS: u32 = 8;
/// The longest line that is read: an event, and what stands around it.
const LINE_BYTES_MAX: u64 = 128 << 20;

type Lines = BufReader<Box<dyn Read + Send>>;

/// Events as they come, in order of arrival. A connection that is lost is made again, and goes on
/// behind the last event.
pub(crate) struct Follow {
    there: There,
    parameters: Parameters,
    after: Option<String>,
    lines: Option<Lines>,
    backoff: Backoff,
}

/// What a stream gave.
pub(crate) enum Came {
    /// An event, and the cursor behind it.
    Event(Box<Recorded>, Cursor),
    /// Nothing for now: what came has been given.
    Nothing,
}

impl Follow {
    /// What `query` asks for, in order of arrival, behind the cursor `after`.
    pub(crate) fn new(there: There, query: &Query, after: Option<Cursor>) -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let after = after.map(|after| after.to_string());
        Self { there, parameters: parameters(query), after, lines: None, backoff }
    }

    /// Waits for the next event, or for a sign of life.
    pub(crate) fn wait(&mut self) -> Result<Came, Failure> {
        loop {
            let mut lines = match self.lines.take() {
                Some(lines) => lines,
                None => match self.connect() {
                    Ok(lines) => lines,
                    Err(RemoteError::Wire(error)) if error.is_passing() && self.may_try() => {
                        self.pause();
                        continue;
                    }
                    Err(error) => return Err(self.there.failed(&error)),
                },
            };
            match self.read(&mut lines)? {
                Some(came) => {
                    self.lines = Some(lines);
                    return Ok(came);
                }
                None if self.may_try() => self.pause(),
                None => return Err(self.there.foreign("the stream of events broke off")),
            }
        }
    }

    fn may_try(&self) -> bool {
        self.backoff.failures() + 1 < ATTEMPTS
    }

    fn pause(&mut self) {
        std::thread::sleep(self.backoff.after_failure());
    }

    fn connect(&self) -> Result<Lines, RemoteError> {
        let mut parameters = self.parameters.clone();
        parameters.extend(self.after.clone().map(|after| ("after", after)));
        let stream = self.there.remote.stream("/e", &parameters, "text/event-stream")?;
        Ok(BufReader::new(stream))
    }

    /// Reads to the end of a message; none if the connection is lost.
    fn read(&mut self, lines: &mut Lines) -> Result<Option<Came>, Failure> {
        let (mut id, mut data) = (None, None);
        loop {
            let mut line = String::new();
            match lines.by_ref().take(LINE_BYTES_MAX).read_line(&mut line) {
                Ok(read) if read > 0 && line.ends_with('\n') => {}
                Ok(_) | Err(_) => return Ok(None),
            }
            let line = line.trim_end();
            if let Some(text) = line.strip_prefix("id: ") {
                id = Some(text.to_owned());
            } else if let Some(text) = line.strip_prefix("data: ") {
                data = Some(text.to_owned());
            } else if line.is_empty() {
                self.after = id.or(self.after.take());
                // A server that speaks is there, whether it has an event to tell of or not.
                self.backoff.reset();
                let Some(data) = data else { return Ok(Some(Came::Nothing)) };
                let recorded = RecordedIn::read(&data).and_then(RecordedIn::into_recorded);
                let recorded = recorded.map_err(|error| self.there.foreign(error))?;
                let cursor = self.after.as_deref().unwrap_or_default().parse();
                let cursor = cursor.map_err(|error| self.there.foreign(error))?;
                return Ok(Some(Came::Event(Box::new(recorded), cursor)));
            }
        }
    }

    /// Whether more of what came can be given without waiting.
    pub(crate) fn has_more(&self) -> bool {
        self.lines.as_ref().is_some_and(|lines| !lines.buffer().is_empty())
    }
}
