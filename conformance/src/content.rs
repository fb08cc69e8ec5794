//! Content to push: blobs, and the data sets of the official suite.

use bytes::Bytes;
use oci::{Algorithm, Digest};
use serde_json::{Value, json};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const OCI_LAYER_PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";
const OCI_LAYER_FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Bytes and their digest.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    pub(crate) digest: Digest,
    pub(crate) bytes: Bytes,
}

impl Blob {
    pub(crate) fn of(algorithm: Algorithm, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let digest = Digest::of(algorithm, &bytes);
        Self { digest, bytes }
    }

    /// Bytes that no other blob has.
    pub(crate) fn random(algorithm: Algorithm, size: usize) -> Self {
        let mut bytes = vec![0; size];
        // Without randomness every run uses the same bytes, which only makes mounts more likely.
        let _ = getrandom::fill(&mut bytes);
        Self::of(algorithm, bytes)
    }
}

/// A manifest to push.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    pub(crate) media_type: String,
    pub(crate) blob: Blob,
    pub(crate) subject: Option<Digest>,
    pub(crate) artifact_type: Option<String>,
}

impl Manifest {
    pub(crate) fn of(algorithm: Algorithm, media_type: &str, json: &Value) -> Self {
        let subject = json["subject"]["digest"].as_str();
        let artifact_type = json["artifactType"].as_str().or_else(|| {
            let config = json["config"]["mediaType"].as_str();
            config.filter(|_| media_type == OCI_MANIFEST)
        });
        Self {
            media_type: media_type.to_owned(),
            blob: Blob::of(algorithm, json.to_string()),
            subject: subject.and_then(|digest| digest.parse().ok()),
            artifact_type: artifact_type.map(str::to_owned),
        }
    }
}

/// Blobs and manifests that belong together, in the order in which they are pushed.
#[derive(Debug, Clone)]
pub(crate) struct DataSet {
    pub(crate) name: &'static str,
    pub(crate) blobs: Vec<Blob>,
    pub(crate) manifests: Vec<Manifest>,
}

fn descriptor(media_type: &str, blob: &Blob) -> Value {
    json!({ "mediaType": media_type, "digest": blob.digest.to_string(), "size": blob.bytes.len() })
}

fn platform(manifest: &Manifest, architecture: &str) -> Value {
    let mut value = descriptor(&manifest.media_type, &manifest.blob);
    value["platform"] = json!({ "os": "linux", "architecture": architecture });
    value
}

/// The parts of an image: its blobs and its manifest's JSON.
fn image(algorithm: Algorithm, layer_type: &str) -> (Vec<Blob>, Value) {
    let blobs = [300, 1024, 4096].map(|size| Blob::random(algorithm, size));
    let json = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(OCI_CONFIG, &blobs[0]),
        "layers": [descriptor(layer_type, &blobs[1]), descriptor(layer_type, &blobs[2])],
    });
    (blobs.to_vec(), json)
}

fn index(media_type: &str, manifests: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": manifests })
}

fn one(name: &'static str, blobs: Vec<Blob>, json: &Value, algorithm: Algorithm) -> DataSet {
    let media_type = json["mediaType"].as_str().unwrap_or(OCI_MANIFEST);
    DataSet {
        name,
        blobs,
        manifests: vec![Manifest::of(algorithm, media_type, json)],
    }
}

/// Two images and an index of them.
fn indexed(name: &'static str, algorithm: Algorithm) -> DataSet {
    let mut set = DataSet {
        name,
        blobs: Vec::new(),
        manifests: Vec::new(),
    };
    let mut children = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let (blobs, json) = image(algorithm, OCI_LAYER);
        let manifest = Manifest::of(algorithm, OCI_MANIFEST, &json);
        children.push(platform(&manifest, architecture));
        set.blobs.extend(blobs);
        set.manifests.push(manifest);
    }
    let json = index(OCI_INDEX, &children);
    set.manifests
        .push(Manifest::of(algorithm, OCI_INDEX, &json));
    set
}

fn empty(algorithm: Algorithm) -> Blob {
    Blob::of(algorithm, "{}")
}

fn artifact(layers: &[Blob]) -> Value {
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| descriptor("text/plain", layer))
        .collect();
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.example.artifact",
        "config": descriptor(OCI_EMPTY, &empty(Algorithm::Sha256)),
        "layers": layers,
    })
}

/// The data sets, under the names of the official suite, and Docker's formats besides.
pub(crate) fn sets() -> Vec<DataSet> {
    let sha256 = Algorithm::Sha256;
    let mut sets = vec![
        indexed("index", sha256),
        indexed("sha512", Algorithm::Sha512),
    ];
    sets.extend(images(sha256));
    sets.extend(indexes(sha256));
    sets.extend(artifacts(sha256));
    sets.extend(with_subjects(sha256));
    sets.extend(unusual(sha256));
    sets.push(sparse(sha256));
    sets.extend(docker(sha256));
    sets
}

fn images(algorithm: Algorithm) -> [DataSet; 3] {
    let (blobs, json) = image(algorithm, OCI_LAYER);
    let plain = one("image", blobs, &json, algorithm);
    let (blobs, json) = image(algorithm, OCI_LAYER_PLAIN);
    let uncompressed = one("image-uncompressed", blobs, &json, algorithm);

    let (blobs, mut json) = image(algorithm, OCI_LAYER);
    let long = "x".repeat(10_000);
    json["annotations"] = (0..390)
        .map(|n| (format!("org.example.{n}"), Value::from(long.as_str())))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let large = one("large-manifest", blobs, &json, algorithm);
    [plain, uncompressed, large]
}

fn indexes(algorithm: Algorithm) -> [DataSet; 2] {
    let mut nested = indexed("nested-index", algorithm);
    if let Some(inner) = nested.manifests.last() {
        let json = index(OCI_INDEX, &[descriptor(OCI_INDEX, &inner.blob)]);
        nested
            .manifests
            .push(Manifest::of(algorithm, OCI_INDEX, &json));
    }
    let json = index(OCI_INDEX, &[]);
    let empty = one("empty-index", Vec::new(), &json, algorithm);
    [nested, empty]
}

fn artifacts(algorithm: Algorithm) -> [DataSet; 3] {
    let layer = Blob::random(algorithm, 512);
    let json = artifact(std::slice::from_ref(&layer));
    let usual = one("artifact", vec![empty(algorithm), layer], &json, algorithm);
    let mut json = artifact(&[empty(algorithm)]);
    json["layers"][0]["mediaType"] = OCI_EMPTY.into();
    let blobs = vec![empty(algorithm)];
    let bare = one("artifact-without-layers", blobs, &json, algorithm);
    let list = relabelled("artifact-index", algorithm, OCI_INDEX, |json| {
        json["artifactType"] = "application/vnd.example.list".into();
    });
    [usual, bare, list]
}

/// What is allowed and seldom seen.
fn unusual(algorithm: Algorithm) -> [DataSet; 4] {
    let layer = Blob::random(algorithm, 64);
    let mut json = artifact(std::slice::from_ref(&layer));
    let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &layer.bytes);
    json["layers"][0]["data"] = data.into();
    let data = one(
        "data-field",
        vec![empty(algorithm), layer],
        &json,
        algorithm,
    );

    let (mut blobs, mut json) = image(algorithm, OCI_LAYER);
    let foreign = blobs.remove(2);
    json["layers"][1] = descriptor(OCI_LAYER_FOREIGN, &foreign);
    json["layers"][1]["urls"] = json!(["https://store.example.com/layer"]);
    let elsewhere = one("non-distributable-layers", blobs, &json, algorithm);

    let (blobs, mut json) = image(algorithm, OCI_LAYER);
    json["org.example.custom"] = json!({ "nested": [1, 2, 3] });
    let custom = one("custom-fields", blobs, &json, algorithm);
    let (mut blobs, mut json) = image(algorithm, OCI_LAYER);
    blobs.truncate(1);
    json["layers"] = json!([]);
    let bare = one("no-layers", blobs, &json, algorithm);
    [data, elsewhere, custom, bare]
}

fn docker(algorithm: Algorithm) -> [DataSet; 2] {
    let (blobs, mut json) = image(
        algorithm,
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    );
    json["mediaType"] = DOCKER_MANIFEST.into();
    json["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json".into();
    let schema2 = one("docker-schema2", blobs, &json, algorithm);
    let list = relabelled("docker-list", algorithm, DOCKER_LIST, |json| {
        json["mediaType"] = DOCKER_LIST.into();
    });
    [schema2, list]
}

/// An index of two images whose own manifest is changed.
fn relabelled(
    name: &'static str,
    algorithm: Algorithm,
    media_type: &'static str,
    change: impl FnOnce(&mut Value),
) -> DataSet {
    let mut set = indexed(name, algorithm);
    if let Some(last) = set.manifests.pop() {
        let mut json: Value = serde_json::from_slice(&last.blob.bytes).unwrap_or_default();
        change(&mut json);
        set.manifests
            .push(Manifest::of(algorithm, media_type, &json));
    }
    set
}

/// An image with referrers, an index that is a referrer, and one whose subject nobody has.
fn with_subjects(algorithm: Algorithm) -> Vec<DataSet> {
    let (blobs, json) = image(algorithm, OCI_LAYER);
    let mut set = one("artifacts-with-subject", blobs, &json, algorithm);
    let subject = descriptor(OCI_MANIFEST, &set.manifests[0].blob);
    for kind in [
        "application/vnd.example.signature",
        "application/vnd.example.sbom",
    ] {
        let layer = Blob::random(algorithm, 64);
        let mut json = artifact(std::slice::from_ref(&layer));
        json["artifactType"] = kind.into();
        json["subject"] = subject.clone();
        json["annotations"] = json!({ "org.example.kind": kind });
        set.blobs.extend([empty(algorithm), layer]);
        set.manifests
            .push(Manifest::of(algorithm, OCI_MANIFEST, &json));
    }
    let mut list = indexed("index-with-subject", algorithm);
    if let Some(last) = list.manifests.pop() {
        let mut json: Value = serde_json::from_slice(&last.blob.bytes).unwrap_or_default();
        json["artifactType"] = "application/vnd.example.list".into();
        json["subject"] = descriptor(OCI_MANIFEST, &list.manifests[0].blob);
        list.manifests
            .push(Manifest::of(algorithm, OCI_INDEX, &json));
    }
    let mut json = artifact(&[]);
    json["subject"] = descriptor(OCI_MANIFEST, &Blob::random(algorithm, 100));
    let missing = one("missing-subject", vec![empty(algorithm)], &json, algorithm);
    vec![set, list, missing]
}

/// An image of which a layer was not pushed, and an index of which an image was not.
fn sparse(algorithm: Algorithm) -> DataSet {
    let (mut blobs, json) = image(algorithm, OCI_LAYER);
    blobs.truncate(2);
    let mut set = one("sparse", blobs, &json, algorithm);
    let absent = Manifest::of(algorithm, OCI_MANIFEST, &image(algorithm, OCI_LAYER).1);
    let children = vec![
        platform(&set.manifests[0], "amd64"),
        platform(&absent, "arm64"),
    ];
    let json = index(OCI_INDEX, &children);
    set.manifests
        .push(Manifest::of(algorithm, OCI_INDEX, &json));
    set
}
