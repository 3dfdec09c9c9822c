//! From statements to what is to be done: demands and writes, checked at one moment.

use std::sync::Arc;

use laterbase_event::{Key, RootName};
use laterbase_lang::plan::Plan;
use laterbase_lang::syntax::{
    QueryMode, QuerySyntax, RuleSyntax, Statement, StatementKind, Step, TimesSyntax, Transaction,
};
use laterbase_lang::write::{Demand, DemandedVersion, Write, WriteTarget};
use laterbase_lang::{
    Diagnostic, Severity, Span, check_expect, check_mutation, check_query, has_errors,
};

use super::error::{ExecuteError, ExecuteFault};
use super::guard::Guard;
use crate::append::AppendError;
use crate::ask::{AsJson, Ask, Column, Moment, Value, not_live};
use crate::commit::Commit;
use crate::condition::Expected;
use crate::table;

/// A statement that is carried out.
pub(super) enum Work {
    Query(Box<QuerySyntax>),
    Steps(Box<Steps>),
}

/// What is carried out as one.
pub(super) struct Steps(Transaction);

/// What a statement demands and writes.
pub(super) struct Planned {
    pub(super) demands: Vec<Demand>,
    pub(super) writes: Vec<Write>,
}

/// The rules of a text, what is carried out, and what is wrong about the rest.
pub(super) fn sort(statements: Vec<Statement>) -> (Vec<RuleSyntax>, Vec<Work>, Vec<Diagnostic>) {
    let (mut rules, mut works, mut told) = (Vec::new(), Vec::new(), Vec::new());
    for Statement { kind, span } in statements {
        match kind {
            StatementKind::Rule(rule) => rules.push(rule),
            StatementKind::Query(query) if query.mode == QueryMode::Live => {
                told.push(not_live(span));
            }
            StatementKind::Query(query) => works.push(Work::Query(Box::new(query))),
            StatementKind::Mutation(mutation) => {
                let times = TimesSyntax::default();
                let steps = vec![Step::Mutation(mutation)];
                works.push(Work::Steps(Box::new(Steps(Transaction { times, steps }))));
            }
            StatementKind::Transaction(transaction) => {
                works.push(Work::Steps(Box::new(Steps(transaction))));
            }
            StatementKind::Declaration(_) => told.push(
                Diagnostic::error(span, "a schema is not declared among statements")
                    .help("give it in a file of its own: laterbase schema apply FILE"),
            ),
        }
    }
    (rules, works, told)
}

/// What is wrong with any of the statements, seen from before the first one.
pub(super) fn check_all(
    moment: &mut Moment<'_>,
    rules: &[RuleSyntax],
    works: &[Work],
) -> Vec<Diagnostic> {
    let mut told = Vec::new();
    for work in works {
        match work {
            Work::Query(query) => {
                told.extend(check_query(&moment.context(), rules, query).diagnostics);
            }
            Work::Steps(steps) => match Planned::new(moment, rules, steps) {
                Ok(planned) => {
                    for write in &planned.writes {
                        if let WriteTarget::Event { root, .. } = &write.target {
                            moment.expect_root(root);
                        }
                    }
                }
                Err(wrong) => told.extend(wrong),
            },
        }
    }
    told.retain(|one| one.severity == Severity::Error);
    told
}

impl Planned {
    /// What a statement demands and writes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(
        moment: &Moment<'_>,
        rules: &[RuleSyntax],
        Steps(transaction): &Steps,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut rules = rules.to_vec();
        rules.extend(transaction.steps.iter().filter_map(|step| match step {
            Step::Rule(rule) => Some(rule.clone()),
            Step::Expect(_) | Step::Mutation(_) => None,
        }));
        let context = moment.context();
        let (mut demands, mut writes, mut told) = (Vec::new(), Vec::new(), Vec::new());
        for step in &transaction.steps {
            match step {
                Step::Rule(_) => {}
                Step::Expect(expect) => {
                    let checked = check_expect(&context, &rules, expect, &transaction.times);
                    demands.extend(checked.step);
                    told.extend(checked.diagnostics);
                }
                Step::Mutation(mutation) => {
                    let checked = check_mutation(&context, &rules, mutation, &transaction.times);
                    writes.extend(checked.step);
                    told.extend(checked.diagnostics);
                }
            }
        }
        if has_errors(&told) { Err(told) } else { Ok(Self { demands, writes }) }
    }

    /// The questions that are asked.
    pub(super) fn plans(&self) -> impl Iterator<Item = &Plan> {
        let demanded = self.demands.iter().filter_map(|demand| match demand {
            Demand::Version { .. } => None,
            Demand::Rows { rows, .. } => Some(rows.as_ref()),
        });
        demanded.chain(self.writes.iter().map(|write| &write.rows))
    }

    /// The roots of streams whose versions are demanded.
    pub(super) fn demanded_roots(&self) -> impl Iterator<Item = &str> {
        self.demands.iter().filter_map(|demand| match demand {
            Demand::Version { root, .. } => Some(root.as_ref()),
            Demand::Rows { .. } => None,
        })
    }

    /// The roots that are written to.
    pub(super) fn roots(&self) -> Vec<Arc<str>> {
        let roots = self.writes.iter().map(|write| match &write.target {
            WriteTarget::Event { root, .. } => Arc::clone(root),
            WriteTarget::Table { number, .. } => Arc::from(table::root_of(*number).as_str()),
        });
        roots.collect()
    }

    /// Makes a commit depend on the demands; fails if one does not hold now.
    pub(super) fn demand(
        &self,
        ask: &Ask<'_>,
        moment: &Moment<'_>,
        guard: &mut Guard,
        commit: &mut Commit,
    ) -> Result<(), ExecuteError> {
        for demand in &self.demands {
            match demand {
                Demand::Version { root, key, version, span } => {
                    let (Ok(root), Ok(key)) =
                        (RootName::try_from(root.as_ref()), Key::try_from(key.as_ref()))
                    else {
                        let told = Diagnostic::error(*span, "this is no key of anything")
                            .help("a key has up to 255 bytes");
                        return Err(ExecuteError::expectation(told, ask.text()));
                    };
                    commit.expect(root, key, expected(*version));
                }
                Demand::Rows { is_some, rows: plan, span } => {
                    guard.watch(plan, moment.now);
                    let rows = ask.rows(moment, plan).map_err(|error| {
                        ExecuteError::new(ExecuteFault::Ask(error.fault), ask.text())
                    })?;
                    if rows.is_empty() == *is_some {
                        let told = match rows.iter().next() {
                            None => {
                                Diagnostic::error(*span, "rows were expected, and there are none")
                            }
                            Some(_) => self.found(ask, moment, plan, *span),
                        };
                        return Err(ExecuteError::expectation(told, ask.text()));
                    }
                }
            }
        }
        Ok(())
    }

    /// Names rows that were not to be there, and the events behind them.
    fn found(&self, ask: &Ask<'_>, moment: &Moment<'_>, plan: &Plan, span: Span) -> Diagnostic {
        let mut told = Diagnostic::error(span, "no rows were expected, and some were found");
        // If they cannot be told they were found all the same.
        let Ok(rows) = ask.reasons(moment, plan) else { return told };
        let shown: Vec<String> =
            rows.iter().map(|row| found_text(rows.columns(), &row.values())).collect();
        told.help = Some(format!("found {}", shown.join("; ")));
        told
    }

    /// Whether streams have the versions that are demanded, where nothing is written.
    pub(super) fn versions_hold(
        &self,
        moment: &Moment<'_>,
        text: &str,
    ) -> Result<(), ExecuteError> {
        for demand in &self.demands {
            let Demand::Version { root, key, version, span } = demand else { continue };
            let actual = moment
                .data
                .stream_version(root, key)
                .map_err(|error| ExecuteError::new(ExecuteFault::Append(error.into()), text))?;
            if !expected(*version).is_met_by(actual) {
                let told = version_told((root, key), expected(*version), actual, *span);
                return Err(ExecuteError::expectation(told, text));
            }
        }
        Ok(())
    }

    /// Shows a refusal where it stands in the text; what it is, if it stands nowhere.
    pub(super) fn refused(
        &self,
        error: AppendError,
        text: &str,
    ) -> Result<ExecuteError, ExecuteFault> {
        let AppendError::VersionMismatch { root, key, expected: wanted, actual } = &error else {
            return Err(ExecuteFault::Append(error));
        };
        let span = self.demands.iter().find_map(|demand| match demand {
            Demand::Version { root: its_root, key: its_key, version, span } => {
                let is_it = its_root.as_ref() == root.as_str() && its_key.as_ref() == key.as_str();
                (is_it && expected(*version) == *wanted).then_some(*span)
            }
            Demand::Rows { .. } => None,
        });
        let Some(span) = span else { return Err(ExecuteFault::Append(error)) };
        let told = version_told((root.as_str(), key.as_str()), *wanted, *actual, span);
        Ok(ExecuteError::expectation(told, text))
    }
}

fn version_told(
    (root, key): (&str, &str),
    wanted: Expected,
    actual: u64,
    span: Span,
) -> Diagnostic {
    let events = if actual == 1 { "event" } else { "events" };
    let message = format!("`{root}/{key}` has {actual} {events}, and {wanted} was expected");
    Diagnostic::error(span, message).help("read it, and decide anew")
}

fn expected(version: DemandedVersion) -> Expected {
    match version {
        DemandedVersion::None => Expected::None,
        DemandedVersion::Exists => Expected::Exists,
        DemandedVersion::At(count) => Expected::At(count),
    }
}

/// A row that was found, and the events behind it, which are its last column.
fn found_text(columns: &[Column], values: &[Value]) -> String {
    let Some((events, values)) = values.split_last() else { return String::new() };
    let named = columns.iter().zip(values).filter(|(column, _)| column.name.as_ref() != "found");
    let cells: Vec<String> =
        named.map(|(column, value)| format!("{}: {value}", column.name)).collect();
    let events = serde_json::to_string(&AsJson(events)).unwrap_or_default();
    if cells.is_empty() {
        format!("the events {events}")
    } else {
        format!("{{{}}} by the events {events}", cells.join(", "))
    }
}
