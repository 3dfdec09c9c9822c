//! What the engine promises beside its answers: that it reads little, stops at its budgets and
//! names who used them, refuses plans that contradict themselves, and says what it did and why.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;

use laterbase_lang::plan::{
    Answer, Atom, Derived, Expression, HeadTerm, Literal, Operand, Place, Plan, Relation, Rule,
    Sort, Source, Stored, StoredColumn, Stratum, Term, Times, Variable, VariableId,
};
use laterbase_lang::{Aggregate, Column, DataType, Function, Span, Value};
use laterbase_query::{
    Budget, Data, DataError, Limits, MemoryData, MistakeKind, Never, PlanError, QueryError,
    Restriction, Scan, Scanned, ValueRef, explain, run, run_explained, why,
};

const EDGE: Relation = Relation::Stored(0);
const PATH: Relation = Relation::Derived(0);

fn column(name: &str) -> Column {
    Column { name: Arc::from(name), data_type: DataType::Int, is_optional: false }
}

/// A relation of pairs; the first column has an index where a source can seek.
fn edges() -> Stored {
    let columns = [("from", Place::Key), ("to", Place::Member("to".into()))];
    let columns = columns.map(|(name, place)| StoredColumn { column: column(name), place });
    Stored { name: Arc::from("edge"), source: Source::Table { number: 1 }, columns: columns.into() }
}

/// An atom: variables as numbers, values as values.
fn atom(relation: Relation, operands: &[Operand]) -> Literal {
    let terms = operands.iter().cloned().enumerate();
    let terms = terms.map(|(column, operand)| Term { column, operand }).collect();
    Literal::Atom(Atom { relation, terms, times: Times::default(), span: Span::new(7, 9) })
}

fn v(number: usize) -> Operand {
    Operand::Variable(VariableId(number))
}

fn int(value: i64) -> Operand {
    Operand::Value(Value::Int(value))
}

fn variable(number: usize) -> Expression {
    Expression::Variable(VariableId(number))
}

fn rule(head: &[usize], body: Vec<Literal>) -> Rule {
    let variables = (0..8)
        .map(|at| Variable { column: column(&format!("v{at}")), span: Span::default() })
        .collect();
    let head = head.iter().map(|at| HeadTerm::Value(variable(*at))).collect();
    Rule { variables, head, body, span: Span::new(3, 5) }
}

fn answer(rule: Rule) -> Answer {
    let columns = (0..rule.head.len()).map(|at| column(&format!("c{at}"))).collect();
    Answer { rule, columns, having: None, order: Vec::new(), offset: 0, limit: None }
}

/// `path` is the closure of `edge`.
fn plan(asked: Rule) -> Plan {
    let rules = vec![
        rule(&[0, 1], vec![atom(EDGE, &[v(0), v(1)])]),
        rule(&[0, 2], vec![atom(EDGE, &[v(0), v(1)]), atom(PATH, &[v(1), v(2)])]),
    ];
    let columns = vec![column("from"), column("to")];
    let lattice = vec![None, None];
    Plan {
        stored: vec![edges()],
        derived: vec![Derived { name: Arc::from("path"), columns, lattice, rules }],
        strata: vec![Stratum { relations: vec![0], is_recursive: true }],
        answer: answer(asked),
    }
}

/// Chains of ten: 0 to 9, 10 to 19, …
fn chains(count: i64) -> MemoryData {
    let mut data = MemoryData::default();
    let pairs = (0..count * 10).filter(|at| at % 10 != 9);
    data.insert("edge", pairs.map(|at| vec![Value::Int(at), Value::Int(at + 1)]).collect());
    data.make_seekable("edge", 0);
    data
}

fn ints(rows: &laterbase_query::Rows) -> Vec<Vec<Value>> {
    rows.iter().map(|row| row.values()).collect()
}

#[test]
fn a_recursion_that_is_asked_for_a_value_makes_no_more_than_that() {
    let asked = rule(&[0], vec![atom(PATH, &[int(3), v(0)])]);
    let rows = run(&plan(asked), &chains(1_000), &Limits::default(), &Never).unwrap();
    let expected: Vec<Vec<Value>> = (4..10).map(|at| vec![Value::Int(at)]).collect();
    assert_eq!(ints(&rows), expected);
    assert!(rows.usage().rows < 100, "{:?}", rows.usage());
}

#[test]
fn a_recursion_that_is_asked_for_some_of_some_values_makes_no_more_than_that() {
    let text = |text: &str| Value::text(text);
    let name = |at: i64| text(&format!("n{at}"));
    let mut data = MemoryData::default();
    let pairs = (0..10_000).filter(|at| at % 10 != 9);
    data.insert("edge", pairs.map(|at| vec![name(at), name(at + 1)]).collect());
    data.make_seekable("edge", 0);
    let said = |function, value: Value| {
        let arguments = vec![Expression::Variable(VariableId(0)), Expression::Value(value)];
        Literal::Filter(Expression::Call(function, arguments, Span::default()), Span::default())
    };
    let one = said(Function::Equal, name(3));
    let some = said(Function::In, Value::List([name(3), name(17), text("none")].into()));
    for (said, count) in [(one, 6), (some, 6 + 2)] {
        let asked = rule(&[0, 1], vec![atom(PATH, &[v(0), v(1)]), said]);
        let rows = run(&plan(asked), &data, &Limits::default(), &Never).unwrap();
        assert_eq!(rows.len(), count);
        assert!(rows.usage().rows < 100, "{:?}", rows.usage());
    }
}

#[test]
fn lists_that_are_said_of_two_variables_are_not_multiplied() {
    let name = |at: i64| Value::text(&format!("n{at}"));
    let mut data = MemoryData::default();
    let pairs = (0..2_000).filter(|at| at % 10 != 9);
    data.insert("edge", pairs.map(|at| vec![name(at), name(at + 1)]).collect());
    data.make_seekable("edge", 0);
    let names = Expression::Value(Value::List((0..2_000).map(name).collect()));
    let said = |variable| {
        let arguments = vec![Expression::Variable(VariableId(variable)), names.clone()];
        let span = Span::default();
        Literal::Filter(Expression::Call(Function::In, arguments, span), span)
    };
    let asked = rule(&[0, 1], vec![atom(PATH, &[v(0), v(1)]), said(0), said(1)]);
    let rows = run(&plan(asked), &data, &Limits::default(), &Never).unwrap();
    assert_eq!(rows.len(), 200 * 45);
    assert!(rows.usage().rows < 50_000, "{:?}", rows.usage());
}

/// Counts how often it is asked, and for how many values at the most.
struct Counting {
    data: MemoryData,
    scans: Cell<u64>,
    values_max: Cell<usize>,
}

impl Data for Counting {
    fn scan(
        &self,
        request: &Scan<'_>,
        take: &mut dyn FnMut(&[ValueRef<'_>]) -> ControlFlow<()>,
    ) -> Result<Scanned, DataError> {
        self.scans.set(self.scans.get() + 1);
        let values = request.constraints.iter().map(|constraint| match &constraint.is {
            Restriction::OneOf(values) => values.len(),
            Restriction::Range(..) | Restriction::Holds(_) => 0,
        });
        self.values_max.set(values.chain([self.values_max.get()]).max().unwrap());
        self.data.scan(request, take)
    }

    fn estimate(&self, request: &Scan<'_>) -> Option<u64> {
        self.data.estimate(request)
    }

    fn can_seek(&self, request: &Scan<'_>, column: usize) -> bool {
        self.data.can_seek(request, column)
    }
}

/// A node with 300 below it, with 10 below each, among many others.
fn trees() -> Counting {
    let mut data = MemoryData::default();
    let ints = |from: i64, to: i64| vec![Value::Int(from), Value::Int(to)];
    let first = (1..=300).map(|at| ints(0, at));
    let second = (1..=300).flat_map(|at| (0..10).map(move |to| ints(at, 1_000 + at * 10 + to)));
    let others = (100_000..180_000).map(|at| ints(at, at + 1));
    data.insert("edge", first.chain(second).chain(others).collect());
    data.make_seekable("edge", 0);
    Counting { data, scans: Cell::new(0), values_max: Cell::new(0) }
}

#[test]
fn many_keys_are_asked_for_at_once() {
    let asked = rule(&[0], vec![atom(PATH, &[int(0), v(0)])]);
    let data = trees();
    let rows = run(&plan(asked), &data, &Limits::default(), &Never).unwrap();
    assert_eq!(rows.len(), 3_300);
    // 3,301 keys: one, then twice as many each time, up to a thousand.
    assert!(data.scans.get() < 40, "{} scans", data.scans.get());
    assert!((1_000..=1_024).contains(&data.values_max.get()), "{}", data.values_max.get());
}

#[test]
fn rows_that_differ_in_nothing_that_is_kept_are_one() {
    let below = atom(EDGE, &[int(0), v(0)]);
    let asked = rule(&[0], vec![below, atom(EDGE, &[v(0)])]);
    let rows = run(&plan(asked), &trees(), &Limits::default(), &Never).unwrap();
    assert_eq!(rows.len(), 300);
    // Each of the 300 has ten below it.
    assert!(rows.usage().rows < 1_500, "{:?}", rows.usage());
}

#[test]
fn a_cross_product_stops_at_its_budget_and_names_its_rule() {
    let atoms = [0, 2, 4].map(|at| atom(EDGE, &[v(at), v(at + 1)]));
    let asked = rule(&[0, 2, 4], atoms.into());
    let limits = Limits { rows_max: 50_000, ..Limits::default() };
    let (rows, explanation) = run_explained(&plan(asked), &chains(100), &limits, &Never);
    let Err(QueryError::Exhausted(exhausted)) = rows else { panic!("{rows:?}") };
    assert_eq!((exhausted.budget, exhausted.limit), (Budget::Rows, 50_000));
    assert_eq!((exhausted.culprit.name.as_str(), exhausted.culprit.span.start), ("the answer", 3));
    assert!(explanation.to_string().contains("scan edge"), "{explanation}");
}

#[test]
fn an_aggregate_over_a_cross_product_holds_nothing_and_stops_at_its_steps() {
    let atoms = [0, 2, 4].map(|at| atom(EDGE, &[v(at), v(at + 1)]));
    let mut asked = rule(&[], atoms.into());
    asked.head.push(HeadTerm::Aggregate {
        aggregate: Aggregate::Count,
        arguments: Vec::new(),
        span: Span::default(),
    });
    let limits = Limits { steps_max: 1_000_000, bytes_max: 1 << 20, ..Limits::default() };
    let found = run(&plan(asked), &chains(100), &limits, &Never);
    let Err(QueryError::Exhausted(exhausted)) = found else { panic!("{found:?}") };
    assert_eq!(exhausted.budget, Budget::Steps);
}

#[test]
fn a_recursion_that_never_ends_stops_at_its_budget() {
    let add = Expression::Call(
        Function::Add,
        vec![variable(1), Expression::Value(Value::Int(1))],
        Span::default(),
    );
    let mut asked = plan(rule(&[0], vec![atom(PATH, &[v(0), v(1)])]));
    let mut endless = rule(&[0, 2], vec![atom(PATH, &[v(0), v(1)])]);
    endless.body.push(Literal::Let(VariableId(2), add, Span::default()));
    asked.derived[0].rules[1] = endless;
    let limits = Limits { rows_max: 10_000, ..Limits::default() };
    let found = run(&asked, &chains(1), &limits, &Never);
    let Err(QueryError::Exhausted(exhausted)) = found else { panic!("{found:?}") };
    assert_eq!(exhausted.culprit.name, "path");
}

#[test]
fn a_question_is_cancelled_between_steps() {
    let atoms = [0, 2, 4, 6].map(|at| atom(EDGE, &[v(at), v(at + 1)]));
    let asked = Cell::new(0);
    let cancel = || {
        asked.set(asked.get() + 1);
        asked.get() > 10
    };
    let found = run(&plan(rule(&[7], atoms.into())), &chains(1_000), &Limits::NONE, &cancel);
    assert!(matches!(found, Err(QueryError::Cancelled)), "{found:?}");
}

#[test]
fn plans_that_contradict_themselves_are_refused() {
    let good = plan(rule(&[0], vec![atom(PATH, &[v(0), v(1)])]));
    let check = |change: fn(&mut Plan), expected: PlanError| {
        let mut plan = good.clone();
        change(&mut plan);
        let found = run(&plan, &chains(1), &Limits::default(), &Never);
        assert!(matches!(found, Err(QueryError::Plan(found)) if found == expected), "{found:?}");
    };
    check(
        |plan| plan.answer.rule.head = vec![HeadTerm::Value(variable(99))],
        PlanError::UnknownNumber,
    );
    check(|plan| plan.answer.rule.head = vec![HeadTerm::Value(variable(5))], PlanError::Unbound);
    check(|plan| plan.answer.columns.clear(), PlanError::Arity);
    check(|plan| plan.strata.clear(), PlanError::Unstratified);
    check(|plan| plan.strata[0].relations = vec![4], PlanError::UnknownNumber);
    check(|plan| plan.stored.clear(), PlanError::UnknownNumber);
    check(|plan| plan.derived[0].lattice[1] = Some(Aggregate::Sum), PlanError::NoLattice);
    check(
        |plan| {
            let rule = &mut plan.derived[0].rules[1];
            let atom = rule.body.pop().unwrap();
            rule.body.push(Literal::Not(vec![atom], Span::default()));
        },
        PlanError::Unstratified,
    );
    check(
        |plan| {
            let mut deep = variable(0);
            for _ in 0..1_000 {
                deep = Expression::Call(Function::Not, vec![deep], Span::default());
            }
            plan.answer.having = Some(deep);
        },
        PlanError::TooDeep,
    );
}

#[test]
fn a_mistake_carries_its_span() {
    let mut asked = rule(&[2], vec![atom(EDGE, &[v(0), v(1)])]);
    let zero = Expression::Value(Value::Int(0));
    let divide = Expression::Call(Function::Divide, vec![variable(0), zero], Span::new(20, 25));
    asked.body.push(Literal::Let(VariableId(2), divide, Span::default()));
    let found = run(&plan(asked), &chains(1), &Limits::default(), &Never);
    let Err(QueryError::Mistake(mistake)) = found else { panic!("{found:?}") };
    assert_eq!((mistake.kind, mistake.span.start), (MistakeKind::DivisionByZero, 20));
}

#[test]
fn why_names_the_rows_of_one_derivation() {
    let asked = rule(&[0], vec![atom(PATH, &[int(3), v(0)])]);
    let mut data = MemoryData::default();
    // A table's rows are named by their keys, which `explained` binds behind the other columns.
    let rows = (0..9).map(|at| vec![Value::Int(at), Value::Int(at + 1), Value::Int(at)]);
    data.insert("edge", rows.collect());
    let rows = why(&plan(asked), &data, &Limits::default(), &Never).unwrap();
    let of = |to: i64| rows.iter().find(|row| row.value(0) == Value::Int(to)).unwrap().value(1);
    assert_eq!(rows.len(), 6);
    let Value::List(keys) = of(5) else { panic!("{:?}", of(5)) };
    let mut keys = keys.to_vec();
    keys.sort();
    assert_eq!(keys, [Value::Int(3), Value::Int(4)]);
}

#[test]
fn an_explanation_reads_nothing_and_tells_steps() {
    let body = vec![atom(PATH, &[int(3), v(0)]), atom(EDGE, &[v(0), v(1)])];
    let plan = plan(rule(&[0, 1], body));
    let dry = explain(&plan, &chains(1_000)).unwrap();
    assert!(dry.parts.iter().flat_map(|part| &part.steps).all(|step| step.found.is_none()));
    let (rows, done) = run_explained(&plan, &chains(1_000), &Limits::default(), &Never);
    assert_eq!(rows.unwrap().len(), 5);
    let steps: Vec<_> = done.parts.iter().flat_map(|part| &part.steps).collect();
    assert!(steps.iter().any(|step| step.text == "seek edge" && step.found > Some(0)), "{done}");
    assert!(!steps.iter().any(|step| step.text == "read edge"), "{done}");
}

#[test]
fn an_order_that_the_source_has_reads_the_first_rows_alone() {
    let mut data = chains(1_000);
    data.make_ordered("edge", 0);
    let filter = Expression::Call(
        Function::NotEqual,
        vec![variable(0), Expression::Value(Value::Int(9_998))],
        Span::default(),
    );
    let body = vec![atom(EDGE, &[v(0), v(1)]), Literal::Filter(filter, Span::default())];
    let mut plan = plan(rule(&[0, 1], body));
    plan.answer.order = vec![Sort { by: variable(0), is_descending: true }];
    plan.answer.limit = Some(3);
    let rows = run(&plan, &data, &Limits::default(), &Never).unwrap();
    let found: Vec<Value> = rows.iter().map(|row| row.value(0)).collect();
    assert_eq!(found, [Value::Int(9_997), Value::Int(9_996), Value::Int(9_995)]);
    assert!(rows.usage().rows < 60, "{:?}", rows.usage());
}

#[test]
fn a_limit_is_taken_behind_the_order() {
    let mut plan = plan(rule(&[0, 1], vec![atom(EDGE, &[v(0), v(1)])]));
    plan.answer.order = vec![Sort { by: variable(1), is_descending: true }];
    plan.answer.limit = Some(2);
    plan.answer.offset = 1;
    let rows = run(&plan, &chains(1), &Limits::default(), &Never).unwrap();
    assert_eq!(ints(&rows), [[Value::Int(7), Value::Int(8)], [Value::Int(6), Value::Int(7)]]);
}

/// How many events of each number there are, or of all where `groups` is empty.
fn count_of_events(groups: &[usize], mut body: Vec<Literal>) -> Vec<Vec<Value>> {
    let columns = [("id", Place::Id), ("number", Place::Member("number".into()))];
    let columns = columns.map(|(name, place)| StoredColumn { column: column(name), place });
    let events =
        Stored { name: Arc::from("edge"), source: Source::Events, columns: columns.into() };
    let mut data = MemoryData::default();
    data.insert("edge", (0..3_000).map(|at| vec![Value::Int(at), Value::Int(at % 3)]).collect());
    body.push(atom(EDGE, &[v(0), v(1)]));
    let mut asked = rule(groups, body);
    let (aggregate, arguments, span) = (Aggregate::Count, Vec::new(), Span::default());
    asked.head.push(HeadTerm::Aggregate { aggregate, arguments, span });
    let answer = answer(asked);
    let plan = Plan { stored: vec![events], derived: Vec::new(), strata: Vec::new(), answer };
    let limits = Limits { rows_max: 10, ..Limits::default() };
    let rows = run(&plan, &data, &limits, &Never).unwrap();
    rows.iter().map(|row| row.values()).collect()
}

#[test]
fn events_are_counted_without_being_held() {
    let counts = [0, 1, 2].map(|number| vec![Value::Int(number), Value::Int(1_000)]);
    assert_eq!(count_of_events(&[1], Vec::new()), counts);
}

#[test]
fn what_is_computed_is_compared_with_what_an_event_has() {
    let two = Expression::Value(Value::Int(2));
    let is_two = Literal::Let(VariableId(1), two, Span::default());
    assert_eq!(count_of_events(&[], vec![is_two]), [[Value::Int(1_000)]]);
}
