//! What the images promise beside building.

use std::path::PathBuf;

use serde_json::Value;
use tests::application::{replace, sample};
use tests::podman::Storage;
use tests::{Lab, OrFail, builder_image, server, toolbox};

use crate::built::{Build, cache};
use crate::storage;

/// The languages that `--list` names.
fn languages(lab: &Lab) -> Vec<String> {
    let listed = lab
        .program(&server::binary().display().to_string())
        .args(["builder-image", "create", "--list", "--json"])
        .ok();
    let listed: Vec<Value> = serde_json::from_str(&listed).or_fail("JSON");
    let mut names: Vec<_> = listed
        .iter()
        .map(|release| {
            release["language"]
                .as_str()
                .or_fail("a language")
                .to_owned()
        })
        .collect();
    names.dedup();
    names
}

#[test]
fn labels_say_what_a_catalogue_must_know_and_the_command_says_the_usage() {
    let lab = Lab::new("labels");
    let all = languages(&lab);
    assert_eq!(all, ["go", "java", "nodejs", "python"]);
    for language in all {
        let lab = Lab::new("labels");
        let storage = storage(&lab);
        let image = &builder_image::loaded(&lab, &language);
        let said = storage.podman().args(["image", "inspect", image]).ok();
        let said: Value = serde_json::from_str(&said).or_fail("JSON");
        let config = &said[0]["Config"];
        let label = |name: &str| {
            config["Labels"][name]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        assert_eq!(config["User"], "1001", "{language}");
        assert_eq!(label("dev.slipway.language"), language);
        assert_eq!(label("dev.slipway.cache"), "/opt/app-root/.cache");
        assert_eq!(
            label("io.openshift.s2i.scripts-url"),
            "image:///usr/libexec/s2i"
        );
        assert_eq!(label("io.openshift.s2i.destination"), "/tmp");
        assert_eq!(label("io.openshift.s2i.assemble-user"), "1001");
        assert_eq!(label("io.openshift.expose-services"), "8080:http");
        assert!(
            label("io.openshift.tags").starts_with("builder,"),
            "{language}"
        );
        assert!(!label("io.k8s.description").is_empty(), "{language}");
        let version = label("dev.slipway.version");
        assert!(label("io.k8s.display-name").ends_with(&format!(" {version}")));
        assert!(label("org.opencontainers.image.version").starts_with(&version));
        let usage = storage.run(image).ok();
        assert!(usage.contains("S2I builder image"), "{language}: {usage}");
    }
}

#[test]
fn shellcheck_finds_nothing_in_the_scripts() {
    let lab = Lab::new("shellcheck");
    let images = toolbox::checkout().join("builder/images");
    let mut scripts = vec![images.join("lib.sh"), images.join("save-artifacts")];
    for language in languages(&lab) {
        let folder = images.join(language);
        scripts.extend(["assemble", "run", "usage"].map(|name| folder.join(name)));
    }
    lab.program("shellcheck")
        .args(["--external-sources", "--shell=bash"])
        .args(scripts)
        .ok();
}

#[test]
fn what_cannot_be_made_is_refused_before_work_begins() {
    let lab = Lab::new("refused");
    let slipway = |arguments: &[&str]| {
        lab.program(&server::binary().display().to_string())
            .args(["builder-image", "create"])
            .args(arguments)
    };
    for (arguments, why) in [
        (
            &["cobol", "--output", "oci:x"][..],
            "go, java, nodejs, python",
        ),
        (
            &["python", "--version", "2.7", "--output", "oci:x"],
            "3.11 (bookworm)",
        ),
        (
            &["python", "--suite", "sarge", "--output", "oci:x"],
            "3.11 (bookworm)",
        ),
        (&["python"], "--output"),
        (&["python", "--package=-y", "--output", "oci:x"], "package"),
        (
            &["python", "--mirror", "nowhere", "--output", "oci:x"],
            "mirror",
        ),
        (&[], "LANGUAGE"),
    ] {
        let said = slipway(arguments).fails();
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
    let said = slipway(&["python", "--output", "oci:x"])
        .env("PATH", lab.dir("nothing"))
        .fails();
    assert!(said.contains("mmdebstrap"), "{said}");
    let said = slipway(&[
        "python",
        "--mirror",
        "http://127.0.0.1:9/debian",
        "--output",
        "oci:x",
    ]);
    let said = said.fails();
    assert!(said.contains("Debian could not be installed"), "{said}");
    assert!(!lab.path("x").exists(), "a failure leaves nothing behind");
}

#[test]
fn an_incremental_build_begins_with_the_downloads_that_were_kept() {
    let lab = Lab::new("incremental");
    let storage = storage(&lab);
    let builder = builder_image::loaded(&lab, "go");
    let source = sample(&lab, "go");
    std::fs::create_dir_all(source.join(".s2i")).or_fail("make .s2i");
    std::fs::write(source.join(".s2i/environment"), "S2I_KEEP_CACHE=true\n").or_fail("write");
    let mut build = Build {
        lab: &lab,
        storage: &storage,
        builder,
        source,
        cache: None,
        variables: &[],
        is_incremental: false,
    };
    build.run("localhost/app");
    build.is_incremental = true;
    // Nothing can be downloaded any more.
    build.variables = &[("GOPROXY", "off")];
    build.run("localhost/app");
}

/// What package managers run of the source when they install, they run each time.
#[test]
fn what_a_script_of_the_source_installs_is_not_that_of_the_build_before() {
    let lab = Lab::new("hooks");
    let storage = storage(&lab);
    let builder = builder_image::loaded(&lab, "nodejs");
    let source = sample(&lab, "nodejs");
    replace(
        &source.join("package.json"),
        "\"start\":",
        "\"postinstall\": \"cp says.txt node_modules/express/\", \"start\":",
    );
    lab.write("source/says.txt", "first");
    let build = Build {
        lab: &lab,
        storage: &storage,
        builder,
        source,
        cache: Some(cache(&lab)),
        variables: &[],
        is_incremental: false,
    };
    let first = build.run("localhost/app:first");
    assert_eq!(first, build.run("localhost/app:again"));
    lab.write("source/says.txt", "second");
    build.run("localhost/app:second");
    let program = "cat src/says.txt src/node_modules/express/says.txt";
    let command = ["sh", "-c", &format!("cd /opt/app-root && {program}")];
    let said = storage.run("localhost/app:second").args(command).ok();
    assert_eq!(said, "secondsecond");
}

/// A script that fails as one does whose compiler is not there, of each package manager.
#[test]
fn what_a_compiler_may_lack_for_is_said_with_the_way_to_one() {
    for folder in [
        "nodejs",
        "nodejs-pnpm",
        "nodejs-yarn",
        "nodejs-yarn-classic",
    ] {
        let lab = Lab::new("compiler");
        let storage = storage(&lab);
        let source = sample(&lab, folder);
        let package = source.join("package.json");
        let said = std::fs::read(&package).or_fail("read package.json");
        let mut said: Value = serde_json::from_slice(&said).or_fail("JSON");
        said["scripts"]["postinstall"] = "exit 1".into();
        std::fs::write(&package, said.to_string()).or_fail("write package.json");
        let said = refused(&lab, &storage, "nodejs", source, &[]);
        let way = "slipway builder-image create nodejs --package gcc";
        assert!(said.contains(way), "{folder}: {said}");
    }
}

/// Said of a package that is not built and of no other failure.
#[test]
fn what_a_compiler_may_lack_for_in_python_is_no_package_that_is_not_had() {
    let lab = Lab::new("compiler");
    let storage = storage(&lab);
    let source = sample(&lab, "python");
    let requirements = source.join("requirements.txt");
    let way = "slipway builder-image create python --package gcc";
    let refused = |names: &str| {
        std::fs::write(&requirements, names).or_fail("write requirements.txt");
        refused(
            &lab,
            &storage,
            "python",
            source.clone(),
            &[("PIP_NO_INDEX", "1")],
        )
    };
    let said = refused("nowhere-to-be-found==1\n");
    assert!(said.contains("nowhere-to-be-found"), "{said}");
    assert!(!said.contains(way), "{said}");

    // One that has no wheel, built by itself.
    let project =
        "[build-system]\nrequires = []\nbuild-backend = \"own\"\nbackend-path = [\".\"]\n";
    lab.write("source/native/pyproject.toml", project);
    let metadata = "def prepare_metadata_for_build_wheel(to, settings=None):\n    import os\n    os.mkdir(to + '/n-1.dist-info')\n    \
                    open(to + '/n-1.dist-info/METADATA', 'w').write('Metadata-Version: 2.1\\nName: n\\nVersion: 1\\n')\n    return 'n-1.dist-info'\n";
    for step in [
        "get_requires_for_build_wheel",
        "prepare_metadata_for_build_wheel",
        "build_wheel",
    ] {
        let raises =
            format!("def {step}(*_, **__):\n    raise SystemExit('no compiler in {step}')\n");
        lab.write("source/native/own.py", format!("{metadata}{raises}"));
        let said = refused("./native\n");
        assert!(said.contains(&format!("no compiler in {step}")), "{said}");
        assert!(said.contains(way), "{step}: {said}");
    }
}

/// The hash after the version is that of corepack, which writes it.
#[test]
fn a_package_manager_is_held_to_its_hash() {
    for folder in ["nodejs-pnpm", "nodejs-yarn", "nodejs-yarn-classic"] {
        let lab = Lab::new("hash");
        let storage = storage(&lab);
        let source = sample(&lab, folder);
        replace(&source.join("package.json"), "+sha512.", "+sha512.0");
        let said = refused(&lab, &storage, "nodejs", source, &[]);
        let why = "is not what packageManager in package.json names";
        assert!(said.contains(why), "{folder}: {said}");
    }
}

/// What is said of a source that is not built.
fn refused(
    lab: &Lab,
    storage: &Storage<'_>,
    language: &str,
    source: PathBuf,
    variables: &[(&str, &str)],
) -> String {
    let build = Build {
        lab,
        storage,
        builder: builder_image::loaded(lab, language),
        source,
        cache: None,
        variables,
        is_incremental: false,
    };
    build.refused()
}
