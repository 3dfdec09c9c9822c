//! Questions in Laterlog, the language of the database.
//!
//! ```text
//!   text ─▶ parse ─▶ check against the schema and what is stored ─▶ plan ─▶ engine ─▶ rows
//!                                                                  source ──┘
//! ```
//! All statements of a text see one moment of this copy. Left out: writing; statements that write
//! are refused.

mod csv;
mod error;
mod flat;
mod json;
mod moment;
mod payload;
mod source;
mod undeclared;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use csv::{cell_text, write_csv_header, write_csv_row};
pub use error::{AskError, AskFault};
pub use json::{AsJson, value_of_json, write_json_row};
use laterbase_event::EventId;
use laterbase_lang::plan::Plan;
use laterbase_lang::schema::{self, Lineage};
pub use laterbase_lang::schema::{Schema, canonical};
use laterbase_lang::syntax::{QueryMode, QuerySyntax, RuleSyntax, Statement, StatementKind};
pub use laterbase_lang::{
    Column, DataType, Diagnostic, Piece, Severity, Value, completions, format as format_text,
    is_incomplete, pieces, render_all,
};
use laterbase_lang::{Context, Span, check_query, has_errors, parse};
pub use laterbase_query::{Cancel, Limits, Never, QueryError, Rows, RowsPlace, Usage};
use laterbase_query::{Explanation, run, run_explained, why};
pub(crate) use payload::{Form, field as payload_field, form, json_members, read_as};
use serde::de::DeserializeOwned;

pub(crate) use self::moment::Moment;
pub(crate) use self::source::{Reader, StoredData};
use crate::database::Database;
use crate::declared::Declared;

/// A question, ready to be asked.
///
/// ```
/// use laterbase::{Database, NewEvent, Options};
///
/// # let dir = tempfile::tempdir()?;
/// let db = Database::create(dir.path(), Options::default())?;
/// let mut commit = db.commit();
/// for (key, port) in [("4711", "NLRTM"), ("4712", "USNYC")] {
///     let port = serde_json::json!({"port": port});
///     commit.push(&NewEvent::new("shipment", key, "departed").json(&port)?)?;
/// }
/// db.append(&mut commit)?.wait()?;
///
/// let answer = db
///     .query("?{key} :- shipment.departed{key, port: $port}")
///     .bind("port", "NLRTM")
///     .run()?;
/// let rows: Vec<(String,)> = answer.rows_as()?;
/// assert_eq!(rows, [("4711".to_owned(),)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a question is asked by `run`"]
pub struct Ask<'a> {
    database: &'a Database,
    text: String,
    parameters: BTreeMap<Arc<str>, Value>,
    schema: Option<&'a Schema>,
    limits: Limits,
    cancel: &'a (dyn Cancel + 'a),
    allow: Option<&'a Allow<'a>>,
}

/// Whether the events of a root may be read; of all roots, if none is named.
pub(crate) type Allow<'a> = dyn Fn(Option<&str>) -> bool + 'a;

/// The schema of the database, and the one that a question brings, if it does.
pub(crate) struct Schemas<'a> {
    declared: Arc<Declared>,
    own: Option<(&'a Schema, Lineage)>,
}

impl Schemas<'_> {
    fn reader(&self) -> Reader<'_> {
        let of_database = Reader::of(&self.declared);
        match &self.own {
            None => of_database,
            Some((schema, names)) => {
                Reader { schema, lineages: [&self.declared.lineage, names], ..of_database }
            }
        }
    }
}

/// What the last query of a text answers.
#[derive(Debug)]
pub struct Answer {
    /// Its rows.
    pub rows: Rows,
    explanation: Option<Explanation>,
    warnings: Vec<Diagnostic>,
    text: Arc<str>,
}

impl Answer {
    /// The names and types of the columns.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        self.rows.columns()
    }

    /// How it was answered, with the rows that were expected and found at each step, if that was
    /// asked for: `explain ?{…} :- …`.
    #[must_use]
    pub fn explanation(&self) -> Option<String> {
        self.explanation.as_ref().map(ToString::to_string)
    }

    /// What is odd about the text, each with its line; `name` is what the text is called.
    #[must_use]
    pub fn warnings(&self, name: &str) -> Vec<String> {
        self.warnings.iter().map(|warning| warning.render(name, &self.text)).collect()
    }

    /// The rows as values of a type: a struct with the columns' names, or a tuple in their order.
    ///
    /// # Errors
    /// [`AskError`] names the first row that does not fit.
    pub fn rows_as<T: DeserializeOwned>(&self) -> Result<Vec<T>, AskError> {
        json::rows_as(&self.rows)
    }
}

impl<'a> Ask<'a> {
    /// Gives a parameter its value: `$port` is bound by `port`.
    pub fn bind(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.parameters.insert(Arc::from(name), value.into());
        self
    }

    /// Asks with other declared types than those of the database.
    pub fn schema(mut self, schema: &'a Schema) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Within limits other than the default ones.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Stops when somebody says so.
    pub fn cancel(mut self, cancel: &'a dyn Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// Reads of roots only what is allowed. A question that names others is refused; which other
    /// roots there are is not told.
    pub fn allow(mut self, allow: &'a dyn Fn(Option<&str>) -> bool) -> Self {
        self.allow = Some(allow);
        self
    }

    /// The answer of the last query of the text; those before it are asked too.
    ///
    /// # Errors
    /// [`AskError`] shows each mistake where it stands in the text.
    ///
    /// # Ordering
    /// Sees everything acknowledged before the call.
    pub fn run(self) -> Result<Answer, AskError> {
        let mut last = None;
        self.each(|answer| {
            last = Some(answer);
            Ok(())
        })?;
        last.ok_or_else(AskError::no_query)
    }

    /// The answers of all queries of the text, one after the other.
    ///
    /// # Errors
    /// As [`Ask::run`], and what `take` fails with.
    pub fn each(
        self,
        mut take: impl FnMut(Answer) -> Result<(), AskError>,
    ) -> Result<(), AskError> {
        let parsed = parse(&self.text);
        if has_errors(&parsed.diagnostics) {
            return Err(self.mistakes(parsed.diagnostics));
        }
        let (rules, queries, mut mistakes) = sort(parsed.statements);
        let declared = self.database.inner().declared();
        let declared = declared.map_err(|error| AskError::from(AskFault::Read(error)))?;
        let schemas = self.schemas(declared);
        let moment = self.moment(&schemas)?;
        let mut plans = Vec::new();
        for query in &queries {
            let checked = check_query(&moment.context(), &rules, query);
            let (warnings, errors): (Vec<_>, Vec<_>) =
                checked.diagnostics.into_iter().partition(|it| it.severity == Severity::Warning);
            mistakes.extend(errors);
            plans.extend(checked.plan.map(|plan| (query.mode, plan, warnings)));
        }
        if !mistakes.is_empty() {
            return Err(self.mistakes(mistakes));
        }
        if !plans.iter().all(|(_, plan, _)| moment.may_read(plan)) {
            return Err(AskFault::Forbidden.into());
        }
        for (mode, plan, warnings) in plans {
            take(self.answer(&moment, mode, &plan, warnings)?)?;
        }
        Ok(())
    }

    /// The schemas that it is read by.
    pub(crate) fn schemas(&self, declared: Arc<Declared>) -> Schemas<'a> {
        Schemas { own: self.schema.map(|schema| (schema, names_of(schema))), declared }
    }

    /// This copy now.
    pub(crate) fn moment<'m>(&'m self, schemas: &'m Schemas<'m>) -> Result<Moment<'m>, AskError> {
        Moment::new(self.database.inner(), schemas.reader(), self)
            .map_err(|error| AskFault::Read(error).into())
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn database(&self) -> &'a Database {
        self.database
    }

    /// The rows of a plan.
    pub(crate) fn rows(&self, moment: &Moment<'_>, plan: &Plan) -> Result<Rows, AskError> {
        run(plan, &moment.data, &self.limits, self.cancel)
            .map_err(|error| AskError::of_query(error, &self.text))
    }

    /// The rows of a plan, and behind each what it was made of.
    pub(crate) fn reasons(&self, moment: &Moment<'_>, plan: &Plan) -> Result<Rows, AskError> {
        why(plan, &moment.data, &self.limits, self.cancel)
            .map_err(|error| AskError::of_query(error, &self.text))
    }

    /// Answers a plan.
    pub(crate) fn answer(
        &self,
        moment: &Moment<'_>,
        mode: QueryMode,
        plan: &Plan,
        warnings: Vec<Diagnostic>,
    ) -> Result<Answer, AskError> {
        let (data, limits, cancel) = (&moment.data, &self.limits, self.cancel);
        let (rows, explanation) = match mode {
            QueryMode::Why => (why(plan, data, limits, cancel), None),
            QueryMode::Explain => {
                let (rows, explanation) = run_explained(plan, data, limits, cancel);
                (rows, Some(explanation))
            }
            QueryMode::Rows | QueryMode::Live => (run(plan, data, limits, cancel), None),
        };
        let rows = rows.map_err(|error| AskError::of_query(error, &self.text))?;
        Ok(Answer { rows, explanation, warnings, text: Arc::from(self.text.as_str()) })
    }

    fn mistakes(&self, diagnostics: Vec<Diagnostic>) -> AskError {
        AskError::mistakes(diagnostics, &self.text)
    }
}

/// What is wrong with the views of a schema: each is asked for all of its columns.
pub(crate) fn view_mistakes(schema: &Schema) -> Vec<Diagnostic> {
    let (stored, parameters) = (BTreeMap::new(), BTreeMap::new());
    let context = Context {
        schema,
        stored: &stored,
        parameters: &parameters,
        now: 0,
        evaluate: moment::evaluate,
    };
    let mut mistakes = Vec::new();
    for view in schema.views.values() {
        let text = format!("?{{n: count()}} :- `{}`{{}}", view.name);
        for statement in parse(&text).statements {
            let StatementKind::Query(query) = statement.kind else { continue };
            let found = check_query(&context, &[], &query).diagnostics;
            let errors = found.into_iter().filter(|it| it.severity == Severity::Error);
            mistakes.extend(errors.map(|it| Diagnostic { span: view.rule.name.span, ..it }));
        }
    }
    mistakes
}

/// The names that a schema gives, as those of a database that has no other.
fn names_of(schema: &Schema) -> Lineage {
    let (base, id) = (Schema::default(), EventId::from_u128(0));
    schema::fold([schema::Applied { id, base: &base, text: schema, settles: &[] }]).lineage
}

/// The rules and the queries of a text, and what is wrong about its other statements.
fn sort(statements: Vec<Statement>) -> (Vec<RuleSyntax>, Vec<QuerySyntax>, Vec<Diagnostic>) {
    let (mut rules, mut queries, mut mistakes) = (Vec::new(), Vec::new(), Vec::new());
    for Statement { kind, span } in statements {
        match kind {
            StatementKind::Rule(rule) => rules.push(rule),
            StatementKind::Query(query) if query.mode == QueryMode::Live => {
                mistakes.push(not_live(span));
            }
            StatementKind::Query(query) => queries.push(query),
            StatementKind::Mutation(_) | StatementKind::Transaction(_) => mistakes.push(
                Diagnostic::error(span, "a question writes nothing")
                    .help("statements that write are carried out by `execute`"),
            ),
            StatementKind::Declaration(_) => mistakes.push(
                Diagnostic::error(span, "a schema is not declared within a question")
                    .help("give the schema in a file of its own"),
            ),
        }
    }
    (rules, queries, mistakes)
}

/// That a query is not asked again whenever something changes.
pub(crate) fn not_live(span: Span) -> Diagnostic {
    Diagnostic::error(span, "live queries are not answered here")
        .help("ask for rows with `?{…} :- …`")
}

/// Whether a text has statements that write; `false` if it cannot be read.
#[must_use]
pub fn writes(text: &str) -> bool {
    parse(text).statements.iter().any(|statement| match &statement.kind {
        StatementKind::Mutation(_) | StatementKind::Transaction(_) => true,
        StatementKind::Declaration(_) | StatementKind::Rule(_) | StatementKind::Query(_) => false,
    })
}

/// The names of the rules of a text that holds nothing else; `None` if it holds other statements.
///
/// # Errors
/// [`AskError`] shows each mistake where it stands in the text.
pub fn rule_names(text: &str) -> Result<Option<Vec<Arc<str>>>, AskError> {
    let parsed = parse(text);
    if has_errors(&parsed.diagnostics) {
        return Err(AskError::mistakes(parsed.diagnostics, text));
    }
    let name = |statement: &Statement| match &statement.kind {
        StatementKind::Rule(rule) => Some(Arc::clone(&rule.name.text)),
        StatementKind::Declaration(_)
        | StatementKind::Query(_)
        | StatementKind::Mutation(_)
        | StatementKind::Transaction(_) => None,
    };
    Ok(parsed.statements.iter().map(name).collect())
}

/// The text with its last query asking for its plan: `explain ?{…}` where `?{…}` stood. `None` if
/// there is no query in it, or if it cannot be read.
#[must_use]
pub fn explained(text: &str) -> Option<String> {
    let parsed = parse(text);
    let query = parsed.statements.iter().rev().find_map(|it| match &it.kind {
        StatementKind::Query(query) => Some((query.mode, it.span)),
        StatementKind::Declaration(_)
        | StatementKind::Rule(_)
        | StatementKind::Mutation(_)
        | StatementKind::Transaction(_) => None,
    });
    let (mode, span) = query.filter(|_| !has_errors(&parsed.diagnostics))?;
    if mode == QueryMode::Explain {
        return Some(text.to_owned());
    }
    let (before, rest) = text.split_at_checked(span.start as usize)?;
    let (_, question) = rest.split_once('?')?;
    Some(format!("{before}explain ?{question}"))
}

/// The schema that a text declares.
///
/// # Errors
/// [`AskError`] shows each mistake where it stands in the text.
pub fn schema_of(text: &str) -> Result<Schema, AskError> {
    let parsed = parse(text);
    let (schema, diagnostics) = schema::declare(&parsed.statements);
    let mut mistakes = [parsed.diagnostics, diagnostics].concat();
    for statement in &parsed.statements {
        if !matches!(statement.kind, StatementKind::Declaration(_)) {
            mistakes.push(
                Diagnostic::error(statement.span, "a schema holds declarations only")
                    .help("they start with root, table, index or view"),
            );
        }
    }
    if has_errors(&mistakes) {
        return Err(AskError::mistakes(mistakes, text));
    }
    Ok(schema)
}

impl Database {
    /// A question in Laterlog, to be given its parameters and asked.
    pub fn query(&self, text: impl Into<String>) -> Ask<'_> {
        Ask {
            database: self,
            text: text.into(),
            parameters: BTreeMap::new(),
            schema: None,
            limits: Limits::default(),
            cancel: &Never,
            allow: None,
        }
    }
}

impl std::fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ask").field("text", &self.text).finish_non_exhaustive()
    }
}
