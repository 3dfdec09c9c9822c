//! What carries flights: a request and its answer, whatever is in between.

use std::time::Duration;

/// The header in which a server names the session, and a client says which one it goes on with.
pub const SESSION_HEADER: &str = "laterbase-session";

/// What the body of a request or an answer with frames is.
pub const FRAMES_TYPE: &str = "application/vnd.laterbase.frames";

/// The longest that a peer is left alone because it asks for it.
const RETRY_AFTER_MOST: Duration = Duration::from_secs(60);

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Frames, one behind the other.
    pub flight: Vec<u8>,
    /// What names the session for the next flight; none if it is over there.
    pub session: Option<String>,
    /// Why the flight ends early, if it does: the frames before the end are of use.
    pub cut: Option<WireError>,
}

/// Carries a flight to the peer and its answer back.
pub trait Wire {
    /// Sends one flight and waits for the other.
    ///
    /// # Errors
    /// [`WireError`]; whether the flight arrived is not known then.
    fn exchange(&mut self, flight: &[u8], session: Option<&str>) -> Result<Reply, WireError>;
}

/// A flight was not carried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Nobody listens there, or the way is cut.
    #[error("{message}")]
    Unreachable {
        /// The system's words.
        message: String,
    },
    /// No authority that is trusted vouches for the peer's certificate.
    #[error(
        "the peer could not prove who it is: {message}; if its certificate is from an authority \
         of your own, name the file with that authority's certificate in SSL_CERT_FILE"
    )]
    Untrusted {
        /// What is wrong with the certificate.
        message: String,
    },
    /// The connection ended, or took too long, before the answer was whole.
    #[error("the connection was lost: {message}")]
    Lost {
        /// The system's words.
        message: String,
    },
    /// The peer has forgotten the session: begin a new one.
    #[error("the peer has forgotten the session; sync again to go on")]
    SessionUnknown,
    /// The peer has too much to do.
    #[error("the peer is busy; it asks to come back in {} ms", retry_after.as_millis())]
    Busy {
        /// When to come back.
        retry_after: Duration,
    },
    /// The peer refused the request.
    #[error("the peer refused it: {title} (HTTP {status})")]
    Refused {
        /// The status of the answer.
        status: u16,
        /// What its problem document says.
        title: String,
    },
    /// The answer is longer than any that is taken.
    #[error(
        "the peer's answer is longer than {bytes_max} bytes; check that its address is right, and \
         that both run the same version"
    )]
    TooLong {
        /// The most that is taken.
        bytes_max: u64,
    },
    /// The answer is not one of Laterbase.
    #[error("what answers there is not Laterbase; check the address of the peer")]
    Foreign,
}

impl WireError {
    /// How long the peer asks to be left alone, up to a minute.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Busy { retry_after } => (*retry_after).min(RETRY_AFTER_MOST),
            Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::Lost { .. }
            | Self::SessionUnknown
            | Self::Refused { .. }
            | Self::TooLong { .. }
            | Self::Foreign => Duration::ZERO,
        }
    }

    /// Whether the same may work a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Lost { .. }
            | Self::SessionUnknown
            | Self::Busy { .. } => true,
            // 408: the request took too long; 409: an earlier request is still worked on.
            Self::Refused { status, .. } => *status >= 500 || matches!(*status, 408 | 409),
            Self::Untrusted { .. } | Self::TooLong { .. } | Self::Foreign => false,
        }
    }
}
