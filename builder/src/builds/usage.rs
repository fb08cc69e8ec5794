//! How a builder image is used, in its own words.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::reason::MACHINE;
use super::{Builds, BuildsError, Invalid};
use crate::Compression;
use crate::driver::{Event, Job, Writing};
use crate::plan::Limits;
use crate::records::Actor;

/// What is kept of the text, in bytes.
const MAX_BYTES: usize = 64 << 10;

/// A usage is printed at once.
const SECONDS: u64 = 60;

impl Builds {
    /// Runs the script `usage` of a builder image, by any word that `spec.builder` may have for it, in the sandbox, without a network,
    /// and gives what it says. The image is read with the actor's rights. Dropping the future ends the script.
    pub async fn usage(
        &self,
        namespace: &str,
        word: &str,
        actor: &Actor,
    ) -> Result<String, BuildsError> {
        let named = self.meant(namespace, word).await?;
        let settings = self.settings();
        let image = self.image(&named, actor).await?;
        let limits = Limits {
            seconds: Some(settings.limits.seconds.unwrap_or(SECONDS).min(SECONDS)),
            ..settings.usual
        };
        let plan = image.plan_image(named.to_string());
        let plan = plan.usage(&settings.allowed_uids, limits);
        let plan = plan.map_err(|refusal| Invalid::new("image", refusal))?;
        let source = tempfile::tempfile_in(&settings.scratch);
        let source = source.map_err(|error| BuildsError::Unavailable(error.to_string()))?;
        let (events, mut said) = mpsc::channel(64);
        let job = Job {
            id: uuid::Uuid::new_v4().simple().to_string(),
            namespace: namespace.to_owned(),
            plan,
            images: Arc::clone(&self.parts().images),
            actor: actor.clone(),
            bases: BTreeMap::from([(image.digest(), image.repo().clone())]),
            source,
            scripts: BTreeMap::new(),
            secrets: BTreeMap::new(),
            test: None,
            empty_caches: true,
            compression: Compression::Plain,
            epoch: UNIX_EPOCH,
            writing: Writing::new(CancellationToken::new()),
            events,
        };
        let listening = async {
            let mut text = String::new();
            while let Some(event) = said.recv().await {
                if let Event::Line(line) = event
                    && text.len() + line.text.len() < MAX_BYTES
                {
                    text.push_str(&line.text);
                    text.push('\n');
                }
            }
            text
        };
        let never = CancellationToken::new();
        let (ended, text) = tokio::join!(self.parts().driver.run(job, &never), listening);
        match ended {
            Ok(_) => Ok(text),
            Err(failure) if MACHINE.contains(&failure.reason.as_str()) => {
                Err(BuildsError::Unavailable(failure.to_string()))
            }
            Err(failure) => {
                let message = format!("the image's script usage: {failure}:\n{text}");
                let message = message.trim_end().trim_end_matches(':');
                Err(Invalid::new("image", message).into())
            }
        }
    }
}
