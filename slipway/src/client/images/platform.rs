//! Which machine an image is for (image-spec `image-index.md`).

use std::fmt;

use anyhow::Context as _;
use oci::{Descriptor, Manifest};
use serde_json::Value;

/// `os/architecture[/variant]`, such as `linux/arm64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Platform {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut parts = text.split('/').map(str::to_owned);
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let found = match (next(), next(), next(), next()) {
            (Some(os), Some(architecture), variant, None) => Some(Self {
                os,
                architecture,
                variant,
            }),
            _ => None,
        };
        found.with_context(|| format!("{text}: a platform is os/architecture, as linux/arm64"))
    }

    /// What images must be for to run here.
    pub(crate) fn of_this_machine() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: None,
        }
    }

    /// The image for it in an index.
    pub(super) fn of<'a>(&self, index: &'a Manifest) -> anyhow::Result<&'a Descriptor> {
        let platform = |child: &'a Descriptor| child.platform.as_ref();
        let is_it =
            |child: &&Descriptor| child.platform.as_ref().is_some_and(|of| self.includes(of));
        let found = index.children().iter().find(is_it);
        found.with_context(|| {
            let others = index.children().iter().filter_map(platform);
            let others: Vec<_> = others.filter_map(Self::written).collect();
            format!("there is none for {self}, but for {}", others.join(", "))
        })
    }

    /// Whether what is said of a platform is this one.
    pub(super) fn includes(&self, platform: &Value) -> bool {
        platform["os"] == *self.os
            && platform["architecture"] == *self.architecture
            && self
                .variant
                .as_ref()
                .is_none_or(|variant| platform["variant"] == **variant)
    }

    /// What is said of a platform, as one writes it; `None` where that is none.
    pub(super) fn written(platform: &Value) -> Option<String> {
        let part = |name: &str| platform[name].as_str().filter(|part| !part.is_empty());
        let mut text = format!("{}/{}", part("os")?, part("architecture")?);
        if let Some(variant) = part("variant") {
            text.push('/');
            text.push_str(variant);
        }
        let is_plain = !text.contains(char::is_control);
        is_plain.then_some(text)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            None => Ok(()),
            Some(variant) => write!(f, "/{variant}"),
        }
    }
}
