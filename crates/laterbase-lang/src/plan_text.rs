//! Plans as text, for people and for golden files.
//!
//! Strata stand in the order in which they are made, rules in the form of the language; behind a
//! column stands its type, in front of a name that nobody wrote a `_`.

use std::fmt::{self, Write as _};

use crate::data_type::Column;
use crate::function::Function;
use crate::plan::{
    Answer, Atom, Cut, Expression, HeadTerm, Literal, Operand, Plan, Relation, Rule, Valid,
    Variable, VariableId,
};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for stratum in &self.strata {
            for derived in stratum.relations.iter().filter_map(|at| self.derived.get(*at)) {
                let recursive = if stratum.is_recursive { "recursive " } else { "" };
                write!(f, "{recursive}{}{{", derived.name)?;
                write_columns(f, &derived.columns)?;
                f.write_str("}")?;
                for (column, lattice) in derived.columns.iter().zip(&derived.lattice) {
                    if let Some(aggregate) = lattice {
                        write!(f, " {} is the {}", column.name, aggregate.name())?;
                    }
                }
                f.write_str("\n")?;
                for rule in &derived.rules {
                    writeln!(f, "  {}", self.rule_text(rule, &derived.columns, &[]))?;
                }
            }
        }
        f.write_str("?{")?;
        write_columns(f, &self.answer.columns)?;
        write!(f, "}}\n  {}", self.answer_text(&self.answer, &[]))
    }
}

impl Plan {
    fn answer_text(&self, answer: &Answer, outer: &[(VariableId, VariableId)]) -> String {
        let mut text = self.rule_text(&answer.rule, &answer.columns, outer);
        let columns: Vec<Variable> = answer
            .columns
            .iter()
            .map(|column| Variable { column: column.clone(), span: answer.rule.span })
            .collect();
        if let Some(having) = &answer.having {
            let _ = write!(text, " having {}", expression_text(having, &columns));
        }
        for (at, sort) in answer.order.iter().enumerate() {
            let word = if at == 0 { " order by" } else { "," };
            let direction = if sort.is_descending { " desc" } else { "" };
            let _ = write!(text, "{word} {}{direction}", expression_text(&sort.by, &columns));
        }
        if answer.offset > 0 {
            let _ = write!(text, " offset {}", answer.offset);
        }
        if let Some(limit) = answer.limit {
            let _ = write!(text, " limit {limit}");
        }
        text
    }

    fn rule_text(
        &self,
        rule: &Rule,
        columns: &[Column],
        outer: &[(VariableId, VariableId)],
    ) -> String {
        let variables = &rule.variables;
        let mut text = String::from("{");
        for (at, (term, column)) in rule.head.iter().zip(columns).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let _ = write!(text, "{comma}{}: ", column.name);
            match term {
                HeadTerm::Value(expression) => {
                    text.push_str(&expression_text(expression, variables))
                }
                HeadTerm::Aggregate { aggregate, arguments, .. } => {
                    let arguments = expressions_text(arguments, variables);
                    let _ = write!(text, "{}({arguments})", aggregate.name());
                }
                HeadTerm::Tree(tree) => {
                    let word = if tree.is_many { "many" } else { "one" };
                    let _ = write!(text, "{word} {}", self.answer_text(&tree.answer, &tree.outer));
                }
            }
        }
        text.push('}');
        let mut body: Vec<String> =
            rule.body.iter().map(|literal| self.literal_text(literal, variables)).collect();
        if !outer.is_empty() {
            let names: Vec<String> =
                outer.iter().map(|(_, inside)| variable_name(*inside, variables)).collect();
            body.insert(0, format!("row{{{}}}", names.join(", ")));
        }
        if !body.is_empty() {
            let _ = write!(text, " :- {}", body.join(", "));
        }
        text
    }

    fn literal_text(&self, literal: &Literal, variables: &[Variable]) -> String {
        match literal {
            Literal::Atom(atom) => self.atom_text(atom, variables),
            Literal::Not(body, _) => {
                let body: Vec<String> =
                    body.iter().map(|literal| self.literal_text(literal, variables)).collect();
                format!("not ({})", body.join(", "))
            }
            Literal::Filter(condition, _) => expression_text(condition, variables),
            Literal::Let(variable, value, _) => {
                let name = variable_name(*variable, variables);
                format!("{name} := {}", expression_text(value, variables))
            }
            Literal::Each(variable, values, _) => {
                let name = variable_name(*variable, variables);
                format!("each {name} in {}", expression_text(values, variables))
            }
        }
    }

    fn atom_text(&self, atom: &Atom, variables: &[Variable]) -> String {
        let (name, columns): (&str, Vec<&str>) = match atom.relation {
            Relation::Stored(at) => self.stored.get(at).map_or(("?", Vec::new()), |stored| {
                let columns = stored.columns.iter().map(|it| it.column.name.as_ref());
                (stored.name.as_ref(), columns.collect())
            }),
            Relation::Derived(at) => self.derived.get(at).map_or(("?", Vec::new()), |derived| {
                (derived.name.as_ref(), derived.columns.iter().map(|it| it.name.as_ref()).collect())
            }),
        };
        let mut text = format!("{name}{{");
        for (at, term) in atom.terms.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let column = columns.get(term.column).copied().unwrap_or("?");
            let operand = operand_text(&term.operand, variables);
            let _ = if column == operand {
                write!(text, "{comma}{column}")
            } else {
                write!(text, "{comma}{column}: {operand}")
            };
        }
        text.push('}');
        match &atom.times.cut {
            Cut::Latest => {}
            Cut::KnownAt(at) => {
                let _ = write!(text, " as of {}", crate::literal::time_text(*at));
            }
            Cut::RecordedBy(at) => {
                let _ = write!(text, " as of recorded {}", crate::literal::time_text(*at));
            }
            Cut::Vector(vector) => {
                let _ = write!(text, " as of {}", crate::Value::Bytes(vector.clone()));
            }
        }
        match &atom.times.valid {
            Valid::Any => {}
            Valid::At(at) => {
                let _ = write!(text, " valid {}", operand_text(at, variables));
            }
            Valid::In { from, until } => {
                let end = |end: &Option<Operand>| {
                    end.as_ref().map(|end| operand_text(end, variables)).unwrap_or_default()
                };
                let _ = write!(text, " valid in [{}, {})", end(from), end(until));
            }
        }
        text
    }
}

fn write_columns(f: &mut fmt::Formatter<'_>, columns: &[Column]) -> fmt::Result {
    for (at, column) in columns.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        let optional = if column.is_optional { "?" } else { "" };
        write!(f, "{comma}{}: {}{optional}", column.name, column.data_type)?;
    }
    Ok(())
}

fn variable_name(id: VariableId, variables: &[Variable]) -> String {
    variables.get(id.0).map_or_else(|| format!("?{}", id.0), |it| it.column.name.to_string())
}

fn operand_text(operand: &Operand, variables: &[Variable]) -> String {
    match operand {
        Operand::Variable(id) => variable_name(*id, variables),
        Operand::Value(value) => value.to_string(),
    }
}

fn expressions_text(expressions: &[Expression], variables: &[Variable]) -> String {
    let texts: Vec<String> =
        expressions.iter().map(|expression| expression_text(expression, variables)).collect();
    texts.join(", ")
}

fn expression_text(expression: &Expression, variables: &[Variable]) -> String {
    match expression {
        Expression::Value(value) => value.to_string(),
        Expression::Variable(id) => variable_name(*id, variables),
        Expression::Call(function, arguments, _) => {
            let is_made = matches!(function, Function::List | Function::Record);
            let is_operator =
                !is_made && Function::OPERATORS.iter().any(|(_, other)| other == function);
            match (is_operator, arguments.as_slice()) {
                (
                    true,
                    [Expression::Value(_) | Expression::Variable(_) | Expression::Call(..), _],
                ) => {
                    let texts: Vec<String> =
                        arguments.iter().map(|it| expression_text(it, variables)).collect();
                    format!("({})", texts.join(&format!(" {} ", function.name())))
                }
                _ => format!("{}({})", function.name(), expressions_text(arguments, variables)),
            }
        }
    }
}
