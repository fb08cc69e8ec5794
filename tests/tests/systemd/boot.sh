#!/usr/bin/env bash
# Boots systemd as the first process of namespaces of its own, over this machine's files, of which nothing is changed.
#
#   boot.sh FOLDER GROUP PROGRAM
#
# FOLDER is for what the machine writes, GROUP the name of its control group in each tree, and PROGRAM what it finds as
# /usr/local/bin/slipway. It is gone with `unshare`, which this becomes.
set -eu

inside() {
	root="$1/root"
	mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$root"
	# Builds stack overlays, and none can be stacked on this one.
	mkdir -p "$root/var/lib/slipway" "$1/state"
	mount --bind "$1/state" "$root/var/lib/slipway"
	touch "$root/usr/local/bin/slipway"
	mount --bind "$3" "$root/usr/local/bin/slipway"
	# None of what this machine starts and mounts, and no user of an earlier try.
	rm -rf "$root"/etc/systemd/system/*.wants "$root"/etc/systemd/system/slipway.service* "$root/var/log/journal"
	: > "$root/etc/fstab"
	mask "$root/etc/systemd/system" systemd-sysctl systemd-modules-load systemd-binfmt procps
	mount -t proc proc "$root/proc"
	mount -t sysfs sysfs "$root/sys"
	control_groups "$root/sys/fs/cgroup"
	mount -t tmpfs -o mode=755 tmpfs "$root/dev"
	for node in null zero full random urandom tty; do
		touch "$root/dev/$node"
		mount --bind "/dev/$node" "$root/dev/$node"
	done
	mkdir "$root/dev/pts" "$root/dev/shm"
	mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
	ln -s pts/ptmx "$root/dev/ptmx"
	mount -t tmpfs tmpfs "$root/dev/shm"
	mount -t tmpfs -o mode=755 tmpfs "$root/run"
	mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
	mkdir "$root/run/before"
	cd "$root"
	pivot_root . run/before
	umount --lazy /run/before
	exec env --ignore-environment container=namespaces PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		/lib/systemd/systemd --unit=multi-user.target < /dev/null
}

# What would set up the kernel, which is this machine's, too.
mask() {
	for unit in "${@:2}"; do ln -sf /dev/null "$1/$unit.service"; done
}

# The trees that this machine has, each as if the group were its root. No more: what systemd mounts besides, it would take from this machine.
control_groups() {
	if is_unified; then
		mount -t cgroup2 cgroup2 "$1"
		return
	fi
	mount -t tmpfs -o mode=755 tmpfs "$1"
	for tree in /sys/fs/cgroup/*/; do
		name="$(basename "$tree")"
		mkdir "$1/$name"
		case "$name" in
		unified) mount -t cgroup2 cgroup2 "$1/$name" ;;
		systemd) mount -t cgroup -o none,name=systemd cgroup "$1/$name" ;;
		*) mount -t cgroup -o "$name" cgroup "$1/$name" ;;
		esac
	done
	mount -o remount,ro "$1"
}

is_unified() { [ "$(stat --file-system --format %T /sys/fs/cgroup)" = cgroup2fs ]; }

if [ "$1" = inside ]; then
	shift
	inside "$@"
fi
mkdir -p "$1/upper" "$1/work" "$1/root"
trees=(/sys/fs/cgroup/*/)
if is_unified; then trees=(/sys/fs/cgroup/); fi
for tree in "${trees[@]}"; do
	mkdir "$tree$2"
	for file in cpuset.cpus cpuset.mems; do
		if [ -e "$tree$file" ]; then cat "$tree$file" > "$tree$2/$file"; fi
	done
	echo $$ > "$tree$2/cgroup.procs"
done
exec unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child --propagation private bash "$0" inside "$@"
