use crate::records::{Actor, Cause, Metadata, Resolved, Run, State};

/// A run as it is asked for.
pub(super) fn run_record(namespace: &str, name: &str) -> Run {
    let spec = serde_json::json!({
        "source": {"kind": "git", "url": "https://git.example/a/b.git"},
        "builder": "python",
        "output": {"image": format!("{namespace}/app:v1")},
    });
    Run {
        metadata: Metadata {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            created: 0,
        },
        uid: format!("uid-of-{name}"),
        build: None,
        actor: Actor {
            name: "ann".to_owned(),
            proof: serde_json::Value::Null,
        },
        cause: Cause::Schedule,
        against: None,
        spec: serde_json::from_value(spec).unwrap(),
        asked: 0,
        fresh: false,
        no_cache: false,
        attempts: 0,
        resolved: Resolved::default(),
        state: State::Queued,
        phases: Vec::new(),
        started: None,
        ended: None,
        cancel: None,
        result: None,
    }
}
