//! Programs in the manner of public suites of Datalog, and periods in the manner of those of XTDB,
//! each with its facts and its rows.
//!
//! A file under `tests/public_programs` is one case, in three parts that lines `---` divide:
//!
//! ```text
//! What it is about.                          relation(column type, …): cell cell | cell cell …
//! Source: which public program, and where      → a table, a key for each row
//! ---                                        rules and queries
//! facts                                      rows, as they are answered; `--` between queries
//! ```
//! The engine answers each with matrices and without, with indexes and without, by a source that
//! heeds constraints and by one that does not; the oracle answers it too. Rows that a suite says
//! were taken from it, the others were made by a program of another language. `UPDATE_GOLDEN=1`
//! writes what is answered, to be reviewed.
//!
//! Each of these breaks was made and caught here, where engine and oracle agreed on a wrong plan: a
//! negation that the checker leaves out, a `min` of a recursion that is none, aggregates over what
//! differs as it is written instead of over rows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use laterbase_lang::plan::Plan;
use laterbase_lang::schema::{self, Schema};
use laterbase_lang::syntax::StatementKind;
use laterbase_lang::{
    Context, DataType, Diagnostic, Function, Span, Value, check_query, has_errors, parse,
    render_all,
};
use laterbase_query::scalar::Scalars;
use laterbase_query::{Limits, MemoryData, Never, oracle, run};

/// What `now()` is: 2026-03-10T12:00Z.
const NOW: i64 = 1_773_144_000_000_000;

/// Tables with their rows: cells by column, the key of a row in `key`.
struct Facts {
    schema: Schema,
    rows: BTreeMap<String, Vec<BTreeMap<String, Value>>>,
}

#[test]
fn programs_answer_what_public_suites_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/public_programs");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut wrong = Vec::new();
    for path in &paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let file = std::fs::read_to_string(path).unwrap();
        let parts: Vec<&str> = file.splitn(3, "\n---\n").collect();
        let [facts, program, expected] = parts[..] else { panic!("{name} has not three parts") };
        assert!(facts.contains("\nSource: "), "{name} names no source");
        let found = answers(&name, &read_facts(&name, facts), program);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, format!("{facts}\n---\n{program}\n---\n{found}\n")).unwrap();
        } else if found.trim_end() != expected.trim_end() {
            wrong.push(format!("{name}: expected\n{expected}\nfound\n{found}"));
        }
    }
    assert!(paths.len() >= 40, "{} cases", paths.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The rows of each query of a program.
fn answers(name: &str, facts: &Facts, program: &str) -> String {
    let (plans, diagnostics) = check(facts, program);
    assert!(!has_errors(&diagnostics), "{}", render_all(&diagnostics, name, program));
    assert!(!plans.is_empty(), "{name} asks nothing");
    let texts: Vec<String> = plans.iter().map(|plan| answer(name, facts, plan)).collect();
    texts.join("\n--\n")
}

/// The plans of a program's queries, and what is wrong with it.
fn check(facts: &Facts, program: &str) -> (Vec<Plan>, Vec<Diagnostic>) {
    let parsed = parse(program);
    let mut diagnostics = parsed.diagnostics;
    let nothing = BTreeMap::new();
    let parameters = BTreeMap::new();
    let context = Context {
        schema: &facts.schema,
        stored: &nothing,
        parameters: &parameters,
        now: NOW,
        evaluate,
    };
    let kinds = || parsed.statements.iter().map(|statement| &statement.kind);
    let rules: Vec<_> = kinds()
        .filter_map(|kind| match kind {
            StatementKind::Rule(rule) => Some(rule.clone()),
            _ => None,
        })
        .collect();
    let mut plans = Vec::new();
    for kind in kinds() {
        let StatementKind::Query(query) = kind else { continue };
        let checked = check_query(&context, &rules, query);
        diagnostics.extend(checked.diagnostics);
        plans.extend(checked.plan);
    }
    (plans, diagnostics)
}

/// The rows that the oracle and the engine agree on.
fn answer(name: &str, facts: &Facts, plan: &Plan) -> String {
    let expected = oracle::answer(plan, &data_of(facts, plan, 0)).unwrap();
    for way in 0..8 {
        let matrix_bytes_max = if way & 4 == 0 { Limits::NONE.matrix_bytes_max } else { 0 };
        let limits = Limits { matrix_bytes_max, ..Limits::default() };
        let rows = run(plan, &data_of(facts, plan, way), &limits, &Never).unwrap();
        let found: Vec<Vec<Value>> = rows.iter().map(|row| row.values()).collect();
        assert!(found == expected, "{name}, way {way}: {found:?}, oracle {expected:?}\n{plan}");
    }
    let line = |row: &Vec<Value>| row.iter().map(cell_text).collect::<Vec<_>>().join(" ");
    expected.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The rows of a plan's tables, as the plan wants their columns.
fn data_of(facts: &Facts, plan: &Plan, way: usize) -> MemoryData {
    let mut data = MemoryData::default();
    if way & 1 != 0 {
        data.ignore_constraints();
    }
    for stored in &plan.stored {
        let names: Vec<&str> = stored.columns.iter().map(|it| it.column.name.as_ref()).collect();
        let rows = facts.rows[stored.name.as_ref()].iter();
        let rows = rows.map(|row| names.iter().map(|name| row[*name].clone()).collect());
        data.insert(&stored.name, rows.collect());
        for column in 0..names.len() {
            if way & 2 != 0 {
                data.make_seekable(&stored.name, column);
                data.make_ordered(&stored.name, column);
            }
        }
    }
    data
}

fn evaluate(function: Function, values: &[Value]) -> Result<Value, String> {
    Scalars::default().call(function, values, Span::default()).map_err(|it| it.to_string())
}

/// The name of a relation, its columns with their types, and its rows as they are written.
type Relation = (String, Vec<(String, String)>, Vec<String>);

/// Lines `name(column type, …): cell cell | …`; lines before the first of them are for people.
fn read_facts(name: &str, text: &str) -> Facts {
    let mut schema = String::new();
    let mut relations: Vec<Relation> = Vec::new();
    for line in text.lines().skip_while(|line| !line.is_empty()).skip(1) {
        let (head, rows) = line.split_once("):").unwrap_or(("", line));
        if let Some((relation, columns)) = head.split_once('(') {
            let columns = columns.split(", ").map(|it| it.split_once(' ').unwrap());
            let columns: Vec<_> = columns.map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
            relations.push((relation.to_owned(), columns, Vec::new()));
        }
        let rows = rows.split('|').map(str::trim).filter(|row| !row.is_empty());
        relations.last_mut().unwrap().2.extend(rows.map(str::to_owned));
    }
    for (number, (relation, columns, _)) in relations.iter().enumerate() {
        let columns = columns.iter().enumerate();
        let columns = columns.map(|(at, (name, kind))| format!("{} {name}: {kind}", at + 1));
        let columns = columns.collect::<Vec<_>>().join(", ");
        schema.push_str(&format!("table {} {relation} {{ {columns} }}\n", number + 1));
    }
    let parsed = parse(&schema);
    let (schema, diagnostics) = schema::declare(&parsed.statements);
    let diagnostics = [parsed.diagnostics, diagnostics].concat();
    assert!(diagnostics.is_empty(), "{}", render_all(&diagnostics, name, text));
    let rows = relations.into_iter().map(|(relation, columns, rows)| {
        let read = |(at, row): (usize, &String)| read_row(&columns, at, row);
        (relation, rows.iter().enumerate().map(read).collect())
    });
    Facts { schema, rows: rows.collect() }
}

fn read_row(columns: &[(String, String)], at: usize, row: &str) -> BTreeMap<String, Value> {
    let cells = words(row);
    assert_eq!(cells.len(), columns.len(), "{row}");
    let key = ("key".to_owned(), Value::text(&format!("{at:04}")));
    let cells = columns.iter().zip(&cells).map(|((name, kind), cell)| {
        let kind = kind.trim_end_matches('?');
        (name.clone(), if cell == "-" { Value::Null } else { read_cell(kind, cell) })
    });
    cells.chain([key]).collect()
}

/// Words between blanks; what stands between quotation marks is one.
fn words(row: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, part) in row.split('"').enumerate() {
        match at % 2 {
            0 => found.extend(part.split_whitespace().map(str::to_owned)),
            _ => found.push(part.to_owned()),
        }
    }
    found
}

fn read_cell(kind: &str, cell: &str) -> Value {
    let function = match kind {
        "text" => return Value::text(cell),
        "int" => Function::ToInt,
        "decimal" => Function::ToDecimal,
        "float" => Function::ToFloat,
        "time" => Function::ToTime,
        "date" => Function::ToDate,
        "duration" => Function::ToDuration,
        "bool" => return Value::Bool(cell == "true"),
        "list text" => return Value::List(cell.split(',').map(Value::text).collect()),
        "list int" => {
            return Value::List(cell.split(',').map(|it| read_cell("int", it)).collect());
        }
        _ => panic!("no cells of type {kind}"),
    };
    let value = evaluate(function, &[Value::text(cell)]).unwrap();
    assert!(!value.is_null(), "{cell} is no {kind}");
    value
}

/// A text that is one word stands as it is, as in facts.
fn cell_text(value: &Value) -> String {
    let is_word = |text: &&str| {
        let is_in = |c: char| c.is_alphanumeric() || "_-.:/*".contains(c);
        !text.is_empty() && text.chars().all(is_in)
    };
    match value {
        Value::Null => "-".to_owned(),
        Value::Text(text) if is_word(&text.as_ref()) => text.to_string(),
        _ => value.to_string(),
    }
}

/// Programs that a suite answers in an order of its own, round by round: here they mean nothing.
#[test]
fn programs_that_need_their_own_negation_or_sum_are_refused() {
    let facts = read_facts(
        "refused",
        "\nmove(x int, y int): 1 2\nowns(who text, of text, share int): A B 60",
    );
    let refused = [
        // Win-move, and flowlog-rs/flowlog, example/extended/k_core_decomposition.dl.
        ("win{x} :- move{x, y}, not win{x: y}\n?{x} :- win{x}", "needs the negation of `win`"),
        (
            "removed{x} :- degree{x, n}, n < 2\ndegree{x, n: count()} :- left{x, y}\n\
             left{x, y} :- move{x, y}, not removed{x}\n?{x} :- removed{x}",
            "`removed`",
        ),
        // Company control, and flowlog-rs/flowlog, example/extended/party_invite.dl.
        (
            "controls{who, of} :- held{who, of, n}, n > 50\n\
             held{who, of, n: sum(share)} :- controls{who, of: by}, owns{who: by, of, share}\n\
             ?{who, of} :- controls{who, of}",
            "`controls`",
        ),
        (
            "comes{x} :- move{x}\ncomes{x} :- friends{x, n}, n > 2\n\
             friends{x, n: count()} :- comes{x: y}, move{x, y}\n?{x} :- comes{x}",
            "`comes`",
        ),
    ];
    for (program, expected) in refused {
        let (plans, diagnostics) = check(&facts, program);
        let said = render_all(&diagnostics, "refused", program);
        assert!(said.contains(expected), "{program}\n{said}");
        assert!(plans.is_empty() && said.contains("break the circle"), "{program}\n{said}");
    }
}

#[test]
fn cells_are_of_the_type_that_is_said() {
    assert_eq!(read_cell("decimal", "1.50").to_string(), "1.5");
    assert_eq!(read_cell("int", "-3"), Value::Int(-3));
    assert_eq!(words("a \"b c\" 3"), ["a", "b c", "3"]);
    assert_eq!(DataType::Int.to_string(), "int");
}
