//! One client at work: each act is noted as unsure before it is sent and as known once it is acknowledged.

use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, RANGE};
use tests::api::{Reply, digest_of, image_manifest};
use tests::{Api, OrFail, fail};

use crate::ledger::{Image, Known, Ledger, Upload};

/// The server is gone: the act that was under way stays unsure.
struct Gone;

type Act = Result<(), Gone>;

/// Works until the server no longer answers, which must not be before it is killed.
pub(crate) fn write_until_killed(
    api: &Api,
    ledger: &mut Ledger,
    random: fastrand::Rng,
    killed: &AtomicBool,
) {
    let mut writer = Writer {
        api,
        ledger,
        random,
    };
    loop {
        let done = match writer.random.u8(..100) {
            0..40 => writer.push_image(),
            40..60 => writer.move_tag(),
            60..70 => writer.delete_image(),
            70..75 => writer.delete_tag(),
            75..83 => writer.push_blob(),
            83..88 => writer.delete_blob(),
            _ => writer.continue_upload(),
        };
        if let Err(Gone) = done {
            if !killed.load(Ordering::SeqCst) {
                fail("the server broke a connection before it was killed");
            }
            return;
        }
    }
}

struct Writer<'a> {
    api: &'a Api,
    ledger: &'a mut Ledger,
    random: fastrand::Rng,
}

impl Writer<'_> {
    fn push_image(&mut self) -> Act {
        let repository = self.repository();
        let own = self.noise(60_000);
        // A layer that other writers push at the same time, to this and to other repositories.
        let shared = fastrand::Rng::with_seed(self.random.u64(..6));
        let layers = vec![own, noise(shared, 30_000)];
        let config = format!(
            "{{\"os\":\"linux\",\"architecture\":\"amd64\",\"author\":\"{}\"}}",
            self.random.u64(..)
        );
        for blob in layers.iter().map(Vec::as_slice).chain([config.as_bytes()]) {
            acknowledged(self.api.push_blob(&repository, blob), 201)?;
            self.ledger.acknowledged += 1;
            self.ledger
                .leaves
                .push((repository.clone(), digest_of(blob)));
        }
        let manifest = image_manifest(config.as_bytes(), &layers);
        let digest = digest_of(&manifest);
        let tag = self.tag();
        let image = Image {
            repository: repository.clone(),
            manifest: manifest.clone(),
            blobs: layers.into_iter().chain([config.into_bytes()]).collect(),
            known: Known::Unsure,
        };
        self.ledger.images.insert(digest.clone(), image);
        self.put_tag(&repository, &tag, &digest, &manifest)
    }

    fn move_tag(&mut self) -> Act {
        let Some((digest, image)) = self.some_image() else {
            return Ok(());
        };
        let tag = self.tag();
        self.put_tag(&image.repository, &tag, &digest, &image.manifest)
    }

    fn put_tag(&mut self, repository: &str, tag: &str, digest: &str, manifest: &[u8]) -> Act {
        let key = (repository.to_owned(), tag.to_owned());
        let names = self
            .ledger
            .tags
            .entry(key.clone())
            .or_insert_with(|| vec![None]);
        names.push(Some(digest.to_owned()));
        acknowledged(self.api.push_manifest(repository, tag, manifest), 201)?;
        self.ledger.acknowledged += 1;
        self.ledger.tags.insert(key, vec![Some(digest.to_owned())]);
        self.know(digest, Known::Present);
        Ok(())
    }

    /// Deletes a manifest by digest, which frees its tags too.
    fn delete_image(&mut self) -> Act {
        let Some((digest, image)) = self.some_image() else {
            return Ok(());
        };
        self.know(&digest, Known::Unsure);
        let named =
            |names: &&mut Vec<Option<String>>| names.iter().flatten().any(|name| *name == digest);
        for names in self.ledger.tags.values_mut().filter(named) {
            names.push(None);
        }
        let path = format!("/v2/{}/manifests/{digest}", image.repository);
        acknowledged(self.api.delete(&path), 202)?;
        self.ledger.acknowledged += 1;
        self.know(&digest, Known::Absent);
        for names in self.ledger.tags.values_mut().filter(named) {
            *names = vec![None];
        }
        Ok(())
    }

    fn delete_tag(&mut self) -> Act {
        let tags: Vec<_> = self
            .ledger
            .tags
            .iter()
            .filter(|(_, names)| names[0].is_some())
            .map(|(key, _)| key.clone())
            .collect();
        let Some(key) = self.random.choice(tags) else {
            return Ok(());
        };
        self.ledger.tags.entry(key.clone()).or_default().push(None);
        acknowledged(
            self.api
                .delete(&format!("/v2/{}/manifests/{}", key.0, key.1)),
            202,
        )?;
        self.ledger.acknowledged += 1;
        self.ledger.tags.insert(key, vec![None]);
        Ok(())
    }

    fn push_blob(&mut self) -> Act {
        let repository = self.repository();
        let blob = self.noise(90_000);
        let key = (repository, digest_of(&blob));
        self.ledger.blobs.insert(key.clone(), Known::Unsure);
        acknowledged(self.api.push_blob(&key.0, &blob), 201)?;
        self.ledger.acknowledged += 1;
        self.ledger.blobs.insert(key, Known::Present);
        Ok(())
    }

    fn delete_blob(&mut self) -> Act {
        let present: Vec<_> = self
            .ledger
            .blobs
            .iter()
            .filter(|(_, known)| **known == Known::Present)
            .map(|(key, _)| key.clone())
            .collect();
        let Some(key) = self.random.choice(present) else {
            return Ok(());
        };
        self.ledger.blobs.insert(key.clone(), Known::Unsure);
        acknowledged(
            self.api.delete(&format!("/v2/{}/blobs/{}", key.0, key.1)),
            202,
        )?;
        self.ledger.acknowledged += 1;
        self.ledger.blobs.insert(key, Known::Absent);
        Ok(())
    }

    /// Opens an upload, or goes on with the one that is open: a chunk more, or the end. The session must
    /// outlive the kills; where to go on is what the server says.
    fn continue_upload(&mut self) -> Act {
        let Some(mut upload) = self.ledger.upload.clone() else {
            let repository = self.repository();
            let Ok(opened) = self.api.open_upload(&repository) else {
                return Err(Gone);
            };
            let location = opened.unwrap_or_else(|refusal| {
                fail(format!("an upload was refused: {}", refusal.text()))
            });
            self.ledger.upload = Some(Upload {
                repository,
                location: location.to_string(),
                content: self.noise(200_000),
            });
            return Ok(());
        };
        let status = acknowledged(self.api.get(&upload.location), 204)?;
        upload.location = next_location(&upload.location, &status);
        let (_, last) = status
            .header(RANGE.as_str())
            .split_once('-')
            .or_fail("a Range");
        // An upload without a byte has no range that says so: `0-0` is also one byte (distribution-spec,
        // "Getting the status"), so the first chunk is of two bytes or more.
        let offset = match last.parse::<usize>().or_fail("a Range's end") {
            0 => 0,
            last => last + 1,
        };
        let left = &upload.content[offset..];
        if !left.is_empty() {
            let chunk = &left[..left.len().min(self.random.usize(2..80_000))];
            let patch = self
                .api
                .request(Method::PATCH, &upload.location)
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(
                    CONTENT_RANGE,
                    format!("{offset}-{}", offset + chunk.len() - 1),
                )
                .body(chunk.to_vec());
            let reply = acknowledged(self.api.send(patch), 202)?;
            self.ledger.acknowledged += 1;
            let location = next_location(&upload.location, &reply);
            self.ledger.upload = Some(Upload { location, ..upload });
            return Ok(());
        }
        let key = (upload.repository, digest_of(&upload.content));
        let mut location = reqwest::Url::parse(&upload.location).or_fail("the upload's URL");
        location.query_pairs_mut().append_pair("digest", &key.1);
        self.ledger.blobs.insert(key.clone(), Known::Unsure);
        // Whether it was finished or not when the server died, this session is not asked for again.
        self.ledger.upload = None;
        acknowledged(
            self.api
                .send(self.api.request(Method::PUT, location.as_str())),
            201,
        )?;
        self.ledger.acknowledged += 1;
        self.ledger.blobs.insert(key, Known::Present);
        Ok(())
    }

    fn some_image(&mut self) -> Option<(String, Image)> {
        let present: Vec<_> = self
            .ledger
            .images
            .iter()
            .filter(|(_, image)| image.known == Known::Present)
            .collect();
        let (digest, image) = self.random.choice(present)?;
        Some((digest.clone(), image.clone()))
    }

    fn know(&mut self, digest: &str, known: Known) {
        if let Some(image) = self.ledger.images.get_mut(digest) {
            image.known = known;
        }
    }

    /// Repositories are shared among the writers.
    fn repository(&mut self) -> String {
        format!("team/app-{}", self.random.u8(..3))
    }

    /// Tags are the writer's own.
    fn tag(&mut self) -> String {
        format!("w{}-{}", self.ledger.writer, self.random.u8(..6))
    }

    fn noise(&mut self, most: usize) -> Vec<u8> {
        noise(self.random.fork(), most)
    }
}

/// Where a reply says that the upload goes on.
fn next_location(before: &str, reply: &Reply) -> String {
    let base = reqwest::Url::parse(before).or_fail("the upload's URL");
    let next = base.join(reply.header("location")).or_fail("a Location");
    next.to_string()
}

fn noise(mut random: fastrand::Rng, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; random.usize(3..most)];
    random.fill(&mut bytes);
    bytes
}

/// The reply, which must have this status; no reply at all means that the server is gone.
fn acknowledged(reply: reqwest::Result<Reply>, status: u16) -> Result<Reply, Gone> {
    let Ok(reply) = reply else { return Err(Gone) };
    if reply.status != status {
        fail(format!(
            "expected {status}, got {}: {}",
            reply.status,
            reply.text()
        ));
    }
    Ok(reply)
}
