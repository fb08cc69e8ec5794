//! `GET /api/openapi.json`: what the API is, for programs (`OpenAPI` 3.1, <https://spec.openapis.org/oas/v3.1.1>). It is
//! made of the routes, and its schemas of the types that they read and write.

use axum::Extension;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{Permission, Route};

pub(crate) fn route() -> Route {
    Route::get("/api/openapi.json", "openapi", Permission::Open, serve, ())
        .summary("This document")
        .reply::<Map<String, Value>>(StatusCode::OK)
}

/// The document as it is served.
#[derive(Clone)]
pub(crate) struct Document(axum::body::Bytes);

async fn serve(Extension(document): Extension<Document>) -> Response {
    ([(CONTENT_TYPE, "application/json")], document.0).into_response()
}

/// Problem details (RFC 9457).
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is.
    r#type: String,
    /// The status in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong, and what to do about it.
    detail: String,
    /// The id under which the server's log has more.
    request_id: String,
}

/// The document of these routes.
pub(crate) fn document(routes: &[Route], version: &str) -> Document {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut schemas = settings.into_generator();
    let problem = schemas.subschema_for::<Problem>();
    let mut paths = Map::new();
    for route in routes {
        let operations = paths.entry(route.path).or_insert_with(|| json!({}));
        operations[route.method.as_str().to_ascii_lowercase()] = operation(route, &mut schemas);
    }
    let document = json!({
        "openapi": "3.1.1",
        "info": {"title": "Slipway", "version": version},
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "responses": {"Problem": {
                "description": "What is wrong",
                "content": {"application/problem+json": {"schema": problem}},
            }},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    });
    Document(document.to_string().into())
}

fn operation(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = path_parameters(route.path)
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    parameters.extend(route.heeds.iter().map(|(name, what)| {
        json!({"name": name, "in": "header", "description": what, "schema": {"type": "string"}})
    }));
    if let Some(make) = route.query {
        parameters.extend(query_parameters(make(schemas).as_value()));
    }
    let mut reply = json!({"description": "Done"});
    if let Some(make) = route.reply {
        reply["content"] = json!({"application/json": {"schema": make(schemas)}});
    }
    for kind in route.content {
        reply["content"][kind] = json!({"schema": {"type": "string"}});
    }
    for (name, what) in &route.gives {
        reply["headers"][name] = header(what);
    }
    let mut operation = json!({
        "operationId": route.operation,
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses(route, reply),
        "security": security(route.permission),
    });
    if let Some(make) = route.body {
        operation["requestBody"] = json!({
            "required": true,
            "content": {"application/json": {"schema": make(schemas)}},
        });
    }
    operation
}

fn header(what: &str) -> Value {
    json!({"description": what, "required": true, "schema": {"type": "string"}})
}

/// Its answers: those of its own, those that every route of its kind has, and `default` for what can go wrong anywhere.
fn responses(route: &Route, reply: Value) -> Value {
    let mut all = Map::new();
    if route.may_create {
        let mut created = reply.clone();
        created["description"] = "Made".into();
        created["headers"]["Location"] = header("Where it is");
        all.insert(StatusCode::CREATED.as_str().to_owned(), created);
    }
    all.insert(route.status.as_str().to_owned(), reply);
    for (status, what) in &route.others {
        let other = if status.is_success() {
            json!({ "description": what })
        } else {
            problem(what)
        };
        all.insert(status.as_str().to_owned(), other);
    }
    let (has_body, has_query) = (route.body.is_some(), route.query.is_some());
    let usual = [
        (400, has_body || has_query, "The request makes no sense"),
        (
            401,
            route.permission != Permission::Open,
            "Who asks is not known, or must say who they are",
        ),
        (
            403,
            route.permission != Permission::Open,
            "Who asks may not",
        ),
        (413, has_body, "The body is too large"),
        (415, has_body, "The body is not JSON"),
    ];
    for (status, is_usual, what) in usual {
        if is_usual {
            all.entry(status.to_string())
                .or_insert_with(|| problem(what));
        }
    }
    all.insert(
        "default".to_owned(),
        json!({"$ref": "#/components/responses/Problem"}),
    );
    Value::Object(all)
}

fn problem(what: &str) -> Value {
    let mut problem = json!({"description": what});
    let schema = json!({"$ref": "#/components/schemas/Problem"});
    problem["content"]["application/problem+json"]["schema"] = schema;
    problem
}

/// `{}` among the choices: it may also be asked without a credential, where strangers come in.
fn security(permission: Permission) -> Value {
    match permission {
        Permission::Open => json!([]),
        Permission::Known | Permission::Permit | Permission::Build(_) => {
            json!([{"basic": []}, {"bearer": []}, {}])
        }
        Permission::Named | Permission::Admin(_) => json!([{"basic": []}, {"bearer": []}]),
    }
}

fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

/// Each property of the schema is a parameter.
fn query_parameters(schema: &Value) -> Vec<Value> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, schema)| {
            let description = &schema["description"];
            json!({"name": name, "in": "query", "description": description, "schema": schema})
        })
        .collect()
}
