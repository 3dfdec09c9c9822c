//! From syntax to a plan: names, types, times, safety and strata.
//!
//! ```text
//!   query ─▶ its rule ─▶ the rules it names ─▶ theirs …    each once for each time it is asked at
//!               │
//!               ├─ discover: which relation needs which                   (nothing is told yet)
//!               ├─ strata: components, a negation or a sum within one is refused
//!               ├─ infer: types of columns, component by component, until they stay
//!               └─ emit: the plan, and every mistake
//! ```
//! A rule that is asked at two times becomes two relations ([`instance::Instance`]): so times are
//! constants in a plan wherever they belong to a rule. Over a range of valid times a relation has a
//! column more: the period for which its row holds, which is what the periods of its atoms share.

mod aggregate;
mod body;
mod call;
mod condition;
mod expression;
mod head;
mod instance;
mod mutation;
mod operator;
mod part;
mod relation;
mod strata;
mod times;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use expression::fitting;
pub use mutation::{CheckedStep, check_expect, check_mutation};
pub(crate) use relation::EVENTS;
pub use relation::operations_root;

use self::instance::Checker;
use crate::diagnostic::{Diagnostic, has_errors};
use crate::function::Function;
use crate::plan::Plan;
use crate::schema::Schema;
use crate::syntax::{QuerySyntax, RuleSyntax};
use crate::value::Value;

/// What a question may name, and what it is given.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Declared events, tables and views.
    pub schema: &'a Schema,
    /// Roots that hold events, declared or not, and the types of these events; none if that is not
    /// known.
    pub stored: &'a BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Values of parameters, by name without the `$`.
    pub parameters: &'a BTreeMap<Arc<str>, Value>,
    /// What `now()` is, in microseconds since 1970.
    pub now: i64,
    /// Computes a function of values: the engine's.
    pub evaluate: Evaluate,
}

/// Computes a function of values, or says why it has none.
pub type Evaluate = fn(Function, &[Value]) -> Result<Value, String>;

/// A plan, and what is wrong or odd.
#[derive(Debug)]
pub struct Checked {
    /// Absent if anything is wrong.
    pub plan: Option<Plan>,
    /// Mistakes and warnings.
    pub diagnostics: Vec<Diagnostic>,
}

/// Checks a query, with the rules of the text that it stands in.
#[must_use]
pub fn check_query(context: &Context<'_>, rules: &[RuleSyntax], query: &QuerySyntax) -> Checked {
    let mut checker = Checker::new(context, rules);
    checker.add_answer(&query.select);
    let strata = checker.settle();
    let plan = checker.emit(strata);
    let diagnostics = checker.into_diagnostics();
    Checked { plan: plan.filter(|_| !has_errors(&diagnostics)), diagnostics }
}
