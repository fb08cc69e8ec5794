//! A machine with Debian's own kernel, in an emulator: an older overlayfs than most have who work on this, and control groups of version 2 with
//! all their controllers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::api::digest_of;
use tests::{Lab, OrFail, fail, machine, server, toolbox};

/// Without the processor's help in it, which many machines for tests do not have to give.
const LIMIT: Duration = Duration::from_secs(1200);

/// What `docs/build-machine.md` asks for, and what the script needs.
const PACKAGES: &str = "linux-image-cloud-amd64,systemd-sysv,dbus,udev,runc,util-linux,iproute2,nftables,git,openssh-client,\
                        ca-certificates,curl,procps,busybox-static,umoci,jq";

/// Runs the script and turns the machine off.
const READER: &str = "[Unit]
After=network.target dbus.service
[Service]
Type=oneshot
WorkingDirectory=/root
Environment=HOME=/root
ExecStart=/bin/bash -euxo pipefail /root/script.sh
ExecStopPost=/bin/sh -c 'echo \"ended: $$SERVICE_RESULT\"; journalctl --unit slipway --no-pager --lines 30; systemctl poweroff --force --force'
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
";

/// Boots it, and runs a script there, which must succeed.
#[track_caller]
pub(crate) fn run(lab: &Lab, script: &str) {
    machine::needs_root();
    if !is_bookworm() {
        // No step of this machine's own is missing: its kernel has had the same test.
        eprintln!(
            "skipped: the program is made for another C library or processor than Debian 12's"
        );
        return;
    }
    toolbox::needs(&["qemu-system-x86_64", "mmdebstrap", "mkfs.ext4"]);
    let root = lab.dir("root");
    let tar = debian(lab);
    lab.program("tar")
        .args(["--extract", "--numeric-owner", "--file"])
        .arg(tar)
        .arg("--directory")
        .arg(&root)
        .ok();
    let program = root.join("usr/local/bin/slipway");
    lab.program("cp").arg(server::binary()).arg(program).ok();
    lab.write("root/root/script.sh", script);
    lab.write("root/etc/hosts", "127.0.0.1 localhost\n");
    lab.write("root/etc/systemd/system/reader.service", READER);
    let link = |to: &str, at: &str| {
        let at = root.join("etc/systemd/system").join(at);
        std::fs::create_dir_all(at.parent().or_fail("a folder")).or_fail("make a folder");
        std::os::unix::fs::symlink(to, at).or_fail("link a unit");
    };
    link(
        "../reader.service",
        "multi-user.target.wants/reader.service",
    );
    link("/dev/null", "serial-getty@ttyS0.service");
    let (kernel, first) = (boot(&root, "vmlinuz-"), boot(&root, "initrd.img-"));
    let disk = lab.path("disk.img");
    lab.program("truncate").arg("--size=3G").arg(&disk).ok();
    lab.program("mkfs.ext4")
        .args(["-q", "-d"])
        .args([&root, &disk])
        .ok();
    let words = "root=/dev/vda rw console=ttyS0 systemd.show_status=no loglevel=3";
    let said = lab
        .program("qemu-system-x86_64")
        .args(
            "-accel tcg,thread=multi -cpu max -m 2G -smp 2 -nographic -no-reboot -nic none"
                .split(' '),
        )
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(first)
        .args(["-append", words, "-drive"])
        .arg(format!("file={},if=virtio,format=raw", disk.display()))
        .limit(LIMIT)
        .ok();
    if !said.contains("ended: success") {
        fail(said);
    }
}

/// Whether what is built here runs there.
fn is_bookworm() -> bool {
    let release = std::fs::read_to_string("/etc/os-release").or_fail("read /etc/os-release");
    let is_debian = release
        .lines()
        .any(|line| line == "VERSION_CODENAME=bookworm");
    is_debian && cfg!(target_arch = "x86_64")
}

/// A tar of the machine's files, from the package sources of this one, kept in the cache.
fn debian(lab: &Lab) -> PathBuf {
    let digest = digest_of(PACKAGES.as_bytes()).replace("sha256:", "");
    let kept = toolbox::cache().join(format!("debian-kernel-{}.tar", &digest[..16]));
    if kept.is_file() {
        return kept;
    }
    std::fs::create_dir_all(toolbox::cache()).or_fail("make the cache");
    // A name of its own, then a rename: two tests may come here at once.
    let fresh = kept.with_extension(format!("{:016x}.tar", fastrand::u64(..)));
    lab.program("mmdebstrap")
        .args(["--variant=minbase", "--mode=root", "--format=tar"])
        .arg(format!("--include={PACKAGES}"))
        .arg("bookworm")
        .arg(&fresh)
        .limit(LIMIT)
        .ok();
    std::fs::rename(&fresh, &kept).or_fail("keep the Debian tar");
    kept
}

/// The file in `/boot` whose name begins so.
fn boot(root: &Path, begins: &str) -> PathBuf {
    let files = std::fs::read_dir(root.join("boot")).or_fail("list /boot");
    let mut files = files.map(|file| file.or_fail("list /boot"));
    let found = files.find(|file| file.file_name().to_string_lossy().starts_with(begins));
    found.or_fail(begins).path()
}
