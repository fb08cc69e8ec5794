//! Dependencies that come from git.

use tests::application::{Running, replace, sample};
use tests::{Lab, OrFail, Repository, builder_image};

use crate::built::{Build, cache};
use crate::storage;

/// A private module is fetched from its own server: by git, which the image of Go has.
#[test]
fn go_with_a_private_module() {
    let lab = Lab::new("private");
    let storage = storage(&lab);
    let builder = builder_image::loaded(&lab, "go");
    lab.write(
        "greet/go.mod",
        "module git.example.com/team/greet.git\n\ngo 1.22\n",
    );
    lab.write(
        "greet/greet.go",
        "package greet\n\nfunc From() string { return \"a private module\" }\n",
    );
    let module = Repository::serve(&lab, lab.path("greet"));
    let version = module.version();
    let source = sample(&lab, "go");
    replace(
        &source.join("go.mod"),
        "require",
        &format!("require git.example.com/team/greet.git {version}\n\nrequire"),
    );
    let main = source.join("main.go");
    replace(&main, "from Go.\",", "from Go with %s.\",");
    replace(&main, "Get(\"name\")", "Get(\"name\"), greet.From()");
    replace(
        &main,
        "import (",
        "import (\n\t\"git.example.com/team/greet.git\"",
    );
    let instead = format!("url.{}.insteadOf", module.url);
    let build = Build {
        lab: &lab,
        storage: &storage,
        builder,
        source,
        cache: Some(cache(&lab)),
        variables: &[
            ("GOPRIVATE", "git.example.com"),
            ("GOFLAGS", "-mod=mod"),
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", &instead),
            ("GIT_CONFIG_VALUE_0", "https://git.example.com/team/greet"),
        ],
        is_incremental: false,
    };
    build.run("localhost/app");
    let command = ["/usr/libexec/s2i/run"];
    let app = Running::start_with(&lab, &storage, "localhost/app", &command);
    let said = app.get("/?name=Ada");
    assert_eq!(said, "Hello, Ada, from Go with a private module.");
    app.stop();
}

/// A package of git and one of an index, which has a hash.
#[test]
fn python_with_a_package_of_git_in_the_lock_of_uv() {
    let lab = Lab::new("git");
    let storage = storage(&lab);
    let source = sample(&lab, "python-uv-workspace");
    let member = lab.path("greet");
    std::fs::rename(source.join("packages/greet"), &member).or_fail("take the member out");
    let package = Repository::serve(&lab, member);
    let at = format!(
        "{}?rev={commit}#{commit}",
        package.url,
        commit = package.head()
    );
    let lock = source.join("uv.lock");
    let from = "source = { editable = \"packages/greet\" }";
    replace(&lock, from, &format!("source = {{ git = \"{at}\" }}"));
    replace(&lock, "    \"greet\",\n", "");
    replace(
        &lock,
        "{ name = \"greet\", editable = \"packages/greet\" }",
        &format!(
            "{{ name = \"greet\", git = \"{}?rev={}\" }}",
            package.url,
            package.head()
        ),
    );
    replace(
        &source.join("apps/web/pyproject.toml"),
        "{ workspace = true }",
        &format!(
            "{{ git = \"{}\", rev = \"{}\" }}",
            package.url,
            package.head()
        ),
    );
    replace(&source.join("pyproject.toml"), ", \"packages/*\"", "");
    let mut build = Build {
        lab: &lab,
        storage: &storage,
        builder: builder_image::loaded(&lab, "python"),
        source,
        cache: Some(cache(&lab)),
        variables: &[],
        is_incremental: false,
    };
    let said = build.refused();
    let mends = "slipway builder-image create LANGUAGE --package git";
    assert!(said.contains(mends), "what would help is said: {said}");

    build.builder = builder_image::loaded_with(&lab, "python", &["git"]);
    let first = build.run("localhost/app:first");
    assert_eq!(first, build.run("localhost/app:again"), "a full cache");
    let command = ["/usr/libexec/s2i/run"];
    let app = Running::start_with(&lab, &storage, "localhost/app:again", &command);
    assert_eq!(app.get("/?name=Ada"), "Hello, Ada, from a workspace of uv.");
    app.stop();
}
