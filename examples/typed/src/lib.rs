//! A program with types from a schema: [`schema`] is made of `schema.later` by
//! `laterbase generate rust`, and a test compares it with what the generator makes today.
//!
//! ```
//! use laterbase::{Database, Options};
//! use laterbase_example_typed::schema::{self, shipment::Departed};
//!
//! # let dir = tempfile::tempdir()?;
//! let db = Database::create(dir.path(), Options::default())?;
//! db.apply_schema(schema::SCHEMA)?;
//!
//! let departed = Departed { port: "NLRTM".to_owned(), carrier: None };
//! let mut commit = db.commit();
//! commit.push(&departed.to_event("4711"))?;
//! db.append(&mut commit)?.wait()?;
//!
//! let rows = Departed::read(&db)?;
//! assert_eq!((rows[0].key.as_str(), &rows[0].fields), ("4711", &departed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What the schema does not declare does not compile: a field that there is not,
//!
//! ```compile_fail,E0560
//! use laterbase_example_typed::schema::shipment::Departed;
//!
//! let departed = Departed { prt: "NLRTM".to_owned(), port: "NLRTM".to_owned(), carrier: None };
//! ```
//!
//! one that is missing,
//!
//! ```compile_fail,E0063
//! use laterbase_example_typed::schema::shipment::Departed;
//!
//! let departed = Departed { carrier: None };
//! ```
//!
//! a value of another type,
//!
//! ```compile_fail,E0308
//! use laterbase_example_typed::schema::shipment::Departed;
//!
//! let departed = Departed { port: 7, carrier: None };
//! ```
//!
//! or a column that a table does not have.
//!
//! ```compile_fail,E0599
//! use laterbase_example_typed::schema::CustomerPut;
//!
//! let put = CustomerPut::new("c1").nmae("Acme");
//! ```
#![forbid(unsafe_code)]

pub mod schema;
