//! Until when a command goes on that ends only when it is told to.
//!
//! The small build listens to no signals: the system ends the process, everything that was
//! acknowledged stays, and the next open takes a little longer.

use std::io;

/// What tells the process to end: SIGINT and SIGTERM, from the moment of its making.
pub(super) struct Ending {
    #[cfg(feature = "server")]
    runtime: tokio::runtime::Runtime,
    #[cfg(all(feature = "server", unix))]
    signals: [tokio::signal::unix::Signal; 2],
}

#[cfg(feature = "server")]
impl Ending {
    pub(super) fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        #[cfg(unix)]
        let signals = {
            use tokio::signal::unix::{SignalKind, signal};
            let _entered = runtime.enter();
            [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]
        };
        Ok(Self {
            runtime,
            #[cfg(unix)]
            signals,
        })
    }

    /// Waits for one of them.
    #[cfg(unix)]
    pub(super) fn wait(mut self) {
        let [interrupted, terminated] = &mut self.signals;
        self.runtime.block_on(async {
            tokio::select! {
                _ = interrupted.recv() => {}
                _ = terminated.recv() => {}
            }
        });
    }

    /// Waits for one of them.
    #[cfg(not(unix))]
    pub(super) fn wait(self) {
        // Without a handler the system ends the process.
        let _ = self.runtime.block_on(tokio::signal::ctrl_c());
    }
}

#[cfg(not(feature = "server"))]
impl Ending {
    #[expect(clippy::unnecessary_wraps, reason = "as in the full build")]
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits until the system ends the process.
    pub(super) fn wait(self) {
        loop {
            std::thread::park();
        }
    }
}
