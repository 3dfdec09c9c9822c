//! Declared events from values: fields by name become fields by number.

use std::sync::Arc;

use laterbase_lang::Value;

use crate::commit::PushError;
use crate::database::Database;
use crate::new_event::NewEvent;

impl Database {
    /// An event of a declared type, to be pushed to a commit: its fields are written by number, so
    /// that later names change nothing about them. `type_name` is the type's name in the schema, or
    /// the one under which its events are stored. What is absent is left out.
    ///
    /// ```
    /// # use laterbase::{Database, Options};
    /// # let dir = tempfile::tempdir()?;
    /// let db = Database::create(dir.path(), Options::default())?;
    /// db.apply_schema("root shipment { event 1 departed { 1 port: text } }")?;
    /// let event = db.declared_event("shipment", "4711", "departed", &[("port", "NLRTM".into())])?;
    /// let mut commit = db.commit();
    /// commit.push(&event)?;
    /// db.append(&mut commit)?.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PushError::Schema`] says what the schema has against it. What is missing is told when the
    /// event is pushed.
    pub fn declared_event(
        &self,
        root: &str,
        key: &str,
        type_name: &str,
        fields: &[(&str, Value)],
    ) -> Result<NewEvent, PushError> {
        let declared = self
            .inner()
            .declared_to_write()
            .map_err(|error| PushError::SchemaUnreadable { message: error.to_string() })?;
        let refuse = |message: String| PushError::Schema { message };
        let declared_root = declared.schema.roots.get(root);
        let event = declared_root.and_then(|it| {
            let is_stored = |stored: &Arc<str>| **stored == *type_name;
            let mut events = it.events.values();
            it.event(type_name)
                .map(|(_, event)| event)
                .or_else(|| events.find(|event| event.stored_names.iter().any(is_stored)))
        });
        let (Some(declared_root), Some(event)) = (declared_root, event) else {
            let message = format!(
                "`{root}.{type_name}` is not declared: declare it (`laterbase schema apply`), or \
                 push an event with a payload of JSON"
            );
            return Err(refuse(message));
        };
        let (mut numbered, mut members) = (Vec::new(), Vec::new());
        for (name, value) in fields {
            match event.fields.field(name) {
                Some((number, field)) if !value.is_null() => {
                    let value = crate::ask::read_as(value, &field.data_type).ok_or_else(|| {
                        refuse(format!(
                            "`{root}.{type_name}.{name}` is {}, and {value} is none: give a value \
                             of that type",
                            field.type_text()
                        ))
                    })?;
                    numbered.push((number, value));
                }
                Some(_) => {}
                None if declared_root.is_lax => members.push((Arc::from(*name), value.clone())),
                None => {
                    let message = format!(
                        "`{root}.{type_name}` has no field `{name}`: declare it, or leave it out"
                    );
                    return Err(refuse(message));
                }
            }
        }
        let stored = event.stored_names.first().unwrap_or(&event.name);
        let (content_type, payload) = declared.encode_event(&numbered, &members);
        Ok(NewEvent::new(root, key, stored.to_string()).bytes(content_type, payload))
    }
}
