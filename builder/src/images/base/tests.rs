use std::io::Write as _;

use oci::{Algorithm, Descriptor, Digest, Manifest, MediaType, RepoName, Tag};
use serde_json::{Value, json};

use super::{BaseImage, ReadError};
use crate::images::{ImageName, Images, Layouts, Platform};
use crate::records::Actor;
use crate::s2i::ImageConfig;

fn actor() -> Actor {
    Actor {
        name: "ann".to_owned(),
        proof: Value::Null,
    }
}

fn own() -> Value {
    let platform = Platform::of_this_machine().to_string();
    let (os, architecture) = platform.split_once('/').unwrap();
    json!({"os": os, "architecture": architecture})
}

struct Lab {
    images: Layouts,
    repo: RepoName,
    _folder: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            images: Layouts::new(folder.path()),
            repo: RepoName::parse("shop/builder").unwrap(),
            _folder: folder,
        }
    }

    async fn blob(&self, media_type: MediaType, content: &[u8]) -> Descriptor {
        let digest = Digest::of(Algorithm::Sha256, content);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        self.images
            .put_blob(&actor(), &self.repo, &digest, file)
            .await
            .unwrap();
        Descriptor::new(media_type, digest, content.len() as u64)
    }

    async fn manifest(&self, body: Value, tag: &str) -> Manifest {
        let body = body.to_string().into_bytes();
        let manifest = Manifest::parse(body.into(), None, Algorithm::Sha256).unwrap();
        let tags = [Tag::parse(tag).unwrap()];
        self.images
            .put_manifest(&actor(), &self.repo, &manifest, &tags)
            .await
            .unwrap();
        manifest
    }

    /// An image with one layer, whose configuration and layer are changed.
    async fn image(
        &self,
        tag: &str,
        config: impl FnOnce(&mut Value),
        layer: impl FnOnce(&mut Value),
    ) -> Manifest {
        let content = self.blob(MediaType::OCI_LAYER, b"a tar").await;
        let mut of = own();
        of["rootfs"] = json!({"type": "layers", "diff_ids": [content.digest]});
        config(&mut of);
        let of = self
            .blob(MediaType::OCI_CONFIG, of.to_string().as_bytes())
            .await;
        let mut described = json!(content);
        layer(&mut described);
        let body = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "config": of,
            "layers": [described],
        });
        self.manifest(body, tag).await
    }

    async fn read(&self, name: &str) -> Result<BaseImage, ReadError> {
        let name = ImageName::parse(name, &[]).unwrap();
        BaseImage::resolve(&self.images, &actor(), &name, &Platform::of_this_machine()).await
    }
}

#[tokio::test]
async fn an_index_leads_to_the_image_for_this_machine() {
    let lab = Lab::new();
    let plain = lab.image("plain", |_| (), |_| ()).await;
    let newer = lab
        .image("newer", |config| config["x"] = json!(1), |_| ())
        .await;
    let other = lab
        .image(
            "other",
            |config| config["architecture"] = json!("pdp11"),
            |_| (),
        )
        .await;
    let mut with_variant = own();
    with_variant["variant"] = json!("v9");
    let entry = |manifest: &Manifest, platform: Value| {
        let mut entry = manifest.descriptor();
        entry.platform = Some(platform);
        entry.artifact_type = None;
        entry
    };
    let index = |manifests: Value| json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": manifests});
    let inner = index(json!([
        entry(&other, json!({"os": "linux", "architecture": "pdp11"})),
        entry(&newer, with_variant),
        entry(&plain, own()),
        entry(&other, json!({"os": "unknown", "architecture": "unknown"})),
    ]));
    let inner = lab.manifest(inner, "inner").await;
    lab.manifest(index(json!([entry(&inner, own())])), "v1")
        .await;
    let image = lab.read("shop/builder:v1").await.unwrap();
    assert_eq!(image.digest(), plain.digest());
    assert_eq!(image.plan_image("shop/builder:v1").digest, plain.digest());
    let image = lab
        .read(&format!("shop/builder:v1@{}", newer.digest()))
        .await
        .unwrap();
    assert_eq!(
        image.digest(),
        newer.digest(),
        "a digest comes before a tag"
    );

    lab.manifest(
        index(json!([entry(
            &other,
            json!({"os": "linux", "architecture": "pdp11"})
        )])),
        "v2",
    )
    .await;
    let error = lab.read("shop/builder:v2").await.unwrap_err().to_string();
    assert!(
        error.starts_with("shop/builder:v2 has no image for linux/"),
        "{error}"
    );
    let error = lab
        .read("shop/builder:other")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("is for linux/pdp11, and this machine is linux/"),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_damaged_or_foreign_is_refused_in_words() {
    let lab = Lab::new();
    let nothing = |_: &mut Value| ();
    lab.image(
        "two",
        |config| config["rootfs"]["diff_ids"] = json!([]),
        nothing,
    )
    .await;
    lab.image("none", |config| config["rootfs"] = Value::Null, nothing)
        .await;
    let foreign =
        |layer: &mut Value| layer["mediaType"] = json!(MediaType::DOCKER_LAYER_FOREIGN_GZIP);
    lab.image("foreign", nothing, foreign).await;
    lab.image("elsewhere", nothing, |layer| {
        layer["urls"] = json!(["https://example.com/x"]);
    })
    .await;
    lab.image("unknown", nothing, |layer| {
        layer["mediaType"] = json!("application/x-own");
    })
    .await;
    let config = lab
        .blob(
            MediaType::parse("application/vnd.oci.empty.v1+json").unwrap(),
            b"{}",
        )
        .await;
    let artifact = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "artifactType": "application/x-own",
        "config": config,
        "layers": [],
    });
    lab.manifest(artifact, "artifact").await;
    for (tag, why) in [
        (
            "two",
            "is damaged: it has 1 layers, and its configuration names 0",
        ),
        ("none", "is damaged: its configuration's rootfs"),
        ("foreign", "has a foreign layer"),
        ("elsewhere", "has a foreign layer"),
        (
            "unknown",
            "has a layer of type application/x-own, which is not known",
        ),
        ("artifact", "is no container image"),
    ] {
        let error = lab.read(&format!("shop/builder:{tag}")).await.unwrap_err();
        assert!(matches!(error, ReadError::Unusable(_)), "{error:?}");
        assert!(
            error
                .to_string()
                .starts_with(&format!("shop/builder:{tag} {why}")),
            "{error}"
        );
    }
    let error = lab.read("shop/builder:nothing").await.unwrap_err();
    assert!(matches!(error, ReadError::Missing(_)), "{error:?}");
}

/// Engines are written in Go, which takes a key in other letters for the known one, and the last of them wins.
#[tokio::test]
async fn a_configuration_that_engines_would_read_differently_is_refused() {
    let lab = Lab::new();
    for (at, key, known) in [
        ("config", "user", "User"),
        ("config", "USER", "User"),
        ("config", "u\u{17f}er", "User"),
        ("config", "onbuild", "OnBuild"),
        ("config", "exposedPorts", "ExposedPorts"),
        ("config", "wor\u{212a}ingDir", "WorkingDir"),
        ("config", "of-it", "Of-It"),
        ("the configuration", "Config", "config"),
        ("the configuration", "rootf\u{17f}", "rootfs"),
        ("the configuration", "of-it", "Of-It"),
    ] {
        let add = |config: &mut Value| {
            config["config"] = json!({"User": "1001"});
            let object = if at == "config" {
                &mut config["config"]
            } else {
                config
            };
            object["Of-It"] = json!(null);
            object[key] = json!(null);
        };
        lab.image("v1", add, |_| ()).await;
        let error = lab.read("shop/builder:v1").await.unwrap_err();
        assert!(matches!(error, ReadError::Unusable(_)), "{error:?}");
        let wanted = format!(
            "is damaged: not an image configuration: {at} has {key:?}, which container engines take for {known:?}"
        );
        assert!(error.to_string().contains(&wanted), "{error}");
    }
    for twice in [
        r#"{"config":{"User":"1001","User":"0"}}"#,
        r#"{"config":{"User":"1001"},"config":{"User":"0"}}"#,
    ] {
        let error = ImageConfig::parse(twice.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("duplicate field"), "{error}");
    }
    // Labels are told apart by their letters, and what is known to nobody is kept.
    let labels = json!({"a": "1", "A": "2"});
    let config = json!({"User": "1001", "Labels": labels, "Of-It": 1, "StopSignal": "SIGTERM"});
    let add = |of: &mut Value| {
        of["config"] = config;
        of["created"] = json!("1970-01-01T00:00:00Z");
        of["moby.buildkit.cache.v0"] = json!("");
    };
    lab.image("v2", add, |_| ()).await;
    lab.read("shop/builder:v2").await.unwrap();
}

#[tokio::test]
async fn a_configuration_is_read_within_bounds() {
    let lab = Lab::new();
    let pad = "x".repeat(usize::try_from(BaseImage::MAX_CONFIG).unwrap());
    lab.image("large", |config| config["pad"] = json!(pad), |_| ())
        .await;
    let error = lab.read("shop/builder:large").await.unwrap_err();
    assert!(
        error.to_string().contains("is over 8388608 bytes"),
        "{error}"
    );

    let manifest = lab.image("v1", |_| (), |_| ()).await;
    let config = manifest.config().unwrap().digest;
    let blob = lab
        .images
        .folder(&lab.repo)
        .join("blobs/sha256")
        .join(config.hex());
    let mut content = std::fs::read(&blob).unwrap();
    content[0] = b' ';
    std::fs::write(blob, content).unwrap();
    let error = lab.read("shop/builder:v1").await.unwrap_err();
    assert!(
        error.to_string().contains("its digest is another"),
        "{error}"
    );
}
