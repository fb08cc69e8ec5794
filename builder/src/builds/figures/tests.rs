use prometheus_client::encoding::text::encode;
use serde_json::json;

use super::*;

fn run(state: &serde_json::Value) -> Run {
    serde_json::from_value(json!({
        "metadata": {"name": "app-1", "namespace": "shop", "created": 1},
        "uid": "1",
        "actor": {"name": "ann", "proof": null},
        "cause": {"kind": "schedule"},
        "spec": {
            "source": {"kind": "image", "reference": "shop/sources/app:1"},
            "builder": "shop/builder:1",
            "output": {"image": "shop/app:v1"},
        },
        "asked": 1_000,
        "started": 3_000,
        "state": state,
        "phases": [
            {"phase": "fetch", "started": 3_000, "ended": 3_200},
            {"phase": "assemble", "started": 3_200},
        ],
    }))
    .unwrap()
}

#[test]
fn runs_are_counted_by_how_they_ended() {
    let figures = Figures::default();
    let failed = |reason: &str| json!({"is": "failed", "reason": reason, "message": "x"});
    for state in [
        failed("AssembleFailed"),
        failed("AssembleFailed"),
        failed("RunTimeout"),
        json!({"is": "succeeded"}),
        json!({"is": "cancelled", "by": "somebody whom no label may name"}),
        json!({"is": "running"}),
    ] {
        let run = run(&state);
        figures.asked(&run);
        figures.ended(&run);
    }
    let mut names = Registry::default();
    figures.register(&mut names);
    let mut text = String::new();
    encode(&mut text, &names).unwrap();
    for line in [
        r#"build_runs_total{state="failed",reason="AssembleFailed"} 2"#,
        r#"build_runs_total{state="failed",reason="RunTimeout"} 1"#,
        r#"build_runs_total{state="succeeded",reason=""} 1"#,
        r#"build_runs_total{state="cancelled",reason=""} 1"#,
        r#"build_runs_asked_total{cause="schedule"} 6"#,
        "build_queue_duration_seconds_sum 10.0",
        "build_queue_duration_seconds_count 5",
        r#"build_phase_duration_seconds_count{phase="fetch"} 5"#,
        r#"build_phase_duration_seconds_sum{phase="fetch"} 1.0"#,
        // They have not ended.
        r#"build_phase_duration_seconds_count{phase="assemble"} 0"#,
        r#"build_runs_total{state="succeeded",reason="reused"} 0"#,
        r#"build_runs_asked_total{cause="webhook"} 0"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(
        !text.contains("somebody") && !text.contains("shop"),
        "{text}"
    );
}

#[test]
fn phases_are_called_as_in_records() {
    for phase in PHASES {
        assert_eq!(json!(phase), word(phase));
    }
}
