//! What `cargo xtask sim` understands.

/// How it is used.
pub const USAGE: &str = "\
cargo xtask sim [--seed N] [--replicas N] [--events N] [--runs N] [--minutes M] [--nodes KIND]
cargo xtask sim --gossip [--runs N]

  --seed N      the first seed; 1 by default, with --minutes where the record ends
  --replicas N  copies at the beginning, clones come on top; 6 by default
  --events N    events that are acknowledged in each run; 600 by default
  --runs N      how many seeds; 1 by default
  --minutes M   go on for so long instead, from one seed to the next, and record it in
                docs/reference/simulation-results.md
  --nodes KIND  database (the real one, by default) or memory (the state machine alone)
  --trace       print the whole trace of each run
  --gossip      measure how a batch gets around among 50 copies, over 1,000 seeds
";

/// Which copies take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// Real databases.
    Database,
    /// Copies in memory.
    Memory,
}

impl Nodes {
    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Memory => "memory",
        }
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The first seed; `None`: 1, or where the record ends.
    pub seed: Option<u64>,
    /// Copies at the beginning.
    pub replicas: usize,
    /// Events of each run.
    pub events: u64,
    /// How many seeds.
    pub runs: Option<u64>,
    /// How long.
    pub minutes: Option<u64>,
    /// Which copies.
    pub nodes: Nodes,
    /// Print whole traces.
    pub prints_trace: bool,
    /// Measure gossip instead.
    pub gossips: bool,
    /// Where a campaign is recorded.
    pub record: Option<String>,
    /// What its rows begin with: date and commit.
    pub stamp: String,
}

impl Command {
    /// Understands the arguments.
    ///
    /// # Errors
    /// What is wrong with them, for the user.
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut command = Self {
            seed: None,
            replicas: 6,
            events: 600,
            runs: None,
            minutes: None,
            nodes: Nodes::Database,
            prints_trace: false,
            gossips: false,
            record: None,
            stamp: String::new(),
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if let "--record" | "--stamp" = argument.as_str() {
                let value = rest.next().ok_or_else(|| format!("{argument} needs a value"))?;
                match argument.as_str() {
                    "--record" => command.record = Some(value.clone()),
                    _ => command.stamp.clone_from(value),
                }
                continue;
            }
            let mut number = || {
                let value = rest.next().and_then(|value| value.parse::<u64>().ok());
                value.ok_or_else(|| format!("{argument} needs a number\n\n{USAGE}"))
            };
            match argument.as_str() {
                "--seed" => command.seed = Some(number()?),
                "--replicas" => {
                    command.replicas = usize::try_from(number()?.clamp(2, 100)).unwrap_or(2);
                }
                "--events" => command.events = number()?.max(1),
                "--runs" => command.runs = Some(number()?),
                "--minutes" => command.minutes = Some(number()?),
                "--trace" => command.prints_trace = true,
                "--gossip" => command.gossips = true,
                "--nodes" => match rest.next().map(String::as_str) {
                    Some("database") => command.nodes = Nodes::Database,
                    Some("memory") => command.nodes = Nodes::Memory,
                    Some(_) | None => {
                        return Err(format!("--nodes needs `database` or `memory`\n\n{USAGE}"));
                    }
                },
                unknown => return Err(format!("there is no option `{unknown}`\n\n{USAGE}")),
            }
        }
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn seed_size_and_kind_are_taken() {
        let command = parse("--seed 7 --replicas 9 --events 700 --runs 3 --nodes memory").unwrap();
        assert_eq!((command.seed, command.replicas, command.events), (Some(7), 9, 700));
        assert_eq!((command.runs, command.nodes), (Some(3), Nodes::Memory));
    }

    #[test]
    fn what_is_not_understood_is_told() {
        assert!(parse("--seed soon").is_err());
        assert!(parse("--nodes paper").is_err());
        assert!(parse("--quickly").is_err());
    }
}
