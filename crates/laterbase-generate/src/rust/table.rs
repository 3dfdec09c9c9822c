//! Tables in Rust: a struct for a row, and one for what is put into it.

use laterbase_lang::DataType;
use laterbase_lang::schema::{Merge, Table};

use super::{constant, derive, doc, field, field_name, read_function, type_of};
use crate::Source;
use crate::model::{Member, comment_of_table, element, members, rows_query};
use crate::names::{Clash, Scope, laterlog};
use crate::writer::Writer;

pub(super) fn structs(
    source: &Source<'_>,
    (number, table): (u32, &Table),
    named: &str,
    out: &mut Writer,
) -> Result<(), Clash> {
    let members = members(source, &table.fields);
    let of = format!("the table `{}`", table.name);
    let mut scope = Scope::default();
    scope.take("key", format!("the key of {of}"))?;
    out.line("");
    doc(&comment_of_table(source, table), out);
    derive(out);
    out.open(format_args!("pub struct {named} {{"));
    out.line("/// Its key.");
    out.line("pub key: String,");
    for member in &members {
        let name = field_name(member);
        scope.take(&name, member.what(&of))?;
        field(member, &name, member.may_be_absent(true), out);
    }
    out.close("}");
    out.line("");
    out.open(format_args!("impl {named} {{"));
    out.line("/// The number of the table.");
    out.line(format_args!("pub const NUMBER: u32 = {number};"));
    out.line("/// The name of the table.");
    out.line(format_args!("pub const TABLE: &'static str = {:?};", table.name.as_ref()));
    constant("QUERY", "Asks for all rows.", &rows_query(table), out);
    out.line("");
    out.line("/// All rows that there are now, in the order of their keys.");
    read_function(named, out);
    out.close("}");
    put(table, &members, named, out)
}

fn put(table: &Table, members: &[Member<'_>], named: &str, out: &mut Writer) -> Result<(), Clash> {
    let of = format!("a put into the table `{}`", table.name);
    let mut scope = Scope::default();
    for own in ["new", "valid_from", "valid_until", "statement", "run"] {
        scope.take(own, format!("`{own}` of {of}"))?;
    }
    out.line("");
    out.line(format_args!(
        "/// What is put into a row of `{}`: the columns that are named.",
        table.name
    ));
    out.line("#[derive(Debug, Clone, PartialEq)]");
    out.line("#[must_use = \"a put is carried out as a statement\"]");
    out.line(format_args!("pub struct {named}Put(::laterbase::typed::Put);"));
    out.line("");
    out.open(format_args!("impl {named}Put {{"));
    out.line("/// Nothing yet, of the row of a key.");
    out.open("pub fn new(key: impl Into<String>) -> Self {");
    let table_name = laterlog(&table.name);
    out.line(format_args!("Self(::laterbase::typed::Put::new({table_name:?}, key))"));
    out.close("}");
    for member in members {
        column(member, &of, &mut scope, out)?;
    }
    for (name, what) in [
        ("from", "From when on it is so; now if nothing is said"),
        ("until", "Until when it is so; for good if nothing is said"),
    ] {
        out.line("");
        out.line(format_args!("/// {what}."));
        out.open(format_args!("pub fn valid_{name}(self, at: ::laterbase::Timestamp) -> Self {{"));
        out.line(format_args!("Self(self.0.valid_{name}(at))"));
        out.close("}");
    }
    out.line("");
    out.line("/// The statement in Laterlog, and its parameters.");
    out.line("#[must_use]");
    out.open("pub fn statement(&self) -> ::laterbase::typed::Statement {");
    out.line("self.0.statement()");
    out.close("}");
    out.line("");
    out.line("/// Puts it.");
    out.line("///");
    out.line("/// # Errors");
    out.line("/// [`ExecuteError`](::laterbase::execute::ExecuteError) says why it cannot be put.");
    out.open("pub fn run(");
    out.line("&self,");
    out.line("database: &::laterbase::Database,");
    out.reopen(") -> Result<::laterbase::execute::Done, ::laterbase::execute::ExecuteError> {");
    out.line("self.0.statement().run(database)");
    out.close("}");
    out.close("}");
    Ok(())
}

/// The methods of a column.
fn column(member: &Member<'_>, of: &str, scope: &mut Scope, out: &mut Writer) -> Result<(), Clash> {
    let field = member.field;
    let name = field_name(member);
    let wire = laterlog(&field.name);
    let stem = name.trim_start_matches("r#").to_owned();
    let mut method = |name: &str, comment: &str, argument: &str, call: &str, out: &mut Writer| {
        scope.take(name, format!("`{name}` of {of}"))?;
        out.line("");
        out.line(format_args!("/// {comment}"));
        out.open(format_args!("pub fn {name}(self{argument}) -> Self {{"));
        out.line(format_args!("Self(self.0.{call})"));
        out.close("}");
        Ok(())
    };
    let argument = |data_type: &DataType, in_set: bool| {
        if matches!(data_type.base(), DataType::Text) {
            (": impl Into<String>".to_owned(), "Into::<String>::into(value)")
        } else {
            (format!(": {}", type_of(data_type, in_set)), "value")
        }
    };
    match field.merge {
        Merge::Counter => {
            let comment = format!("Adds to `{}`.", field.name);
            method(&name, &comment, ", by: i64", &format!("count({wire:?}, by)"), out)
        }
        Merge::LastWriter => {
            let (kind, into) = argument(&field.data_type, false);
            let comment = format!("Sets `{}`.", field.name);
            let call = format!("set({wire:?}, {into})");
            method(&name, &comment, &format!(", value{kind}"), &call, out)?;
            if !field.is_optional {
                return Ok(());
            }
            let comment = format!("Takes away what stands in `{}`.", field.name);
            method(&format!("{stem}_absent"), &comment, "", &format!("unset({wire:?})"), out)
        }
        Merge::ObservedRemove => {
            let (kind, into) = argument(element(&field.data_type), true);
            let whole = format!(", values: {}", type_of(&field.data_type, false));
            let comment = format!("Says all that is in `{}`.", field.name);
            method(&name, &comment, &whole, &format!("replace({wire:?}, values)"), out)?;
            for (verb, comment) in [("insert", "Adds a value to"), ("remove", "Takes a value from")]
            {
                let comment = format!("{comment} `{}`.", field.name);
                let call = format!("{verb}({wire:?}, {into})");
                method(&format!("{stem}_{verb}"), &comment, &format!(", value{kind}"), &call, out)?;
            }
            Ok(())
        }
    }
}
