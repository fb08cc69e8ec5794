//! From a body and its Content-Type to what it is and names, by the rules against confusion.

use super::json::{Members, check_extent};
use super::links::{KNOWN, Links, Shape};
use super::{InvalidManifest, ManifestKind};
use crate::MediaType;

/// The media type that a reader takes a stored manifest for who has the bytes alone: its `mediaType`; without one,
/// what its members are those of. `None` if neither tells.
///
/// Bodies of types that name themselves nowhere come back as what they look like, so keep the type beside the bytes.
pub fn inferred_media_type(body: &[u8]) -> Option<MediaType> {
    let text = std::str::from_utf8(body).ok()?;
    infer(&Members::parse(text, "manifest", KNOWN).ok()?)
}

/// Reads a body of bounded length.
pub(super) fn parse(
    body: &[u8],
    content_type: Option<&MediaType>,
) -> Result<(MediaType, Links), InvalidManifest> {
    if content_type.is_some_and(MediaType::is_schema1) {
        return Err(InvalidManifest::Schema1);
    }
    if let Some(media_type) = content_type
        && is_opaque(media_type, body)
    {
        return Ok((media_type.clone(), Links::default()));
    }
    let members = read(body)?;
    if is_schema1(&members) {
        return Err(InvalidManifest::Schema1);
    }
    check_confusion(&members)?;
    let media_type = agree(&members, content_type)?;
    let kind = ManifestKind::of(&media_type);
    check_kind(&members, &media_type, kind)?;
    let shape = match kind {
        ManifestKind::Other => Shape::Guessed,
        _ => Shape::Required,
    };
    Ok((media_type, Links::read(&members, shape)?))
}

/// A body of a type that is not JSON, and that no reader would take for a JSON object.
fn is_opaque(media_type: &MediaType, body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    ManifestKind::of(media_type) == ManifestKind::Other
        && !media_type.is_json()
        && !body.trim_ascii_start().starts_with(b"{")
}

fn read(body: &[u8]) -> Result<Members<'_>, InvalidManifest> {
    if body.starts_with(b"\xEF\xBB\xBF") {
        let reason = "it begins with a byte order mark: leave it out";
        return Err(InvalidManifest::Json(reason.to_owned()));
    }
    let text = std::str::from_utf8(body)
        .map_err(|_| InvalidManifest::Json("it is not UTF-8".to_owned()))?;
    check_extent(text)?;
    // Also refuses whatever comes after the object.
    Members::parse(text, "manifest", KNOWN).map_err(|error| match error {
        InvalidManifest::Field { reason, .. } => InvalidManifest::Json(reason),
        other => other,
    })
}

fn is_schema1(members: &Members<'_>) -> bool {
    let says_so = members
        .get("mediaType")
        .and_then(media_type)
        .is_some_and(|t| t.is_schema1());
    says_so || (members.get("schemaVersion") == Some("1") && members.has("fsLayers"))
}

/// CVE-2021-41190: a body that is an image to one reader and an index to another.
fn check_confusion(members: &Members<'_>) -> Result<(), InvalidManifest> {
    let of_an_image = ["config", "layers", "fsLayers"]
        .into_iter()
        .find(|name| members.has(name));
    match of_an_image {
        Some(name) if members.has("manifests") => Err(InvalidManifest::Ambiguous(format!(
            "it has \"manifests\" as an index and {name:?} as an image"
        ))),
        _ => Ok(()),
    }
}

/// The one media type that header and body agree on.
fn agree(
    members: &Members<'_>,
    content_type: Option<&MediaType>,
) -> Result<MediaType, InvalidManifest> {
    let Some(header) = content_type else {
        return infer(members).ok_or(InvalidManifest::NoMediaType);
    };
    match members.get("mediaType") {
        None | Some("null" | "\"\"") => {}
        Some(body) if media_type(body).as_ref() == Some(header) => {}
        Some(body) => {
            return Err(InvalidManifest::MediaTypeMismatch {
                body: body.chars().take(256).collect(),
                header: header.clone(),
            });
        }
    }
    Ok(header.clone())
}

fn infer(members: &Members<'_>) -> Option<MediaType> {
    match members.get("mediaType") {
        None | Some("null" | "\"\"") => {}
        Some(text) => return media_type(text),
    }
    if members.has("manifests") {
        Some(MediaType::OCI_INDEX)
    } else if members.has("config") || members.has("layers") {
        Some(MediaType::OCI_MANIFEST)
    } else if members.has("fsLayers") {
        Some(MediaType::DOCKER_SCHEMA1)
    } else {
        None
    }
}

fn says_media_type(members: &Members<'_>) -> bool {
    !matches!(members.get("mediaType"), None | Some("null" | "\"\""))
}

fn media_type(json: &str) -> Option<MediaType> {
    serde_json::from_str(json).ok()
}

/// What the known types demand beyond the shape of their members.
fn check_kind(
    members: &Members<'_>,
    media_type: &MediaType,
    kind: ManifestKind,
) -> Result<(), InvalidManifest> {
    let (needed, foreign): (&[&str], &[&str]) = match kind {
        ManifestKind::Image => (&["config"], &["manifests", "blobs", "fsLayers"]),
        ManifestKind::Index => (&["manifests"], &["config", "layers", "blobs", "fsLayers"]),
        ManifestKind::Artifact => (&[], &["config", "layers", "manifests", "fsLayers"]),
        ManifestKind::Other => return Ok(()),
    };
    if let Some(name) = foreign.iter().find(|name| members.has(name)) {
        let reason = format!("it has {name:?}, which is no member of {media_type}");
        return Err(InvalidManifest::Ambiguous(reason));
    }
    let missing = |name: &str, reason: &str| {
        Err(InvalidManifest::Field {
            at: name.to_owned(),
            reason: reason.to_owned(),
        })
    };
    if let Some(name) = needed.iter().find(|name| !members.has(name)) {
        return missing(name, "missing");
    }
    if members.get("config") == Some("null") {
        return missing("config", "missing");
    }
    if kind != ManifestKind::Artifact && members.get("schemaVersion") != Some("2") {
        return missing("schemaVersion", "must be 2");
    }
    let is_docker = [MediaType::DOCKER_MANIFEST, MediaType::DOCKER_LIST].contains(media_type);
    // Without it, a reader of the bytes alone takes it for its OCI counterpart.
    if is_docker && !says_media_type(members) {
        return missing(
            "mediaType",
            "missing: Docker manifests must say what they are",
        );
    }
    Ok(())
}
