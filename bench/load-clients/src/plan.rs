//! What a program is asked to do, by its arguments.

use std::time::Duration;

use crate::Error;

/// One measurement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// `host:port` of the server.
    pub address: String,
    /// Connections, each with one batch under way.
    pub clients: usize,
    /// Events of a batch.
    pub batch: usize,
    /// How long the clients run before anything counts.
    pub warm_up: Duration,
    /// How long they are counted.
    pub window: Duration,
}

impl Plan {
    /// From this program's arguments: `ADDRESS CLIENTS BATCH WARM_UP_MS WINDOW_MS`.
    ///
    /// # Errors
    ///
    /// Other words than these.
    pub fn from_arguments() -> Result<Self, Error> {
        Self::parse(&std::env::args().skip(1).collect::<Vec<_>>())
    }

    fn parse(words: &[String]) -> Result<Self, Error> {
        let [address, clients, batch, warm_up_ms, window_ms] = words else {
            return Err("usage: ADDRESS CLIENTS BATCH WARM_UP_MS WINDOW_MS".into());
        };
        Ok(Self {
            address: address.clone(),
            clients: clients.parse()?,
            batch: batch.parse()?,
            warm_up: Duration::from_millis(warm_up_ms.parse()?),
            window: Duration::from_millis(window_ms.parse()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_words_are_a_plan_and_others_are_refused() {
        let words = ["127.0.0.1:1", "8", "64", "500", "2000"].map(str::to_owned);
        let plan = Plan::parse(&words).unwrap();
        assert_eq!((plan.clients, plan.batch), (8, 64));
        assert_eq!(plan.window, Duration::from_secs(2));
        assert!(Plan::parse(&words[..4]).is_err());
    }
}
