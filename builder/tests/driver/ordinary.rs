//! The driver of a server that an ordinary user has started, as root of a user namespace of the user's.

use builder::driver::runc::{Runc, Settings};
use builder::images::Layouts;
use builder::plan::Cache;
use builder::s2i::ContainerPath;
use builder::sandbox;

use super::image::{Tar, listing};
use super::lab::Lab;

/// Starts the next test as a user that has been given ids.
#[test]
fn an_ordinary_users_server_runs_builds() {
    tests::toolbox::needs_sandbox();
    let through = "unshare --user --map-auto --map-root-user --mount --";
    let through: Vec<_> = through.split(' ').collect();
    tests::machine::again_as_ordinary_user("ordinary::inside", &through);
}

/// Not a test of its own: what the test above starts as another user.
#[tokio::test]
#[ignore = "started by an_ordinary_users_server_runs_builds"]
async fn inside() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = sandbox::Settings::nested(folder.path().join("sandbox")).unwrap();
    let (driver, _) = Runc::open(Settings::new(folder.path().join("driver"), sandbox))
        .await
        .unwrap();
    let images = Layouts::new(folder.path().join("images"));
    let lab = Lab::of(driver, images, folder, "none".to_owned());

    let assemble = "id -u; cat /run/secrets/token/file > /dev/null; echo x >> .cache/x; cat /tmp/src/app.txt > result; \
         rm /tmp/of-image; wc -l < .cache/x";
    let layer = Tar::new()
        .file("tmp/of-image", 0o644, 1001, "goes")
        .folder("tmp/src", 0o755, 0)
        .folder("tmp/src/old", 0o755, 0)
        .file("tmp/src/old/file", 0o644, 0, "goes")
        .bytes();
    let image = lab
        .builder(
            "shop/builder:1",
            &[("assemble", assemble), ("run", "true")],
            &[layer],
        )
        .await;
    let mut digests = Vec::new();
    for number in 1..=2 {
        let mut asked = Lab::asked(&image, &lab.source(&[("app.txt", "hello")]));
        asked.request.clean = true;
        asked.request.caches = vec![Cache {
            id: "main".to_owned(),
            from: None,
            at: ContainerPath::parse("/opt/app/.cache").unwrap(),
        }];
        asked.secret("token", "file", b"very-secret-token");
        asked.test = Some(["cat", "/opt/app/result"].map(str::to_owned).to_vec());
        let mut ran = lab.run(asked).await;
        let found = listing(ran.built());
        assert_eq!(
            found["opt/app/result"],
            ("-644 1001:0".to_owned(), "hello".to_owned())
        );
        let names: Vec<_> = found.keys().map(String::as_str).collect();
        let wanted = [
            "opt/",
            "opt/app/",
            "opt/app/result",
            "tmp/",
            "tmp/.wh.of-image",
            "tmp/.wh.src",
        ];
        assert_eq!(names, wanted);
        assert_eq!(ran.text(), format!("1001\n{number}\nhello"));
        digests.push(ran.built().layer.as_ref().unwrap().0.digest);
    }
    assert_eq!(digests[0], digests[1]);

    let mut asked = Lab::asked(&image, &lab.source(&[("app.txt", "hello")]));
    asked.request.limits.memory_bytes = Some(1 << 30);
    let ran = lab.run(asked).await;
    assert_eq!(
        ran.failure().reason.as_str(),
        "SandboxUnavailable",
        "{:?}",
        ran.failure()
    );
}
