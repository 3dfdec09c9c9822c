//! What must hold for a body's events to be recorded: `expect` and `fail_if`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use laterbase::{
    After, AppendCondition, Commit, ConditionItem, ConditionMatch, Expected, Key, RootName,
    TypeName, VersionVector,
};
use serde::Deserialize;
use serde_json::Value;

use crate::call::stream;
use crate::problem::{Kind, Problem};

/// What a body demands.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    expectations: Vec<(RootName, Key, Expected)>,
    fail_if: Option<AppendCondition>,
}

/// `fail_if` as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FailIf {
    items: Option<Vec<Item>>,
    #[serde(default)]
    all: bool,
    after: Option<AfterText>,
}

/// Events of one of these types that carry all of these tags.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Item {
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
}

/// The point after which a condition looks.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum AfterText {
    Cursor(String),
    Vector { vv: String },
}

impl Conditions {
    /// Reads what a body demands.
    pub(super) fn read(
        expect: BTreeMap<String, Value>,
        fail_if: Option<FailIf>,
    ) -> Result<Self, Problem> {
        let mut expectations = Vec::with_capacity(expect.len());
        for (name, value) in expect {
            let wrong = |error| Problem::bad_request(format_args!("`expect`: {error}"));
            let (root, key) = stream(&name).map_err(wrong)?;
            let expected = expected(&value).ok_or_else(|| {
                wrong(format!("`{name}` takes a number of events, \"none\", \"exists\" or \"any\""))
            })?;
            expectations.push((root, key, expected));
        }
        let fail_if = fail_if.map(condition).transpose()?;
        Ok(Self { expectations, fail_if })
    }

    /// What its answer tells of, beside the events that are written: a root each, or all of them.
    pub(super) fn tells_of(&self) -> Vec<Option<&str>> {
        let expected = self.expectations.iter().map(|(root, ..)| Some(root.as_str()));
        expected.chain(self.fail_if.iter().map(|_| None)).collect()
    }

    /// Demands it of a commit; answers what is expected of which stream.
    pub(super) fn apply(self, commit: &mut Commit) -> Vec<(RootName, Key, Expected)> {
        for (root, key, expected) in &self.expectations {
            commit.expect(*root, key.clone(), *expected);
        }
        if let Some(condition) = self.fail_if {
            commit.fail_if(condition);
        }
        self.expectations
    }
}

fn expected(value: &Value) -> Option<Expected> {
    match (whole_number(value), value.as_str()) {
        (Some(version), _) => Some(Expected::At(version)),
        (None, Some("none")) => Some(Expected::None),
        (None, Some("exists")) => Some(Expected::Exists),
        (None, Some("any")) => Some(Expected::Any),
        (None, Some(_) | None) => None,
    }
}

/// A number without a fraction, however it is written: `1.0` is a whole number in JSON, too.
pub(crate) fn whole_number(value: &Value) -> Option<u64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let written = value.as_f64().filter(|number| number.fract() == 0.0);
    let exact = written.filter(|number| (0.0..=EXACT_MAX).contains(number));
    value.as_u64().or(exact.map(|number| number as u64))
}

fn condition(fail_if: FailIf) -> Result<AppendCondition, Problem> {
    let wrong = |error: String| Problem::bad_request(format_args!("`fail_if`: {error}"));
    let matches = match (fail_if.all, fail_if.items) {
        (true, None) => ConditionMatch::All,
        (true, Some(_)) => return Err(wrong("give `all` or `items`, not both".to_owned())),
        (false, Some(items)) => {
            let items = items.into_iter().map(item).collect::<Result<_, _>>();
            ConditionMatch::Items(items.map_err(wrong)?)
        }
        (false, None) => return Err(wrong("`items` is missing; `all` matches all".to_owned())),
    };
    let after = match fail_if.after {
        None => After::Start,
        Some(AfterText::Cursor(text)) => {
            let cursor = text.parse();
            After::Cursor(cursor.map_err(|error| Problem::new(Kind::Cursor).detail(error))?)
        }
        Some(AfterText::Vector { vv }) => After::Vector(vector(&vv).map_err(wrong)?),
    };
    Ok(AppendCondition { matches, after })
}

fn item(item: Item) -> Result<ConditionItem, String> {
    let types = item.types.into_iter().map(|name| TypeName::try_from(name.as_str()));
    let tags = item.tags.iter().map(|tag| tag.parse());
    Ok(ConditionItem {
        types: types.collect::<Result<_, _>>().map_err(|error| format!("`types`: {error}"))?,
        tags: tags
            .collect::<Result<_, laterbase::ParseTagError>>()
            .map_err(|error| format!("`tags`: {error}"))?,
    })
}

/// A version vector from its text.
pub(crate) fn vector(text: &str) -> Result<VersionVector, String> {
    let hint = "take it from an earlier answer, where it is called `vv`";
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|error| format!("not a version vector ({error}); {hint}"))?;
    VersionVector::decode(&bytes).map_err(|error| format!("{error}; {hint}"))
}
