//! What a manifest names and says.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::json::{Members, elements};
use super::{InvalidManifest, MAX_DESCRIPTORS};
use crate::{Descriptor, MediaType, descriptor};

/// The members of a manifest that mean something to a registry.
pub(super) const KNOWN: &[&str] = &[
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "blobs",
    "manifests",
    "subject",
    "annotations",
    "fsLayers",
    "signatures",
    "history",
];

const DESCRIPTOR: &[&str] = &[
    "mediaType",
    "digest",
    "size",
    "artifactType",
    "annotations",
    "urls",
    "data",
    "platform",
];

const PLATFORM: &[&str] = &[
    "architecture",
    "os",
    "os.version",
    "os.features",
    "variant",
    "features",
];

#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    pub(super) config: Option<Descriptor>,
    pub(super) layers: Vec<Descriptor>,
    pub(super) manifests: Vec<Descriptor>,
    pub(super) subject: Option<Descriptor>,
    pub(super) artifact_type: Option<String>,
    pub(super) annotations: BTreeMap<String, String>,
}

/// What to do with a member that has not the shape its name promises.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// The media type defines it: refuse.
    Required,
    /// The media type is unknown here, so the name may mean anything: leave it be.
    Guessed,
}

impl Links {
    pub(super) fn read(members: &Members<'_>, shape: Shape) -> Result<Self, InvalidManifest> {
        let reader = Reader {
            members,
            shape,
            budget: MAX_DESCRIPTORS,
        };
        reader.read()
    }
}

struct Reader<'a> {
    members: &'a Members<'a>,
    shape: Shape,
    budget: usize,
}

impl Reader<'_> {
    fn read(mut self) -> Result<Links, InvalidManifest> {
        let config = self.one("config")?;
        let mut layers = self.list("layers")?;
        layers.extend(self.list("blobs")?);
        let said: Option<Option<String>> = self.plain("artifactType")?;
        check_length("artifactType", said.as_ref().and_then(Option::as_deref))?;
        let unique = check_object(self.members, "manifest", "annotations", &[]);
        self.judge(unique)?;
        let annotations: Option<Annotations> = self.plain("annotations")?;
        Ok(Links {
            config,
            layers,
            manifests: self.list("manifests")?,
            subject: self.one("subject")?,
            artifact_type: said.flatten().filter(|said| !said.is_empty()),
            annotations: annotations
                .map(|annotations| annotations.0)
                .unwrap_or_default(),
        })
    }

    fn one(&mut self, name: &str) -> Result<Option<Descriptor>, InvalidManifest> {
        match self.members.get(name) {
            None | Some("null") => Ok(None),
            Some(text) => {
                let found = self.descriptor(text, name);
                self.judge(found.map(Some))
            }
        }
    }

    fn list(&mut self, name: &str) -> Result<Vec<Descriptor>, InvalidManifest> {
        let Some(text) = self.members.get(name) else {
            return Ok(Vec::new());
        };
        let found = elements(text, name).and_then(|elements| {
            let described = elements.iter().enumerate();
            described
                .map(|(i, element)| self.descriptor(element.get(), &format!("{name}[{i}]")))
                .collect()
        });
        self.judge(found)
    }

    fn plain<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, InvalidManifest> {
        let Some(text) = self.members.get(name) else {
            return Ok(None);
        };
        let found = serde_json::from_str(text).map(Some);
        self.judge(found.map_err(|error| field(name, &error)))
    }

    fn descriptor(&mut self, text: &str, at: &str) -> Result<Descriptor, InvalidManifest> {
        self.budget = self
            .budget
            .checked_sub(1)
            .ok_or(InvalidManifest::TooManyDescriptors)?;
        let members = Members::parse(text, at, DESCRIPTOR)?;
        check_object(&members, at, "platform", PLATFORM)?;
        check_object(&members, at, "annotations", &[])?;
        serde_json::from_str(text).map_err(|error| field(at, &error))
    }

    /// Forgives a shape that was only guessed; never what is ambiguous or too much.
    fn judge<T: Default>(&self, found: Result<T, InvalidManifest>) -> Result<T, InvalidManifest> {
        match found {
            Err(InvalidManifest::Field { .. }) if self.shape == Shape::Guessed => Ok(T::default()),
            found => found,
        }
    }
}

/// Refuses a member that is an object with a name given twice, or near a `known` one.
fn check_object(
    members: &Members<'_>,
    at: &str,
    name: &str,
    known: &[&str],
) -> Result<(), InvalidManifest> {
    match members.get(name) {
        None | Some("null") => Ok(()),
        Some(text) => Members::parse(text, &format!("{at}.{name}"), known).map(drop),
    }
}

/// A referrers list repeats each artifact type, so a long one would be multiplied by its readers.
fn check_length(at: &str, media_type: Option<&str>) -> Result<(), InvalidManifest> {
    match media_type {
        Some(text) if text.len() > MediaType::MAX_LEN => Err(InvalidManifest::Field {
            at: at.to_owned(),
            reason: format!(
                "{} bytes are too long for a media type, which has at most {}",
                text.len(),
                MediaType::MAX_LEN
            ),
        }),
        _ => Ok(()),
    }
}

fn field(at: &str, error: &serde_json::Error) -> InvalidManifest {
    InvalidManifest::Field {
        at: at.to_owned(),
        reason: error.to_string(),
    }
}

/// Annotations by the rule that descriptors have for theirs.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Annotations(#[serde(deserialize_with = "descriptor::annotations")] BTreeMap<String, String>);
