//! Files that `assemble` finds beside the source: secrets, and what is injected.

use std::fmt::Display;

use super::{Invalid, bounded, secret_name};
use crate::plan::Secret;
use crate::records::{InjectionSpec, SecretMount};
use crate::s2i::{ContainerPath, Injection};

/// Secrets and their folders, in a build whose source goes below `destination` if it is the spec that says where.
pub(super) fn secrets(
    mounts: &[SecretMount],
    destination: Option<&ContainerPath>,
) -> Result<Vec<Secret>, Invalid> {
    bounded("spec.secrets", mounts.len())?;
    let mounts = mounts.iter().enumerate().map(|(index, mount)| {
        let field = format!("spec.secrets[{index}]");
        let name = secret_name(&format!("{field}.name"))(&mount.name)?;
        let custom = format!("/run/secrets/{name}");
        let path = mount.path.as_deref().unwrap_or(&custom);
        let wrong = |error: &dyn Display| Invalid::new(format!("{field}.path"), error);
        let secret = Secret {
            at: ContainerPath::parse(path).map_err(|error| wrong(&error))?,
            revision: None,
            name,
        };
        let placed = secret.check_place(destination, None);
        placed.map_err(|error| wrong(&error))?;
        Ok(secret)
    });
    mounts.collect()
}

pub(super) fn injections(specs: &[InjectionSpec]) -> Result<Vec<Injection>, Invalid> {
    bounded("spec.injections", specs.len())?;
    let injections = specs.iter().enumerate().map(|(index, spec)| {
        let field = format!("spec.injections[{index}]");
        let name = secret_name(&format!("{field}.secret"))(&spec.secret)?;
        let path = spec.path.as_deref().unwrap_or_default();
        let wrong = |error: &dyn Display| Invalid::new(format!("{field}.path"), error);
        let injection = Injection::new(&name, path, spec.keep).map_err(|error| wrong(&error))?;
        // What is wrong with a path is so in every working directory.
        let anywhere = ContainerPath::parse("/").map_err(|error| wrong(&error))?;
        let placed = injection.destination(&anywhere);
        placed.map_err(|error| wrong(&error))?;
        Ok(injection)
    });
    injections.collect()
}
