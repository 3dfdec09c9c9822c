//! A progress bar on standard error, where that is a terminal.

#[cfg(feature = "progress")]
pub(crate) use bar::Progress;

#[cfg(not(feature = "progress"))]
pub(crate) use nothing::Progress;

#[cfg(feature = "progress")]
mod bar {
    use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

    const KNOWN: &str = "{bar:24} {percent:>3} %  {bytes_per_sec}  {msg}";
    #[cfg(feature = "sync")]
    const EVENTS: &str = "{bar:24} {pos} of {len} events";
    const UNKNOWN: &str = "{spinner} {bytes}  {bytes_per_sec}  {msg}";

    /// A bar, or nothing where nobody is looking.
    #[derive(Debug)]
    pub(crate) struct Progress {
        bar: ProgressBar,
    }

    impl Progress {
        /// A bar for so many bytes.
        pub(crate) fn new(quiet: bool, bytes_total: Option<u64>) -> Self {
            let bar = match bytes_total {
                Some(bytes) => ProgressBar::new(bytes),
                None => ProgressBar::new_spinner(),
            };
            // Drawn four times a second, and only on a terminal.
            bar.set_draw_target(if quiet {
                ProgressDrawTarget::hidden()
            } else {
                ProgressDrawTarget::stderr_with_hz(4)
            });
            let template = if bytes_total.is_some() { KNOWN } else { UNKNOWN };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸─"));
            }
            Self { bar }
        }

        /// A bar for events, as many as turn out to be there.
        #[cfg(feature = "sync")]
        pub(crate) fn of_events(quiet: bool) -> Self {
            let progress = Self::new(quiet, Some(0));
            if let Ok(style) = ProgressStyle::with_template(EVENTS) {
                progress.bar.set_style(style.progress_chars("━╸─"));
            }
            progress
        }

        /// Shows how far an import is.
        pub(crate) fn show(&mut self, bytes: u64, imported: u64, already: u64, refused: u64) {
            if self.bar.is_hidden() {
                return;
            }
            self.bar.set_position(bytes);
            let mut message = format!("{imported} imported");
            if already > 0 {
                message.push_str(&format!(", {already} already there"));
            }
            if refused > 0 {
                message.push_str(&format!(", {refused} refused"));
            }
            self.bar.set_message(message);
        }

        /// Shows how far something else is.
        pub(crate) fn step(&mut self, done: u64, total: u64) {
            if !self.bar.is_hidden() {
                self.bar.set_length(total);
                self.bar.set_position(done);
            }
        }

        /// Takes the bar away.
        pub(crate) fn finish(&mut self) {
            self.bar.finish_and_clear();
        }
    }
}

#[cfg(not(feature = "progress"))]
mod nothing {
    /// No bar at all.
    #[derive(Debug)]
    pub(crate) struct Progress;

    impl Progress {
        pub(crate) fn new(_quiet: bool, _bytes_total: Option<u64>) -> Self {
            Self
        }

        #[cfg(feature = "sync")]
        pub(crate) fn of_events(_quiet: bool) -> Self {
            Self
        }

        pub(crate) fn show(&mut self, _: u64, _: u64, _: u64, _: u64) {}

        pub(crate) fn step(&mut self, _: u64, _: u64) {}

        pub(crate) fn finish(&mut self) {}
    }
}
