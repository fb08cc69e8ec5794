//! Dependencies that come from git.

use tests::application::{Running, replace, sample};
use tests::{Lab, Repository, builder_image};

use crate::built::{Build, cache};
use crate::storage;

/// A private module is fetched from its own server: by git, which the image of Go has.
#[test]
fn go_with_a_private_module() {
    let lab = Lab::new("private");
    let storage = storage(&lab);
    let builder = builder_image::loaded(&lab, &storage, "go");
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
