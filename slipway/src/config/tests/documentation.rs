//! The table of docs/configuration.md against the schema and the defaults.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Config, from};

/// The keys of the table with their documented defaults.
fn documented() -> BTreeMap<String, Option<String>> {
    let text = include_str!("../../../../docs/configuration.md");
    let mut keys = BTreeMap::new();
    for row in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').collect();
        let (names, defaults) = (quoted(cells[1]), quoted(cells[2]));
        assert!(
            defaults.is_empty() || defaults.len() == names.len(),
            "as many defaults as keys: {row}"
        );
        for (i, name) in names.into_iter().enumerate() {
            let before = keys.insert(name, defaults.get(i).cloned());
            assert!(before.is_none(), "twice: {row}");
        }
    }
    keys
}

/// What stands in backticks.
fn quoted(cell: &str) -> Vec<String> {
    let parts = cell.split('`').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

/// Collects the dotted paths of the keys that hold no further keys.
fn paths(root: &Value, schema: &Value, path: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#'));
        return paths(root, target.unwrap(), path, found);
    }
    let choices = ["anyOf", "oneOf"]
        .into_iter()
        .filter_map(|word| schema[word].as_array())
        .flatten()
        .filter(|choice| choice["type"] != "null" && choice["const"].is_null());
    let mut is_leaf = true;
    let items = schema["items"]["$ref"].as_str();
    if let Some(items) = items.and_then(|items| root.pointer(items.trim_start_matches('#')))
        && items["properties"].is_object()
    {
        return paths(root, items, &format!("{path}[]"), found);
    }
    for choice in choices {
        is_leaf = false;
        paths(root, choice, path, found);
    }
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        is_leaf = false;
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        paths(root, inner, &path, found);
    }
    if is_leaf && !found.iter().any(|known| known == path) {
        found.push(path.to_owned());
    }
}

#[test]
fn every_key_is_in_the_documentation_and_nothing_else() {
    let schema = serde_json::to_value(schemars::schema_for!(Config)).unwrap();
    let mut found = Vec::new();
    paths(&schema, &schema, "", &mut found);
    found.sort();
    for key in ["listen", "tls.certFile", "storage.memory", "log.format"] {
        assert!(found.iter().any(|path| path == key), "{key}: {found:#?}");
    }
    let written: Vec<_> = documented().into_keys().collect();
    assert_eq!(written, found);
}

/// A value as the documentation writes it.
fn at(config: &Value, path: &str) -> Option<String> {
    let value = config.pointer(&format!("/{}", path.replace("[]", "/0").replace('.', "/")))?;
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn same(documented: &str, value: &str) -> bool {
    let durations = (
        humantime::parse_duration(documented),
        humantime::parse_duration(value),
    );
    documented == value || matches!(durations, (Ok(a), Ok(b)) if a == b)
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    let config = |yaml| serde_json::to_value(from(yaml, &[]).unwrap().effective()).unwrap();
    let default = config("");
    // Keys that have a default only where their neighbours are given.
    let within = [
        config("auth: {anonymous: true, rbac: {dir: /r}}"),
        config("auth: {kubernetes: {kubeconfig: /k}}"),
        config("auth: {oidc: [{issuer: 'https://i', clientId: c}]}"),
    ];
    let data = at(&default, "dataDir").unwrap();
    for (key, documented) in documented() {
        let documented = documented.map(|text| text.replace("<dataDir>", &data));
        let value = match &documented {
            None => at(&default, &key),
            Some(_) => {
                at(&default, &key).or_else(|| within.iter().find_map(|config| at(config, &key)))
            }
        };
        let agree = match (&documented, &value) {
            (Some(documented), Some(value)) => same(documented, value),
            (documented, value) => documented.is_none() && value.is_none(),
        };
        assert!(agree, "{key}: documented {documented:?}, is {value:?}");
    }
}
