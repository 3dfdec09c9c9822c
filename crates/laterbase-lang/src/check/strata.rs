//! Strata: relations in an order in which each finds what it needs complete.
//!
//! Strongly connected components by Tarjan's algorithm, 1972, with a stack of its own instead of
//! the program's, since a hostile text may chain any number of rules.

use crate::plan::Stratum;
use crate::span::Span;

/// That a relation needs another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) to: usize,
    pub(super) strength: Strength,
    pub(super) span: Span,
}

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strength {
    /// Row by row.
    Rows,
    /// All of it, since it is negated.
    Negated,
    /// All of it, since it is aggregated by what is no lattice.
    Aggregated,
}

impl Strength {
    /// Why all of it is needed, in words; `None` if it is not.
    pub(super) fn why(self) -> Option<&'static str> {
        match self {
            Self::Rows => None,
            Self::Negated => Some("the negation of"),
            Self::Aggregated => Some("all rows of"),
        }
    }
}

/// The components of a graph, each behind those that it needs.
pub(super) fn components(edges: &[&[Edge]]) -> Vec<Stratum> {
    let mut search = Search {
        index: vec![None; edges.len()],
        low: vec![0; edges.len()],
        is_open: vec![false; edges.len()],
        open: Vec::new(),
        next: 0,
        found: Vec::new(),
    };
    for root in 0..edges.len() {
        if search.index.get(root) == Some(&None) {
            search.from(root, edges);
        }
    }
    search.found
}

struct Search {
    /// When a node was first seen.
    index: Vec<Option<usize>>,
    /// The earliest open node that it leads to.
    low: Vec<usize>,
    is_open: Vec<bool>,
    open: Vec<usize>,
    next: usize,
    found: Vec<Stratum>,
}

impl Search {
    #[expect(clippy::indexing_slicing, reason = "nodes are below the number of lists of edges")]
    fn from(&mut self, root: usize, edges: &[&[Edge]]) {
        let mut path: Vec<(usize, usize)> = vec![(root, 0)];
        self.enter(root);
        while let Some((node, at)) = path.last_mut() {
            let node = *node;
            if let Some(edge) = edges[node].get(*at) {
                *at += 1;
                match self.index.get(edge.to) {
                    None => {}
                    Some(None) => {
                        self.enter(edge.to);
                        path.push((edge.to, 0));
                    }
                    Some(Some(index)) if self.is_open[edge.to] => {
                        self.low[node] = self.low[node].min(*index);
                    }
                    Some(Some(_)) => {}
                }
                continue;
            }
            path.pop();
            if let Some((before, _)) = path.last() {
                self.low[*before] = self.low[*before].min(self.low[node]);
            }
            if self.index[node] == Some(self.low[node]) {
                self.close(node, edges);
            }
        }
    }

    #[expect(clippy::indexing_slicing, reason = "as in `from`")]
    fn enter(&mut self, node: usize) {
        self.index[node] = Some(self.next);
        self.low[node] = self.next;
        self.next += 1;
        self.is_open[node] = true;
        self.open.push(node);
    }

    #[expect(clippy::indexing_slicing, reason = "as in `from`")]
    fn close(&mut self, node: usize, edges: &[&[Edge]]) {
        let mut relations = Vec::new();
        while let Some(member) = self.open.pop() {
            self.is_open[member] = false;
            relations.push(member);
            if member == node {
                break;
            }
        }
        relations.sort_unstable();
        let needs_itself = |edge: &Edge| edge.to == node;
        let is_recursive = relations.len() > 1 || edges[node].iter().any(needs_itself);
        self.found.push(Stratum { relations, is_recursive });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(graph: &[&[usize]]) -> Vec<(Vec<usize>, bool)> {
        let edge = |to: &usize| Edge { to: *to, strength: Strength::Rows, span: Span::default() };
        let edges: Vec<Vec<Edge>> =
            graph.iter().map(|list| list.iter().map(edge).collect()).collect();
        let edges: Vec<&[Edge]> = edges.iter().map(Vec::as_slice).collect();
        components(&edges).into_iter().map(|it| (it.relations, it.is_recursive)).collect()
    }

    #[test]
    fn what_is_needed_comes_first() {
        assert_eq!(
            order(&[&[1], &[2], &[]]),
            [(vec![2], false), (vec![1], false), (vec![0], false)]
        );
    }

    #[test]
    fn what_needs_each_other_stands_together() {
        assert_eq!(
            order(&[&[1], &[0, 2], &[2], &[]]),
            [(vec![2], true), (vec![0, 1], true), (vec![3], false)]
        );
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        let chain: Vec<Vec<usize>> = (0..200_000).map(|node| vec![node + 1]).collect();
        let chain: Vec<&[usize]> = chain.iter().map(Vec::as_slice).collect();
        assert_eq!(order(&chain).len(), 200_000);
    }
}
