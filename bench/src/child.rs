//! Child processes: a writer that is killed, and a process whose memory is measured.
//!
//! The program starts itself again with `child …`. A child talks in lines: `ready ID COUNT` when
//! the writer has reached its count, `resident BYTES` at the end of the other, a line of JSON of
//! those that answer questions.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::areas::SEED;
use crate::engine::Engine;
use crate::error::BenchError;
use crate::machine::resident_bytes_max;
use crate::store::Id;
use crate::workload::Workload;

const BATCH: usize = 1_000;
/// Events that the measured process makes at a time: few, since they count as its memory too.
const SMALL_BATCH: usize = 100;

/// How a store is configured for the memory area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Default,
    SmallDevice,
}

impl Profile {
    /// The profiles that a store is measured with.
    pub(crate) fn of(engine: Engine) -> &'static [Self] {
        if engine == Engine::Laterbase {
            &[Self::Default, Self::SmallDevice]
        } else {
            &[Self::Default]
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::SmallDevice => "small-device",
        }
    }

    /// What Laterbase promises.
    pub(crate) fn bound_mib(self) -> Option<u64> {
        match self {
            Self::Default => Some(64),
            Self::SmallDevice => Some(16),
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Default, Self::SmallDevice].into_iter().find(|profile| profile.name() == name)
    }
}

/// A child that appends until it is killed.
pub(crate) struct Writer<'a> {
    pub(crate) engine: Engine,
    pub(crate) folder: &'a Path,
    /// How many events it appends before it says that it is ready.
    pub(crate) events: usize,
}

impl Writer<'_> {
    /// Runs the child, kills it while it appends; an acknowledged id and how many events there are
    /// at least.
    ///
    /// # Errors
    ///
    /// When the child cannot be started or ends before it was killed.
    pub(crate) fn kill(&self) -> Result<(Id, usize), BenchError> {
        let count = self.events.to_string();
        let mut child = command(&["write", self.engine.name()], self.folder, &count)
            .spawn()
            .map_err(|error| BenchError::Child(error.to_string()))?;
        let mut ready = None;
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                ready = parse_ready(&line);
                if ready.is_some() {
                    break;
                }
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        ready.ok_or_else(|| BenchError::Child(format!("{} ended early", self.engine)))
    }
}

fn parse_ready(line: &str) -> Option<(Id, usize)> {
    let mut words = line.strip_prefix("ready ")?.split_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// A child whose memory is measured.
pub(crate) struct Memory {
    pub(crate) engine: Engine,
    pub(crate) profile: Profile,
    pub(crate) folder: PathBuf,
    pub(crate) events: usize,
}

impl Memory {
    /// Appends the events in a child and forgets what it needed.
    ///
    /// # Errors
    ///
    /// When the child fails.
    pub(crate) fn fill(&self) -> Result<(), BenchError> {
        self.measure().map(|_| ())
    }

    /// Appends the events in a child; the most memory that it had resident.
    ///
    /// # Errors
    ///
    /// When the child fails or does not say.
    pub(crate) fn measure(&self) -> Result<u64, BenchError> {
        let count = self.events.to_string();
        let words = ["memory", self.engine.name(), self.profile.name()];
        let output = command(&words, &self.folder, &count)
            .output()
            .map_err(|error| BenchError::Child(error.to_string()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = text.lines().find_map(|line| line.strip_prefix("resident ")?.parse().ok());
        said.ok_or_else(|| BenchError::Child(format!("{}: {text}", self.engine)))
    }
}

/// This program again, as a child.
fn command(words: &[&str], folder: &Path, count: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap_or_default());
    command.arg("child").args(words).arg(folder).arg(count);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// What a child was told to do.
pub(crate) enum Job {
    Write {
        engine: Engine,
        folder: PathBuf,
        events: usize,
    },
    Memory {
        engine: Engine,
        profile: Profile,
        folder: PathBuf,
        events: usize,
    },
    #[cfg(feature = "peers")]
    Graph {
        subject: String,
        question: String,
        edges: PathBuf,
    },
    #[cfg(feature = "peers")]
    Stored {
        folder: PathBuf,
        kind: String,
    },
    #[cfg(feature = "peers")]
    Make {
        folder: PathBuf,
        events: u64,
    },
}

impl Job {
    /// The job in a command line that begins with `child`; `None` for any other.
    ///
    /// # Errors
    ///
    /// When it begins so and goes on wrongly.
    pub(crate) fn parse(words: &[String]) -> Result<Option<Self>, BenchError> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let wrong = || BenchError::Usage("`child` is for this program's own use".to_owned());
        match words.as_slice() {
            ["child", "write", engine, folder, events] => Ok(Some(Self::Write {
                engine: Engine::parse(engine).ok_or_else(wrong)?,
                folder: folder.into(),
                events: events.parse().map_err(|_| wrong())?,
            })),
            ["child", "memory", engine, profile, folder, events] => Ok(Some(Self::Memory {
                engine: Engine::parse(engine).ok_or_else(wrong)?,
                profile: Profile::parse(profile).ok_or_else(wrong)?,
                folder: folder.into(),
                events: events.parse().map_err(|_| wrong())?,
            })),
            #[cfg(feature = "peers")]
            ["child", "graph", subject, question, edges] => {
                let (subject, question) = (subject.to_string(), question.to_string());
                Ok(Some(Self::Graph { subject, question, edges: edges.into() }))
            }
            #[cfg(feature = "peers")]
            ["child", "stored", folder, kind] => {
                Ok(Some(Self::Stored { folder: folder.into(), kind: kind.to_string() }))
            }
            #[cfg(feature = "peers")]
            ["child", "make", folder, events] => Ok(Some(Self::Make {
                folder: folder.into(),
                events: events.parse().map_err(|_| wrong())?,
            })),
            ["child", ..] => Err(wrong()),
            _ => Ok(None),
        }
    }

    /// Does it.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub(crate) fn run(self) -> Result<(), BenchError> {
        match self {
            #[cfg(feature = "peers")]
            Self::Graph { subject, question, edges } => {
                crate::areas::answer_graph(&subject, &question, &edges)
            }
            #[cfg(feature = "peers")]
            Self::Stored { folder, kind } => crate::areas::answer_stored(&folder, &kind),
            #[cfg(feature = "peers")]
            Self::Make { folder, events } => crate::areas::make_all(&folder, events),
            Self::Write { engine, folder, events } => write_for_ever(engine, &folder, events),
            Self::Memory { engine, profile, folder, events } => {
                let small = profile == Profile::SmallDevice;
                let store =
                    if small { engine.open_small(&folder)? } else { engine.open(&folder)? };
                let mut workload = Workload::new(SEED, events as u64);
                let mut ids = Vec::new();
                for _ in 0..events.div_ceil(SMALL_BATCH) {
                    let batch = workload.take(SMALL_BATCH);
                    ids.clear();
                    store
                        .append(&batch, &mut ids)
                        .map_err(|source| BenchError::Store { engine, source })?;
                }
                println!("resident {}", resident_bytes_max());
                Ok(())
            }
        }
    }
}

fn write_for_ever(engine: Engine, folder: &Path, events: usize) -> Result<(), BenchError> {
    let store = engine.open(folder)?;
    let mut workload = Workload::new(SEED, events as u64);
    let mut ids = Vec::new();
    let mut done = 0;
    let mut said = false;
    loop {
        let batch = workload.take(BATCH);
        ids.clear();
        store.append(&batch, &mut ids).map_err(|source| BenchError::Store { engine, source })?;
        done += batch.len();
        if done >= events && !said {
            said = true;
            println!("ready {} {done}", ids.last().copied().unwrap_or_default());
            let _ = std::io::stdout().flush();
        }
    }
}
