//! Whether a plan says what a plan may say: for plans that did not come from the checker.
//!
//! What is checked here the engine need not expect: numbers that name nothing, heads and columns
//! that differ, variables that nothing binds, relations that are needed before they are made.

use laterbase_lang::plan::{
    Answer, Atom, Expression, HeadTerm, Literal, Operand, Plan, Relation, Rule, VariableId,
};

use crate::error::PlanError;
use crate::variables;

/// How deep expressions, negations and trees may be nested, each.
const DEPTH_MAX: usize = 128;

/// Checks a plan.
pub(crate) fn check(plan: &Plan) -> Result<(), PlanError> {
    let mut made = vec![false; plan.derived.len()];
    for stratum in &plan.strata {
        let within = if stratum.is_recursive { stratum.relations.as_slice() } else { &[] };
        let place = Place { plan, made: &made, within };
        for number in &stratum.relations {
            let derived = plan.derived.get(*number).ok_or(PlanError::UnknownNumber)?;
            if derived.lattice.len() != derived.columns.len() {
                return Err(PlanError::Arity);
            }
            let mut lattices = derived.lattice.iter().flatten();
            if lattices.any(|aggregate| !aggregate.is_lattice()) {
                return Err(PlanError::NoLattice);
            }
            for rule in &derived.rules {
                place.rule(rule, derived.columns.len(), &[], 0)?;
            }
        }
        for number in &stratum.relations {
            *made.get_mut(*number).ok_or(PlanError::UnknownNumber)? = true;
        }
    }
    Place { plan, made: &made, within: &[] }.answer(&plan.answer, &[], 0)
}

/// Where a rule stands.
struct Place<'p> {
    plan: &'p Plan,
    made: &'p [bool],
    /// Relations that are being made.
    within: &'p [usize],
}

impl Place<'_> {
    fn answer(&self, answer: &Answer, given: &[usize], depth: usize) -> Result<(), PlanError> {
        self.rule(&answer.rule, answer.columns.len(), given, depth)?;
        let by = answer.order.iter().map(|sort| &sort.by);
        answer
            .having
            .iter()
            .chain(by)
            .try_for_each(|used| expression(used, answer.columns.len(), 0))
    }

    fn rule(
        &self,
        rule: &Rule,
        width: usize,
        given: &[usize],
        depth: usize,
    ) -> Result<(), PlanError> {
        if depth > DEPTH_MAX {
            return Err(PlanError::TooDeep);
        }
        if rule.head.len() != width {
            return Err(PlanError::Arity);
        }
        let count = rule.variables.len();
        self.body(&rule.body, count, false, 0)?;
        let mut wanted = Vec::new();
        for term in &rule.head {
            match term {
                HeadTerm::Value(value) => {
                    expression(value, count, 0)?;
                    variables::of_expression(value, &mut |variable| wanted.push(variable.0));
                }
                HeadTerm::Aggregate { arguments, .. } => {
                    for argument in arguments {
                        expression(argument, count, 0)?;
                        variables::of_expression(argument, &mut |v| wanted.push(v.0));
                    }
                }
                HeadTerm::Tree(tree) => {
                    let inner = tree.answer.rule.variables.len();
                    for (outside, inside) in &tree.outer {
                        known(*outside, count)?;
                        known(*inside, inner)?;
                        wanted.push(outside.0);
                    }
                    let given: Vec<usize> = tree.outer.iter().map(|(_, inside)| inside.0).collect();
                    let whole = Place { within: &[], ..*self };
                    whole.answer(&tree.answer, &given, depth + 1)?;
                }
            }
        }
        let literals: Vec<&Literal> = rule.body.iter().collect();
        let is_bound = variables::can_be_bound(&literals, given, &wanted);
        if is_bound { Ok(()) } else { Err(PlanError::Unbound) }
    }

    fn body(
        &self,
        body: &[Literal],
        count: usize,
        is_negated: bool,
        depth: usize,
    ) -> Result<(), PlanError> {
        if depth > DEPTH_MAX {
            return Err(PlanError::TooDeep);
        }
        for literal in body {
            match literal {
                Literal::Atom(atom) => self.atom(atom, count, is_negated)?,
                Literal::Not(inner, _) => self.body(inner, count, true, depth + 1)?,
                Literal::Filter(used, _) => expression(used, count, 0)?,
                Literal::Let(variable, used, _) | Literal::Each(variable, used, _) => {
                    known(*variable, count)?;
                    expression(used, count, 0)?;
                }
            }
        }
        Ok(())
    }

    fn atom(&self, atom: &Atom, count: usize, is_negated: bool) -> Result<(), PlanError> {
        let width = match atom.relation {
            Relation::Stored(number) => {
                self.plan.stored.get(number).map(|stored| stored.columns.len())
            }
            Relation::Derived(number) => {
                let is_made = self.made.get(number).copied().unwrap_or_default();
                if !is_made && (is_negated || !self.within.contains(&number)) {
                    return Err(PlanError::Unstratified);
                }
                self.plan.derived.get(number).map(|derived| derived.columns.len())
            }
        };
        let width = width.ok_or(PlanError::UnknownNumber)?;
        for term in &atom.terms {
            if term.column >= width {
                return Err(PlanError::UnknownNumber);
            }
            if let Operand::Variable(variable) = &term.operand {
                known(*variable, count)?;
            }
        }
        crate::times::variables(&atom.times.valid).try_for_each(|variable| known(variable, count))
    }
}

fn known(variable: VariableId, count: usize) -> Result<(), PlanError> {
    if variable.0 < count { Ok(()) } else { Err(PlanError::UnknownNumber) }
}

fn expression(used: &Expression, count: usize, depth: usize) -> Result<(), PlanError> {
    match used {
        Expression::Value(_) => Ok(()),
        Expression::Variable(variable) => known(*variable, count),
        Expression::Call(..) if depth > DEPTH_MAX => Err(PlanError::TooDeep),
        Expression::Call(_, arguments, _) => {
            arguments.iter().try_for_each(|argument| expression(argument, count, depth + 1))
        }
    }
}
