//! What the last stage has become: a layer, a configuration, and whether they may be published.

use std::io::{BufWriter, Seek as _, Write as _};

use super::super::{Built, Event, Failure, Phase};
use super::work::Work;
use super::{config, failure, process};
use crate::images::BaseImage;
use crate::layer::{self, Layer, export};
use crate::rootfs::Rootfs;
use crate::s2i::{ExecutionConfig, Reason, metadata_labels, result};
use crate::scratch;
use crate::tree::TreePath;

/// `assemble` writes a few labels.
const MAX_METADATA: u64 = 1 << 20;

impl Work<'_> {
    /// Layer, configuration, and the gates.
    pub(super) fn finish(
        &mut self,
        rootfs: &Rootfs<'_>,
        image: &BaseImage,
    ) -> Result<Built, Failure> {
        self.tell(Event::Phase(Phase::Export));
        let execution = self.labelled(rootfs)?;
        let layer = self.layer(rootfs)?;
        let new = config::New {
            config: &execution,
            diff_id: layer.as_ref().map(|(layer, _)| layer.diff_id),
            epoch: self.job.epoch,
            by: "slipway build",
        };
        let config = config::assemble(image.config(), &new).map_err(|error| {
            let text = format!("the base image's configuration: {error}");
            failure::new(Reason::ContainerCommitFailed, text)
        })?;
        if !self.secrets.is_empty() {
            self.tell(Event::Phase(Phase::Scan));
            self.scan(rootfs, layer.as_ref(), &config)?;
        }
        if let Some(command) = self.job.test.clone() {
            self.tell(Event::Phase(Phase::Test));
            self.test(rootfs, &command, &execution)?;
        }
        Ok(Built {
            base: image.digest(),
            layer,
            config,
            usage: self.used,
        })
    }

    /// The result's configuration with the labels that a script asked for.
    fn labelled(&self, rootfs: &Rootfs<'_>) -> Result<ExecutionConfig, Failure> {
        let recipe = &self.job.plan.recipe;
        let files = rootfs.files();
        let files = files.map_err(|error| failure::machine("mounting the result", &error))?;
        let path = TreePath::parse(recipe.metadata.as_str().as_bytes());
        let path = path.map_err(|error| failure::internal(&error.to_string()))?;
        let text = files.read(&path, MAX_METADATA).map_err(|error| {
            failure::files(
                Reason::ContainerCommitFailed,
                "the labels of the build",
                &error,
            )
        })?;
        let Some(text) = text else {
            return Ok(recipe.config.clone());
        };
        let labels = metadata_labels(&text);
        let labelled =
            labels.and_then(|labels| result::with_labels(recipe.config.clone(), &labels));
        labelled.map_err(|refusal| failure::refusal(&refusal))
    }

    fn layer(&self, rootfs: &Rootfs<'_>) -> Result<Option<(Layer, std::fs::File)>, Failure> {
        let settings = &self.machine.settings;
        let writing = |error| failure::machine("writing the layer", &error);
        let mut file = scratch::unnamed(&settings.scratch()).map_err(writing)?;
        let options = layer::Options {
            compression: self.job.compression,
            epoch: self.job.epoch,
            ids: self.machine.host.ids().map().clone(),
            limit: settings.unpacking.bytes,
            threads: settings.threads,
        };
        let counted = self.writing.ours().counting(&mut file);
        let mut sink = BufWriter::with_capacity(256 << 10, counted);
        let made = export(&rootfs.changes(), &options, &mut sink, &self.cancel);
        let layer = made.map_err(|error| failure::export(&error))?;
        sink.flush().map_err(writing)?;
        drop(sink);
        file.rewind().map_err(writing)?;
        Ok((layer.entries > 0).then_some((layer, file)))
    }

    /// Runs the test as the image would run it. The layer is made already: what the test writes is thrown away.
    fn test(
        &mut self,
        rootfs: &Rootfs<'_>,
        command: &[String],
        config: &ExecutionConfig,
    ) -> Result<(), Failure> {
        let folder = match config.working_dir() {
            "" => "/",
            folder => folder,
        };
        let reason = failure::test();
        let mut test = process::plain(command, config.env(), config.user(), folder, &reason)?;
        let program = command.first().map_or("", String::as_str).to_owned();
        self.confine(&mut test)?;
        let (root, _mount) = super::stage::root(rootfs)?;
        let outcome = self.execute(&root, &test, None);
        let outcome =
            outcome.map_err(|error| failure::sandbox(reason.clone(), &program, &error))?;
        if outcome.succeeded() {
            return Ok(());
        }
        Err(self.blame(reason, &program, &outcome))
    }
}
