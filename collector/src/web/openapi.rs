//! The OpenAPI document, made from the table of routes and the types of crate `api`.

use axum::Json;
use serde_json::{Map, Value, json};

use super::access::Need;
use super::routes::ROUTES;

pub(super) async fn document() -> Json<Value> {
    Json(build())
}

fn schemas() -> Map<String, Value> {
    macro_rules! all {
        ($($name:ident),*) => {
            [$((stringify!($name), schemars::schema_for!(api::$name))),*]
        };
    }
    let schemas = all!(
        ErrorBody,
        Login,
        SessionInfo,
        ChangePassword,
        AlertAction,
        AlertFilter,
        UserChange,
        UserInfo,
        Revealed,
        NewToken,
        NewEnrolment,
        AgentAction,
        ExceptionDraft,
        NewException,
        RedactionAsked,
        EndException,
        RulePreview,
        Search,
        Complete,
        SaveSearch
    );
    let mut out = Map::new();
    for (name, schema) in schemas {
        let mut value = schema.to_value();
        // Definitions move to the components of the document.
        if let Some(object) = value.as_object_mut() {
            object.remove("$schema");
            if let Some(Value::Object(inner)) = object.remove("$defs") {
                out.extend(inner);
            }
        }
        out.insert(name.to_owned(), value);
    }
    let text = Value::Object(out).to_string().replace("#/$defs/", "#/components/schemas/");
    serde_json::from_str(&text).unwrap_or_default()
}

/// Schema of a request's body, by method and path.
fn body(method: &str, path: &str) -> Option<&'static str> {
    Some(match (method, path) {
        ("POST", "/api/v1/login") => "Login",
        ("POST", "/api/v1/password") => "ChangePassword",
        ("POST", "/api/v1/alerts/{id}/action") => "AlertAction",
        ("POST", "/api/v1/users/add") | ("PUT", "/api/v1/users/{name}") => "UserChange",
        ("POST", "/api/v1/tokens/add") => "NewToken",
        ("POST", "/api/v1/enrolments") => "NewEnrolment",
        ("POST", "/api/v1/agents/{id}") => "AgentAction",
        ("POST", "/api/v1/exceptions/preview") => "ExceptionDraft",
        ("POST", "/api/v1/exceptions/add") => "NewException",
        ("POST", "/api/v1/redactions") => "RedactionAsked",
        ("POST", "/api/v1/rules/preview") => "RulePreview",
        ("POST", "/api/v1/search") => "Search",
        ("POST", "/api/v1/complete") => "Complete",
        ("POST", "/api/v1/searches/save") => "SaveSearch",
        ("POST", "/api/v1/exceptions/{id}/end") => "EndException",
        _ => return None,
    })
}

/// Parameters of the URL behind `?`, by method and path: name and what it is.
fn asked(method: &str, path: &str) -> &'static [(&'static str, &'static str)] {
    const FROM: (&str, &str) =
        ("from", "Earliest time, inclusive: RFC 3339, a day, or relative such as now-15m");
    const TO: (&str, &str) = ("to", "Latest time, exclusive");
    const QUERY: (&str, &str) = ("query", "Query");
    match (method, path) {
        ("GET", "/api/v1/export") => {
            &[QUERY, FROM, TO, ("order", "Which events come first: newest or oldest")]
        }
        ("GET", "/api/v1/completeness") => &[FROM, TO],
        ("GET", "/api/v1/tail") => &[QUERY],
        _ => &[],
    }
}

fn security(need: Need) -> Value {
    match need {
        Need::Public => json!([]),
        Need::Session | Need::User(_) => json!([{ "session": [] }]),
        Need::Either(..) => json!([{ "session": [] }, { "token": [] }]),
        Need::Token(_) | Need::Tokens(_) => json!([{ "token": [] }]),
    }
}

fn operation(method: &str, path: &str, need: Need, summary: &str) -> Value {
    let parameters: Vec<Value> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .chain(asked(method, path).iter().map(|(name, what)| {
            json!({ "name": name, "in": "query", "description": what, "schema": { "type": "string" } })
        }))
        .collect();
    let failed = json!({
        "description": "failed",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ErrorBody" } } }
    });
    let mut out = json!({
        "summary": summary,
        "description": format!("Needs: {need:?}."),
        "security": security(need),
        "parameters": parameters,
        "responses": { "200": { "description": "done" }, "default": failed },
    });
    if let Some(name) = body(method, path) {
        let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        out["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    out
}

fn build() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let slot = paths.entry(route.path).or_insert_with(|| json!({}));
        slot[route.method.to_lowercase()] =
            operation(route.method, route.path, route.need, route.summary);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Pikett collector", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "session": { "type": "apiKey", "in": "cookie", "name": super::access::COOKIE },
                "token": { "type": "http", "scheme": "bearer" },
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_as_described_are_taken() {
        let search = api::Search {
            query: "a | head".to_owned(),
            from: Some("now-1h".to_owned()),
            limit: Some(1),
            order: Some(api::EventOrder::Oldest),
            after: Some(api::Place { time: 1, tie: u64::MAX }),
            aggregations: vec![json!({"type": "histogram"})],
            budget_ms: Some(5),
            ..api::Search::default()
        };
        assert_eq!(json!(search)["order"], api::EventOrder::Oldest.name());
        for search in [search, api::Search::default()] {
            let taken = serde_json::from_value::<crate::search::SearchRequest>(json!(search));
            assert!(taken.is_ok(), "{taken:?}");
        }
        let names =
            |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        let (mut described, mut taken) = (
            names(&build()["components"]["schemas"]["Search"]["properties"]),
            names(&json!(crate::search::SearchRequest::default())),
        );
        described.sort();
        taken.sort();
        assert_eq!(described, taken);
    }

    #[test]
    fn every_route_and_reference_is_there() {
        let document = build();
        for route in ROUTES {
            let operation = &document["paths"][route.path][route.method.to_lowercase()];
            assert!(operation.is_object(), "{route:?}");
        }
        let text = document.to_string();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }
}
