//! Closures and cliques of random graphs, larger than random programs have: matrices answer what
//! rounds of rows answer, and meetings what nested loops do.
//!
//! Each of these breaks was made and caught here: a pass over the rows of a closure that ends
//! though some have changed, a product or a side that goes by way of absent values, and a meeting
//! that leaves out one of more than two relations.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    missing_docs,
    dead_code,
    unused_imports,
    reason = "a test fails by panicking; it uses some of what the others share"
)]

mod programs;

use std::sync::Arc;

use laterbase_lang::plan::{
    Answer, Atom, Derived, Expression, HeadTerm, Literal, Operand, Place, Plan, Relation, Rule,
    Source, Stored, StoredColumn, Stratum, Term, Times, Variable, VariableId,
};
use laterbase_lang::{DataType, Span, Value};
use laterbase_query::{Limits, MemoryData, Never, oracle, run};

use programs::{Random, column};

const EDGE: Relation = Relation::Stored(0);
const MADE: Relation = Relation::Derived(0);

fn pair(relation: Relation, from: usize, to: usize) -> Literal {
    let term = |column, at| Term { column, operand: Operand::Variable(VariableId(at)) };
    let terms = vec![term(0, from), term(1, to)];
    Literal::Atom(Atom { relation, terms, times: Times::default(), span: Span::default() })
}

fn rule(head: &[usize], body: Vec<Literal>) -> Rule {
    let variable =
        |at| Variable { column: column(format!("v{at}"), DataType::Int), span: Span::default() };
    let term = |at: &usize| HeadTerm::Value(Expression::Variable(VariableId(*at)));
    let head = head.iter().map(term).collect();
    Rule { variables: (0..6).map(variable).collect(), head, body, span: Span::default() }
}

fn columns(count: usize) -> Vec<laterbase_lang::Column> {
    (0..count).map(|at| column(format!("c{at}"), DataType::Int)).collect()
}

fn plan(rules: Vec<Rule>, asked: Rule) -> Plan {
    let place = Place::Member(Arc::from("x"));
    let stored = columns(2).into_iter();
    let stored = stored.map(|column| StoredColumn { column, place: place.clone() }).collect();
    let width = asked.head.len();
    let lattice = vec![None, None];
    let derived = Derived { name: Arc::from("made"), columns: columns(2), lattice, rules };
    Plan {
        stored: vec![Stored { name: Arc::from("edge"), source: Source::Events, columns: stored }],
        derived: vec![derived],
        strata: vec![Stratum { relations: vec![0], is_recursive: true }],
        answer: Answer {
            rule: asked,
            columns: columns(width),
            having: None,
            order: Vec::new(),
            offset: 0,
            limit: None,
        },
    }
}

fn graph(random: &mut Random, nodes: usize, edges: usize) -> MemoryData {
    let mut node = || match random.below(nodes) {
        0 => Value::Null,
        1 => Value::text("one"),
        node => Value::Int(node as i64),
    };
    let mut data = MemoryData::default();
    data.insert("edge", (0..edges).map(|_| vec![node(), node()]).collect());
    data
}

#[test]
fn matrices_answer_what_rounds_of_rows_answer() {
    let base = || rule(&[0, 1], vec![pair(EDGE, 0, 1)]);
    let steps = [
        vec![rule(&[0, 2], vec![pair(EDGE, 0, 1), pair(MADE, 1, 2)])],
        vec![rule(&[0, 2], vec![pair(MADE, 0, 1), pair(EDGE, 1, 2)])],
        vec![rule(&[0, 3], vec![pair(EDGE, 1, 0), pair(MADE, 1, 2), pair(EDGE, 2, 3)])],
        vec![rule(&[0, 2], vec![pair(MADE, 0, 1), pair(MADE, 1, 2)])],
        vec![rule(&[1, 0], vec![pair(MADE, 0, 1)])],
        vec![
            rule(&[0, 2], vec![pair(EDGE, 0, 1), pair(MADE, 1, 2)]),
            rule(&[0, 2], vec![pair(EDGE, 1, 0), pair(MADE, 1, 2)]),
        ],
        vec![
            rule(&[3, 0], vec![pair(EDGE, 1, 0), pair(MADE, 1, 2), pair(EDGE, 2, 3)]),
            rule(&[0, 2], vec![pair(MADE, 0, 1), pair(EDGE, 1, 2)]),
        ],
    ];
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let nodes = random.between(2, 150);
        let edges = nodes * random.between(5, 20) / 10;
        let data = graph(&mut random, nodes, edges);
        for (number, steps) in steps.iter().enumerate() {
            let rules = std::iter::once(base()).chain(steps.iter().cloned()).collect();
            let plan = plan(rules, rule(&[0, 1], vec![pair(MADE, 0, 1)]));
            let answered = [0, Limits::NONE.matrix_bytes_max].map(|matrix_bytes_max| {
                let limits = Limits { matrix_bytes_max, ..Limits::NONE };
                let rows = run(&plan, &data, &limits, &Never).unwrap();
                rows.iter().map(|row| row.values()).collect::<Vec<_>>()
            });
            assert!(answered[0] == answered[1], "seed {seed}, rules {number}");
        }
    }
}

#[test]
fn meetings_answer_what_nested_loops_answer() {
    let all = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)];
    let cliques = all.map(|(from, to)| pair(EDGE, from, to));
    let triangles = vec![pair(EDGE, 0, 1), pair(EDGE, 1, 2), pair(EDGE, 2, 0)];
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let nodes = random.between(3, 8);
        let data = graph(&mut random, nodes, 30);
        for (head, body) in
            [(vec![0, 1, 2, 3], cliques.to_vec()), (vec![0, 1, 2], triangles.clone())]
        {
            let plan = plan(Vec::new(), rule(&head, body));
            let rows = run(&plan, &data, &Limits::NONE, &Never).unwrap();
            let found: Vec<_> = rows.iter().map(|row| row.values()).collect();
            assert!(found == oracle::answer(&plan, &data).unwrap(), "seed {seed}");
        }
    }
}
