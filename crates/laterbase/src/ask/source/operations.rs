//! What was done to the rows of a table, for the engine: one row for each operation.
//!
//! An event under a table's root that is no operation is no row here either; it is one of `event`.

use std::ops::ControlFlow;

use laterbase_event::{EventView, Hlc};
use laterbase_lang::Value;
use laterbase_lang::plan::{Place, Stored};
use laterbase_lang::schema::Table;
use laterbase_query::{DataError, Scan, Scanned, ValueRef};

use super::tables::Readings;
use super::{StoredData, made, plain};
use crate::read::ReadError;
use crate::table::{ColumnName, Operation};

impl StoredData<'_> {
    /// Answers the operations on a table.
    pub(super) fn scan_operations(
        &self,
        number: u32,
        request: &Scan<'_>,
        take: &mut dyn FnMut(&[ValueRef<'_>]) -> ControlFlow<()>,
    ) -> Result<Scanned, DataError> {
        let failed = |error: ReadError| DataError(Box::new(error));
        let Some(table) = self.reader.schema.tables.get(&number) else {
            return Ok(Scanned::default());
        };
        let mut readings = Readings::new(self, number, table);
        let reads = self.reads(request).map_err(failed)?;
        let places = places(request.relation, request.columns);
        let mut rows_read = 0;
        let ran = self.run(&reads, true, |event, position, arrival| {
            rows_read += 1;
            match readings.operation(event, position) {
                Some(operation) => row(&places, table, &operation, event, arrival, take),
                None => ControlFlow::Continue(()),
            }
        });
        ran.map_err(failed)?;
        Ok(Scanned { rows_read })
    }
}

fn places(relation: &Stored, wanted: &[usize]) -> Vec<Place> {
    let place = |at: &usize| {
        let column = relation.columns.get(*at);
        column.map_or(Place::Validity, |column| column.place.clone())
    };
    wanted.iter().map(place).collect()
}

/// Hands on what is wanted of an operation.
fn row(
    places: &[Place],
    table: &Table,
    operation: &Operation,
    event: &EventView<'_>,
    arrival: Hlc,
    take: &mut dyn FnMut(&[ValueRef<'_>]) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let values: Vec<Option<Value>> =
        places.iter().map(|place| value(place, table, operation, event)).collect();
    let cells: Vec<ValueRef<'_>> = places
        .iter()
        .zip(&values)
        .map(|(place, value)| match value {
            Some(value) => ValueRef::from(value),
            None => plain(place, event, arrival, event.version()),
        })
        .collect();
    take(&cells)
}

/// A value that is made of an operation; `None` where the event's own is it.
fn value(
    place: &Place,
    table: &Table,
    operation: &Operation,
    event: &EventView<'_>,
) -> Option<Value> {
    Some(match place {
        Place::Until => operation.until.map_or(Value::Null, Value::Time),
        Place::Life => Value::Int(i64::try_from(operation.life).unwrap_or(i64::MAX)),
        Place::Changed => {
            Value::set(operation.column_names(table).map(|it| Value::text(&it)).collect())
        }
        Place::Field { number, .. } => operation.put_to(&ColumnName::Number(*number)),
        Place::Member(name) => operation.put_to(&ColumnName::Member(name.clone())),
        place @ (Place::Origin | Place::Tags | Place::Meta) => made(place, event, None),
        Place::Id
        | Place::Key
        | Place::At
        | Place::Tx
        | Place::Arrived
        | Place::Seq
        | Place::Cause
        | Place::Root
        | Place::Type
        | Place::Version
        | Place::Payload
        | Place::Validity => return None,
    })
}
