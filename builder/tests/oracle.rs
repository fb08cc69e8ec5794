//! The `s2i` program itself as the oracle: what it would put into an image is held against what a plan says.
//!
//! `s2i build --as-dockerfile` needs no container engine. Where that strategy differs from the classic one by design (it
//! chowns as root, its `CMD` is in shell form, it leaves the assemble user as the image's), the comparison says so.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use builder::plan::{Commit, Content, Image, Output, Plan, Request, Run, Step};
use builder::s2i::{
    ContainerPath, IgnoreMode, ImageConfig, Injection, Origin, Scope, Script, User, Variable,
    Warning,
};
use builder::source::{Snapshot, SourceLimits, upload};
use oci::{Algorithm, Digest};
use tests::{Lab, OrFail, fail};

/// A source, what the program is told beside it, and how a request says the same.
struct Case {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    arguments: &'static [&'static str],
    request: fn(&mut Request),
}

const CASES: &[Case] = &[
    Case {
        name: "nothing but code",
        files: &[("app.py", "print()"), ("*tools/run-me", "#!/bin/sh\n")],
        arguments: &[],
        request: |_| {},
    },
    Case {
        name: "scripts of the source",
        files: &[
            ("app.py", "print()"),
            (".s2i/bin/assemble", "#!/bin/sh\nassemble"),
            (".s2i/bin/run", "#!/bin/sh\nrun"),
            (".s2i/bin/helper", "stays in the source"),
        ],
        arguments: &[],
        request: |_| {},
    },
    Case {
        name: "one script in the deprecated folder",
        files: &[
            (".sti/bin/run", "#!/bin/sh\nold"),
            (".s2i/bin/save-artifacts", "#!/bin/sh\n"),
        ],
        arguments: &[],
        request: |_| {},
    },
    Case {
        name: "a scripts URL in an image comes before the source",
        files: &[(".s2i/bin/assemble", "#!/bin/sh\n"), ("x", "x")],
        arguments: &["--scripts-url", "image:///opt/my/scripts"],
        request: |request| {
            request.scripts_url = Some("image:///opt/my/scripts".parse().or_fail("a URL"));
        },
    },
    Case {
        name: "an environment with everything in it",
        files: &[(
            ".s2i/environment",
            "A=1\n# comment\nbad\nexport\n B = two words \nC=\"q\"\nD=a=b\nEMPTY=\nA=again\nE=$HOME \\ x\n",
        )],
        arguments: &["-e", "D=request", "-e", "NEW=n"],
        request: |request| {
            for text in ["D=request", "NEW=n"] {
                request
                    .env
                    .push(Variable::parse(text, Scope::Both).or_fail("a variable"));
            }
        },
    },
    Case {
        name: "ignoring",
        files: &[
            (
                ".s2iignore",
                "# comment\n*.log\n!keep.log\nbuild\n*/deep/*.o\n./plain\n/rooted\n[ab].txt\nq?x\n\n  spaced  \na[\n",
            ),
            ("x.log", ""),
            ("keep.log", ""),
            ("sub/x.log", ""),
            ("build/out", ""),
            ("builder/out", ""),
            ("sub/deep/x.o", ""),
            ("sub/deep/x.c", ""),
            ("deep/x.o", ""),
            ("plain", ""),
            ("rooted", ""),
            ("sub/rooted", ""),
            ("a.txt", ""),
            ("c.txt", ""),
            ("qxx", ""),
            ("qx", ""),
            ("spaced", ""),
        ],
        arguments: &[],
        request: |_| {},
    },
    Case {
        name: "ignoring all but something",
        files: &[
            (".s2iignore", "*\n!src\n!.s2iignore\n"),
            ("src/a", ""),
            ("b", ""),
            (".c", ""),
        ],
        arguments: &[],
        request: |_| {},
    },
    Case {
        name: "ignoring takes back by path alone",
        files: &[
            (".s2iignore", "dir\n!dir/keep\nd2/*\n!d2/keep\n"),
            ("dir/keep", ""),
            ("d2/keep", ""),
            ("d2/x", ""),
        ],
        arguments: &[],
        request: |_| {},
    },
    Case {
        name: "ignoring the scripts themselves",
        files: &[
            (".s2iignore", ".s2i\n"),
            (".s2i/bin/assemble", "#!/bin/sh\n"),
            (".s2i/environment", "A=1\n"),
            ("x", ""),
        ],
        arguments: &[],
        request: |_| {},
    },
    Case {
        name: "a destination and a user",
        files: &[(".s2i/bin/run", "#!/bin/sh\n"), ("x", "")],
        arguments: &["--destination", "/opt/s2i", "--assemble-user", "1234"],
        request: |request| {
            request.destination = Some(ContainerPath::parse("/opt/s2i").or_fail("a path"));
            request.assemble_user = Some(User::parse("1234").or_fail("a user"));
        },
    },
    Case {
        name: "names and descriptions",
        files: &[("x", "")],
        arguments: &[
            "--application-name",
            "A \"name\"",
            "--description",
            "what it is",
        ],
        request: |request| {
            request.output = Output {
                tag: TAG.to_owned(),
                display_name: "A \"name\"".to_owned(),
                description: "what it is".to_owned(),
                ..Output::default()
            };
        },
    },
    Case {
        name: "an incremental build",
        files: &[("x", "")],
        arguments: &["--incremental"],
        request: |request| request.previous = Some(request.builder.clone()),
    },
    Case {
        name: "an incremental build with a script and a destination of its own",
        files: &[(".s2i/bin/save-artifacts", "#!/bin/sh\n"), ("x", "")],
        arguments: &["--incremental", "--destination", "/opt/s2i"],
        request: |request| {
            request.previous = Some(request.builder.clone());
            request.destination = Some(ContainerPath::parse("/opt/s2i").or_fail("a path"));
        },
    },
    Case {
        name: "files beside the source",
        files: &[("x", "")],
        arguments: &[
            "--inject",
            "/etc/skel:/etc/my",
            "--inject",
            "/etc/skel:conf/deep",
        ],
        request: |request| {
            for text in ["/etc/skel:/etc/my", "/etc/skel:conf/deep"] {
                let injection = Injection::parse(text, true).or_fail("an injection");
                request.injections.push(injection);
            }
        },
    },
];

const BUILDER: &str = "registry.invalid/shop/builder:1";
const TAG: &str = "shop/app:1";

#[test]
fn plans_say_what_the_program_does() {
    for case in CASES {
        let lab = Lab::new("oracle");
        let folder = made(&lab, case.files);
        let theirs = Theirs::ask(&lab, &folder, case.arguments);
        let (plan, snapshot) = ours(&lab, &folder, case.request);
        let (without, scripts) = placed(&plan);
        let run = assemble(&plan);

        let files = files(&snapshot, &without);
        assert_eq!(files, theirs.files("src"), "{}: the source", case.name);
        let of_source: BTreeMap<_, _> = scripts
            .iter()
            // Who places a script makes it executable.
            .map(|(script, path)| (script.name().to_owned(), (true, read(&folder, path).1)))
            .collect();
        assert_eq!(of_source, theirs.files("scripts"), "{}: scripts", case.name);
        assert_eq!(run.argv, [theirs.instruction("RUN /")], "{}", case.name);
        assert_eq!(
            plan.recipe.config.cmd(),
            [theirs.instruction("CMD ")],
            "{}",
            case.name
        );
        assert_eq!(run.user.as_str(), theirs.user(), "{}", case.name);
        assert_eq!(
            variables(run),
            theirs.variables(),
            "{}: environment",
            case.name
        );
        assert_eq!(
            artifacts(&plan),
            theirs.artifacts(),
            "{}: artifacts",
            case.name
        );
        assert_eq!(
            injected(&plan),
            theirs.injected(),
            "{}: injections",
            case.name
        );
        let labels = plan.recipe.config.labels().clone();
        assert_eq!(labels, theirs.labels(), "{}: labels", case.name);
    }
}

/// A folder with a git repository, so that the program finds a commit to write of.
fn made(lab: &Lab, files: &[(&str, &str)]) -> PathBuf {
    for (path, content) in files {
        let (path, mode) = path
            .strip_prefix('*')
            .map_or((*path, 0o644), |path| (path, 0o755));
        let file = lab.write(format!("source/{path}"), content);
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).or_fail("a mode");
    }
    let folder = lab.dir("source");
    let long =
        "A subject that is longer than the eighty characters which a label may have of it, by far";
    for arguments in [
        vec!["init", "--quiet", "--initial-branch=main"],
        vec!["add", "--all"],
        vec![
            "-c",
            "user.name=Ann",
            "-c",
            "user.email=ann@example.com",
            "commit",
            "--quiet",
            "-m",
            long,
        ],
    ] {
        lab.program("git").args(arguments).dir(&folder).ok();
    }
    folder
}

/// What the program made: a Dockerfile and its context.
struct Theirs {
    dockerfile: String,
    upload: PathBuf,
}

impl Theirs {
    fn ask(lab: &Lab, folder: &Path, arguments: &[&str]) -> Self {
        let dockerfile = lab.dir("out").join("Dockerfile");
        lab.program("s2i")
            .arg("build")
            .arg(folder)
            .args([
                BUILDER,
                TAG,
                "--image-scripts-url",
                "image:///usr/libexec/s2i",
                "--as-dockerfile",
            ])
            .arg(&dockerfile)
            .args(arguments)
            .ok();
        let text = std::fs::read_to_string(&dockerfile).or_fail("the Dockerfile");
        Self {
            dockerfile: text.replace(" \\\n", " "),
            upload: lab.path("out/upload"),
        }
    }

    fn files(&self, part: &str) -> BTreeMap<String, (bool, String)> {
        let mut found = BTreeMap::new();
        let root = self.upload.join(part);
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if entry.file_name() == ".git" {
                } else if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(&root).or_fail("a path");
                    found.insert(
                        name.display().to_string(),
                        read(&root, &name.display().to_string()),
                    );
                }
            }
        }
        found
    }

    fn instruction(&self, begin: &str) -> String {
        let line = self.dockerfile.lines().find(|line| line.starts_with(begin));
        let (_, rest) = line
            .or_fail(begin)
            .split_once(' ')
            .or_fail("an instruction");
        rest.to_owned()
    }

    fn user(&self) -> &str {
        let line = self
            .dockerfile
            .lines()
            .rfind(|line| line.starts_with("USER "));
        line.or_fail("USER").trim_start_matches("USER ")
    }

    fn variables(&self) -> BTreeMap<String, String> {
        self.pairs("ENV ")
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.pairs("LABEL ");
        // The classic strategy has these on the image already or not at all.
        labels.remove("io.openshift.s2i.scripts-url");
        labels.remove("io.openshift.s2i.destination");
        labels.remove("io.openshift.s2i.build.source-location");
        labels
    }

    /// The script that saves artifacts, and where they go.
    fn artifacts(&self) -> Option<(String, String)> {
        let words = |begin: &str, after: &str| {
            let line = self
                .dockerfile
                .lines()
                .find(|line| line.starts_with(begin))?;
            let (_, rest) = line.split_once(after)?;
            rest.split([' ', ';']).next().map(str::to_owned)
        };
        words("RUN if [ -s", "then ").zip(words("RUN if [ -s /tmp/artifacts.tar", "mkdir -p "))
    }

    fn injected(&self) -> Vec<String> {
        let lines = self.dockerfile.lines();
        let copied = lines.filter(|line| line.starts_with("COPY upload/injections"));
        copied
            .filter_map(|line| line.split(' ').nth(2).map(str::to_owned))
            .collect()
    }

    /// `"k"="v"` or `k="v"`, one after the other.
    fn pairs(&self, begin: &str) -> BTreeMap<String, String> {
        let Some(line) = self.dockerfile.lines().find(|line| line.starts_with(begin)) else {
            return BTreeMap::new();
        };
        let mut rest = line[begin.len()..].trim();
        let mut pairs = BTreeMap::new();
        while !rest.is_empty() {
            let (key, after) = rest.split_once('=').or_fail("a pair");
            let (value, after) = quoted(after);
            pairs.insert(key.trim_matches('"').to_owned(), value);
            rest = after.trim_start();
        }
        pairs
    }
}

/// A quoted text, and what follows it.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            _ => value.push(letter),
        }
    }
    fail(format!("{text} is not closed"))
}

fn ours(lab: &Lab, folder: &Path, change: fn(&mut Request)) -> (Plan, Snapshot) {
    let limits = SourceLimits::default();
    let snapshot =
        upload::directory(folder, IgnoreMode::Classic, limits, lab.root()).or_fail("a snapshot");
    // Where the program takes the image to start, when it cannot look.
    let config = serde_json::json!({"config": {"User": "1001", "WorkingDir": "/opt/app-root/src"}});
    let builder = Image {
        reference: BUILDER.to_owned(),
        digest: Digest::of(Algorithm::Sha256, b"builder"),
        config: ImageConfig::parse(config.to_string().as_bytes()).or_fail("an image"),
    };
    let output = Output {
        tag: TAG.to_owned(),
        ..Output::default()
    };
    let mut source = snapshot.source();
    let log = |format: &str| {
        let program = lab.program("git").dir(folder);
        let program = program.args(["log", "-1", &format!("--format={format}")]);
        program.ok().trim().to_owned()
    };
    source.commit = Some(Commit {
        id: log("%H"),
        reference: "main".to_owned(),
        author_name: log("%an"),
        author_email: log("%ae"),
        date: log("%ad"),
        message: log("%s"),
    });
    let mut request = Request::new(builder, source, output);
    // The program is told by a flag what a builder image says by its label; labels on an image are its own.
    let mut with_label = config;
    with_label["config"]["Labels"] =
        serde_json::json!({"io.openshift.s2i.scripts-url": "image:///usr/libexec/s2i"});
    request.builder.config =
        ImageConfig::parse(with_label.to_string().as_bytes()).or_fail("an image");
    change(&mut request);
    let planned: Result<(Plan, Vec<Warning>), _> = request.plan();
    let (mut plan, _) = planned.or_fail("a plan");
    plan.recipe.config = without_label(&plan.recipe.config);
    (plan, snapshot)
}

fn without_label(config: &builder::s2i::ExecutionConfig) -> builder::s2i::ExecutionConfig {
    let mut json = serde_json::to_value(config).or_fail("JSON");
    if let Some(labels) = json["Labels"].as_object_mut() {
        labels.remove("io.openshift.s2i.scripts-url");
    }
    serde_json::from_value(json).or_fail("a configuration")
}

/// The source's paths that do not go where the source goes, and the scripts that come out of it.
fn placed(plan: &Plan) -> (Vec<String>, Vec<(Script, String)>) {
    let mut without = Vec::new();
    let mut scripts = Vec::new();
    for step in plan.recipe.stages.iter().flat_map(|stage| &stage.steps) {
        let Step::Place(place) = step else { continue };
        match &place.content {
            Content::Source { without: paths } => without.clone_from(paths),
            Content::Script(Origin::Source(path)) => {
                let script = Script::ALL
                    .into_iter()
                    .find(|s| s.name() == place.at.name());
                scripts.push((script.or_fail("a script"), path.clone()));
            }
            _ => {}
        }
    }
    (without, scripts)
}

fn assemble(plan: &Plan) -> &Run {
    let steps = plan.recipe.stages.iter().flat_map(|stage| &stage.steps);
    let runs = steps.filter_map(|step| match step {
        Step::Run(run) => Some(run),
        _ => None,
    });
    runs.into_iter().next_back().or_fail("a run")
}

fn artifacts(plan: &Plan) -> Option<(String, String)> {
    let [saving, assembling] = &plan.recipe.stages[..] else {
        return None;
    };
    let script = saving.steps.iter().find_map(|step| match step {
        Step::Run(run) => run.argv.first().cloned(),
        _ => None,
    });
    let folder = assembling.steps.iter().find_map(|step| match step {
        Step::Place(place) if place.content == Content::Artifacts => Some(place.at.to_string()),
        _ => None,
    });
    script.zip(folder)
}

fn injected(plan: &Plan) -> Vec<String> {
    let places = plan.recipe.stages.iter().flat_map(|stage| &stage.steps);
    let injected = places.filter_map(|step| match step {
        Step::Place(place) if matches!(place.content, Content::Injection { .. }) => {
            Some(place.at.to_string())
        }
        _ => None,
    });
    injected.collect()
}

fn variables(run: &Run) -> BTreeMap<String, String> {
    let pairs = run.env.iter().filter_map(|entry| entry.split_once('='));
    pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// Files of a snapshot with their executable bit and content.
fn files(snapshot: &Snapshot, without: &[String]) -> BTreeMap<String, (bool, String)> {
    let mut archive = tar::Archive::new(snapshot.open().or_fail("a snapshot"));
    let entries = archive.entries().or_fail("entries").map(|entry| {
        let mut entry = entry.or_fail("an entry");
        let path = entry.path().or_fail("a path").display().to_string();
        let executable = entry.header().mode().or_fail("a mode") & 0o111 != 0;
        let mut content = String::new();
        std::io::Read::read_to_string(&mut entry, &mut content).or_fail("content");
        (path, (executable, content))
    });
    entries
        .filter(|(path, _)| !path.ends_with('/') && !without.contains(path))
        .collect()
}

/// A file with its executable bit.
fn read(root: &Path, path: &str) -> (bool, String) {
    let file = root.join(path);
    let mode = std::fs::metadata(&file).or_fail(path).permissions().mode();
    let content = std::fs::read_to_string(&file).or_fail(path);
    (mode & 0o111 != 0, content)
}
