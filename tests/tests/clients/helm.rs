//! helm: charts as OCI artifacts.

use tests::{OrFail, Program};

use crate::Scene;

fn helm(scene: &Scene, words: &[&str]) -> Program {
    let program = scene.lab.program("helm").args(words);
    match &scene.at.ca {
        Some(ca) => program.arg("--ca-file").arg(ca),
        None => program.arg("--plain-http"),
    }
}

fn package_push_pull(scene: &Scene) {
    let lab = &scene.lab;
    lab.program("helm").args(["create", "app"]).ok();
    let mark = format!("mark-{:016x}", fastrand::u64(..));
    lab.write(
        "app/templates/own.yaml",
        format!("kind: ConfigMap\napiVersion: v1\nmetadata: {{name: {mark}}}\n"),
    );
    lab.program("helm")
        .args(["package", "app", "--version", "1.2.3"])
        .ok();
    if let Some((user, password)) = &scene.at.login {
        helm(
            scene,
            &[
                "registry",
                "login",
                &scene.at.host,
                "--username",
                user,
                "--password-stdin",
            ],
        )
        .stdin(password.as_str())
        .ok();
    }
    let charts = format!("oci://{}", scene.at.image("team/charts"));
    helm(scene, &["push", "app-1.2.3.tgz", &charts]).ok();

    let out = lab.dir("pulled");
    helm(
        scene,
        &["pull", &format!("{charts}/app"), "--version", "1.2.3"],
    )
    .dir(&out)
    .ok();
    let [sent, got] = [lab.path("app-1.2.3.tgz"), out.join("app-1.2.3.tgz")]
        .map(|file| std::fs::read(file).or_fail("read a chart"));
    assert!(sent == got, "the chart differs");
    let shown = helm(
        scene,
        &[
            "template",
            "release",
            &format!("{charts}/app"),
            "--version",
            "^1",
        ],
    )
    .ok();
    assert!(shown.contains(&mark), "{shown}");
}

#[test]
fn helm_pushes_and_pulls_a_chart_and_resolves_a_version_range() {
    package_push_pull(&Scene::open("helm"));
}

#[test]
fn helm_with_a_login_over_tls_pushes_and_pulls_a_chart() {
    package_push_pull(&Scene::guarded("helm-tls"));
}
