//! A machine that systemd has booted: namespaces over the files of this one.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::program::Ended;
use tests::{Daemon, Lab, OrFail, eventually_or, fail, machine, server, toolbox};

/// A booted machine, with a network, processes, control groups and files of its own. What it writes is gone with it.
#[derive(Debug)]
pub(crate) struct Machine<'lab> {
    lab: &'lab Lab,
    systemd: Daemon,
    /// The first process, by the number that it has here.
    init: String,
    /// The name of its control groups.
    group: String,
}

impl<'lab> Machine<'lab> {
    /// Boots one that finds the program under test as `/usr/local/bin/slipway`, and the folder `root` of the lab as `/root`.
    pub(crate) fn boot(lab: &'lab Lab) -> Self {
        machine::needs_root();
        toolbox::needs(&["systemd-run", "dbus-daemon", "unshare", "nsenter"]);
        // A program that is built anew meanwhile would be another file.
        let program = lab.path("slipway");
        lab.program("cp").arg(server::binary()).arg(&program).ok();
        let folder = lab.dir("machine");
        let group = lab.root().file_name().or_fail("the lab's name");
        let group = group.to_string_lossy().into_owned();
        let mut command = Command::new("bash");
        command
            .arg(toolbox::checkout().join("tests/tests/systemd/boot.sh"))
            .args([folder.as_path(), Path::new(&group), &program]);
        let systemd = Daemon::start("systemd", command, &lab.path("boot.log"));
        let mut machine = Self {
            lab,
            systemd,
            init: String::new(),
            group,
        };
        let parent = machine.systemd.id();
        let children = format!("/proc/{parent}/task/{parent}/children");
        machine.init = eventually_or(
            || {
                let init = std::fs::read_to_string(&children).ok()?.trim().to_owned();
                let name = std::fs::read_to_string(format!("/proc/{init}/comm")).ok()?;
                (name.trim() == "systemd").then_some(init)
            },
            || std::fs::read_to_string(lab.path("boot.log")).or_fail("the log of the boot"),
        );
        // Units of this machine's own may fail in namespaces; nothing here depends on them.
        eventually_or(
            || {
                let state = machine.enter("systemctl is-system-running || true").stdout;
                ["running", "degraded"]
                    .contains(&state.trim())
                    .then_some(())
            },
            || machine.enter("systemctl list-jobs").report,
        );
        machine
    }

    /// Runs a script there, as a service beside others; it must succeed. Gives what it printed.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) -> String {
        let ended = self.enter(script);
        if !ended.status.success() {
            let log = self.enter("journalctl --unit slipway --no-pager --lines 30");
            fail(format!("{}\n{}", ended.report, log.stdout));
        }
        ended.stdout
    }

    fn enter(&self, script: &str) -> Ended {
        self.lab
            .program("nsenter")
            .args(["--target", &self.init, "--mount", "--pid", "--uts", "--ipc"])
            .args(["--net", "--root", "--wd"])
            .args(["systemd-run", "--quiet", "--wait", "--pipe", "--collect"])
            .args(["--setenv=HOME=/root", "--working-directory=/root"])
            .args(["bash", "-euxo", "pipefail", "-c", script])
            .run()
    }

    /// Its control groups here.
    fn groups(&self) -> Vec<PathBuf> {
        let trees = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten();
        let trees = trees.flatten().map(|tree| tree.path().join(&self.group));
        let own = Path::new("/sys/fs/cgroup").join(&self.group);
        let all = trees.chain([own]).filter(|group| group.is_dir());
        all.collect()
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        self.systemd.kill();
        // The kernel takes a moment to empty them.
        for _ in 0..200 {
            let groups = self.groups();
            if groups.is_empty() {
                break;
            }
            let mut command = Command::new("find");
            command.args(groups).args(["-depth", "-type", "d"]);
            drop(command.args(["-exec", "rmdir", "{}", ";"]).output());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}
