//! A server that builds slowly, and what has to be so after a kill.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::program::Ended;
use tests::remains::{control_groups, entries, mounts, processes, until_none};
use tests::{Lab, OrFail, api};

use crate::git::Repository;
use crate::image::Image;
use crate::site::{Run, Site};

/// A build `app` whose images each have the name of their run as their tag.
pub(super) struct Scene<'lab> {
    lab: &'lab Lab,
    pub(super) site: Site<'lab>,
    repository: Repository<'lab>,
    /// Where the builder keeps its files.
    pub(super) folder: PathBuf,
    /// What only processes of this build have in their command line.
    pub(super) mark: String,
    commits: u64,
}

impl<'lab> Scene<'lab> {
    /// The script of the builder image does `assemble`, in which `MARK` is this scene's.
    pub(super) fn new(lab: &'lab Lab, assemble: &str, more: &[&str]) -> Self {
        let site = Site::start(lab);
        let mark = fastrand::u32(100_000..1_000_000).to_string();
        let assemble = assemble.replace("MARK", &mark);
        let script = format!("#!/bin/busybox sh\nset -e\n{assemble}echo assembled\n");
        Image::assembling(&script).push(lab, &site, "builders/slow");
        lab.write("source/round", "0");
        let repository = Repository::serve(lab, lab.path("source"));
        let more = more.iter().chain(&["--tag={run}"]);
        let more: Vec<_> = more.map(|word| (*word).to_owned()).collect();
        site.create(&repository.url, "builders/slow:1", &more);
        Self {
            lab,
            folder: site.server.data().join("builds"),
            site,
            repository,
            mark,
            commits: 0,
        }
    }

    /// Starts a run of a new commit; its name.
    pub(super) fn start(&mut self) -> String {
        self.commits += 1;
        self.lab.write("source/round", self.commits.to_string());
        self.repository.commit();
        let started = self.site.slipway("build start app -n team --detach").ok();
        started.trim().to_owned()
    }

    /// A run that has ended, and what following it said.
    pub(super) fn followed(&self, name: &str) -> (Run, Ended) {
        let follow = format!("build logs {name} -n team --follow");
        let followed = self.site.slipway(&follow).run();
        (self.site.the_run(name), followed)
    }

    pub(super) fn log(&self, name: &str) -> String {
        self.site.look(&format!("buildruns/{name}/log"))
    }

    /// The digest of a run's own tag.
    pub(super) fn tagged(&self, name: &str) -> Option<String> {
        let reply = self.site.api().manifest("team/app", name);
        let reply = reply.or_fail("ask for it");
        if reply.status == 404 {
            return None;
        }
        let reply = reply.expect(200);
        Some(reply.header("docker-content-digest").to_owned())
    }

    /// Every blob of a published image is there, byte for byte.
    pub(super) fn is_whole(&self, digest: Option<&str>) {
        let Some(digest) = digest else { return };
        let api = self.site.api();
        let manifest = api.manifest("team/app", digest).or_fail("the manifest");
        let manifest: Value =
            serde_json::from_str(&manifest.expect(200).text()).or_fail("the manifest");
        let layers = manifest["layers"].as_array().or_fail("layers");
        for blob in layers.iter().chain([&manifest["config"]]) {
            let name = blob["digest"].as_str().or_fail("a digest");
            let held = api.get(&format!("/v2/team/app/blobs/{name}"));
            let held = held.or_fail("a blob").expect(200);
            assert_eq!(api::digest_of(&held.body), name);
        }
    }

    /// Waits until there is no mount, folder, process or control group of these sandboxes.
    pub(super) fn nothing_is_left(&self, sandboxes: &[String]) {
        until_none(|| {
            let mut left = mounts(&self.folder);
            left.extend(entries(&self.folder.join("sandbox/runs")));
            left.extend(entries(&self.folder.join("runs/scratch")));
            left.extend(entries(&self.folder.join("mirrors/sessions")));
            let groups = control_groups("slipway").into_iter();
            left.extend(groups.filter(|group| sandboxes.iter().any(|name| group.contains(name))));
            left.extend(processes(&format!("sleep {}", self.mark)));
            left
        });
    }

    /// Ends the server: what it has stored is whole, and nothing is left.
    pub(super) fn ends_clean(&mut self) {
        self.site.server.stop();
        self.site.server.fsck_is_clean(self.lab);
        self.nothing_is_left(&[]);
    }
}

/// The names of the runs of the sandbox that there are.
pub(super) fn sandboxes(folder: &Path) -> Vec<String> {
    entries(&folder.join("sandbox/runs"))
}
