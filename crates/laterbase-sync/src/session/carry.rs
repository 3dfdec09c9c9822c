//! Whole flights: what a request or a response carries, as one stretch of frames.

use alloc::vec::Vec;

use super::Session;
use crate::{frame, outcome::Outcome, port::Replica};

impl Session {
    /// Takes in the frames of a whole flight, one behind the other. What is left over at the end
    /// and is no whole frame is refused like any frame that makes no sense. The port records
    /// what must outlast the session.
    pub fn handle_flight<R: Replica>(
        &mut self,
        flight: &[u8],
        now_ms: u64,
        port: &mut R,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        self.awaits_answer = false;
        let mut rest = flight;
        while !rest.is_empty() && self.closed.is_none() {
            let frame = match frame::split(rest, &self.config.frames) {
                Ok(Some((frame, behind))) => {
                    rest = behind;
                    frame
                }
                // Handed in as it is, so that it is refused with its own reason.
                Ok(None) | Err(_) => core::mem::take(&mut rest),
            };
            outcomes.extend(self.handle_frame(frame, now_ms, port));
        }
        if self.is_partial() && self.closed.is_none() {
            // Else only the next look for frames would tell whether anything is left.
            self.plan(port);
        }
        for outcome in &outcomes {
            port.record(outcome);
        }
        outcomes
    }

    /// All frames that can go out now, one behind the other; empty if there are none.
    pub fn poll_flight<R: Replica>(&mut self, now_ms: u64, port: &mut R) -> Vec<u8> {
        let mut flight = Vec::new();
        while let Some(frame) = self.poll_frame(now_ms, port) {
            flight.extend_from_slice(&frame);
        }
        flight
    }
}
