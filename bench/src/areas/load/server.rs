//! The servers: how each is started, on which terms, and ended.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::install::Installed;
use crate::error::BenchError;

/// How long a server may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const START_PAUSE: Duration = Duration::from_millis(10);

/// One kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Laterbase,
    UmaDb,
    Tephra,
    Nats,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Laterbase, Self::UmaDb, Self::Tephra, Self::Nats];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Laterbase => "laterbase",
            Self::UmaDb => "umadb",
            Self::Tephra => "tephra",
            Self::Nats => "nats",
        }
    }

    /// Protocol, client and what comes before an answer.
    pub(super) fn told(self) -> &'static str {
        match self {
            Self::Laterbase => {
                "HTTP/1.1, NDJSON, a blocking client of our own; fdatasync once for all commits \
                 that wait"
            }
            Self::UmaDb => {
                "gRPC, its own asynchronous client; started as it comes; fdatasync once for the \
                 appends that wait"
            }
            Self::Tephra => {
                "its own protocol on bare TCP, its own blocking client; started as it comes; \
                 fdatasync once for the appends that wait"
            }
            Self::Nats => {
                "JetStream, a file store with `sync_interval: always`, its own asynchronous \
                 client; each key a subject, no tags; fsync for each message"
            }
        }
    }

    /// The command that serves from `folder`.
    fn command(
        self,
        installed: &Installed,
        folder: &Path,
        address: &str,
    ) -> std::io::Result<Command> {
        let data = folder.join("data");
        let mut command = Command::new(installed.server(self));
        match self {
            Self::Laterbase => {
                let made = Command::new(installed.server(self)).arg("init").arg(&data).output()?;
                if !made.status.success() {
                    let why = String::from_utf8_lossy(&made.stderr).into_owned();
                    return Err(std::io::Error::other(why));
                }
                command.arg("--db").arg(&data).args(["serve", "--listen", address]);
            }
            Self::UmaDb => {
                command.args(["--listen", address, "--db-path"]).arg(&data);
            }
            Self::Tephra => {
                command.args(["--bind", address, "--data-dir"]).arg(&data);
            }
            Self::Nats => {
                let config = folder.join("nats.conf");
                fs::write(&config, nats_config(address, &data))?;
                command.arg("-c").arg(config);
            }
        }
        Ok(command)
    }
}

/// Room for as many messages as the largest cell has under way, so that none is turned away.
fn nats_config(address: &str, data: &Path) -> String {
    format!(
        "listen: \"{address}\"\nmax_pending: 256MB\njetstream {{\n  store_dir: \"{}\"\n  \
         sync_interval: always\n  max_buffered_msgs: 100000\n  max_buffered_size: 256MB\n}}\n",
        data.display()
    )
}

/// A server that runs until it is dropped.
pub(super) struct Running {
    child: Child,
    address: String,
}

impl Running {
    /// Starts it with an empty folder and waits until it listens.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub(super) fn start(
        installed: &Installed,
        kind: Kind,
        folder: &Path,
    ) -> Result<Self, BenchError> {
        let failed = |why: String| BenchError::Child(format!("{}: {why}", kind.name()));
        let address = free_address().map_err(|error| failed(error.to_string()))?;
        let told = folder.join("told");
        let command = kind.command(installed, folder, &address);
        let child = command.and_then(|mut command| {
            let file = fs::File::create(&told)?;
            let errors = file.try_clone()?;
            command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn()
        });
        let child = child.map_err(|error| failed(error.to_string()))?;
        let mut running = Self { child, address };
        let begun = Instant::now();
        while TcpStream::connect(&running.address).is_err() {
            let has_ended = matches!(running.child.try_wait(), Ok(Some(_)) | Err(_));
            if has_ended || begun.elapsed() > START_TIMEOUT {
                return Err(failed(fs::read_to_string(&told).unwrap_or_default()));
            }
            sleep(START_PAUSE);
        }
        Ok(running)
    }

    /// `host:port`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Processor time that it has used, in microseconds.
    pub(super) fn processor_us(&self) -> f64 {
        let path = format!("/proc/{}/stat", self.child.id());
        let text = fs::read_to_string(path).unwrap_or_default();
        ticks(&text) as f64 * tick_us()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Its data is thrown away; there is nothing to end in order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `utime` and `stime` of proc(5), behind the name, which may hold anything.
fn ticks(stat: &str) -> u64 {
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = behind_name.split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Microseconds of one of the kernel's ticks.
pub(super) fn tick_us() -> f64 {
    1e6 / rustix::param::clock_ticks_per_second().max(1) as f64
}

/// An address of this machine on which nobody listens.
fn free_address() -> std::io::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_a_name_with_spaces_and_brackets() {
        let stat = "7 (a) b) c) S 1 7 7 0 -1 0 0 0 0 0 12 30 0 0 20 0 1 0";
        assert_eq!(ticks(stat), 42);
    }
}
