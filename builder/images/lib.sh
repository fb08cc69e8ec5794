# shellcheck shell=bash
# What the scripts of all languages share; they source it.
#
# The same source gives the same files: nothing of a build's time, temporary folders or downloads stays in the result.
set -euo pipefail
# OpenShift runs containers as any user, of group 0.
umask 0002

export HOME=/opt/app-root
# Where the application is when it runs.
APP="$HOME/src"
# Where S2I puts the source, and what save-artifacts of the build before wrote.
SOURCE=/tmp/src
ARTIFACTS=/tmp/artifacts
# Downloads and intermediate results. The label dev.slipway.cache names it: a builder may mount a folder here that lasts.
# shellcheck disable=SC2034 # the scripts that source this use it
CACHE="$HOME/.cache"
PORT="${PORT:-8080}"
export PORT
# The time that dependencies are built with: it does not follow the source's, so that they stay the same and can be kept.
# shellcheck disable=SC2034 # the scripts that source this use it
DEPENDENCIES_EPOCH=315532800

say() { printf -- '---> %s\n' "$*"; }
die() {
	printf 'ERROR: %s\n' "$@" >&2
	exit 1
}

# Whether a variable says yes.
is_on() {
	case "${1,,}" in
	1 | on | true | yes) return 0 ;;
	*) return 1 ;;
	esac
}

# Prepares the caches: the folder that is mounted, or one that goes when the build ends, so that downloads are in no image.
# With S2I_KEEP_CACHE they stay: then save-artifacts hands them to the next incremental build.
open_cache() {
	# Always the same folder: its name may get into results.
	work=/tmp/s2i-build
	rm -rf "$work"
	mkdir "$work"
	# What is younger was made by this build.
	touch --date='1 second ago' "$work/begun"
	trap close_cache EXIT
	# Build tools leave their sockets, logs and half downloads where they are told.
	mkdir "$work/tmp"
	export TMPDIR="$work/tmp" TMP="$work/tmp" TEMP="$work/tmp"
	export XDG_DATA_HOME="$work/data" XDG_STATE_HOME="$work/state"
	if is_mounted "$CACHE" && [ -w "$CACHE" ]; then
		say "Downloads are kept in $CACHE"
	elif is_mounted "$CACHE"; then
		say "$CACHE is not writable for $(id -u):$(id -g), and downloads are not kept"
		CACHE="$work/cache"
	elif ! is_on "${S2I_KEEP_CACHE:-}"; then
		CACHE="$work/cache"
	fi
	mkdir -p "$CACHE"
	export XDG_CACHE_HOME="$CACHE/xdg"
	if [ -d "$ARTIFACTS" ]; then
		# Go's module cache is read-only.
		chmod -R u+w "$ARTIFACTS"
		if [ -d "$ARTIFACTS/.cache" ] && ! is_mounted "$CACHE"; then
			say "Taking over the downloads of the build before"
			cp -R "$ARTIFACTS/.cache/." "$CACHE/"
		fi
		rm -rf "$ARTIFACTS"
	fi
}

close_cache() {
	[ $? -eq 0 ] || say_if_git_is_missing
	chmod -R u+w "$work"
	rm -rf "$work"
}

# The usual reason for failures of a source whose dependencies come from git: most of the images have no git.
say_if_git_is_missing() {
	! command -v git >/dev/null || return 0
	# package.json says where its own source is, too.
	cat package.json package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml \
		requirements.txt pyproject.toml poetry.lock uv.lock "$work/requirements.txt" >"$work/names" 2>/dev/null || true
	grep --invert-match '"url"' "$work/names" |
		grep -E 'git\+|git@|git://|"github:|\.git[#"@]|type: git|type = "git"|git = "' >/dev/null || return 0
	printf 'ERROR: %s\n' "the source has dependencies from git, and this builder image has no git; one that has it:" \
		"slipway builder-image create LANGUAGE --package git" >&2
}

# fingerprint: differs where what installed dependencies depend on differs: standard input, the image's packages and scripts,
# the environment.
fingerprint() {
	{
		cat - "${BASH_SOURCE[@]}" /var/lib/dpkg/status
		# By which way packages come is none of it.
		env --null | grep --null-data --invert-match --ignore-case --extended-regexp \
			'^([a-z]+_proxy|PWD|OLDPWD|SHLVL|_|HOSTNAME|SOURCE_DATE_EPOCH)=' | sort --zero-terminated
	} | sha256sum | cut --delimiter=' ' --fields=1
}

# keep FINGERPRINT PATH...: keeps what was installed, for builds to come. Where the cache is no mount, nothing lasts, or it
# would be a second copy in the image.
keep() {
	is_mounted "$CACHE" || return 0
	rm -rf "$CACHE/kept" "$CACHE/kept.new"
	mkdir "$CACHE/kept.new"
	cp -R --preserve=mode,links,timestamps "${@:2}" "$work/begun" "$CACHE/kept.new/"
	printf '%s\n' "$1" >"$CACHE/kept.new/fingerprint"
	mv "$CACHE/kept.new" "$CACHE/kept"
}

# restore_kept FINGERPRINT PATH...: puts back what a build before kept: installing the same again takes most of a build.
restore_kept() {
	local kept="$CACHE/kept" path
	[ "$(cat "$kept/fingerprint" 2>/dev/null)" = "$1" ] || return 1
	say "They are those of the build before"
	for path in "${@:2}"; do
		rm -rf "$path"
		cp -R --preserve=mode,links,timestamps "$kept/$(basename "$path")" "$path" || die "the cache $CACHE is damaged"
		# As if this build had made them: layers have no times after the source's, but times before it stay.
		find "$path" -newer "$kept/begun" -exec touch --no-dereference {} + || die "the times of $path cannot be set"
	done
}

is_mounted() {
	# mountinfo(5): the fifth field is the mount point.
	awk -v path="$1" '$5 == path { found = 1 } END { exit !found }' /proc/self/mountinfo 2>/dev/null
}

# Puts the source where the application is to be.
take_source() {
	[ -n "$(ls -A "$SOURCE" 2>/dev/null)" ] || die "there is no source in $SOURCE"
	cd "$SOURCE"
	find . -mindepth 1 -maxdepth 1 -exec cp -R --no-dereference --preserve=mode,links -t "$APP" {} +
	cd "$APP"
	rm -rf "${SOURCE:?}"/* "${SOURCE:?}"/.[!.]*
}

# start PROGRAM ARGUMENT...: becomes the program. A container's first process gets no signal that it has no handler for, so
# that most would not end when they are asked to; tini passes signals on.
start() {
	[ $$ -ne 1 ] || exec tini -- "$@"
	exec "$@"
}

# Whoever runs the container, it is of group 0. What is mounted while building is in no image, and secrets are only read.
share_with_group() {
	local mounted=() path
	while read -r path; do
		mounted+=(-path "$path" -prune -o)
	done < <(mounts_below "$HOME")
	# Most have the group's rights by the mask; looking is faster than setting what is set.
	local differs=(-perm -u=r ! -perm -g=r -o ! -perm -u=r -perm -g=r -o -perm -u=w ! -perm -g=w -o ! -perm -u=w -perm -g=w
		-o -perm -u=x ! -perm -g=x -o ! -perm -u=x -perm -g=x)
	find "$HOME" -path "$HOME/.cache" -prune -o "${mounted[@]}" ! -type l -user "$(id -u)" \( "${differs[@]}" \) -exec chmod g=u {} +
}

# As patterns of find: blanks and the like are octal digits in mountinfo(5).
mounts_below() {
	awk -v folder="$1/" 'index($5, folder) == 1 { gsub(/\\[0-7][0-7][0-7]/, "?", $5); print $5 }' /proc/self/mountinfo 2>/dev/null
}
