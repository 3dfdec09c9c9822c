//! What the pieces of a text are, for whoever types it: colours, whether it is complete, and the
//! names that may come next.

use crate::function::{Aggregate, Function};
use crate::parser::parse;
use crate::schema::{EVENT_FIELDS, Schema};
use crate::span::Span;
use crate::token::{Sign, Token, TokenKind, tokens};

/// What a piece of a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Piece {
    /// A word of the language.
    Keyword,
    /// A name of a relation, before its brace.
    Relation,
    /// A name of a function or an aggregate, before its parenthesis.
    Function,
    /// Any other name.
    Name,
    /// `$name`.
    Parameter,
    /// A text.
    Text,
    /// A number, a time, an id.
    Literal,
    /// An operator, a bracket, a comma.
    Sign,
    /// From `//` to the end of the line.
    Comment,
}

/// Words with a meaning of their own.
pub const KEYWORDS: [&str; 43] = [
    "add",
    "and",
    "any",
    "as",
    "asc",
    "at",
    "by",
    "delete",
    "desc",
    "event",
    "exists",
    "expect",
    "explain",
    "false",
    "having",
    "in",
    "index",
    "is",
    "latest",
    "lax",
    "limit",
    "live",
    "many",
    "none",
    "not",
    "null",
    "of",
    "offset",
    "one",
    "or",
    "order",
    "put",
    "recorded",
    "removed",
    "root",
    "some",
    "strict",
    "table",
    "transaction",
    "true",
    "valid",
    "view",
    "why",
];

/// The pieces of a text, in their order; white space stands between them.
#[must_use]
pub fn pieces(text: &str) -> Vec<(Span, Piece)> {
    let found = tokens(text);
    let mut pieces: Vec<(Span, Piece)> =
        found.comments.iter().map(|span| (*span, Piece::Comment)).collect();
    for (at, token) in found.tokens.iter().enumerate() {
        let next = found.tokens.get(at + 1).map(|token| &token.kind);
        let piece = match &token.kind {
            TokenKind::End => continue,
            TokenKind::Name | TokenKind::QuotedName(_) => named(token.span.of(text), next),
            TokenKind::Parameter => Piece::Parameter,
            TokenKind::Literal(crate::Value::Text(_)) => Piece::Text,
            TokenKind::Literal(_) => Piece::Literal,
            TokenKind::Sign(_) => Piece::Sign,
        };
        pieces.push((token.span, piece));
    }
    pieces.sort_unstable_by_key(|(span, _)| span.start);
    pieces
}

fn named(word: &str, next: Option<&TokenKind>) -> Piece {
    match next {
        Some(TokenKind::Sign(Sign::ParenOpen)) if !KEYWORDS.contains(&word) => Piece::Function,
        Some(TokenKind::Sign(Sign::BraceOpen | Sign::Dot)) if !is_before_head(word) => {
            Piece::Relation
        }
        _ if KEYWORDS.contains(&word) => Piece::Keyword,
        _ => Piece::Name,
    }
}

/// Whether a brace behind the word opens a head, and not the fields of a relation.
fn is_before_head(word: &str) -> bool {
    matches!(word, "many" | "one" | "explain" | "why" | "live" | "lax" | "strict" | "transaction")
}

/// Whether more must come before the text can be read: it ends within a statement.
#[must_use]
pub fn is_incomplete(text: &str) -> bool {
    let end = text.trim_end().len() as u32;
    !text.trim().is_empty()
        && parse(text).diagnostics.iter().any(|mistake| mistake.span.start >= end)
}

/// What may stand at a place of a text: where the word that is being written begins, and the words
/// that it may become, in order. `roots` are those that hold events.
#[must_use]
pub fn completions(
    schema: &Schema,
    roots: &[String],
    text: &str,
    at: usize,
) -> (usize, Vec<String>) {
    let before = text.get(..at).unwrap_or(text);
    let start = before
        .char_indices()
        .rev()
        .take_while(|(_, letter)| letter.is_alphanumeric() || *letter == '_')
        .last()
        .map_or(before.len(), |(start, _)| start);
    let word = before.get(start..).unwrap_or_default();
    let found = tokens(before.get(..start).unwrap_or_default());
    let mut words = match place(&found.tokens, before) {
        Place::Field(relation) => fields_of(schema, &relation),
        Place::Type(root) => types_of(schema, &root),
        Place::Anywhere => anywhere(schema, roots),
    };
    words.retain(|other| other.starts_with(word) && other != word);
    words.sort_unstable();
    words.dedup();
    (start, words)
}

/// What is being written.
enum Place {
    /// A field of this relation.
    Field(String),
    /// A type of event of this root.
    Type(String),
    Anywhere,
}

fn place(tokens: &[Token], text: &str) -> Place {
    let tokens = tokens.get(..tokens.len().saturating_sub(1)).unwrap_or_default();
    if let [.., name, dot] = tokens
        && dot.kind == TokenKind::Sign(Sign::Dot)
    {
        return Place::Type(name.span.of(text).to_owned());
    }
    // The brace that is open, if what stands before it is a relation and a field may come.
    let mut open = 0_usize;
    let may_be_field = matches!(
        tokens.last().map(|token| &token.kind),
        Some(TokenKind::Sign(Sign::BraceOpen | Sign::Comma))
    );
    for (at, token) in tokens.iter().enumerate().rev() {
        if token.kind == TokenKind::Sign(Sign::BraceClose) {
            open += 1;
        } else if token.kind == TokenKind::Sign(Sign::BraceOpen) && open > 0 {
            open -= 1;
        } else if token.kind == TokenKind::Sign(Sign::BraceOpen) {
            let path = path_before(tokens.get(..at).unwrap_or_default(), text);
            let field = path.filter(|_| may_be_field).map(Place::Field);
            return field.unwrap_or(Place::Anywhere);
        }
    }
    Place::Anywhere
}

/// The path that ends here: `customer`, `shipment.departed`.
fn path_before(tokens: &[Token], text: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for token in tokens.iter().rev() {
        let is_name = matches!(token.kind, TokenKind::Name | TokenKind::QuotedName(_));
        let is_dot = token.kind == TokenKind::Sign(Sign::Dot);
        let wants_name = parts.len().is_multiple_of(2);
        if (wants_name && is_name) || (!wants_name && is_dot) {
            parts.push(token.span.of(text));
        } else {
            break;
        }
    }
    parts.reverse();
    (!parts.is_empty()).then(|| parts.concat())
}

fn fields_of(schema: &Schema, relation: &str) -> Vec<String> {
    let owned = |names: &mut dyn Iterator<Item = &str>| names.map(str::to_owned).collect();
    if let Some((_, table)) = schema.table(relation) {
        return owned(&mut table.fields.names().chain(["key"]));
    }
    if let Some(view) = schema.view(relation) {
        return owned(&mut view.rule.head.fields.iter().map(|field| field.name.text.as_ref()));
    }
    let event = relation.split_once('.').and_then(|(root, name)| {
        schema.roots.get(root).and_then(|root| root.event(name)).map(|(_, event)| event)
    });
    let implicit = EVENT_FIELDS.into_iter().chain(["payload", "tags", "meta"]);
    match event {
        Some(event) => owned(&mut event.fields.names().chain(implicit)),
        None => owned(&mut implicit.chain(["root", "type"])),
    }
}

fn types_of(schema: &Schema, root: &str) -> Vec<String> {
    let events = schema.roots.get(root).into_iter().flat_map(|root| root.events.values());
    events.map(|event| event.name.to_string()).collect()
}

fn anywhere(schema: &Schema, roots: &[String]) -> Vec<String> {
    let functions = Function::NAMES.iter().map(|(name, _)| *name);
    let aggregates = Aggregate::NAMES.iter().map(|(name, _)| *name);
    let tables = schema.tables.values().map(|table| table.name.as_ref());
    let views = schema.views.values().map(|view| view.name.as_ref());
    let declared = schema.roots.keys().map(AsRef::as_ref);
    let names = KEYWORDS.into_iter().chain(functions).chain(aggregates).chain(["now"]);
    let names = names.chain(tables).chain(views).chain(declared);
    names.chain(roots.iter().map(String::as_str)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::declare;

    fn fleet() -> Schema {
        let text = "root shipment { event 1 departed { 1 port: text, 2 place: text } }\n\
                    table 1 customer { 1 name: text }\n\
                    view 1 under_way{shipment} :- shipment.departed{key: shipment}";
        declare(&parse(text).statements).0
    }

    #[test]
    fn words_are_completed_by_where_they_stand() {
        let cases: [(&str, &[&str]); 8] = [
            ("?{x} :- shipment.departed{p", &["payload", "place", "port"]),
            ("?{x} :- shipment.departed{port, pl", &["place"]),
            ("?{x} :- shipment.d", &["departed"]),
            ("?{x} :- cus", &["customer"]),
            ("?{x} :- customer{n", &["name"]),
            ("?{x} :- under_way{s", &["shipment"]),
            ("?{x} :- customer{name}, len", &["length"]),
            ("?{x} :- oth", &["other"]),
        ];
        for (text, expected) in cases {
            let (start, words) = completions(&fleet(), &["other".to_owned()], text, text.len());
            assert_eq!(words, expected, "{text}");
            assert!(words.iter().all(|word| word.starts_with(&text[start..])), "{text}");
        }
    }

    #[test]
    fn a_text_is_incomplete_while_it_ends_within_a_statement() {
        for text in ["?{x} :-", "?{x", "?{x} :- a{x},", "transaction {"] {
            assert!(is_incomplete(text), "{text}");
        }
        for text in [
            "",
            "  ",
            "?{x} :- a{x}",
            "?{x} :- a{x};",
            "nonsense here",
            "a{x} :- b{x}, x = \"open",
            "?{x y} :- a{x}",
        ] {
            assert!(!is_incomplete(text), "{text}");
        }
    }

    #[test]
    fn pieces_cover_everything_but_white_space() {
        let text = "?{n: count()} :- a.b{x: $y} order by n // the end";
        let pieces = pieces(text);
        let kinds: Vec<Piece> = pieces.iter().map(|(_, piece)| *piece).collect();
        for piece in [Piece::Function, Piece::Relation, Piece::Parameter, Piece::Keyword] {
            assert!(kinds.contains(&piece), "{piece:?} in {kinds:?}");
        }
        let covered: String = pieces.iter().map(|(span, _)| span.of(text)).collect();
        assert_eq!(covered.replace(' ', ""), text.replace(' ', ""));
    }

    #[test]
    fn keywords_stand_in_order() {
        assert!(KEYWORDS.is_sorted());
    }
}
