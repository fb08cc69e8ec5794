//! For which machine an image is.

use std::fmt;

use oci::Descriptor;

use crate::s2i::ImageConfig;

/// A machine (image-spec `image-index.md`, `platform`), in Go's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    os: &'static str,
    architecture: &'static str,
}

impl Platform {
    /// The machine that this program was built for.
    pub const fn of_this_machine() -> Self {
        Self {
            os: "linux",
            architecture: ARCHITECTURE,
        }
    }

    /// The image of an index that runs here: of those for this machine, the one that asks least of it.
    pub fn choose<'a>(&self, children: &'a [Descriptor]) -> Option<&'a Descriptor> {
        let fits = |child: &&Descriptor| {
            says(child, "os") == self.os && says(child, "architecture") == self.architecture
        };
        let fitting = children.iter().filter(fits);
        fitting.min_by(|one, other| says(one, "variant").cmp(says(other, "variant")))
    }

    /// Whether an image runs here. One that does not say what it is for may.
    pub fn runs(&self, config: &ImageConfig) -> bool {
        let is = |said: &str, own: &str| said.is_empty() || said == own;
        is(config.os(), self.os) && is(config.architecture(), self.architecture)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)
    }
}

/// A field of a descriptor's platform; empty if it is not said.
fn says<'a>(child: &'a Descriptor, field: &str) -> &'a str {
    let platform = child.platform.as_ref();
    let value = platform.and_then(|platform| platform.get(field)?.as_str());
    value.unwrap_or_default()
}

/// What Go calls it (`GOARCH`).
const ARCHITECTURE: &str = if cfg!(target_arch = "x86_64") {
    "amd64"
} else if cfg!(target_arch = "aarch64") {
    "arm64"
} else if cfg!(target_arch = "x86") {
    "386"
} else if cfg!(all(target_arch = "powerpc64", target_endian = "little")) {
    "ppc64le"
} else if cfg!(target_arch = "loongarch64") {
    "loong64"
} else {
    // arm, s390x, riscv64.
    std::env::consts::ARCH
};
