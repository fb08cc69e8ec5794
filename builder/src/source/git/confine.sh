# Runs git where it can do no harm: $0 is a table of mounts or nothing, then root, user, KiB of memory, blocks of files, command.
# Not exec: as PID 1 this stays the server's, and what git leaves running ends with it.
root=$1; user=$2; memory=$3; files=$4
shift 4
ulimit -c 0 && ulimit -d "$memory" && ulimit -f "$files" || exit 125
if test -z "$root"; then
    exec setpriv --no-new-privs -- "$@"
fi
# Elsewhere than in namespaces of its own it would mount on the machine.
test "$$" = 1 || exit 125
mount --no-mtab --all --fstab "$0" || exit 125
chroot "$root" setpriv --reuid "$user" --regid "$user" --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs -- "$@"
exit $?
