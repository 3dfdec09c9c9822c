//! Flights over HTTP: one request and its answer for each round trip.

use std::io::Read as _;
use std::time::Duration;

use serde::Deserialize;
use ureq::Agent;
use ureq::http::Response;
use ureq::{Body, Error, RequestBuilder};

use crate::address::PeerAddress;
use crate::token::Token;
use crate::wire::{FRAMES_TYPE, Reply, SESSION_HEADER, Wire, WireError};

/// The longest answer that is taken: what may be under way, and one frame beyond.
const REPLY_BYTES_MAX: u64 = 64 << 20;

/// The longest description of a database that is read.
const DESCRIPTION_BYTES_MAX: u64 = 64 << 20;

/// The longest problem document that is read.
const PROBLEM_BYTES_MAX: u64 = 64 << 10;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What a server says of a database, as far as it is used here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Described {
    /// Which database, in hexadecimal digits.
    pub database: String,
    /// Under which id the server writes, in hexadecimal digits.
    pub replica: String,
}

/// The way to a peer over HTTP. Connections are kept for the next flight.
#[derive(Clone, Debug)]
pub struct HttpWire {
    agent: Agent,
    address: PeerAddress,
    token: Option<Token>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
}

impl HttpWire {
    /// The way to `address`. To send a request, to wait for its answer and to read it may take
    /// `timeout` each; what takes longer counts as lost.
    #[must_use]
    pub fn new(address: PeerAddress, timeout: Duration) -> Self {
        let agent = agent(&address, timeout, Some(timeout));
        Self { agent, address, token: None }
    }

    /// The same, with a token that is shown with each request.
    #[must_use]
    pub fn with_token(mut self, token: Option<Token>) -> Self {
        self.token = token;
        self
    }

    fn shown<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("authorization", token.header()),
            None => request,
        }
    }

    /// Asks which database is there.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn describe(&self) -> Result<Described, WireError> {
        let request = self.shown(self.agent.get(self.address.url("")));
        let answer = request.call().map_err(failed)?;
        let answer = accepted(answer)?;
        let (bytes, cut) = body(answer, DESCRIPTION_BYTES_MAX)?;
        if let Some(cut) = cut {
            return Err(cut);
        }
        serde_json::from_slice(&bytes).map_err(|_| WireError::Foreign)
    }

    /// Tells the peer what changed, without waiting for more than that it was heard. Whether it
    /// lacks something of it still.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn announce(&self, frame: &[u8]) -> Result<bool, WireError> {
        let request = self.shown(self.agent.post(self.address.url("/sync")));
        let request = request.content_type(FRAMES_TYPE);
        let answer = accepted(request.send(frame).map_err(failed)?)?;
        Ok(answer.headers().contains_key("laterbase-lacks"))
    }
}

/// What sends requests to `address`.
pub(crate) fn agent(
    address: &PeerAddress,
    timeout: Duration,
    body_timeout: Option<Duration>,
) -> Agent {
    let config = Agent::config_builder();
    #[cfg(feature = "tls")]
    let config = if address.is_encrypted() {
        config.https_only(true).tls_config(crate::tls::of_requests())
    } else {
        config
    };
    #[cfg(not(feature = "tls"))]
    let _ = address;
    let config = config
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_send_request(Some(timeout))
        .timeout_send_body(Some(timeout))
        .timeout_recv_response(Some(timeout))
        .timeout_recv_body(body_timeout)
        .user_agent(concat!("laterbase/", env!("CARGO_PKG_VERSION")))
        .build();
    Agent::new_with_config(config)
}

impl Wire for HttpWire {
    fn exchange(&mut self, flight: &[u8], session: Option<&str>) -> Result<Reply, WireError> {
        let request = self.shown(self.agent.post(self.address.url("/sync")));
        let mut request = request.content_type(FRAMES_TYPE);
        if let Some(session) = session {
            request = request.header(SESSION_HEADER, session);
        }
        let answer = accepted(request.send(flight).map_err(failed)?)?;
        if header(&answer, "content-type").as_deref() != Some(FRAMES_TYPE) {
            return Err(WireError::Foreign);
        }
        let session = header(&answer, SESSION_HEADER);
        let (flight, cut) = body(answer, REPLY_BYTES_MAX)?;
        Ok(Reply { flight, session, cut })
    }
}

pub(crate) fn header(answer: &Response<Body>, name: &str) -> Option<String> {
    Some(answer.headers().get(name)?.to_str().ok()?.to_owned())
}

/// The answer, unless it is a refusal.
fn accepted(answer: Response<Body>) -> Result<Response<Body>, WireError> {
    let status = answer.status().as_u16();
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    let seconds = header(&answer, "retry-after").and_then(|text| text.parse().ok());
    let is_problem = header(&answer, "content-type").as_deref() == Some("application/problem+json");
    let (bytes, _) = body(answer, PROBLEM_BYTES_MAX).unwrap_or_default();
    let problem = serde_json::from_slice::<Problem>(&bytes).ok().filter(|_| is_problem);
    match (status, problem) {
        (410, Some(_)) => Err(WireError::SessionUnknown),
        (429 | 503, _) => {
            Err(WireError::Busy { retry_after: Duration::from_secs(seconds.unwrap_or(1)) })
        }
        (_, Some(Problem { title, detail })) => {
            let title = if detail.is_empty() { title } else { format!("{title}: {detail}") };
            Err(WireError::Refused { status, title })
        }
        (_, None) => Err(WireError::Foreign),
    }
}

/// What came of the body, and why it is not whole, if it is not.
fn body(answer: Response<Body>, bytes_max: u64) -> Result<(Vec<u8>, Option<WireError>), WireError> {
    let mut bytes = Vec::new();
    let mut reader = answer.into_body().into_reader().take(bytes_max + 1);
    let cut = reader.read_to_end(&mut bytes).err();
    if bytes.len() as u64 > bytes_max {
        return Err(WireError::TooLong { bytes_max });
    }
    Ok((bytes, cut.map(|error| WireError::Lost { message: error.to_string() })))
}

/// What an error of the library means for the flight.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else goes wrong, it is not known whether the flight arrived"
)]
pub(crate) fn failed(error: Error) -> WireError {
    #[cfg(feature = "tls")]
    if let Error::Io(error) = &error
        && let Some(untrusted) = crate::tls::untrusted(error)
    {
        return untrusted;
    }
    let message = error.to_string();
    match error {
        Error::HostNotFound | Error::ConnectionFailed => WireError::Unreachable { message },
        Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            WireError::Unreachable { message: "nobody listens there".to_owned() }
        }
        Error::Protocol(_) | Error::Http(_) | Error::BadUri(_) => WireError::Foreign,
        _ => WireError::Lost { message },
    }
}
