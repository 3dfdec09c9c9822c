//! The same questions, compiled: ascent and datafrog.

use datafrog::{Iteration, Relation};

use self::compiled::{Closure, Reach, SameGeneration, Triangles};
use super::{Edges, Question};

/// What the macro makes is not written to this house's rules.
#[allow(clippy::all, clippy::restriction, missing_docs, reason = "what the macro of ascent makes")]
mod compiled {
    use ascent::ascent;

    ascent! {
        pub(super) struct Closure;
        relation edge(i64, i64);
        relation made(i64, i64);
        made(x, y) <-- edge(x, y);
        made(x, z) <-- edge(x, y), made(y, z);
    }

    ascent! {
        pub(super) struct SameGeneration;
        relation edge(i64, i64);
        relation made(i64, i64);
        made(x, y) <-- edge(a, x), edge(a, y);
        made(x, y) <-- edge(a, x), made(a, b), edge(b, y);
    }

    ascent! {
        pub(super) struct Reach;
        relation edge(i64, i64);
        relation made(i64);
        made(x) <-- edge(1, x);
        made(y) <-- made(x), edge(x, y);
    }

    ascent! {
        pub(super) struct Triangles;
        relation edge(i64, i64);
        relation made(i64, i64, i64);
        made(x, y, z) <-- edge(x, y), edge(y, z), edge(z, x);
    }
}

/// How many rows ascent answers.
pub(super) fn ascent_count(question: Question, edges: &Edges) -> Option<usize> {
    macro_rules! count {
        ($program:ident) => {{
            let mut program = $program::default();
            program.edge = edges.to_vec();
            program.run();
            Some(program.made.len())
        }};
    }
    match question {
        Question::Closure => count!(Closure),
        Question::SameGeneration => count!(SameGeneration),
        Question::Reach => count!(Reach),
        Question::Triangles => count!(Triangles),
    }
}

/// How many rows datafrog answers; nothing where it was not asked.
pub(super) fn datafrog_count(question: Question, edges: &Edges) -> Option<usize> {
    if question != Question::Closure {
        return None;
    }
    let back: Relation<(i64, i64)> = edges.iter().map(|(a, b)| (*b, *a)).collect::<Vec<_>>().into();
    let mut rounds = Iteration::new();
    let made = rounds.variable::<(i64, i64)>("made");
    made.extend(edges.iter().copied());
    while rounds.changed() {
        made.from_join(&made, &back, |_, z, x| (*x, *z));
    }
    Some(made.complete().len())
}
