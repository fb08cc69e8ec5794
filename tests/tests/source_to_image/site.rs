//! A server that builds, and one build on it.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tests::api::Reply;
use tests::{Api, Lab, OrFail, Program, Server, Settings, packages, server};

/// The namespace of the build.
const NAMESPACE: &str = "team";

/// A server that runs builds here, on its own machine.
#[derive(Debug)]
pub(crate) struct Site<'lab> {
    lab: &'lab Lab,
    pub(crate) server: Server,
}

/// A run that has ended, as the API has it.
#[derive(Debug)]
pub(crate) struct Run(Value);

impl<'lab> Site<'lab> {
    /// Packages come from wherever they do on this machine.
    pub(crate) fn start(lab: &'lab Lab) -> Self {
        Self::start_with(lab, "")
    }

    /// The same with another key of `builder`.
    pub(crate) fn start_with(lab: &'lab Lab, key: &str) -> Self {
        let comma = if key.is_empty() { "" } else { ", " };
        let settings = Settings {
            more: format!("builder: {{enabled: true{comma}{key}{}}}\n", network()),
            ..Settings::default()
        };
        Self::with(lab, &settings)
    }

    pub(crate) fn with(lab: &'lab Lab, settings: &Settings) -> Self {
        let server = Server::start(lab, settings);
        Self { lab, server }
    }

    pub(crate) fn api(&self) -> Api {
        Api::new(self.server.endpoint())
    }

    /// A command on this server.
    pub(crate) fn slipway(&self, words: &str) -> Program {
        let program = self.lab.program(&server::binary().display().to_string());
        let program = program.args(words.split(' '));
        program.env("SLIPWAY_SERVER", &self.server.endpoint().host)
    }

    /// Makes the build `app` of a repository.
    pub(crate) fn create(&self, url: &str, builder: &str, more: &[String]) {
        let create = format!("build create app --output {NAMESPACE}/app:v1");
        let create = self.slipway(&create).args(["--git", url, "--builder"]);
        create.arg(builder).args(more).ok();
    }

    /// The build, to be changed.
    pub(crate) fn kept(&self) -> Value {
        let build: Value = serde_json::from_str(&self.look("builds/app")).or_fail("the build");
        json!({"metadata": {"name": "app", "namespace": NAMESPACE}, "spec": build["spec"]})
    }

    /// Makes it what `build` says.
    pub(crate) fn apply(&self, build: &Value) {
        let apply = self.slipway("build apply --file -");
        apply.stdin(build.to_string()).ok();
    }

    /// Runs it to its end, which must be a good one.
    #[track_caller]
    pub(crate) fn run(&self, more: &str) -> Run {
        let words = format!("build start app -n {NAMESPACE} --json{more}");
        let told = self.slipway(&words).ok();
        let run = Run::of(&told);
        assert_eq!(run.0["state"]["is"], "succeeded", "{}", run.0);
        run
    }

    /// A run, as it is now.
    #[track_caller]
    pub(crate) fn the_run(&self, name: &str) -> Run {
        let text = self.look(&format!("buildruns/{name}"));
        Run::of(&text)
    }

    /// What the API answers to a POST.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        let api = self.api();
        let request = api.request(Method::POST, path);
        let request = request.header("content-type", "application/json");
        api.send(request.body(body.to_string())).or_fail(path)
    }

    /// Answers of the API below the namespace.
    #[track_caller]
    pub(crate) fn look(&self, path: &str) -> String {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/{path}");
        let reply = self.api().get(&path).or_fail(&path);
        reply.expect(200).text()
    }
}

/// What builds must be allowed to reach here, if there is anything: package registries at addresses that are not public.
/// Where any is named, loopback, where the sources are, must be, too.
fn network() -> String {
    let private = packages::private_addresses();
    if private.is_empty() {
        return String::new();
    }
    let networks = private.iter().map(|address| match address {
        IpAddr::V4(v4) => format!("{v4}/32"),
        IpAddr::V6(v6) => format!("\"{v6}/128\""),
    });
    let networks: Vec<_> = networks.collect();
    let networks = networks.join(", ");
    format!(", network: {{allow: [127.0.0.1/32, {networks}]}}")
}

impl Run {
    pub(crate) fn of(text: &str) -> Self {
        Self(serde_json::from_str(text).or_fail("a run"))
    }

    pub(crate) fn name(&self) -> String {
        self.text("/metadata/name")
    }

    /// The time that nothing in its image is younger than, in seconds since 1970.
    pub(crate) fn epoch(&self) -> u64 {
        let epoch = &self.0["resolved"]["epoch"];
        epoch.as_u64().or_fail("a time")
    }

    /// What it was asked to do.
    pub(crate) fn spec(&self) -> Value {
        self.0["spec"].clone()
    }

    pub(crate) fn state(&self) -> String {
        self.text("/state/is")
    }

    pub(crate) fn has_ended(&self) -> bool {
        !self.0["ended"].is_null()
    }

    /// The state, or the phase that it is at.
    pub(crate) fn step(&self) -> String {
        let phases = self.0["phases"].as_array().or_fail("phases");
        let at = phases.last().filter(|last| last["ended"].is_null());
        let at = at.and_then(|last| last["phase"].as_str());
        at.map_or_else(|| self.state(), str::to_owned)
    }

    /// Why it failed.
    pub(crate) fn reason(&self) -> String {
        self.text("/state/reason")
    }

    /// How long it was at this phase.
    pub(crate) fn lasted_at(&self, phase: &str) -> Duration {
        let phases = self.0["phases"].as_array().or_fail("phases");
        let found = phases.iter().find(|timing| timing["phase"] == phase);
        let timing = found.or_fail(format!("{phase} in {}", self.0));
        let at = |what: &str| timing[what].as_u64().or_fail(what);
        Duration::from_millis(at("ended") - at("started"))
    }

    /// From its start to its end.
    pub(crate) fn lasted(&self) -> Duration {
        let at = |what: &str| self.0[what].as_u64().or_fail(what);
        Duration::from_millis(at("ended") - at("started"))
    }

    /// `repository@digest`.
    pub(crate) fn image(&self) -> String {
        self.text("/result/image")
    }

    pub(crate) fn commit(&self) -> String {
        self.text("/resolved/commit")
    }

    /// Whether the scripts of the builder image were run.
    pub(crate) fn has_assembled(&self) -> bool {
        let phases = self.0["phases"].as_array().or_fail("phases");
        let is_reused = self.0["result"]["reused"].as_bool().or_fail("reused");
        let has = phases.iter().any(|timing| timing["phase"] == "assemble");
        assert_eq!(has, !is_reused, "{}", self.0);
        has
    }

    #[track_caller]
    pub(crate) fn text(&self, pointer: &str) -> String {
        let found = self.0.pointer(pointer).and_then(Value::as_str);
        found.or_fail(format!("{pointer} of {}", self.0)).to_owned()
    }
}
