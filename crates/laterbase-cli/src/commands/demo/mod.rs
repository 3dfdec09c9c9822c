//! `laterbase demo`: the whole idea in under a minute.
//!
//! Every line that begins with `$` is a command that is really run, on files that are really
//! written, in a temporary directory; what follows it is its output.

#[cfg(feature = "query")]
mod questions;
mod stage;

use std::path::PathBuf;

use clap::Args;

use super::Context;
use crate::failure::Failure;
use stage::Stage;

/// Monday's list from the depot: three shipments, two trucks.
const MONDAY: &str = r#"{"depot": "DEHAM", "events": [
  {"shipment": "4711", "type": "booked",   "at": "2026-03-02T07:30:00Z", "boxes": ["A1", "A2"]},
  {"shipment": "4712", "type": "booked",   "at": "2026-03-02T07:45:00Z", "boxes": ["B1"]},
  {"shipment": "4711", "type": "departed", "at": "2026-03-02T10:00:00Z", "truck": "7"},
  {"shipment": "4712", "type": "departed", "at": "2026-03-02T10:20:00Z", "truck": "9"}
]}
"#;

/// What a hand scanner sends when it has coverage again.
const SCANNER: &str = "\
shipment,type,at,truck,note
4711,scanned,2026-03-02T09:40:00Z,7,box A2 is missing
4711,arrived,2026-03-03T06:10:00Z,7,
";

/// The same without CSV, for builds that leave it out.
const SCANNER_NDJSON: &str = "\
{\"shipment\":\"4711\",\"type\":\"scanned\",\"at\":\"2026-03-02T09:40:00Z\",\"truck\":\"7\"}
{\"shipment\":\"4711\",\"type\":\"arrived\",\"at\":\"2026-03-03T06:10:00Z\",\"truck\":\"7\"}
";

/// See the whole idea in under a minute
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Keep the demo's files, in this directory
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

impl Demo {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let scanner = if cfg!(feature = "csv") {
            ("scanner.csv", SCANNER)
        } else {
            ("scanner.ndjson", SCANNER_NDJSON)
        };
        let mut stage = Stage::new(context, self.keep)?;
        stage.say("A database is a directory.")?;
        stage.run(&["init"])?;

        stage.say("On Monday the depot sends its list.")?;
        stage.file("monday.json", MONDAY)?;
        let import = |file| {
            let mut line = vec!["import", "--root", "shipment", "--key", "/shipment"];
            line.extend(["--type", "/type", "--valid-at", "/at", "--tag", "truck=/truck"]);
            if file == "monday.json" {
                line.extend(["--tag", "box=/boxes", "--each", "/events"]);
            }
            line.push(file);
            line
        };
        stage.run(&import("monday.json"))?;
        let monday = stage.moment();

        stage.say("A scanner was out of coverage: what it saw comes late, and finds its place.")?;
        stage.file(scanner.0, scanner.1)?;
        stage.run(&import(scanner.0))?;
        stage.run(&["read", "shipment/4711", "--order", "valid"])?;

        let scanned = stage.first_of_type("scanned")?;
        stage.run(&["get", &scanned])?;

        stage.say("What did we know on Monday? Nothing is ever overwritten, so we can ask.")?;
        stage.run(&["read", "shipment/4711", "--order", "valid", "--as-of", &monday])?;

        stage.say(
            "An event concerns many things: find it by any of them, or by when it happened.",
        )?;
        stage.run(&["read", "--tag", "box:A2"])?;
        stage.run(&[
            "read",
            "--tag",
            "truck:7",
            "--valid-from",
            "2026-03-02T09:00:00Z",
            "--valid-until",
            "2026-03-02T12:00:00Z",
        ])?;

        #[cfg(feature = "query")]
        questions::play(&mut stage, &monday)?;

        stage.say("The same import again adds nothing.")?;
        stage.run(&import(scanner.0))?;

        stage.say("The log is the only truth. Check every byte; delete the rest, and read on.")?;
        stage.run(&["verify"])?;
        stage.remove_index()?;
        stage.run(&["read", "--tag", "truck:7", "--type", "scanned"])?;
        stage.finish()
    }
}
