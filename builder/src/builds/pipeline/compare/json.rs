//! Where two configurations differ.

use serde_json::Value;

/// The places in `then` or `now` whose values differ, at most `most`: keys with `.` between, as far down as both are objects.
pub(super) fn changed(then: &Value, now: &Value, most: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), then, now)];
    while let Some((at, then, now)) = open.pop() {
        if then == now || found.len() >= most {
            continue;
        }
        let (Value::Object(a), Value::Object(b)) = (then, now) else {
            found.push(at);
            continue;
        };
        let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
        for key in keys {
            let (a, b) = (a.get(key), b.get(key));
            let path = if at.is_empty() {
                key.clone()
            } else {
                format!("{at}.{key}")
            };
            open.push((path, a.unwrap_or(&Value::Null), b.unwrap_or(&Value::Null)));
        }
    }
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::changed;

    #[test]
    fn places_are_as_deep_as_both_go() {
        let then =
            json!({"config": {"Labels": {"a": "1", "b": "2"}, "Env": ["X=1"]}, "os": "linux"});
        let now = json!({"config": {"Labels": {"a": "1", "b": "3", "c": "4"}, "Env": ["X=2"]}, "os": "linux"});
        let all = ["config.Env", "config.Labels.b", "config.Labels.c"];
        assert_eq!(changed(&then, &now, 10), all);
        assert_eq!(changed(&then, &now, 2).len(), 2);
        assert!(changed(&then, &then, 10).is_empty());
    }
}
