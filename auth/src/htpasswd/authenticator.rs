//! Checking passwords.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use crate::{Authenticator, Credential, Identity, LoadError, Refusal};

/// Authenticates Basic credentials against an htpasswd file.
#[derive(Debug)]
pub struct Htpasswd {}

impl Htpasswd {
    /// Reads the file. An error names the line.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let _ = path;
        unimplemented!()
    }

    /// Reads the file again if it changed; true when something new is in force. On an error the users from before stay.
    pub fn reload(&self) -> Result<bool, LoadError> {
        unimplemented!()
    }

    /// Reloads `every` so often, for ever; spawn it. Failures are logged.
    pub fn watch(&self, every: Duration) -> impl Future<Output = ()> + Send + use<> {
        let _ = every;
        async { unimplemented!() }
    }
}

#[async_trait]
impl Authenticator for Htpasswd {
    async fn authenticate(
        &self,
        _credential: &Credential,
        _from: Option<IpAddr>,
        _now: SystemTime,
    ) -> Result<Option<Identity>, Refusal> {
        unimplemented!()
    }

    fn revoked(&self, _who: &Identity) -> bool {
        unimplemented!()
    }
}
