//! The two files of a log, which end with what was written whole.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::Path;

use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use super::line::PhaseAt;
use super::read::{Frames, read_phases};

/// The files of one log, for its writer. What is not written for want of room can be written once more.
pub(super) struct Files {
    log: File,
    /// Where the next frame begins.
    at: u64,
    phases: File,
    /// Where the next phase begins in its file.
    phases_at: u64,
    compressor: Compressor<'static>,
}

impl Files {
    /// Opens the log in a folder that is made if it is not there, after its last whole frame; and how many bytes of text
    /// are in it.
    pub(super) fn open(folder: &Path) -> io::Result<(Self, u64)> {
        // What a build says is for those who may see it.
        let mut private = DirBuilder::new();
        private.recursive(true).mode(0o700).create(folder)?;
        let options = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            options
        };
        let log = options().open(folder.join("log"))?;
        let mut frames = Frames::new(log.try_clone()?);
        while frames.skip()?.is_some() {}
        let (at, written) = (frames.at(), frames.text());
        log.set_len(at)?;
        let phases = options().open(folder.join("phases"))?;
        // A torn line, and what points behind the log's end.
        let whole: Vec<PhaseAt> = read_phases(folder)?;
        let whole = whole.iter().filter(|phase| phase.offset <= written);
        let lines: Vec<u8> = whole.flat_map(json_line).collect();
        // They are the beginning of what is there, unless somebody else changed it: this takes no room.
        phases.write_all_at(&lines, 0)?;
        let phases_at = lines.len() as u64;
        phases.set_len(phases_at)?;
        let mut compressor = Compressor::new(3)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        let files = Self {
            log,
            at,
            phases,
            phases_at,
            compressor,
        };
        Ok((files, written))
    }

    /// Appends a frame of this text, whole or not at all.
    pub(super) fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let frame = self.compressor.compress(text)?;
        let written = self.log.write_all_at(&frame, self.at);
        if let Err(error) = written {
            // What stays of it, if this fails too, is torn: nobody reads it, and the next is written over it.
            let _ = self.log.set_len(self.at);
            return Err(error);
        }
        self.at += frame.len() as u64;
        Ok(())
    }

    /// Appends a phase, whole or not at all.
    pub(super) fn append_phase(&mut self, phase: &PhaseAt) -> io::Result<()> {
        let line = json_line(phase);
        self.phases.write_all_at(&line, self.phases_at)?;
        self.phases_at += line.len() as u64;
        Ok(())
    }

    /// Everything to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        // Behind it may be what stays of a longer frame that was torn.
        self.log.set_len(self.at)?;
        self.log.sync_all()?;
        self.phases.sync_all()
    }
}

fn json_line(phase: &PhaseAt) -> Vec<u8> {
    let mut line = serde_json::to_vec(phase).unwrap_or_default();
    line.push(b'\n');
    line
}
