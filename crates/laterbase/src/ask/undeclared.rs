//! Types that a strict root does not declare, and that are stored all the same: from a copy with a
//! newer schema, or from before they were removed.
//!
//! A question may name them. Which types are stored is not known without reading, so those that the
//! text seems to name are looked up; a name too many costs one look into the index.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use laterbase_event::{Position, RootName, TypeName};
use laterbase_lang::schema::Schema;

use crate::inner::Inner;
use crate::query::{Order, Query};
use crate::read::ReadError;
use crate::walk::plan;

/// Names of one root that are looked up at the most.
const NAMES_MAX: usize = 64;

/// Adds the undeclared types that a text names and that are stored.
pub(super) fn add_stored(
    inner: &Arc<Inner>,
    schema: &Schema,
    text: &str,
    stored: &mut BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
) -> Result<(), ReadError> {
    for (root_name, root) in schema.roots.iter().filter(|(_, root)| !root.is_lax) {
        let Some(types) = stored.get_mut(root_name) else { continue };
        let named = names_behind(text, root_name);
        for name in named.into_iter().filter(|name| root.event(name).is_none()).take(NAMES_MAX) {
            if is_stored(inner, root_name, name)? {
                types.insert(Arc::from(name));
            }
        }
    }
    Ok(())
}

/// What stands behind a root's name and a dot.
fn names_behind<'t>(text: &'t str, root: &str) -> BTreeSet<&'t str> {
    let mut names = BTreeSet::new();
    for (at, found) in text.match_indices(root) {
        let rest = text.get(at + found.len()..).unwrap_or_default();
        let rest = rest.strip_prefix('`').unwrap_or(rest).trim_start();
        let Some(rest) = rest.strip_prefix('.').map(str::trim_start) else { continue };
        let name = match rest.strip_prefix('`') {
            Some(quoted) => quoted.split('`').next(),
            None => {
                rest.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next()
            }
        };
        names.extend(name.filter(|name| !name.is_empty()));
    }
    names
}

fn is_stored(inner: &Arc<Inner>, root: &str, name: &str) -> Result<bool, ReadError> {
    let (Ok(root), Ok(type_name)) = (RootName::try_from(root), TypeName::try_from(name)) else {
        return Ok(false);
    };
    let query = Query::root(root).of_type(type_name).order(Order::Arrival).limit(1);
    plan(&inner.view()?, &query, Position::NONE)?.run(|_, _, _| ControlFlow::Break(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_behind_a_root_are_found_however_they_are_written() {
        let text = "?{k} :- ship.left{k}, `ship`.`was lost`{k}, ship . back{k}, friendship.old{k}";
        let names: Vec<&str> = names_behind(text, "ship").into_iter().collect();
        assert_eq!(names, ["back", "left", "old", "was lost"]);
    }
}
