//! The units of the guides, run by a real systemd: a reader's way through `docs/run.md` and `docs/build-machine.md`, word for word, and then what
//! an operator does with a service.
//!
//! The machine is one of namespaces over this one's files (`boot.sh`), so it has what is installed here, and the kernel's control groups as they
//! are here, of whichever version; once it is one of its own (`kernel.rs`).

mod guide;
mod kernel;
mod machine;

use guide::Section;
use machine::Machine;
use tests::Lab;

const SECTION: &str = "As a service";

/// Makes a builder image.
const BOX: &str = include_str!("box.sh");

/// Pushes the image `team/box:1`.
const PUSH: &str = "
export SLIPWAY_SERVER=127.0.0.1:5000
echo 'a long password' | slipway login --username ada --password-stdin
slipway copy oci:box:1 127.0.0.1:5000/team/box:1
";

/// What holds of a service of any kind.
const SERVICE: &str = "
if systemd-analyze verify slipway.service 2>&1 | grep slipway; then exit 1; fi
test \"$(systemctl is-enabled slipway)\" = enabled
first=\"$(systemctl show --property MainPID --value slipway)\"
kill -KILL \"$first\"
for _ in $(seq 600); do
  now=\"$(systemctl show --property MainPID --value slipway)\"
  case \"$now\" in 0 | \"$first\") sleep 0.1 ;; *) break ;; esac
done
# It may be beginning still, and then this waits for it.
systemctl start slipway
slipway ls team/box | grep -x 1
# What no server starts with is told at once, and the unit is not lost by it.
cp /etc/slipway.yaml good.yaml
echo 'listens: nothing' >> /etc/slipway.yaml
if systemctl restart slipway; then exit 1; fi
journalctl --unit slipway --lines 20 | grep 'did you mean listen'
cp good.yaml /etc/slipway.yaml
systemctl reset-failed slipway
systemctl restart slipway
slipway ls team/box | grep -x 1
systemctl stop slipway
test \"$(systemctl show --property Result --value slipway)\" = success
journalctl --unit slipway --lines 20 | grep ' stopped$'
test \"$(stat --format %a /var/lib/slipway)\" = 700
";

/// What holds where builds are run: one that is at work when the server is restarted is not lost, and nothing of it stays.
const BUILDS: &str = "
mkdir app && echo hello > app/hello
slipway build run --dir app --builder team/box:1 --output team/app:v1 $limits
touch app/slow
slipway build run long --dir app --builder team/box:1 --output team/app:v2 --detach
begun() {
  for _ in $(seq 600); do
    if [ \"$(slipway build logs long -n team | grep -c 'built by 1001')\" = \"$1\" ]; then return; fi
    sleep 0.1
  done
  exit 1
}
begun 1
systemctl restart slipway
begun 2
for _ in $(seq 600); do
  if pkill --exact busybox; then break; fi
  sleep 0.1
done
slipway build logs long -n team --follow
slipway build logs long -n team | grep 'this run will begin anew'
slipway build logs long -n team | grep woken
slipway ls team/app | grep -x v2
systemctl stop slipway
# The kernel takes a moment to empty them.
groups() { find /sys/fs/cgroup -path '*/slipway/*' -type d; }
for _ in $(seq 600); do
  if [ -z \"$(groups)\" ]; then break; fi
  sleep 0.1
done
test -z \"$(groups)\"
if pgrep --exact busybox; then exit 1; fi
systemctl start slipway
";

/// A reader of the guide, in whose place the words are put in that are typed.
fn typed(commands: &str) -> String {
    let add = "slipway user add ada";
    assert!(commands.contains(add), "{commands}");
    let with_password = format!("{add} --password-stdin <<< 'a long password'");
    commands.replace(add, &with_password)
}

/// The files that both kinds of service have, and the commands that make them work.
fn registry() -> (String, String) {
    let run = Section::of("run.md", SECTION);
    let files = run.block("[Unit]") + &run.block("# /etc/slipway.yaml");
    (files, typed(&run.block("useradd")))
}

#[test]
fn the_unit_of_a_registry_keeps_it_running() {
    let lab = Lab::new("systemd");
    let machine = Machine::boot(&lab);
    machine.run(BOX);
    let (files, commands) = registry();
    machine.run(&(files + &commands));
    machine.run(&format!("{PUSH}{SERVICE}"));
    let owner = machine.run("stat --format %U /var/lib/slipway/index.db");
    assert_eq!(owner.trim(), "slipway");
}

/// All that is done with a service of root's.
fn of_root() -> String {
    let guide = Section::of("build-machine.md", SECTION);
    let (files, commands) = registry();
    let more = guide.block("User=root") + &guide.block("# at the end of");
    let commands = commands + &guide.block("slipway build doctor");
    // As the guide says: the files belong to root, and what is run is run by root.
    let commands = commands.replace("--owner slipway --group slipway ", "");
    let commands = commands.replace("runuser -u slipway -- ", "");
    let limits = "limits='--memory 256m --cpus 1 --pids 100'";
    format!("{BOX}{files}{more}{commands}\n{limits}\n{PUSH}{BUILDS}{SERVICE}")
}

#[test]
fn the_unit_of_root_builds_within_limits() {
    let lab = Lab::new("systemd-root");
    Machine::boot(&lab).run(&of_root());
}

/// The kernel here is whatever it is; that of Debian 12 is the one that most will have.
#[test]
fn the_unit_of_root_builds_on_the_kernel_of_debian() {
    let lab = Lab::new("systemd-kernel");
    kernel::run(&lab, &of_root());
}

#[test]
fn the_unit_of_an_ordinary_user_builds() {
    let lab = Lab::new("systemd-user");
    let machine = Machine::boot(&lab);
    machine.run(BOX);
    let guide = Section::of("build-machine.md", SECTION);
    let (files, commands) = registry();
    machine.run(&(files + &commands));
    let more = guide.block("User=slipway") + &guide.block("# at the end of");
    machine.run(&(more + &guide.block("usermod") + &guide.block("slipway build doctor")));
    machine.run(&format!("limits=\n{PUSH}{BUILDS}{SERVICE}"));
}
