//! The canonical layout of a text.
//!
//! ```text
//!   text ─▶ tokens, comments ─▶ tree by brackets ─▶ lines
//!     └───▶ syntax ─▶ marks: clauses, items, calls ──┘
//! ```
//! White space changes, and nothing else: no token and no comment is added, left out or written
//! otherwise. The rules:
//! - A statement that fits in [`COLUMNS_MAX`] columns stands on one line. Else its head ends with
//!   `:-`, and each condition of the body and each clause stands on a line of its own, indented by
//!   four; what still does not fit is broken at its brackets, one item per line, and behind `and`
//!   and `or`.
//! - A comma before a closing bracket, or a comment within brackets, keeps one item per line.
//! - Events, fields and steps that were told apart by ends of lines alone stay on their lines.
//!   Steps of a transaction always stand on lines of their own.
//! - Between statements, and between the items of a schema or a transaction, one empty line is kept
//!   where there was one or more.
//! - Comments stay at the token that they stood at, on a line of their own or at the end of one.
//!
//! Invariants: a text that was formatted is formatted to itself; tokens and comments are the same
//! before and after, and so is the syntax but for where it stands.

mod layout;
mod marks;
mod tree;

use self::layout::lines;
use self::marks::Marks;
use self::tree::Source;
use crate::diagnostic::{Diagnostic, has_errors};
use crate::parser::parse;
use crate::token::tokens;

/// Columns of a line, if it can be broken anywhere.
pub const COLUMNS_MAX: usize = 100;

/// A text in its canonical layout; see the guide to the language for the rules.
///
/// ```
/// let formatted = laterbase_lang::format("?{ port }:-shipment.departed{port:port}  // all\n")?;
/// assert_eq!(formatted, "?{port} :- shipment.departed{port: port} // all\n");
/// # Ok::<(), Vec<laterbase_lang::Diagnostic>>(())
/// ```
///
/// # Errors
///
/// What is wrong with the text, if it cannot be read. Names that mean nothing are no such mistake:
/// a text is formatted without its schema.
pub fn format(text: &str) -> Result<String, Vec<Diagnostic>> {
    let (formatted, is_same) = laid_out(text)?;
    // Layout is white space; where it would say something else, the text stays as it is.
    Ok(if is_same { formatted } else { text.to_owned() })
}

/// The layout, and whether it says the same.
fn laid_out(text: &str) -> Result<(String, bool), Vec<Diagnostic>> {
    let parsed = parse(text);
    if has_errors(&parsed.diagnostics) {
        return Err(parsed.diagnostics);
    }
    let source = Source::new(text, tokens(text));
    let marks = Marks::of(&source, &parsed.statements);
    let formatted = lines(&source, &marks);
    let again = parse(&formatted);
    let source_again = Source::new(&formatted, tokens(&formatted));
    let is_same = again.diagnostics.is_empty()
        && source.says_the_same(&source_again)
        && Marks::of(&source_again, &again.statements) == marks;
    Ok((formatted, is_same))
}

#[cfg(test)]
mod tests;
