//! Plans as text, for whoever reads a failure.

use std::fmt::Write;

use laterbase_lang::plan::{
    Answer, Atom, Expression, HeadTerm, Literal, Operand, Plan, Relation, Rule,
};

/// A plan, a rule to a line.
pub fn show(plan: &Plan) -> String {
    let mut text = String::new();
    for stored in &plan.stored {
        let places: Vec<String> =
            stored.columns.iter().map(|column| format!("{:?}", column.place)).collect();
        writeln!(text, "stored {}({})", stored.name, places.join(", ")).unwrap();
    }
    for stratum in &plan.strata {
        writeln!(text, "stratum {stratum:?}").unwrap();
        for number in &stratum.relations {
            let derived = &plan.derived[*number];
            for shown in &derived.rules {
                let lattice = &derived.lattice;
                writeln!(text, "  {} {lattice:?} {}", derived.name, rule(plan, shown)).unwrap();
            }
        }
    }
    text + &answer(plan, &plan.answer)
}

fn answer(plan: &Plan, shown: &Answer) -> String {
    let mut text = format!("?{}", rule(plan, &shown.rule));
    if let Some(having) = &shown.having {
        write!(text, " having {}", expression(having)).unwrap();
    }
    for sort in &shown.order {
        write!(text, " order {} desc={}", expression(&sort.by), sort.is_descending).unwrap();
    }
    write!(text, " offset {} limit {:?}", shown.offset, shown.limit).unwrap();
    text
}

fn rule(plan: &Plan, shown: &Rule) -> String {
    let head: Vec<String> = shown
        .head
        .iter()
        .map(|term| match term {
            HeadTerm::Value(value) => expression(value),
            HeadTerm::Aggregate { aggregate, arguments, .. } => {
                let arguments: Vec<String> = arguments.iter().map(expression).collect();
                format!("{}!({})", aggregate.name(), arguments.join(", "))
            }
            HeadTerm::Tree(tree) => {
                let many = if tree.is_many { "many" } else { "one" };
                format!("{many} {:?} <{}>", tree.outer, answer(plan, &tree.answer))
            }
        })
        .collect();
    format!("{{{}}} :- {}", head.join(", "), literals(plan, &shown.body))
}

fn literals(plan: &Plan, shown: &[Literal]) -> String {
    let texts: Vec<String> = shown
        .iter()
        .map(|literal| match literal {
            Literal::Atom(shown) => atom(plan, shown),
            Literal::Not(inner, _) => format!("not ({})", literals(plan, inner)),
            Literal::Filter(filter, _) => expression(filter),
            Literal::Let(variable, value, _) => format!("v{} := {}", variable.0, expression(value)),
            Literal::Each(variable, value, _) => {
                format!("v{} each {}", variable.0, expression(value))
            }
        })
        .collect();
    texts.join(", ")
}

fn atom(plan: &Plan, shown: &Atom) -> String {
    let name = match shown.relation {
        Relation::Stored(at) => &plan.stored[at].name,
        Relation::Derived(at) => &plan.derived[at].name,
    };
    let terms: Vec<String> = shown
        .terms
        .iter()
        .map(|term| {
            let operand = match &term.operand {
                Operand::Variable(variable) => format!("v{}", variable.0),
                Operand::Value(value) => value.to_string(),
            };
            format!("{}: {operand}", term.column)
        })
        .collect();
    let times = if shown.times == Default::default() {
        String::new()
    } else {
        format!(" {:?}", shown.times)
    };
    format!("{name}{{{}}}{times}", terms.join(", "))
}

fn expression(shown: &Expression) -> String {
    match shown {
        Expression::Value(value) => value.to_string(),
        Expression::Variable(variable) => format!("v{}", variable.0),
        Expression::Call(function, arguments, _) => {
            let arguments: Vec<String> = arguments.iter().map(expression).collect();
            format!("{function:?}({})", arguments.join(", "))
        }
    }
}
