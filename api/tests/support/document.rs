//! Holds answers against the `OpenAPI` document that the server gives.

use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

/// What the document says, for the paths that it has.
pub struct Document(Value);

impl Document {
    pub fn new(document: Value) -> Self {
        Self(document)
    }

    /// Panics where the answer is none that the document allows.
    pub fn hold(
        &self,
        method: &Method,
        path: &str,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) {
        let Some(operation) = self.operation(method, path) else {
            return;
        };
        let place = format!("{method} {path}: {status}");
        let responses = &operation["responses"];
        let said = responses.get(status.as_str());
        // What is there already, or not in the state for it, has its own words.
        let is_of_all = !status.is_success() && status != StatusCode::CONFLICT;
        let said = said.or_else(|| responses.get("default").filter(|_| is_of_all));
        let said = said.unwrap_or_else(|| panic!("{place}: the document has no such answer"));
        let said = self.resolved(said);
        let promised = said["headers"].as_object().into_iter().flatten();
        for (name, _) in promised {
            assert!(headers.contains_key(name), "{place}: no {name}");
        }
        let kind = headers.get("content-type");
        let kind = kind.map_or("", |kind| kind.to_str().unwrap());
        let kind = kind.split(';').next().unwrap_or_default();
        let Some(content) = said["content"].as_object() else {
            assert!(body.is_empty(), "{place}: the document has no body");
            return;
        };
        let media = content.get(kind);
        let media = media.unwrap_or_else(|| panic!("{place}: the document has no {kind:?}"));
        if kind.ends_with("json") {
            self.valid(&media["schema"], body, &place);
        }
    }

    fn valid(&self, schema: &Value, body: &[u8], place: &str) {
        let body: Value = serde_json::from_slice(body).unwrap();
        let mut whole = Self::strict(schema);
        whole["components"] = Self::strict(&self.0["components"]);
        let validator = jsonschema::validator_for(&whole).unwrap();
        let wrong: Vec<_> = validator
            .iter_errors(&body)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{place}: {wrong:#?} in {body:#}");
    }

    /// The schema, by which an object has no fields but those that are said: answers have none that programs could not know.
    fn strict(schema: &Value) -> Value {
        match schema {
            Value::Object(fields) => {
                let all = fields
                    .iter()
                    .map(|(name, value)| (name.clone(), Self::strict(value)));
                let mut all: serde_json::Map<String, Value> = all.collect();
                let is_object = all.get("type") == Some(&json!("object"));
                let is_whole = !["allOf", "anyOf", "oneOf", "$ref", "additionalProperties"]
                    .iter()
                    .any(|name| all.contains_key(*name));
                if is_object && is_whole && all.contains_key("properties") {
                    all.insert("additionalProperties".to_owned(), false.into());
                }
                Value::Object(all)
            }
            Value::Array(all) => all.iter().map(Self::strict).collect(),
            other => other.clone(),
        }
    }

    fn resolved<'a>(&'a self, part: &'a Value) -> &'a Value {
        let target = part["$ref"].as_str();
        target.map_or(part, |target| {
            let pointer = target.trim_start_matches('#');
            self.0.pointer(pointer).unwrap()
        })
    }

    /// The operation whose path this is; of several the one with the fewest parameters.
    fn operation(&self, method: &Method, path: &str) -> Option<&Value> {
        let path = path.split('?').next().unwrap_or_default();
        let given: Vec<_> = path.split('/').collect();
        let paths = self.0["paths"].as_object().into_iter().flatten();
        let fitting = paths.filter(|(template, _)| {
            let parts: Vec<_> = template.split('/').collect();
            let mut pairs = parts.iter().zip(&given);
            parts.len() == given.len()
                && pairs.all(|(part, given)| part.starts_with('{') || part == given)
        });
        let (_, methods) = fitting.min_by_key(|(template, _)| template.matches('{').count())?;
        methods.get(method.as_str().to_ascii_lowercase())
    }
}
