//! Which variables literals and expressions need, and which they bind.

use laterbase_lang::plan::{Expression, Literal, Operand, VariableId};

use crate::times;

/// Calls `take` with each variable of an expression.
pub(crate) fn of_expression(expression: &Expression, take: &mut dyn FnMut(VariableId)) {
    match expression {
        Expression::Value(_) => {}
        Expression::Variable(variable) => take(*variable),
        Expression::Call(_, arguments, _) => {
            arguments.iter().for_each(|argument| of_expression(argument, take));
        }
    }
}

/// Calls `take` with each variable that a literal binds by itself.
pub(crate) fn bound_by(literal: &Literal, take: &mut dyn FnMut(VariableId)) {
    match literal {
        Literal::Atom(atom) => {
            for term in &atom.terms {
                if let Operand::Variable(variable) = &term.operand {
                    take(*variable);
                }
            }
        }
        Literal::Let(variable, ..) | Literal::Each(variable, ..) => take(*variable),
        Literal::Not(..) | Literal::Filter(..) => {}
    }
}

/// Calls `take` with each variable that must be bound before a literal can be looked at, if it can
/// be bound at all; for a negation these are all of its variables.
pub(crate) fn needed_by(literal: &Literal, take: &mut dyn FnMut(VariableId)) {
    match literal {
        Literal::Atom(atom) => times::variables(&atom.times.valid).for_each(take),
        Literal::Filter(expression, _)
        | Literal::Let(_, expression, _)
        | Literal::Each(_, expression, _) => of_expression(expression, take),
        Literal::Not(literals, _) => {
            for literal in literals {
                bound_by(literal, take);
                needed_by(literal, take);
            }
        }
    }
}

/// Whether literals bind some variables, where others are bound before: each can be looked at once
/// what it needs is bound by others. What is local to a negation nobody needs to bind.
pub(crate) fn can_be_bound(literals: &[&Literal], given: &[usize], wanted: &[usize]) -> bool {
    let mut bound = given.to_vec();
    let mut rest = literals.to_vec();
    loop {
        let before = rest.len();
        rest.retain(|literal| {
            let mut needed = Vec::new();
            if !matches!(literal, Literal::Not(..)) {
                needed_by(literal, &mut |variable| needed.push(variable.0));
            }
            let is_ready = needed.iter().all(|slot| bound.contains(slot));
            if is_ready {
                bound_by(literal, &mut |variable| bound.push(variable.0));
            }
            !is_ready
        });
        if rest.len() == before {
            break;
        }
    }
    rest.is_empty() && wanted.iter().all(|slot| bound.contains(slot))
}
