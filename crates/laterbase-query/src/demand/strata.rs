//! Which relations are made one after the other: strongly connected components, each behind those
//! that it needs (Tarjan, with a stack of its own).

use laterbase_lang::plan::{Answer, Derived, HeadTerm, Literal, Relation, Rule, Stratum};

/// What a relation needs, and whether it must be whole before.
type Needs = Vec<(usize, bool)>;

/// The strata of the relations that an answer needs; `None` if one that must be whole before is
/// needed by itself. `must_be_whole` says what else a relation reads only once it is whole.
pub(super) fn strata(
    derived: &[Derived],
    answer: &Answer,
    must_be_whole: &dyn Fn(usize, usize) -> bool,
) -> Option<Vec<Stratum>> {
    let needs: Vec<Needs> = derived
        .iter()
        .enumerate()
        .map(|(reader, derived)| {
            let has_lattice = derived.lattice.iter().any(Option::is_some);
            let mut needs = Needs::new();
            derived.rules.iter().for_each(|rule| rule_needs(rule, has_lattice, &mut needs));
            for (read, is_strict) in &mut needs {
                *is_strict |= must_be_whole(reader, *read);
            }
            needs
        })
        .collect();
    let mut roots = Needs::new();
    rule_needs(&answer.rule, false, &mut roots);
    let mut search = Search {
        derived,
        needs: &needs,
        number: vec![None; derived.len()],
        low: vec![0; derived.len()],
        is_open: vec![false; derived.len()],
        open: Vec::new(),
        next: 0,
        strata: Vec::new(),
    };
    for (root, _) in roots {
        search.from(root)?;
    }
    Some(search.strata)
}

fn rule_needs(rule: &Rule, has_lattice: bool, needs: &mut Needs) {
    let aggregates = rule.head.iter().any(|term| matches!(term, HeadTerm::Aggregate { .. }));
    body_needs(&rule.body, aggregates && !has_lattice, needs);
    for term in &rule.head {
        if let HeadTerm::Tree(tree) = term {
            let mut inner = Needs::new();
            rule_needs(&tree.answer.rule, false, &mut inner);
            needs.extend(inner.into_iter().map(|(number, _)| (number, true)));
        }
    }
}

fn body_needs(body: &[Literal], is_strict: bool, needs: &mut Needs) {
    for literal in body {
        match literal {
            Literal::Atom(atom) => {
                if let Relation::Derived(number) = atom.relation {
                    needs.push((number, is_strict));
                }
            }
            Literal::Not(inner, _) => body_needs(inner, true, needs),
            Literal::Filter(..) | Literal::Let(..) | Literal::Each(..) => {}
        }
    }
}

/// Whether any rule aggregates, or has trees: none such is looked at in rounds.
fn is_grouped(derived: &Derived) -> bool {
    let has_lattice = derived.lattice.iter().any(Option::is_some);
    derived.rules.iter().flat_map(|rule| &rule.head).any(|term| match term {
        HeadTerm::Value(_) => false,
        HeadTerm::Aggregate { .. } => !has_lattice,
        HeadTerm::Tree(_) => true,
    })
}

struct Search<'n> {
    derived: &'n [Derived],
    needs: &'n [Needs],
    number: Vec<Option<usize>>,
    low: Vec<usize>,
    is_open: Vec<bool>,
    open: Vec<usize>,
    next: usize,
    strata: Vec<Stratum>,
}

impl Search<'_> {
    fn enter(&mut self, at: usize) -> Option<()> {
        *self.number.get_mut(at)? = Some(self.next);
        *self.low.get_mut(at)? = self.next;
        *self.is_open.get_mut(at)? = true;
        self.open.push(at);
        self.next += 1;
        Some(())
    }

    fn lower(&mut self, at: usize, to: usize) -> Option<()> {
        let low = self.low.get_mut(at)?;
        *low = (*low).min(to);
        Some(())
    }

    fn from(&mut self, root: usize) -> Option<()> {
        if self.number.get(root)?.is_some() {
            return Some(());
        }
        self.enter(root)?;
        let mut path = vec![(root, 0)];
        while let Some((at, edge)) = path.last_mut() {
            let at = *at;
            let needed = self.needs.get(at)?.get(*edge).map(|(needed, _)| *needed);
            *edge += 1;
            match needed {
                Some(needed) => match *self.number.get(needed)? {
                    None => {
                        self.enter(needed)?;
                        path.push((needed, 0));
                    }
                    Some(number) if *self.is_open.get(needed)? => self.lower(at, number)?,
                    Some(_) => {}
                },
                None => {
                    path.pop();
                    let low = *self.low.get(at)?;
                    if let Some((before, _)) = path.last() {
                        self.lower(*before, low)?;
                    }
                    if Some(low) == *self.number.get(at)? {
                        self.close(at)?;
                    }
                }
            }
        }
        Some(())
    }

    /// Makes a stratum of what was opened since.
    fn close(&mut self, first: usize) -> Option<()> {
        let from = self.open.iter().position(|open| *open == first)?;
        let relations = self.open.split_off(from);
        let mut is_recursive = relations.len() > 1;
        for at in &relations {
            *self.is_open.get_mut(*at)? = false;
            for (needed, is_strict) in self.needs.get(*at)? {
                if relations.contains(needed) {
                    is_recursive = true;
                    if *is_strict {
                        return None;
                    }
                }
            }
        }
        let is_grouped = |at: &usize| self.derived.get(*at).is_some_and(is_grouped);
        if is_recursive && relations.iter().any(is_grouped) {
            return None;
        }
        self.strata.push(Stratum { relations, is_recursive });
        Some(())
    }
}
