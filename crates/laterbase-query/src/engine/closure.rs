//! Closures: recursive relations of two columns whose rules go along others, over matrices of bits.
//!
//! ```text
//!   r{x, z} :- r{p, q}, left of p and x, right of q and z
//!   R ⊇ base ∪ L·R·D        L = {(x, p)}, D = {(q, z)}: sparse, made once by the rest of the rule
//! ```
//! Where the literals beside the recursive atom fall apart into those that hang on its first
//! variable and those that hang on its second one, a round is a product of matrices; a product with
//! a sparse relation joins rows of bits, so a round takes (|L| + |D|)·n/64 words, whatever repeats.
//! With one side alone, rows are joined in place, each behind those that it needs: one pass if
//! there are no cycles. `r{x, z} :- r{x, y}, r{y, z}` is the product of R with itself.
//!
//! The matrix is made as soon as it is no larger than the set of rows so far would be, or is small
//! anyway: it may start from any rows of the closure.

use laterbase_lang::plan::{Atom, Derived, Expression, HeadTerm, Literal, Operand, Rule, Stratum};

use super::Run;
use super::goal::{Item, items};
use super::matrix::{Bits, Matrix, Sparse};
use super::program::Emit;
use super::relation::{Part, Relation};
use super::rule::slots_of;
use crate::code::{Code, NULL, Order};
use crate::error::QueryError;
use crate::variables;

/// Matrices of this side and smaller are made at once: 2 MiB.
const SIDE_SMALL: usize = 4_096;
/// What a row of two cells takes in a set, with its place in the table.
const ROW_BYTES: u64 = 24;

/// A stratum that is a closure.
pub(super) struct Closure {
    links: Vec<Link>,
    /// All values, in their order.
    values: Vec<Code>,
    base: usize,
}

/// A recursive rule.
enum Link {
    Along { left: Option<Side>, right: Option<Side>, gives_turned: bool },
    Squared,
}

/// What hangs on one variable of the recursive atom: from the head's to it, or from it to the
/// head's.
struct Side {
    relation: usize,
    pairs: Sparse,
}

/// A recursive rule in parts.
struct Parts<'r> {
    /// The variables of the recursive atom.
    ends: [usize; 2],
    /// The variables of the head that hang on them.
    heads: [usize; 2],
    literals: [Vec<&'r Literal>; 2],
    gives_turned: bool,
}

impl<'d> Run<'d> {
    /// The stratum as a closure, once its base rows are there; `None` if it is none.
    pub(super) fn closure(&mut self, stratum: &'d Stratum) -> Result<Option<Closure>, QueryError> {
        let &[number] = stratum.relations.as_slice() else { return Ok(None) };
        let Some(derived) = self.plan.derived.get(number) else { return Ok(None) };
        if derived.columns.len() != 2
            || derived.lattice.iter().any(Option::is_some)
            || self.context.meter.limits().matrix_bytes_max == 0
        {
            return Ok(None);
        }
        let Some(split) = derived
            .rules
            .iter()
            .filter(|rule| recursive(rule, number).next().is_some())
            .map(|rule| split(rule, number))
            .collect::<Option<Vec<Option<Parts<'d>>>>>()
        else {
            return Ok(None);
        };
        let mut links = Vec::new();
        for (rule, parts) in
            derived.rules.iter().filter(|rule| recursive(rule, number).next().is_some()).zip(split)
        {
            links.push(match parts {
                Some(parts) => self.link(derived, rule, &parts)?,
                None => Link::Squared,
            });
        }
        let values = self.values_of(number, &links);
        let mut closure = Closure { links, values, base: number };
        self.number_sides(&mut closure);
        Ok(Some(closure))
    }

    fn link(
        &mut self,
        derived: &'d Derived,
        rule: &'d Rule,
        parts: &Parts<'d>,
    ) -> Result<Link, QueryError> {
        self.context.meter.blame(&derived.name, rule.span);
        let mut sides = [None, None];
        for (at, side) in sides.iter_mut().enumerate() {
            let (Some(end), Some(head)) = (parts.ends.get(at), parts.heads.get(at)) else {
                continue;
            };
            let literals = parts.literals.get(at).map(Vec::as_slice).unwrap_or_default();
            if literals.is_empty() {
                continue;
            }
            let emits = if at == 0 { [*head, *end] } else { [*end, *head] };
            let relation = self.side(rule, literals, emits)?;
            *side = Some(Side { relation, pairs: Sparse::default() });
        }
        let [left, right] = sides;
        Ok(Link::Along { left, right, gives_turned: parts.gives_turned })
    }

    /// The pairs of two variables for which some literals hold.
    fn side(
        &mut self,
        rule: &'d Rule,
        literals: &[&'d Literal],
        ends: [usize; 2],
    ) -> Result<usize, QueryError> {
        let mut goals: Vec<Item<'d>> = Vec::new();
        for literal in literals {
            goals.extend(items(std::slice::from_ref(*literal), &mut |atom| {
                self.goal(atom, Part::All)
            }));
        }
        let emits: Vec<Emit> = ends.map(Emit::Slot).into();
        let needed = slots_of(&emits, rule.variables.len());
        let program = self.program(goals, rule.variables.len(), emits, Some(&needed))?;
        let relation = self.add_relation(Relation::new(2));
        self.collect(&program, relation)?;
        self.settle(relation);
        Ok(relation)
    }

    /// All values of the base and of the sides, each once, in their order.
    fn values_of(&self, base: usize, links: &[Link]) -> Vec<Code> {
        let mut values = Vec::new();
        let mut relations = vec![base];
        for link in links {
            if let Link::Along { left, right, .. } = link {
                relations.extend(left.iter().chain(right).map(|side| side.relation));
            }
        }
        for relation in relations.iter().filter_map(|number| self.relations.get(*number)) {
            values.extend((0..relation.count()).flat_map(|row| relation.row(row)).copied());
            values.sort_unstable();
            values.dedup();
        }
        let order = Order::new(&self.context.dictionary, values.len());
        values.sort_unstable_by(|a, b| order.compare(*a, *b));
        values
    }

    fn number_sides(&self, closure: &mut Closure) {
        let numbers = Matrix::new(Bits::default(), closure.values.clone());
        let side_length = closure.values.len();
        for link in &mut closure.links {
            let Link::Along { left, right, .. } = link else { continue };
            for (at, side) in [left, right].into_iter().enumerate() {
                let Some(side) = side else { continue };
                let Some(relation) = self.relations.get(side.relation) else { continue };
                let mut pairs = Vec::with_capacity(relation.count());
                for row in 0..relation.count() {
                    let (a, b) = (relation.cell(row, 0), relation.cell(row, 1));
                    // An absent value meets nothing; the end of a left side is its second column.
                    if (if at == 0 { b } else { a }) == NULL {
                        continue;
                    }
                    let places = numbers.place(a).zip(numbers.place(b));
                    // Of a right side columns are wanted by row, for products from the other side.
                    pairs.extend(places.map(|(a, b)| {
                        if at == 0 { (a as u32, b as u32) } else { (b as u32, a as u32) }
                    }));
                }
                side.pairs = Sparse::new(side_length, &pairs);
            }
        }
    }

    /// Whether a matrix is better than the rows so far.
    pub(super) fn is_worth_closing(&self, closure: &Closure) -> bool {
        let bytes = Bits::bytes_of(closure.values.len());
        let rows = self.relations.get(closure.base).map_or(0, Relation::count) as u64;
        let is_small = closure.values.len() <= SIDE_SMALL || bytes <= rows * ROW_BYTES;
        is_small && bytes <= self.context.meter.limits().matrix_bytes_max
    }

    /// Makes the closure of the rows so far.
    pub(super) fn close(&mut self, closure: Closure) -> Result<(), QueryError> {
        let Closure { links, values, base } = closure;
        let mut bits = Bits::new(values.len());
        let numbers = Matrix::new(Bits::default(), values);
        let before = match self.relations.get(base) {
            Some(relation) => {
                for row in 0..relation.count() {
                    let (a, b) = (relation.cell(row, 0), relation.cell(row, 1));
                    if let Some((a, b)) = numbers.place(a).zip(numbers.place(b)) {
                        bits.set(a as u32, b as u32);
                    }
                }
                relation.count()
            }
            None => 0,
        };
        self.context.meter.bytes(self.held() + bits.bytes() * 2)?;
        let lefts: Option<Vec<&Sparse>> = links.iter().map(|link| one_sided(link, 0)).collect();
        let rights: Option<Vec<&Sparse>> = links.iter().map(|link| one_sided(link, 1)).collect();
        match (lefts, rights) {
            (Some(lefts), _) => self.sweep(&mut bits, &lefts, before)?,
            (None, Some(rights)) => {
                let mut turned = bits.transposed();
                self.sweep(&mut turned, &rights, before)?;
                bits = turned.transposed();
            }
            (None, None) => self.rounds(&mut bits, &links, numbers.place(NULL))?,
        }
        let matrix = Matrix::new(bits, numbers.values);
        if let Some(relation) = self.relations.get_mut(base) {
            *relation = Relation::of_matrix(matrix);
        }
        self.check_bytes()
    }

    /// Joins rows in place until nothing changes: the rows that a row needs into it.
    fn sweep(
        &mut self,
        bits: &mut Bits,
        needs: &[&Sparse],
        before: usize,
    ) -> Result<(), QueryError> {
        let side = bits.side();
        let order = match needs {
            [one] => one.needed_first(side),
            _ => (0..side as u32).collect(),
        };
        // When each row changed, and when it last took from what it needs.
        let (mut changed, mut visited) = (vec![1_u64; side], vec![0_u64; side]);
        let (mut tick, mut count) = (1, before);
        loop {
            let mut has_changed = false;
            for row in &order {
                let row = *row as usize;
                let since = visited.get(row).copied().unwrap_or_default();
                tick += 1;
                let mut joined = 0;
                let mut grows = false;
                for from in needs.iter().flat_map(|sparse| sparse.row(row)) {
                    if changed.get(*from as usize).is_some_and(|changed| *changed > since) {
                        grows |= bits.join_row(row, *from as usize);
                        joined += 1;
                    }
                }
                if let Some(place) = visited.get_mut(row) {
                    *place = tick;
                }
                if grows {
                    tick += 1;
                    has_changed = true;
                    if let Some(place) = changed.get_mut(row) {
                        *place = tick;
                    }
                }
                self.context.meter.steps(1 + joined * bits.stride() as u64 / 8)?;
            }
            let now = bits.count();
            self.context.meter.rows((now - count) as u64)?;
            count = now;
            if !has_changed {
                return Ok(());
            }
        }
    }

    /// Products of what the last round added, until a round adds nothing.
    fn rounds(
        &mut self,
        bits: &mut Bits,
        links: &[Link],
        null: Option<usize>,
    ) -> Result<(), QueryError> {
        self.context.meter.bytes(self.held() + bits.bytes() * 6)?;
        let mut delta = bits.clone();
        loop {
            let mut new = Bits::new(bits.side());
            for link in links {
                new.join(&self.product(&delta, bits, link, null)?);
            }
            let added = new.move_new_to(bits);
            self.context.meter.rows(added as u64)?;
            if added == 0 {
                return Ok(());
            }
            delta = new;
        }
    }

    fn product(
        &mut self,
        delta: &Bits,
        all: &Bits,
        link: &Link,
        null: Option<usize>,
    ) -> Result<Bits, QueryError> {
        let words = delta.bytes() / 8;
        let (left, right, gives_turned) = match link {
            Link::Along { left, right, gives_turned } => (left, right, *gives_turned),
            Link::Squared => {
                self.context
                    .meter
                    .steps(words + delta.count() as u64 * delta.stride() as u64 / 8)?;
                let mut product = delta.times(all, null);
                product.join(&all.times(delta, null));
                return Ok(product);
            }
        };
        let pairs = |side: &Option<Side>| side.as_ref().map_or(0, |side| side.pairs.len() as u64);
        let joined = pairs(left) + pairs(right);
        self.context.meter.steps(words + joined * delta.stride() as u64 / 8)?;
        let mut product = delta.clone();
        if let Some(left) = left {
            product = product.after(&left.pairs);
        }
        if let Some(right) = right {
            product = product.transposed().after(&right.pairs).transposed();
        }
        Ok(if gives_turned { product.transposed() } else { product })
    }

    fn held(&self) -> u64 {
        self.relations.iter().map(Relation::bytes).sum::<u64>() + self.context.bytes()
    }
}

/// The one side of a link that has no other, and turns nothing.
fn one_sided(link: &Link, which: usize) -> Option<&Sparse> {
    match link {
        Link::Along { left, right, gives_turned: false } => match (left, right, which) {
            (Some(left), None, 0) => Some(&left.pairs),
            (None, Some(right), 1) => Some(&right.pairs),
            _ => None,
        },
        Link::Along { .. } | Link::Squared => None,
    }
}

fn recursive(rule: &Rule, number: usize) -> impl Iterator<Item = (usize, &Atom)> {
    rule.body.iter().enumerate().filter_map(move |(at, literal)| match literal {
        Literal::Atom(atom) => {
            (super::goal::derived_number(atom.relation) == Some(number)).then_some((at, atom))
        }
        Literal::Not(..) | Literal::Filter(..) | Literal::Let(..) | Literal::Each(..) => None,
    })
}

/// The two variables of an atom that names both columns, in their order.
fn ends(atom: &Atom) -> Option<[usize; 2]> {
    let [a, b] = atom.terms.as_slice() else { return None };
    let (Operand::Variable(x), Operand::Variable(y)) = (&a.operand, &b.operand) else {
        return None;
    };
    match (a.column, b.column) {
        (0, 1) if x != y => Some([x.0, y.0]),
        (1, 0) if x != y => Some([y.0, x.0]),
        _ => None,
    }
}

/// A recursive rule in parts: `Some(None)` for the product with itself, `None` for any other rule.
fn split(rule: &Rule, number: usize) -> Option<Option<Parts<'_>>> {
    let mut head = rule.head.iter().map(|term| match term {
        HeadTerm::Value(Expression::Variable(variable)) => Some(variable.0),
        HeadTerm::Value(_) | HeadTerm::Aggregate { .. } | HeadTerm::Tree(_) => None,
    });
    let (x, z) = (head.next()??, head.next()??);
    let atoms: Vec<(usize, [usize; 2])> = recursive(rule, number)
        .map(|(at, atom)| ends(atom).map(|ends| (at, ends)))
        .collect::<Option<_>>()?;
    match atoms.as_slice() {
        [(_, [a, b]), (_, [c, d])] if rule.body.len() == 2 => {
            let goes = |a: usize, b: usize, c: usize, d: usize| {
                (a, d) == (x, z) && b == c && a != d && a != b && c != d
            };
            (goes(*a, *b, *c, *d) || goes(*c, *d, *a, *b)).then_some(None)
        }
        [(at, ends)] => {
            let rest: Vec<&Literal> = rule
                .body
                .iter()
                .enumerate()
                .filter(|(other, _)| other != at)
                .map(|(_, literal)| literal)
                .collect();
            hang(rule, rest, *ends, [x, z]).map(Some)
        }
        _ => None,
    }
}

/// Tells which literals hang on which variable.
fn hang<'r>(
    rule: &'r Rule,
    rest: Vec<&'r Literal>,
    ends: [usize; 2],
    [x, z]: [usize; 2],
) -> Option<Parts<'r>> {
    let [p, q] = ends;
    let count = rule.variables.len();
    // On which end each variable hangs: spread along literals until nothing changes.
    let mut hangs_on: Vec<Option<usize>> = vec![None; count];
    *hangs_on.get_mut(p)? = Some(0);
    *hangs_on.get_mut(q)? = Some(1);
    let mut of: Vec<Option<usize>> = vec![None; rest.len()];
    loop {
        let mut has_changed = false;
        for (literal, side) in rest.iter().zip(&mut of) {
            let mentioned = mentioned(literal);
            let mut sides = mentioned.iter().filter_map(|slot| hangs_on.get(*slot)?.as_ref());
            let Some(first) = sides.next().copied() else { continue };
            if sides.any(|side| *side != first) {
                return None;
            }
            has_changed |= side.is_none();
            *side = Some(first);
            for slot in &mentioned {
                *hangs_on.get_mut(*slot)? = Some(first);
            }
        }
        if !has_changed {
            break;
        }
    }
    let of: Vec<usize> = of.into_iter().collect::<Option<_>>()?;
    let heads = match (*hangs_on.get(x)?, *hangs_on.get(z)?) {
        (Some(0), Some(1)) => [x, z],
        (Some(1), Some(0)) => [z, x],
        _ => return None,
    };
    let of_side = |side: usize| {
        let all = rest.iter().zip(&of).filter(move |(_, of)| **of == side);
        all.map(|(literal, _)| *literal).collect::<Vec<&Literal>>()
    };
    let literals = [of_side(0), of_side(1)];
    for ((end, head), literals) in ends.iter().zip(&heads).zip(&literals) {
        let stands_alone = if literals.is_empty() {
            end == head
        } else {
            variables::can_be_bound(literals, &[], &[*end, *head])
        };
        if !stands_alone {
            return None;
        }
    }
    Some(Parts { ends, heads, literals, gives_turned: heads != [x, z] })
}

fn mentioned(literal: &Literal) -> Vec<usize> {
    let mut slots = Vec::new();
    variables::bound_by(literal, &mut |variable| slots.push(variable.0));
    variables::needed_by(literal, &mut |variable| slots.push(variable.0));
    slots
}
