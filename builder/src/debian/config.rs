//! The image's configuration.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::create::Recipe;
use super::error::CreateError;
use super::own::{HOME, USER};
use super::scripts;
use crate::layer::Layer;

/// The configuration (image-spec `config.md`) of an image of these layers, the lowest first.
pub(super) fn of(recipe: &Recipe, platform: &Platform, version: &str, layers: &[&Layer]) -> Value {
    let created = SystemTime::UNIX_EPOCH + Duration::from_secs(recipe.epoch);
    let created = humantime::format_rfc3339_seconds(created).to_string();
    let suite = &recipe.release.suite;
    let diff_ids: Vec<_> = layers
        .iter()
        .map(|layer| layer.diff_id.to_string())
        .collect();
    json!({
        "created": created,
        "architecture": platform.oci,
        "os": "linux",
        "config": {
            "User": USER.to_string(),
            "ExposedPorts": {"8080/tcp": {}},
            "Env": environment(recipe, platform),
            "Cmd": [format!("/{}/usage", scripts::DIRECTORY)],
            "WorkingDir": format!("{HOME}/src"),
            "Labels": labels(recipe, version),
        },
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [
            {"created": created, "created_by": format!("Debian {suite} with {}", recipe.all_packages().join(", "))},
            {"created": created, "created_by": "the scripts of S2I"},
        ],
    })
}

/// What builders and catalogues read.
fn labels(recipe: &Recipe, version: &str) -> BTreeMap<&'static str, String> {
    let definition = recipe.language.definition();
    let release = &recipe.release;
    let name = format!("{} {}", definition.display_name, release.version);
    let mut tags = vec!["builder".to_owned()];
    tags.extend(definition.tags);
    tags.push(format!(
        "{}-{}",
        recipe.language.name(),
        release.version.replace('.', "")
    ));
    BTreeMap::from([
        ("dev.slipway.artifacts", definition.artifacts.join(";")),
        ("dev.slipway.cache", format!("{HOME}/.cache")),
        ("dev.slipway.language", recipe.language.name().to_owned()),
        ("dev.slipway.version", release.version.clone()),
        ("io.k8s.description", definition.description.clone()),
        ("io.k8s.display-name", name.clone()),
        ("io.openshift.expose-services", "8080:http".to_owned()),
        ("io.openshift.s2i.assemble-user", USER.to_string()),
        ("io.openshift.s2i.destination", "/tmp".to_owned()),
        (
            "io.openshift.s2i.scripts-url",
            format!("image:///{}", scripts::DIRECTORY),
        ),
        ("io.openshift.tags", tags.join(",")),
        (
            "org.opencontainers.image.description",
            definition.description,
        ),
        ("org.opencontainers.image.title", name),
        ("org.opencontainers.image.version", version.to_owned()),
    ])
}

fn environment(recipe: &Recipe, platform: &Platform) -> Vec<String> {
    let mut variables = BTreeMap::from([
        ("HOME".to_owned(), HOME.to_owned()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ("PORT".to_owned(), "8080".to_owned()),
    ]);
    variables.extend(recipe.language.definition().environment);
    let fill = |text: &str| {
        text.replace("{version}", &recipe.release.version)
            .replace("{architecture}", platform.debian)
    };
    variables
        .iter()
        .map(|(name, value)| format!("{name}={}", fill(value)))
        .collect()
}

/// The machine's processor, in two vocabularies.
pub(super) struct Platform {
    pub(super) debian: &'static str,
    oci: &'static str,
}

impl Platform {
    pub(super) fn here() -> Result<Self, CreateError> {
        let (debian, oci) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", "amd64"),
            "aarch64" => ("arm64", "arm64"),
            "powerpc64" => ("ppc64el", "ppc64le"),
            "s390x" => ("s390x", "s390x"),
            "riscv64" => ("riscv64", "riscv64"),
            other => return Err(CreateError::Machine(other)),
        };
        Ok(Self { debian, oci })
    }
}
