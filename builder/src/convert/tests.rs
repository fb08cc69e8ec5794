use serde_json::{Value, json};

use super::{Converted, Weight, convert};
use crate::builds;
use crate::records::BuildSpec;

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

fn one(text: &str) -> Converted {
    let mut all = convert(yaml(text), Some("shop"));
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// The notes as they are printed, each cut to its field and weight.
fn told(converted: &Converted) -> Vec<String> {
    let notes = converted.notes.iter().map(ToString::to_string);
    let cut = |note: String| {
        let end =
            ["to do:", "warning:", "error:"].map(|word| note.find(word).map(|at| at + word.len()));
        note[..end.into_iter().flatten().min().unwrap()].to_owned()
    };
    notes.map(cut).collect()
}

/// Of `oc new-app`, as `oc get -o yaml` shows it.
const NEW_APP: &str = r#"
apiVersion: build.openshift.io/v1
kind: BuildConfig
metadata:
  annotations: {openshift.io/generated-by: OpenShiftNewApp}
  creationTimestamp: "2024-05-01T10:00:00Z"
  generation: 2
  labels: {app: nodejs-ex}
  name: nodejs-ex
  namespace: shop
  resourceVersion: "4711"
  uid: 8a4f0a4e-0000-4000-8000-000000000000
spec:
  failedBuildsHistoryLimit: 5
  nodeSelector: null
  output:
    to: {kind: ImageStreamTag, name: "nodejs-ex:latest"}
  postCommit: {}
  resources: {}
  runPolicy: Serial
  source:
    git: {uri: "https://github.com/sclorg/nodejs-ex.git"}
    type: Git
  strategy:
    sourceStrategy:
      from: {kind: ImageStreamTag, name: "nodejs:18-ubi8", namespace: openshift}
    type: Source
  successfulBuildsHistoryLimit: 3
  triggers:
  - {type: GitHub, github: {secret: not-to-be-shown}}
  - {type: Generic, generic: {secret: not-to-be-shown}}
  - type: ConfigChange
  - {type: ImageChange, imageChange: {lastTriggeredImageID: "image-registry/x@sha256:0"}}
status: {lastVersion: 7}
"#;

/// Every field that a source strategy can have.
const ALL_OF_OPENSHIFT: &str = r#"
apiVersion: build.openshift.io/v1
kind: BuildConfig
metadata: {name: web}
spec:
  serviceAccount: builder
  completionDeadlineSeconds: 1800
  nodeSelector: {disk: ssd}
  mountTrustedCA: true
  runPolicy: SerialLatestOnly
  revision: {type: Git, git: {commit: "0123456789012345678901234567890123456789", author: {name: ann}, message: x}}
  source:
    type: Git
    git: {uri: "git@git.example.com:shop/web.git", ref: main, httpProxy: "http://proxy:3128"}
    contextDir: web
    sourceSecret: {name: deploy-key}
    secrets: [{secret: {name: npmrc}, destinationDir: conf}]
    configMaps: [{configMap: {name: settings}, destinationDir: /etc/app}]
    images: [{from: {kind: DockerImage, name: x}, paths: [{sourcePath: /a, destinationDir: b}]}]
  strategy:
    type: Source
    sourceStrategy:
      from: {kind: DockerImage, name: "registry.access.redhat.com/ubi9/python-312:latest"}
      pullSecret: {name: pull}
      incremental: true
      forcePull: true
      scripts: https://scripts.example.com/s2i
      env:
      - {name: MODE, value: fast}
      - {name: PATH_OF, value: "$(MODE)/x"}
      - {name: TOKEN, valueFrom: {secretKeyRef: {name: npm, key: token}}}
      - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
      - {name: GIT_SSL_NO_VERIFY, value: "true"}
      - {name: LD_PRELOAD, value: /x.so}
      volumes:
      - name: settings
        source: {type: Secret, secret: {secretName: maven, items: [{key: a, path: b}], defaultMode: 420}}
        mounts: [{destinationPath: /opt/maven}]
      - {name: csi, source: {type: CSI, csi: {driver: d}}, mounts: [{destinationPath: /csi}]}
  output:
    to: {kind: DockerImage, name: "quay.io/acme/web:1.2"}
    pushSecret: {name: push}
    imageLabels: [{name: team, value: shop}]
  resources: {limits: {cpu: 1500m, memory: 2Gi, ephemeral-storage: 1Gi}, requests: {cpu: 100m}}
  postCommit: {script: "rake test $1", args: [--verbose]}
  triggers:
  - {type: GitLab, gitlab: {secretReference: {name: hook}}}
  - {type: gitlab, gitlab: {secretReference: {name: hook2}}}
  - {type: generic, generic: {allowEnv: true, secretReference: {name: hook}}}
  - {type: ImageChange, imageChange: {from: {kind: ImageStreamTag, name: "base:1"}}}
  - {type: Moon}
"#;

const ALL_OF_SHIPWRIGHT: &str = r#"
apiVersion: shipwright.io/v1beta1
kind: Build
metadata: {name: s2i-nodejs, namespace: shop, annotations: {build.shipwright.io/verify.repository: "true"}}
spec:
  source:
    type: Git
    contextDir: source-build/
    git: {url: "https://github.com/shipwright-io/sample-nodejs", revision: main, cloneSecret: forge, depth: 0}
  strategy: {name: source-to-image, kind: ClusterBuildStrategy}
  paramValues:
  - {name: builder-image, value: "docker.io/centos/nodejs-10-centos7"}
  - {name: storage-driver, value: vfs}
  output:
    image: image-registry.openshift-image-registry.svc:5000/shop/nodejs-ex
    pushSecret: push
    insecure: true
    labels: {team: shop}
    annotations: {a: b}
    timestamp: Zero
    vulnerabilityScan: {enabled: true}
    platforms: [{os: linux, arch: arm64}]
  env: [{name: A, value: b}]
  timeout: 1h30m
  retention: {succeededLimit: 2, failedLimit: 3, ttlAfterSucceeded: 24h, ttlAfterFailed: 48h, atBuildDeletion: false}
  trigger:
    triggerSecret: hook
    when:
    - {name: push, type: GitHub, github: {events: [Push, PullRequest], branches: [main, next]}}
    - {name: image, type: Image, image: {names: ["docker.io/centos/nodejs-10-centos7"]}}
    - {name: pipeline, type: Pipeline, objectRef: {name: p, status: [Succeeded]}}
  volumes: [{name: v, emptyDir: {}}]
  nodeSelector: {disk: ssd}
  tolerations: [{key: a}]
  schedulerName: s
  runtimeClassName: r
status: {registered: "True"}
"#;

#[test]
fn a_build_config_of_new_app_becomes_a_build() {
    let converted = one(NEW_APP);
    assert_eq!(converted.was, "BuildConfig nodejs-ex");
    assert_eq!(
        converted.build.as_ref().unwrap(),
        &json!({
            "metadata": {"namespace": "shop", "name": "nodejs-ex"},
            "spec": {
                "source": {"kind": "git", "url": "https://github.com/sclorg/nodejs-ex.git"},
                "builder": "openshift/nodejs:18-ubi8",
                "output": {"image": "shop/nodejs-ex:latest"},
                "retention": {"succeeded": 3, "failed": 5},
                "triggers": {
                    "image": true,
                    "webhooks": [
                        {"kind": "github", "secret": "nodejs-ex-github"},
                        {"kind": "generic", "secret": "nodejs-ex-generic"},
                    ],
                },
            },
        })
    );
    assert_eq!(
        told(&converted),
        [
            "metadata.annotations: warning:",
            "metadata.labels: warning:",
            "spec.strategy.sourceStrategy.from.name: to do:",
            "spec.triggers[0].github.secret: warning:",
            "spec.triggers[0].github.secretReference: to do:",
            "spec.triggers[1].generic.secret: warning:",
            "spec.triggers[1].generic.secretReference: to do:",
            "spec.triggers[2].type: to do:",
        ]
    );
    assert!(!format!("{converted:?}").contains("not-to-be-shown"));
}

#[test]
fn all_that_a_build_config_says_is_carried_over_or_told_of() {
    let converted = one(ALL_OF_OPENSHIFT);
    assert_eq!(
        converted.build.as_ref().unwrap()["spec"],
        json!({
            "source": {
                "kind": "git", "url": "git@git.example.com:shop/web.git", "contextDir": "web", "secret": "deploy-key",
                "revision": "0123456789012345678901234567890123456789",
            },
            "builder": "python-3.12-ubi9",
            "output": {"image": "shop/web:1.2", "labels": {"team": "shop"}},
            "env": [{"name": "MODE", "value": "fast"}, {"name": "PATH_OF", "value": "$(MODE)/x"}],
            "secrets": [{"name": "maven", "path": "/opt/maven"}],
            "injections": [
                {"secret": "npmrc", "path": "conf"}, {"secret": "settings", "path": "/etc/app", "keep": true},
            ],
            "scriptsUrl": "https://scripts.example.com/s2i",
            "incremental": true,
            "limits": {"cpuMillis": 1500, "memoryBytes": 2_147_483_648_u64, "diskBytes": 1_073_741_824},
            "timeouts": {"run": 1800},
            "policy": "serial-latest-only",
            "test": {"command": ["/bin/sh", "-ic", "rake test $1", "/bin/sh", "--verbose"]},
            "triggers": {"webhooks": [{"kind": "gitlab", "secret": "hook"}, {"kind": "generic", "secret": "hook"}]},
        })
    );
    let mut told = told(&converted);
    told.sort();
    assert_eq!(
        told,
        [
            "spec.mountTrustedCA: warning:",
            "spec.nodeSelector: warning:",
            "spec.output.pushSecret: warning:",
            "spec.output.to.name: warning:",
            "spec.resources.requests: warning:",
            "spec.revision.git.commit: warning:",
            "spec.serviceAccount: warning:",
            "spec.source.configMaps[0].configMap: to do:",
            "spec.source.git.httpProxy: warning:",
            "spec.source.images: warning:",
            "spec.source.secrets[0].secret: to do:",
            "spec.source.sourceSecret: to do:",
            "spec.strategy.sourceStrategy.env[1].value: warning:",
            "spec.strategy.sourceStrategy.env[2].valueFrom: warning:",
            "spec.strategy.sourceStrategy.env[3].valueFrom: warning:",
            "spec.strategy.sourceStrategy.env[4].value: warning:",
            "spec.strategy.sourceStrategy.env[5].value: warning:",
            "spec.strategy.sourceStrategy.from.name: to do:",
            "spec.strategy.sourceStrategy.pullSecret: warning:",
            "spec.strategy.sourceStrategy.volumes[0].source.secret.items: warning:",
            "spec.strategy.sourceStrategy.volumes[0].source.secret: to do:",
            "spec.strategy.sourceStrategy.volumes[1]: warning:",
            "spec.triggers[0].gitlab.secretReference: to do:",
            "spec.triggers[1].gitlab: warning:",
            "spec.triggers[2].generic.allowEnv: warning:",
            "spec.triggers[2].generic.secretReference: to do:",
            "spec.triggers[3].imageChange.from: warning:",
            "spec.triggers[4].type: warning:",
        ]
    );
    let says = |text: &str| {
        converted
            .notes
            .iter()
            .any(|note| note.message.contains(text))
    };
    assert!(says("--for git --host git.example.com --from-file"));
    assert!(says("builder-image add --public python-3.12-ubi9 -n shop"));
    assert!(says("https://REGISTRY/hooks/shop/web/gitlab"));
}

#[test]
fn all_that_a_build_of_shipwright_says_is_carried_over_or_told_of() {
    let converted = one(ALL_OF_SHIPWRIGHT);
    assert_eq!(
        converted.build.as_ref().unwrap()["spec"],
        json!({
            "source": {
                "kind": "git", "url": "https://github.com/shipwright-io/sample-nodejs", "revision": "main",
                "contextDir": "source-build", "secret": "forge",
            },
            "builder": "shop/nodejs-10-centos7",
            "output": {"image": "shop/nodejs-ex:latest", "labels": {"team": "shop"}},
            "env": [{"name": "A", "value": "b"}],
            "timeouts": {"run": 5400},
            "retention": {"succeeded": 2, "failed": 3, "seconds": 172_800},
            "triggers": {"image": true, "webhooks": [{"kind": "github", "secret": "hook"}]},
        })
    );
    let mut told = told(&converted);
    told.sort();
    assert_eq!(
        told,
        [
            "metadata.annotations: warning:",
            "spec.nodeSelector: warning:",
            "spec.output.annotations: warning:",
            "spec.output.insecure: warning:",
            "spec.output.platforms: warning:",
            "spec.output.pushSecret: warning:",
            "spec.output.timestamp: warning:",
            "spec.output.vulnerabilityScan: warning:",
            "spec.paramValues[0].value: to do:",
            "spec.paramValues[1].name: warning:",
            "spec.retention.atBuildDeletion: warning:",
            "spec.retention.ttlAfterSucceeded: warning:",
            "spec.runtimeClassName: warning:",
            "spec.schedulerName: warning:",
            "spec.source.git.cloneSecret: to do:",
            "spec.source.git.depth: warning:",
            "spec.tolerations: warning:",
            "spec.trigger.triggerSecret: to do:",
            "spec.trigger.when[0].github.branches: warning:",
            "spec.trigger.when[0].github.events: warning:",
            "spec.trigger.when[1].image.names: warning:",
            "spec.trigger.when[2].objectRef: warning:",
            "spec.volumes: warning:",
        ]
    );
}

/// Every object of a document gets a field that nobody knows, one at a time: it, or what it is in, is told of.
#[test]
fn no_field_is_dropped_without_a_word() {
    fn objects(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.push(path.to_owned());
                for (name, inner) in fields {
                    objects(inner, &format!("{path}/{name}"), found);
                }
            }
            Value::Array(all) => {
                for (index, inner) in all.iter().enumerate() {
                    objects(inner, &format!("{path}/{index}"), found);
                }
            }
            _ => {}
        }
    }
    // What is a label, or known to be of no consequence.
    let of_no_consequence = [
        "/spec/output/labels",
        "/status",
        "/spec/revision/git/author",
    ];
    let mut count = 0;
    for text in [NEW_APP, ALL_OF_OPENSHIFT, ALL_OF_SHIPWRIGHT] {
        let document = yaml(text);
        let mut all = Vec::new();
        objects(&document, "", &mut all);
        for path in all
            .iter()
            .filter(|path| !of_no_consequence.contains(&path.as_str()))
        {
            let mut changed = document.clone();
            changed.pointer_mut(path).unwrap()["ofTomorrow"] = json!("canary");
            let converted = convert(changed, Some("shop")).remove(0);
            let dotted = format!("{path}/ofTomorrow");
            let parts = dotted.split('/').skip(1);
            let dotted = parts.fold(String::new(), |before, part| match part.parse::<u32>() {
                Ok(index) => format!("{before}[{index}]"),
                Err(_) if before.is_empty() => part.to_owned(),
                Err(_) => format!("{before}.{part}"),
            });
            let is_told = converted.notes.iter().any(|note| {
                let rest = dotted.strip_prefix(&note.field);
                !note.field.is_empty()
                    && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            });
            // A parameter or trigger that is left out as a whole is told of by what names it.
            let by_name = ["paramValues[1]", "triggers[1]", "triggers[4]"];
            let is_whole = by_name.iter().any(|part| dotted.contains(part));
            assert!(is_told || is_whole, "{dotted}: {:#?}", converted.notes);
            count += 1;
        }
    }
    assert!(count > 80, "{count}");
}

/// docs/takeover.md says of every field what becomes of it.
#[test]
fn the_guide_has_every_field() {
    fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Null => {}
            Value::Object(fields) => {
                for (name, inner) in fields {
                    let dot = if path.is_empty() { "" } else { "." };
                    leaves(inner, &format!("{path}{dot}{name}"), found);
                }
            }
            Value::Array(all) if all.iter().any(Value::is_object) => {
                for inner in all {
                    leaves(inner, &format!("{path}[]"), found);
                }
            }
            _ => found.push(path.to_owned()),
        }
    }
    let guide = include_str!("../../../docs/takeover.md");
    for (heading, text) in [
        ("| BuildConfig |", ALL_OF_OPENSHIFT),
        ("| BuildConfig |", NEW_APP),
        ("| Shipwright's Build |", ALL_OF_SHIPWRIGHT),
    ] {
        let table = guide.split_once(heading).unwrap().1;
        let table = table.split("\n\n").next().unwrap();
        let cells = table.lines().filter_map(|row| row.split(" | ").next());
        let said: Vec<_> = cells
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
            .collect();
        let mut fields = Vec::new();
        leaves(&yaml(text)["spec"], "", &mut fields);
        let is_said = |field: &String| {
            said.iter().any(|said| {
                let rest = field.strip_prefix(said);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            })
        };
        let of_no_consequence = |field: &String| {
            field.rsplit('.').next() == Some("type") || field.starts_with("revision.")
        };
        let missing: Vec<_> = fields
            .iter()
            .filter(|field| !is_said(field) && !of_no_consequence(field))
            .collect();
        assert!(missing.is_empty(), "{heading}: {missing:?}");
        assert!(said.len() > 20);
    }
}

fn refused(document: &str, field: &str, says: &str) {
    let converted = one(document);
    assert_eq!(converted.build, None, "{document}");
    let mut errors = converted
        .notes
        .iter()
        .filter(|note| note.weight == Weight::Error);
    let is_it = errors.any(|note| note.field == field && note.message.contains(says));
    assert!(is_it, "{document}: {:#?}", converted.notes);
}

#[test]
fn what_no_build_can_be_made_of_is_an_error() {
    let builder = "strategy: {sourceStrategy: {from: {kind: ImageStreamTag, name: 'b:1'}}}";
    let git = "source: {git: {uri: 'https://git.example.com/a.git'}}";
    let both = format!("{builder}, {git}");
    for (spec, field, says) in [
        (
            "strategy: {dockerStrategy: {}}",
            "spec.strategy.dockerStrategy",
            "podman or buildah",
        ),
        (
            "strategy: {customStrategy: {from: {}}}",
            "spec.strategy.customStrategy",
            "pipeline",
        ),
        (
            "strategy: {jenkinsPipelineStrategy: {}}",
            "spec.strategy.jenkinsPipelineStrategy",
            "docs/pipelines.md",
        ),
        (
            "strategy: {}",
            "spec.strategy.sourceStrategy.from.name",
            "builder image",
        ),
        ("strategy: 3", "spec.strategy", "no fields"),
        (
            "BUILDER, source: {type: Binary, binary: {}}",
            "spec.source.binary",
            "slipway build run --dir . --builder shop/b:1 --output shop/a:latest",
        ),
        (
            "BUILDER, source: {dockerfile: 'FROM x'}",
            "spec.source.dockerfile",
            "no Dockerfiles",
        ),
        ("BUILDER", "spec.source.git.uri", "no repository"),
        (
            "BUILDER, source: {git: {uri: 'git://git.example.com/a.git'}}",
            "",
            "spec.source.url",
        ),
        ("BOTH, runPolicy: Never", "spec.runPolicy", "no policy"),
        (
            "BOTH, resources: {limits: {cpu: lots}}",
            "spec.resources.limits.cpu",
            "no amount",
        ),
        (
            "BOTH, resources: {limits: {memory: 1Mi}}",
            "",
            "spec.limits.memoryBytes",
        ),
        (
            "BOTH, output: {to: {kind: ImageStreamTag, name: 'a:1', namespace: other}}",
            "spec.output.to.name",
            "own namespace",
        ),
    ] {
        let spec = spec.replace("BUILDER", builder).replace("BOTH", &both);
        let document = format!(
            "{{apiVersion: build.openshift.io/v1, kind: BuildConfig, metadata: {{name: a}}, spec: {{{spec}}}}}"
        );
        refused(&document, field, says);
    }
}

#[test]
fn what_is_no_s2i_of_shipwright_is_an_error() {
    let s2i = "strategy: {name: source-to-image}";
    for (kind, spec, field, says) in [
        (
            "Build",
            "strategy: {name: buildah}",
            "spec.strategy.name",
            "\"buildah\" is another strategy",
        ),
        (
            "Build",
            "S2I, source: {local: {name: a}}",
            "spec.source.local",
            "--dir .",
        ),
        (
            "Build",
            "S2I, source: {git: {url: 'https://a.example/b'}}",
            "spec.paramValues",
            "builder-image",
        ),
        (
            "BuildRun",
            "build: {name: web}",
            "spec.build.name",
            "slipway build start web -n shop",
        ),
    ] {
        let spec = spec.replace("S2I", s2i);
        let document = format!(
            "{{apiVersion: shipwright.io/v1beta1, kind: {kind}, metadata: {{name: a}}, spec: {{{spec}}}}}"
        );
        refused(&document, field, says);
    }
}

#[test]
fn kinds_and_versions_that_are_not_read_are_named() {
    for (document, field, says) in [
        (
            "{apiVersion: shipwright.io/v1alpha1, kind: Build, metadata: {name: a}}",
            "kind",
            "v1beta1",
        ),
        (
            "{apiVersion: build.openshift.io/v1, kind: Build, metadata: {name: a}}",
            "kind",
            "BuildConfig",
        ),
        (
            "{apiVersion: template.openshift.io/v1, kind: Template}",
            "kind",
            "oc process",
        ),
        (
            "{apiVersion: a/v9, kind: BuildConfig}",
            "kind",
            "no version that is read",
        ),
        ("3", "", "no fields"),
    ] {
        refused(document, field, says);
    }
}

#[test]
fn forms_of_tests_after_a_build_are_read() {
    for (hook, command) in [
        (
            "{script: rake test}",
            json!(["/bin/sh", "-ic", "rake test"]),
        ),
        ("{command: [rake, test]}", json!(["rake", "test"])),
        ("{command: [rake], args: [test]}", json!(["rake", "test"])),
        ("{args: [test]}", Value::Null),
        ("{}", Value::Null),
    ] {
        let text = format!(
            "{{apiVersion: v1, kind: BuildConfig, metadata: {{name: a}}, spec: {{postCommit: {hook}, \
             strategy: {{sourceStrategy: {{from: {{name: 'b:1'}}}}}}, source: {{git: {{uri: 'https://a.example/b'}}}}}}}}"
        );
        let converted = one(&text);
        let spec = &converted.build.as_ref().unwrap()["spec"];
        assert_eq!(spec["test"]["command"], command, "{hook}");
        let is_told = converted
            .notes
            .iter()
            .any(|note| note.field == "spec.postCommit.args");
        assert_eq!(is_told, hook == "{args: [test]}", "{hook}");
    }
}

#[test]
fn a_secret_is_set_for_the_server_as_runs_name_it() {
    for (url, host) in [
        ("https://git.example.com/a.git", "git.example.com"),
        ("https://git.example.com:443/a.git", "git.example.com"),
        ("https://git.example.com:8443/a.git", "git.example.com:8443"),
        (
            "ssh://git@git.example.com:2222/a.git",
            "git.example.com:2222",
        ),
        ("ssh://git@git.example.com:22/a.git", "git.example.com"),
        ("git@git.example.com:a.git", "git.example.com"),
        ("https://[2001:db8::1]:8443/a.git", "[2001:db8::1]:8443"),
    ] {
        let text = ALL_OF_SHIPWRIGHT.replace("https://github.com/shipwright-io/sample-nodejs", url);
        let notes = one(&text).notes;
        let said = format!("--for git --host {host} --from-file FILE");
        assert!(
            notes.iter().any(|note| note.message.contains(&said)),
            "{url}: {notes:?}"
        );
    }
}

#[test]
fn a_time_of_one_kind_of_runs_does_not_take_the_others_away() {
    for (kept, seconds) in [
        ("ttlAfterFailed: 1h", None),
        ("ttlAfterSucceeded: 1h", None),
        ("ttlAfterFailed: 1h, ttlAfterSucceeded: 2h", Some(7200)),
    ] {
        let text = ALL_OF_SHIPWRIGHT.replace("ttlAfterSucceeded: 24h, ttlAfterFailed: 48h", kept);
        let converted = one(&text);
        let spec = &converted.build.as_ref().unwrap()["spec"];
        assert_eq!(spec["retention"]["seconds"].as_u64(), seconds, "{kept}");
        let (field, _) = kept.split_once(':').unwrap();
        let field = if seconds.is_some() {
            "ttlAfterSucceeded"
        } else {
            field
        };
        let told = told(&converted);
        assert!(
            told.contains(&format!("spec.retention.{field}: warning:")),
            "{kept}: {told:?}"
        );
    }
}

#[test]
fn lists_runs_and_others_are_told_apart() {
    let run = "{apiVersion: shipwright.io/v1beta1, kind: BuildRun, metadata: {name: once}, spec: {build: {spec: {\
               strategy: {name: source-to-image}, source: {ociArtifact: {image: 'ghcr.io/a/source:1'}}, \
               paramValues: [{name: builder-image, value: 'image-registry.openshift-image-registry.svc:5000/openshift/go:1'}], \
               output: {image: 'ghcr.io/a/app'}}}, retention: {ttlAfterFailed: 1h, ttlAfterSucceeded: 1h}}}";
    let list = format!(
        "{{kind: List, apiVersion: v1, items: [{run}, {{kind: Service, apiVersion: v1, metadata: {{name: web}}}}]}}"
    );
    let all = convert(yaml(&list), Some("shop"));
    let [once, service] = all.as_slice() else {
        panic!("{all:?}");
    };
    assert_eq!(
        once.build.as_ref().unwrap()["spec"],
        json!({
            "source": {"kind": "image", "reference": "shop/sources/once:latest"},
            "builder": "openshift/go:1",
            "output": {"image": "shop/app:latest"},
            "retention": {"seconds": 3600},
        })
    );
    assert!(
        once.notes
            .iter()
            .any(|note| note.message.contains("slipway build start once -n shop"))
    );
    assert_eq!(
        (service.was.as_str(), &service.build),
        ("Service web", &None)
    );
    assert_eq!(told(service), ["kind: warning:"]);

    let nowhere = convert(yaml(run), None);
    assert_eq!(told(&nowhere[0]), ["metadata.namespace: error:"]);
    let elsewhere = convert(yaml(NEW_APP), Some("other"));
    assert_eq!(elsewhere[0].build, None);
}

#[test]
fn what_comes_out_is_what_a_server_takes() {
    for text in [NEW_APP, ALL_OF_OPENSHIFT, ALL_OF_SHIPWRIGHT] {
        let build = one(text).build.unwrap();
        let spec: BuildSpec = serde_json::from_value(build["spec"].clone()).unwrap();
        builds::check("shop", build["metadata"]["name"].as_str().unwrap(), &spec).unwrap();
    }
    let long = NEW_APP.replace("name: nodejs-ex\n", &format!("name: {}\n", "n".repeat(51)));
    assert_eq!(one(&long).build, None);
}
