//! The OpenAPI document, from the table of routes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::problem::Kind;
use crate::table::{self, Answer, Content, EVERYWHERE, Method, Parameter, Place, Route};

/// The schemas that the table names.
const SCHEMAS: &str = include_str!("schemas.json");

/// The whole document.
pub(super) fn document() -> Value {
    let schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_default();
    let mut paths = Map::new();
    for (path, routes) in table::paths() {
        let mut item = Map::new();
        for route in routes {
            let is_short = route.path != path;
            item.insert(route.method.name().to_lowercase(), operation(route, path, is_short));
            if route.method == Method::Get && !route.is_socket {
                item.insert("head".to_owned(), head(route, path, is_short));
            }
        }
        paths.insert(path.to_owned(), Value::Object(item));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Laterbase",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A local-first, bitemporal event store over HTTP. Short paths mean the \
                            database `default`.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn operation(route: &Route, path: &str, is_short: bool) -> Value {
    let id = if is_short { format!("{}-short", route.id) } else { route.id.to_owned() };
    let mut operation = json!({
        "operationId": id,
        "summary": route.about,
        "x-laterbase-verb": route.verb.name(),
        "parameters": parameters(route, path),
        "responses": responses(route, true),
    });
    if !route.bodies.is_empty()
        && let Some(members) = operation.as_object_mut()
    {
        let body = json!({ "required": route.body_required, "content": contents(route.bodies) });
        members.insert("requestBody".to_owned(), body);
    }
    operation
}

/// What HEAD answers: the same without a body.
fn head(route: &Route, path: &str, is_short: bool) -> Value {
    let short = if is_short { "-short" } else { "" };
    json!({
        "operationId": format!("{}-head{short}", route.id),
        "summary": format!("{} Without the body.", route.about),
        "x-laterbase-verb": route.verb.name(),
        "parameters": parameters(route, path),
        "responses": responses(route, false),
    })
}

fn parameters(route: &Route, path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let of_path = names.map(|name| {
        let schema = match (name, route.method) {
            // Other names there are the first parts of other paths.
            ("db", _) if path.starts_with("/{db}") => "NewDatabaseName",
            ("db", Method::Put) if path == "/db/{db}" => "NewDatabaseName",
            ("db", _) => "DatabaseName",
            ("root", Method::Post) => "PathRootToWrite",
            ("root", Method::Get | Method::Put | Method::Delete) => "PathRoot",
            ("key", _) => "Key",
            ("view", _) => "ViewName",
            ("consumer", _) => "ConsumerName",
            (_, _) => "ProblemName",
        };
        json!({ "name": name, "in": "path", "required": true, "schema": reference(schema) })
    });
    of_path.chain(route.parameters.iter().map(parameter)).collect()
}

fn parameter(parameter: &Parameter) -> Value {
    let place = match parameter.place {
        Place::Query => "query",
        Place::Header => "header",
    };
    let one = reference(parameter.schema);
    let schema = if parameter.many {
        // Once is the same text as a list of one.
        json!({ "anyOf": [one, { "type": "array", "items": one, "maxItems": 8 }] })
    } else {
        one
    };
    json!({
        "name": parameter.name,
        "in": place,
        "required": false,
        "description": parameter.about,
        "schema": schema,
    })
}

fn responses(route: &Route, with_bodies: bool) -> Value {
    let mut responses: BTreeMap<u16, Value> = BTreeMap::new();
    for Answer { status, about, contents: found, headers } in route.answers {
        let mut response = json!({ "description": about, "headers": header_objects(headers) });
        if with_bodies
            && !found.is_empty()
            && let Some(members) = response.as_object_mut()
        {
            members.insert("content".to_owned(), contents(found));
        }
        responses.insert(*status, response);
    }
    let mut kinds: Vec<Kind> = EVERYWHERE.iter().chain(route.problems).copied().collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in kinds {
        by_status.entry(kind.status().as_u16()).or_default().push(kind);
    }
    for (status, kinds) in by_status {
        let titles: Vec<String> =
            kinds.iter().map(|kind| format!("`{}`: {}.", kind.name(), kind.title())).collect();
        let mut response = json!({ "description": titles.join(" ") });
        if let Some(members) = response.as_object_mut() {
            let headers: &[&str] = match status {
                405 => &["Allow"],
                429 | 503 => &["Retry-After"],
                _ => &[],
            };
            members.insert("headers".to_owned(), header_objects(headers));
            if with_bodies {
                let problem = json!({ "schema": reference("Problem") });
                let content = json!({ "application/problem+json": problem });
                members.insert("content".to_owned(), content);
            }
        }
        responses.insert(status, response);
    }
    let named = responses.into_iter().map(|(status, value)| (status.to_string(), value));
    Value::Object(named.collect())
}

fn header_objects(names: &[&str]) -> Value {
    let all = ["X-Request-Id"].iter().chain(names);
    let one = |name: &&str| ((*name).to_owned(), json!({ "schema": { "type": "string" } }));
    Value::Object(all.map(one).collect())
}

fn contents(contents: &[Content]) -> Value {
    let one = |content: &Content| {
        (content.media_type.to_owned(), json!({ "schema": reference(content.schema) }))
    };
    Value::Object(contents.iter().map(one).collect())
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| {
                if let ("$ref", Some(text)) = (name.as_str(), value.as_str()) {
                    found.push(text.to_owned());
                }
                references(value, found);
            }),
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_schema_is_there_and_used() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        let schemas = document["components"]["schemas"].as_object().unwrap();
        assert!(!schemas.is_empty(), "schemas.json is no JSON");
        for name in &found {
            let name = name.strip_prefix("#/components/schemas/").unwrap();
            assert!(schemas.contains_key(name), "{name} is missing in schemas.json");
        }
        for name in schemas.keys() {
            let reference = format!("#/components/schemas/{name}");
            assert!(found.contains(&reference), "nothing uses {name}");
        }
    }

    #[test]
    fn names_that_no_database_may_have_are_left_out() {
        let document = document();
        let schema = &document["components"]["schemas"]["NewDatabaseName"];
        for name in schema["not"]["enum"].as_array().unwrap() {
            assert!(!crate::is_database_name(name.as_str().unwrap()), "{name}");
        }
        let reserved: Vec<&str> = table::paths()
            .iter()
            .filter_map(|(path, _)| path.split('/').nth(1))
            .filter(|first| !first.contains('.') && !first.starts_with('{'))
            .collect();
        for name in reserved {
            let listed = schema["not"]["enum"].as_array().unwrap().contains(&json!(name));
            assert_eq!(listed, !crate::is_database_name(name), "{name}");
        }
    }

    #[test]
    fn the_document_has_every_route_of_the_table_and_no_other() {
        let document = document();
        let mut described: Vec<(String, String)> = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            let methods = item.as_object().unwrap().keys().filter(|method| *method != "head");
            described.extend(methods.map(|method| (path.clone(), method.to_uppercase())));
        }
        let mut there_are: Vec<(String, String)> = table::paths()
            .iter()
            .flat_map(|(path, routes)| {
                routes.iter().map(|route| ((*path).to_owned(), route.method.name().to_owned()))
            })
            .collect();
        described.sort();
        there_are.sort();
        assert_eq!(described, there_are);
    }
}
