//! `laterbase forks`: replica ids that were used twice.

use clap::Args;
use laterbase::sync::Fork;
use serde_json::{Value, json};

use super::Context;
use crate::failure::Failure;
use crate::output::Ink;
use crate::refusals;
use crate::table::{Column, Table};

/// Show replica ids that wrote two different things at one place
///
/// It happens when a database was copied or restored and both copies wrote. Every branch is kept
/// and read; nothing has to be decided.
#[derive(Debug, Args)]
pub(crate) struct Forks {}

const COLUMNS: [Column; 4] = [
    Column::whole("root", Ink::Plain),
    Column::whole("replica", Ink::Name),
    Column::whole("from event", Ink::Plain),
    Column::text("branches, to event", 20, Ink::Plain),
];

impl Forks {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let database = context.open_read_only()?;
        let forks = database.forks().map_err(|error| refusals::reading(&error))?;
        if context.json() {
            let forks: Vec<Value> = forks.iter().map(document).collect();
            return context.out.line(json!({ "forks": forks }));
        }
        if forks.is_empty() {
            return context.out.line("no forks");
        }
        let mut table = Table::new(&COLUMNS);
        for fork in &forks {
            let branch = |(name, seq): &(laterbase::ReplicaId, u64)| format!("{name} to {seq}");
            let branches: Vec<String> = fork.branches.iter().map(branch).collect();
            let row = vec![
                fork.root.to_string(),
                fork.replica.to_string(),
                fork.seq.to_string(),
                branches.join(", "),
            ];
            table.row(row, &mut context.out)?;
        }
        table.release(&mut context.out)
    }
}

fn document(fork: &Fork) -> Value {
    let branch =
        |(name, seq): &(laterbase::ReplicaId, u64)| json!({ "log": name.to_string(), "seq": seq });
    json!({
        "root": fork.root.as_str(),
        "replica": fork.replica.to_string(),
        "log": fork.log.replica.to_string(),
        "seq": fork.seq,
        "branches": fork.branches.iter().map(branch).collect::<Vec<Value>>(),
    })
}
