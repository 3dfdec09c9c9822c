//! What settings demand of each other.

use super::error::SettingError;
use super::gather::Settings;
use super::source::Source;
use super::units::bytes_text;

/// A setting that may not exceed another one.
struct Bound {
    name: &'static str,
    value: usize,
    other: &'static str,
    most: usize,
    shown: fn(usize) -> String,
}

/// Refuses settings that contradict each other.
pub(super) fn check(settings: &Settings) -> Result<(), SettingError> {
    let (plan, server) = (&settings.plan, &settings.plan.server);
    #[cfg(feature = "tls")]
    {
        let (cert, key) = (plan.tls_cert.is_some(), plan.tls_key.is_some());
        settings.needs("tls_cert", cert, "tls_key", key)?;
        settings.needs("tls_key", key, "tls_cert", cert)?;
    }
    #[cfg(feature = "tokens")]
    {
        let has_keys = !plan.token_key.is_empty();
        settings.needs("revoked", plan.revoked.is_some(), "token_key", has_keys)?;
    }
    // A rate that was turned off leaves its burst without use, not wrong.
    let has_rate = *settings.source("rate_per_second") != Source::Default;
    settings.needs("rate_burst", plan.rate.burst.is_some(), "rate_per_second", has_rate)?;
    settings.bounded(&Bound {
        name: "body_bytes_max",
        value: server.body_bytes_max,
        other: "waiting_bytes_max",
        most: server.waiting_bytes_max,
        shown: |bytes| bytes_text(bytes as u64),
    })?;
    settings.bounded(&Bound {
        name: "sessions_per_peer_max",
        value: server.sessions_per_peer_max,
        other: "sessions_max",
        most: server.sessions_max,
        shown: |count| count.to_string(),
    })
}

impl Settings {
    fn needs(
        &self,
        name: &'static str,
        is_set: bool,
        needed: &'static str,
        is_there: bool,
    ) -> Result<(), SettingError> {
        if is_set && !is_there {
            return Err(SettingError::Alone { setting: self.called(name), needed });
        }
        Ok(())
    }

    fn bounded(&self, bound: &Bound) -> Result<(), SettingError> {
        let Bound { name, value, other, most, shown } = bound;
        if value <= most {
            return Ok(());
        }
        let clash = |name: &'static str, relation, other: &'static str, value| {
            let from = self.source(other).shown(other);
            SettingError::Clash { setting: self.called(name), relation, other, value, from }
        };
        // Whoever said something can say something else.
        Err(if *self.source(name) == Source::Default {
            clash(other, "this is less than", name, shown(*value))
        } else {
            clash(name, "this is more than", other, shown(*most))
        })
    }
}
