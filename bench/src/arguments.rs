//! What the command line asks for.

use std::path::PathBuf;

use crate::areas::Area;
use crate::engine::Engine;
use crate::error::BenchError;

pub(crate) const USAGE: &str = "\
cargo xtask bench [AREA…] [--quick] [--events N] [--json FILE] [--dir FOLDER] [--rounds N]
                  [--only A,B] [--batch N] [--check]

  append   durable appends: batches of 1 to 10,000, one to 64 threads
  growth   the append rate of a large database against that of a small one
  reads    warm and cold reads by id, stream, tag and valid time; full scans
  beside   the latency of appends with readers beside the writer
  opening  opening after a kill -9
  size     bytes on disk for each event
  memory   resident memory of a process that appends a million events
  folds    late events into folded streams, beside folding them whole
  load     appends from client processes to servers: ours, UmaDB, Tephra, NATS
  sync     bytes, round trips and time of syncing; a hub that many peers write to

  --quick       small databases and three rounds, for a first look
  --events N    how many events the databases of `reads` hold
  --json FILE   also writes every sample to FILE
  --dir FOLDER  where the databases are made; on the device to be measured
  --rounds N    rounds in which the stores take turns; 5 by default
  --only A,B    only these stores
  --batch N     only the cases of `append` with batches of N events
  --check       fails when a bound that Laterbase promises is exceeded
";

/// A parsed command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) areas: Vec<Area>,
    pub(crate) engines: Vec<Engine>,
    pub(crate) quick: bool,
    pub(crate) check: bool,
    pub(crate) rounds: usize,
    pub(crate) events: Option<usize>,
    pub(crate) batch: Option<usize>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) folder: Option<PathBuf>,
}

impl Arguments {
    /// # Errors
    ///
    /// An unknown word, with the usage.
    pub(crate) fn parse(words: &[String]) -> Result<Self, BenchError> {
        let mut parsed = Self {
            areas: Vec::new(),
            engines: Engine::ALL.to_vec(),
            quick: false,
            check: false,
            rounds: 0,
            events: None,
            batch: None,
            json: None,
            folder: None,
        };
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let mut value = || {
                let value = rest.next().cloned();
                value.ok_or_else(|| BenchError::Usage(format!("{word} needs a value\n\n{USAGE}")))
            };
            match word.as_str() {
                "--quick" => parsed.quick = true,
                "--check" => parsed.check = true,
                "--json" => parsed.json = Some(value()?.into()),
                "--dir" => parsed.folder = Some(value()?.into()),
                "--rounds" => parsed.rounds = number(&value()?)?,
                "--events" => parsed.events = Some(number(&value()?)?),
                "--batch" => parsed.batch = Some(number(&value()?)?),
                "--only" => parsed.engines = engines(&value()?)?,
                name => match Area::ALL.iter().find(|area| area.name() == name) {
                    Some(area) => parsed.areas.push(*area),
                    None => {
                        let message = format!("there is no area `{name}`\n\n{USAGE}");
                        return Err(BenchError::Usage(message));
                    }
                },
            }
        }
        if parsed.areas.is_empty() {
            parsed.areas = Area::ALL.to_vec();
        }
        if parsed.rounds == 0 {
            parsed.rounds = if parsed.quick { 3 } else { 5 };
        }
        Ok(parsed)
    }

    /// Whether any area is about the device; memory and size are not.
    pub(crate) fn measures_device(&self) -> bool {
        self.areas.iter().any(|area| !matches!(area, Area::Memory | Area::Size))
    }
}

fn number(text: &str) -> Result<usize, BenchError> {
    text.parse().map_err(|_| BenchError::Usage(format!("`{text}` is no number\n\n{USAGE}")))
}

fn engines(list: &str) -> Result<Vec<Engine>, BenchError> {
    list.split(',')
        .map(|name| {
            Engine::parse(name).ok_or_else(|| {
                let known: Vec<&str> = Engine::ALL.iter().map(|engine| engine.name()).collect();
                let known = known.join(", ");
                BenchError::Usage(format!("there is no store `{name}`; this build has {known}"))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, BenchError> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(&words)
    }

    #[test]
    fn nothing_named_means_all_areas_in_five_rounds() {
        let arguments = parse("").unwrap();
        assert_eq!(arguments.areas, Area::ALL);
        assert_eq!(arguments.rounds, 5);
        assert_eq!(parse("--quick").unwrap().rounds, 3);
    }

    #[test]
    fn areas_stores_and_files_are_taken() {
        let arguments = parse("append size --only laterbase --json out.json").unwrap();
        assert_eq!(arguments.areas, [Area::Append, Area::Size]);
        assert_eq!(arguments.engines, [Engine::Laterbase]);
        assert_eq!(arguments.json, Some("out.json".into()));
    }

    #[test]
    fn unknown_words_are_refused() {
        assert!(parse("speed").is_err());
        assert!(parse("--only mysql").is_err());
        assert!(parse("--rounds many").is_err());
    }
}
