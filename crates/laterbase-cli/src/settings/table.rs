//! All settings: their names, forms, bounds and what the help says of them.

use std::time::Duration;

use super::form::Form;
use super::plan::Plan;

/// One thing that can be set.
pub(super) struct Setting {
    /// In the file; the flag and the environment variable follow from it.
    pub(super) name: &'static str,
    pub(super) form: Form,
    pub(super) about: &'static str,
}

/// A setting of every command, which has a flag and a variable already.
pub(super) const DB: &str = "db";

const DAY: Duration = Duration::from_secs(86_400);
const KIB: usize = 1 << 10;
const GIB: usize = 1 << 30;

const fn setting(name: &'static str, form: Form, about: &'static str) -> Setting {
    Setting { name, form, about }
}

const fn time(place: fn(&mut Plan) -> &mut Duration, least_ms: u64) -> Form {
    Form::Time { place, least: Duration::from_millis(least_ms), most: DAY }
}

const fn bytes(place: fn(&mut Plan) -> &mut usize, least: usize, most: usize) -> Form {
    Form::Bytes { place, least, most }
}

/// The table, in the order in which settings are shown.
pub(super) static SETTINGS: &[Setting] = &[
    setting("db", Form::Path(|plan| &mut plan.db), "The database's directory"),
    setting(
        "listen",
        Form::Address(|plan| &mut plan.listen),
        "Where to listen; port 0 takes a free one. Other addresses than this machine's own \
         need --tls-cert, --tls-key and --token-key",
    ),
    #[cfg(feature = "tls")]
    setting(
        "tls_cert",
        Form::Path(|plan| &mut plan.tls_cert),
        "Encrypt all connections, with the certificates in this PEM file, the server's first",
    ),
    #[cfg(feature = "tls")]
    setting(
        "tls_key",
        Form::Path(|plan| &mut plan.tls_key),
        "The key of the certificate, a PEM file",
    ),
    #[cfg(feature = "tokens")]
    setting(
        "token_key",
        Form::Paths(|plan| &mut plan.token_key),
        "Ask every client for a token that is signed with one of these keys: their public halves",
    ),
    #[cfg(feature = "tokens")]
    setting(
        "revoked",
        Form::Path(|plan| &mut plan.revoked),
        "Refuse the tokens on this list; it is read again when it changes",
    ),
    setting(
        "insecure_network",
        Form::Switch(|plan| &mut plan.server.insecure_network),
        "Let other machines in without encryption or tokens: whoever reaches the address \
         may read, write and listen in",
    ),
    setting(
        "cors_origin",
        Form::Origins(|plan| &mut plan.server.cors_origins),
        "Let web pages of these origins ask",
    ),
    setting(
        "sync_every",
        time(|plan| &mut plan.background.interval, 1_000),
        "Sync with each peer at least about so often",
    ),
    setting(
        "retry_within",
        time(|plan| &mut plan.background.backoff_most, 1_000),
        "After a failure, wait for so long at the most before the next try",
    ),
    setting(
        "log",
        Form::LogFormat(|plan| &mut plan.log),
        "How the log on standard error looks: text, or json as is the default with --json",
    ),
    setting(
        "log_level",
        Form::LogLevel(|plan| &mut plan.log_level),
        "What is logged: off, error, warn, info, debug or trace",
    ),
    setting(
        "log_requests",
        Form::Switch(|plan| &mut plan.server.log_requests),
        "Log each request that is answered at the level info, instead of debug",
    ),
    setting(
        "connections_max",
        Form::Count(|plan| &mut plan.server.connections_max),
        "Connections at the same time",
    ),
    setting(
        "requests_max",
        Form::Count(|plan| &mut plan.server.requests_max),
        "Requests that are worked on at the same time",
    ),
    setting(
        "streams_max",
        Form::Count(|plan| &mut plan.server.streams_max),
        "Answers that stream at the same time",
    ),
    setting(
        "live_max",
        Form::Count(|plan| &mut plan.server.live_max),
        "Live connections of peers at the same time",
    ),
    setting(
        "databases_max",
        Form::Count(|plan| &mut plan.server.databases_max),
        "Databases that clients may make, those that are there counted",
    ),
    setting(
        "sessions_max",
        Form::Count(|plan| &mut plan.server.sessions_max),
        "Sync sessions of each database that are kept between requests",
    ),
    setting(
        "sessions_per_peer_max",
        Form::Count(|plan| &mut plan.server.sessions_per_peer_max),
        "Of those, how many of one peer",
    ),
    setting(
        "body_bytes_max",
        bytes(|plan| &mut plan.server.body_bytes_max, KIB, GIB),
        "Bytes of a request's body",
    ),
    setting(
        "waiting_bytes_max",
        bytes(|plan| &mut plan.server.waiting_bytes_max, KIB, 64_usize.saturating_mul(GIB)),
        "Bytes of all bodies that arrive and all answers on their way",
    ),
    setting(
        "header_bytes_max",
        bytes(|plan| &mut plan.server.header_bytes_max, KIB, 96 * KIB),
        "Bytes of a request's headers",
    ),
    setting(
        "uri_bytes_max",
        bytes(|plan| &mut plan.server.uri_bytes_max, 256, 24 * KIB),
        "Bytes of a request's path and parameters",
    ),
    setting(
        "rate_per_second",
        Form::PerSecond(|plan| &mut plan.rate.per_second),
        "Requests of one client in a second, in the long run, or off",
    ),
    setting(
        "rate_burst",
        Form::AtOnce(|plan| &mut plan.rate.burst),
        "Requests of one client at once; as many as in a second if not given",
    ),
    setting(
        "head_timeout",
        time(|plan| &mut plan.server.head_timeout, 10),
        "Time until the head of a request is there, or the connection is encrypted",
    ),
    setting(
        "request_timeout",
        time(|plan| &mut plan.server.request_timeout, 10),
        "Time until a body is there, and until a GET is answered",
    ),
    setting(
        "write_timeout",
        time(|plan| &mut plan.server.write_timeout, 10),
        "Time in which a client may take nothing of its answer",
    ),
    setting(
        "keep_alive",
        time(|plan| &mut plan.server.keep_alive, 100),
        "How often a stream in which nothing happens says that it is there",
    ),
    setting(
        "recheck_after",
        time(|plan| &mut plan.server.recheck_after, 1),
        "How long a stream may rely on its token before it is checked again",
    ),
    setting(
        "session_idle",
        time(|plan| &mut plan.server.session_idle, 1_000),
        "How long a sync session is kept without a request",
    ),
    setting(
        "grace",
        time(|plan| &mut plan.server.grace, 1),
        "How long requests may go on after the server was told to end",
    ),
];

/// The setting of this name.
pub(super) fn index_of(name: &str) -> Option<usize> {
    SETTINGS.iter().position(|setting| setting.name == name)
}

/// The setting whose name is most like this one, if any is.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let name = name.replace('-', "_").to_ascii_lowercase();
    let likeness = |setting: &Setting| strsim::jaro_winkler(setting.name, &name);
    let nearest = SETTINGS.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(nearest) > 0.8).then_some(nearest.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_nearly_right_is_known() {
        for (name, near) in [
            ("body_byte_max", Some("body_bytes_max")),
            ("body-bytes-max", Some("body_bytes_max")),
            ("LISTEN", Some("listen")),
            ("max_body_bytes", None),
            ("colour", None),
        ] {
            assert_eq!(nearest(name), near, "{name}");
        }
    }

    #[test]
    fn the_reference_lists_each_with_its_default() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/command-line.md");
        let page = std::fs::read_to_string(page).unwrap();
        let mut plan = Plan::by_default(false);
        for setting in SETTINGS {
            let default = setting.form.show(&mut plan);
            let default = default.map(|value| format!("`{}`", value.trim_matches('"')));
            let row = format!("| `{}` | {} |", setting.name, default.unwrap_or_default());
            // What is off stands as `off`.
            let off = format!("| `{}` | `off` |", setting.name);
            assert!(page.contains(&row) || page.contains(&off), "{row} is missing");
        }
    }

    #[test]
    fn no_two_settings_have_one_name() {
        for (index, setting) in SETTINGS.iter().enumerate() {
            assert_eq!(index_of(setting.name), Some(index), "{}", setting.name);
        }
    }
}
