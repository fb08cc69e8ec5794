//! The registry against a model of it: random acts on few repositories, tags, blobs, images and uploads, so
//! that they meet often; every answer must be the model's, and in the end all that is served must be too.
//! A failing run is shrunk to the shortest list of acts that fails.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use reqwest::Method;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, RANGE};
use serde_json::{Value, json};
use tests::api::{MANIFEST, Reply, digest_of};
use tests::{Api, Lab, OrFail, Server, Settings};

const REPOSITORIES: usize = 3;
const BLOBS: usize = 4;
const IMAGES: usize = 6;
const TAGS: usize = 3;

/// One act of a client. Numbers are places in the small worlds above.
#[derive(Clone, Debug)]
enum Act {
    PushBlob(usize, usize),
    MountBlob {
        from: usize,
        to: usize,
        blob: usize,
    },
    DeleteBlob(usize, usize),
    PushImage {
        repository: usize,
        image: usize,
        tag: Option<usize>,
    },
    DeleteImage(usize, usize),
    DeleteTag(usize, usize),
    OpenUpload(usize, usize),
    SendChunk(usize),
    SendChunkOutOfOrder(usize),
    FinishUpload(usize),
    CancelUpload(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let (repository, blob, image, tag) = (0..REPOSITORIES, 0..BLOBS, 0..IMAGES, 0..TAGS);
    let on = |what: std::ops::Range<usize>| (repository.clone(), what);
    prop_oneof![
        6 => on(blob.clone()).prop_map(|(r, b)| Act::PushBlob(r, b)),
        2 => (repository.clone(), repository.clone(), blob.clone())
            .prop_map(|(from, to, blob)| Act::MountBlob { from, to, blob }),
        2 => on(blob.clone()).prop_map(|(r, b)| Act::DeleteBlob(r, b)),
        6 => (repository.clone(), image.clone(), proptest::option::of(tag.clone()))
            .prop_map(|(repository, image, tag)| Act::PushImage { repository, image, tag }),
        2 => on(image).prop_map(|(r, i)| Act::DeleteImage(r, i)),
        2 => on(tag).prop_map(|(r, t)| Act::DeleteTag(r, t)),
        2 => on(blob).prop_map(|(r, b)| Act::OpenUpload(r, b)),
        4 => (0..8usize).prop_map(Act::SendChunk),
        1 => (0..8usize).prop_map(Act::SendChunkOutOfOrder),
        3 => (0..8usize).prop_map(Act::FinishUpload),
        1 => (0..8usize).prop_map(Act::CancelUpload),
    ]
}

/// What a repository should hold.
#[derive(Debug, Default)]
struct Repository {
    blobs: BTreeSet<usize>,
    images: BTreeSet<usize>,
    tags: BTreeMap<usize, usize>,
}

#[derive(Debug)]
struct Upload {
    repository: usize,
    blob: usize,
    location: String,
    sent: usize,
}

/// The model with the registry that it is held against.
struct World<'a> {
    api: &'a Api,
    /// A name that no other case has used: each begins with nothing.
    prefix: String,
    /// Images are to be refused whose blobs are not there.
    complete: bool,
    repositories: Vec<Repository>,
    uploads: Vec<Upload>,
}

fn blob(number: usize) -> Vec<u8> {
    format!("blob {number} ")
        .repeat(200 * (number + 1))
        .into_bytes()
}

/// The blobs that an image needs: its config and its layer.
fn needs(image: usize) -> [usize; 2] {
    [image % BLOBS, (image + 1) % BLOBS]
}

/// Images from the second on have the image before them as their subject.
fn subject(image: usize) -> Option<usize> {
    (image % 2 == 1).then(|| image - 1)
}

fn manifest(image: usize) -> Vec<u8> {
    let describe = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": digest_of(bytes), "size": bytes.len()});
    let [config, layer] = needs(image).map(blob);
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": describe("application/vnd.oci.image.config.v1+json", &config),
        "layers": [describe("application/vnd.oci.image.layer.v1.tar", &layer)],
        "annotations": {"number": image.to_string()},
    });
    if let Some(subject) = subject(image) {
        manifest["subject"] = describe(MANIFEST, &self::manifest(subject));
    }
    manifest.to_string().into_bytes()
}

type Check = Result<(), TestCaseError>;

impl World<'_> {
    fn name(&self, repository: usize) -> String {
        format!("{}/r{repository}", self.prefix)
    }

    fn send(&self, method: Method, path: &str) -> Reply {
        self.api
            .send(self.api.request(method, path))
            .or_fail("an answer")
    }

    fn act(&mut self, act: &Act) -> Check {
        match *act {
            Act::PushBlob(repository, number) => {
                let reply = self
                    .api
                    .push_blob(&self.name(repository), &blob(number))
                    .or_fail("an answer");
                self.repositories[repository].blobs.insert(number);
                status(&reply, 201)
            }
            Act::MountBlob {
                from,
                to,
                blob: number,
            } => self.mount(from, to, number),
            Act::DeleteBlob(repository, number) => self.delete_blob(repository, number),
            Act::PushImage {
                repository,
                image,
                tag,
            } => self.push_image(repository, image, tag),
            Act::DeleteImage(repository, image) => {
                let path = format!(
                    "/v2/{}/manifests/{}",
                    self.name(repository),
                    digest_of(&manifest(image))
                );
                let reply = self.send(Method::DELETE, &path);
                let held = &mut self.repositories[repository];
                held.tags.retain(|_, named| *named != image);
                status(&reply, if held.images.remove(&image) { 202 } else { 404 })
            }
            Act::DeleteTag(repository, tag) => {
                let reply = self.send(
                    Method::DELETE,
                    &format!("/v2/{}/manifests/t{tag}", self.name(repository)),
                );
                let had = self.repositories[repository].tags.remove(&tag).is_some();
                status(&reply, if had { 202 } else { 404 })
            }
            Act::OpenUpload(repository, number) => {
                let opened = self
                    .api
                    .open_upload(&self.name(repository))
                    .or_fail("an answer");
                let location = opened
                    .map_err(|reply| TestCaseError::fail(reply.text()))?
                    .to_string();
                self.uploads.push(Upload {
                    repository,
                    blob: number,
                    location,
                    sent: 0,
                });
                Ok(())
            }
            Act::SendChunk(at) => self.chunk(at, true),
            Act::SendChunkOutOfOrder(at) => self.chunk(at, false),
            Act::FinishUpload(at) => self.finish(at),
            Act::CancelUpload(at) => {
                let Some(at) = self.upload(at) else {
                    return Ok(());
                };
                let upload = self.uploads.remove(at);
                status(&self.send(Method::DELETE, &upload.location), 204)?;
                status(&self.send(Method::GET, &upload.location), 404)
            }
        }
    }

    fn mount(&mut self, from: usize, to: usize, number: usize) -> Check {
        let digest = digest_of(&blob(number));
        let path = format!(
            "/v2/{}/blobs/uploads/?mount={digest}&from={}",
            self.name(to),
            self.name(from)
        );
        let reply = self.send(Method::POST, &path);
        let there = [from, to]
            .iter()
            .any(|&repository| self.repositories[repository].blobs.contains(&number));
        if self.repositories[from].blobs.contains(&number) {
            self.repositories[to].blobs.insert(number);
            return status(&reply, 201);
        }
        // The target may hold it already, and may say so; otherwise an upload was opened.
        match reply.status.as_u16() {
            201 if there => Ok(()),
            202 => Ok(()),
            other => Err(TestCaseError::fail(format!(
                "mount of what is not there: {other}"
            ))),
        }
    }

    fn delete_blob(&mut self, repository: usize, number: usize) -> Check {
        let path = format!(
            "/v2/{}/blobs/{}",
            self.name(repository),
            digest_of(&blob(number))
        );
        let reply = self.send(Method::DELETE, &path);
        let held = &mut self.repositories[repository];
        if !held.blobs.contains(&number) {
            return status(&reply, 404);
        }
        if held
            .images
            .iter()
            .any(|image| needs(*image).contains(&number))
        {
            prop_assert!(
                reply.status.is_client_error(),
                "a blob in use: {}",
                reply.status
            );
            return Ok(());
        }
        held.blobs.remove(&number);
        status(&reply, 202)
    }

    fn push_image(&mut self, repository: usize, image: usize, tag: Option<usize>) -> Check {
        let bytes = manifest(image);
        let reference = tag.map_or_else(|| digest_of(&bytes), |tag| format!("t{tag}"));
        let reply = self
            .api
            .push_manifest(&self.name(repository), &reference, &bytes)
            .or_fail("an answer");
        let held = &mut self.repositories[repository];
        let whole = needs(image)
            .iter()
            .all(|number| held.blobs.contains(number));
        prop_assert!(
            whole || !self.complete || reply.status != 201,
            "an image was taken without its blobs"
        );
        // A registry may take an image before its blobs (distribution-spec, "Pushing Manifests"), or refuse it
        // by name and change nothing.
        if !whole && reply.status != 201 {
            prop_assert!(
                reply.status.is_client_error(),
                "blobs are missing: {}",
                reply.status
            );
            prop_assert!(
                reply.text().contains("MANIFEST_BLOB_UNKNOWN"),
                "{}",
                reply.text()
            );
            return Ok(());
        }
        held.images.insert(image);
        if let Some(tag) = tag {
            held.tags.insert(tag, image);
        }
        status(&reply, 201)?;
        let expected = subject(image)
            .map(|subject| digest_of(&manifest(subject)))
            .unwrap_or_default();
        prop_assert_eq!(reply.header("oci-subject"), expected);
        Ok(())
    }

    fn upload(&self, at: usize) -> Option<usize> {
        (!self.uploads.is_empty()).then(|| at % self.uploads.len())
    }

    fn chunk(&mut self, at: usize, in_order: bool) -> Check {
        let Some(at) = self.upload(at) else {
            return Ok(());
        };
        let upload = &self.uploads[at];
        let content = blob(upload.blob);
        let chunk = &content[upload.sent..(upload.sent + 700).min(content.len())];
        if chunk.is_empty() {
            return Ok(());
        }
        let start = if in_order {
            upload.sent
        } else {
            upload.sent + 7
        };
        let request = self
            .api
            .request(Method::PATCH, &upload.location)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(
                CONTENT_RANGE,
                format!("{start}-{}", start + chunk.len() - 1),
            )
            .body(chunk.to_vec());
        let reply = self.api.send(request).or_fail("an answer");
        if !in_order {
            return status(&reply, 416);
        }
        let sent = upload.sent + chunk.len();
        let base = reqwest::Url::parse(&upload.location).or_fail("a URL");
        self.uploads[at].location = base
            .join(reply.header("location"))
            .or_fail("a Location")
            .to_string();
        self.uploads[at].sent = sent;
        prop_assert_eq!(reply.header(RANGE.as_str()), format!("0-{}", sent - 1));
        status(&reply, 202)
    }

    fn finish(&mut self, at: usize) -> Check {
        let Some(at) = self.upload(at) else {
            return Ok(());
        };
        let upload = self.uploads.remove(at);
        let content = blob(upload.blob);
        let mut location = reqwest::Url::parse(&upload.location).or_fail("a URL");
        location
            .query_pairs_mut()
            .append_pair("digest", &digest_of(&content));
        let request = self
            .api
            .request(Method::PUT, location.as_str())
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(content[upload.sent..].to_vec());
        self.repositories[upload.repository]
            .blobs
            .insert(upload.blob);
        status(&self.api.send(request).or_fail("an answer"), 201)
    }

    /// Everything that the registry serves is what the model holds, no more and no less.
    fn agrees(&self) -> Check {
        for (repository, held) in self.repositories.iter().enumerate() {
            let name = self.name(repository);
            for number in 0..BLOBS {
                let reply = self.send(
                    Method::GET,
                    &format!("/v2/{name}/blobs/{}", digest_of(&blob(number))),
                );
                let expected = held.blobs.contains(&number).then(|| blob(number));
                same(&reply, expected.as_deref())?;
            }
            for image in 0..IMAGES {
                let bytes = manifest(image);
                let reply = self
                    .api
                    .manifest(&name, &digest_of(&bytes))
                    .or_fail("an answer");
                same(
                    &reply,
                    held.images.contains(&image).then_some(bytes.as_slice()),
                )?;
                self.referrers_agree(&name, held, image)?;
            }
            for tag in 0..TAGS {
                let reply = self
                    .api
                    .manifest(&name, &format!("t{tag}"))
                    .or_fail("an answer");
                let expected = held.tags.get(&tag).map(|image| manifest(*image));
                same(&reply, expected.as_deref())?;
            }
            self.tags_agree(&name, held)?;
        }
        self.uploads_agree()
    }

    fn referrers_agree(&self, name: &str, held: &Repository, image: usize) -> Check {
        let reply = self.send(
            Method::GET,
            &format!("/v2/{name}/referrers/{}", digest_of(&manifest(image))),
        );
        status(&reply, 200)?;
        let index: Value = serde_json::from_slice(&reply.body).or_fail("an index");
        let listed = index["manifests"].as_array().or_fail("manifests").iter();
        let listed: BTreeSet<_> = listed
            .map(|entry| entry["digest"].as_str().unwrap_or_default().to_owned())
            .collect();
        let refer = held
            .images
            .iter()
            .filter(|other| subject(**other) == Some(image));
        let expected: BTreeSet<_> = refer.map(|other| digest_of(&manifest(*other))).collect();
        prop_assert_eq!(listed, expected);
        Ok(())
    }

    fn tags_agree(&self, name: &str, held: &Repository) -> Check {
        let reply = self.send(Method::GET, &format!("/v2/{name}/tags/list"));
        // A repository without any tag may be known or unknown.
        if reply.status == 404 && held.tags.is_empty() {
            return Ok(());
        }
        status(&reply, 200)?;
        let list: Value = serde_json::from_slice(&reply.body).or_fail("a list");
        let expected: Vec<_> = held.tags.keys().map(|tag| format!("t{tag}")).collect();
        prop_assert_eq!(&list["tags"], &json!(expected));
        Ok(())
    }

    fn uploads_agree(&self) -> Check {
        for upload in &self.uploads {
            let reply = self.send(Method::GET, &upload.location);
            status(&reply, 204)?;
            prop_assert_eq!(
                reply.header(RANGE.as_str()),
                format!("0-{}", upload.sent.saturating_sub(1))
            );
        }
        Ok(())
    }
}

fn status(reply: &Reply, expected: u16) -> Check {
    prop_assert_eq!(reply.status.as_u16(), expected, "{}", reply.text());
    Ok(())
}

fn same(reply: &Reply, expected: Option<&[u8]>) -> Check {
    match expected {
        Some(bytes) => {
            status(reply, 200)?;
            prop_assert!(reply.body == bytes, "the bytes differ");
            Ok(())
        }
        None => status(reply, 404),
    }
}

/// Images are taken only with all their blobs, so that fsck asks whether every image still has them.
const COMPLETE: &str = "manifests: {sparse: false}\n";

fn holds_against_the_model(name: &str, settings: &Settings) {
    let lab = Lab::new(name);
    let (_registry, at) = tests::registry_under_test(&lab, settings);
    let api = Api::new(&at);
    let config = Config {
        failure_persistence: None,
        cases: 60,
        max_shrink_iters: 400,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&proptest::collection::vec(act(), 1..60), |acts| {
        let mut world = World {
            api: &api,
            prefix: format!("case-{:016x}", fastrand::u64(..)),
            complete: settings.more.contains(COMPLETE),
            repositories: (0..REPOSITORIES).map(|_| Repository::default()).collect(),
            uploads: Vec::new(),
        };
        for act in &acts {
            world.act(act)?;
        }
        world.agrees()
    });
    if let Err(why) = outcome {
        tests::fail(why);
    }
}

#[test]
fn on_files_every_answer_is_the_models() {
    holds_against_the_model("model-fs", &Settings::default());
}

#[test]
fn on_files_without_sparse_images_every_answer_is_the_models() {
    let settings = Settings {
        more: COMPLETE.to_owned(),
        ..Settings::default()
    };
    holds_against_the_model("model-whole", &settings);
}

#[test]
fn in_memory_every_answer_is_the_models() {
    let settings = Settings {
        memory: true,
        ..Settings::default()
    };
    holds_against_the_model("model-memory", &settings);
}

#[test]
fn what_random_acts_leave_behind_has_nothing_for_fsck_to_find() {
    let lab = Lab::new("model-fsck");
    let settings = Settings {
        more: COMPLETE.to_owned(),
        ..Settings::default()
    };
    let mut server = Server::start(&lab, &settings);
    let api = Api::new(server.endpoint());
    let mut runner = TestRunner::deterministic();
    for number in 0..20 {
        let acts = proptest::collection::vec(act(), 40)
            .new_tree(&mut runner)
            .or_fail("acts")
            .current();
        let mut world = World {
            api: &api,
            prefix: format!("case-{number}"),
            complete: true,
            repositories: (0..REPOSITORIES).map(|_| Repository::default()).collect(),
            uploads: Vec::new(),
        };
        for act in &acts {
            world.act(act).or_fail(format!("{act:?}"));
        }
    }
    server.fsck_is_clean(&lab);
    server.stop();
    server.fsck_is_clean(&lab);
}
