# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Common parts of the scripts in vm/ and scripts/: directories, messages, and fetching Debian packages
# without installing them.
#
# All results of the build are below $BUILD (build/, or $IOPF_BUILD). Only the debug kernel, which takes
# long to build, is outside of the tree in $CACHE. If a directory is made in several steps, it has a
# temporary name until it is complete. So a directory with its final name is complete, even if a script
# was interrupted.

set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${IOPF_BUILD:-$TOP/build}
# shellcheck disable=SC2034 # for the scripts that source this file
CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/vfio-iopf

# The kernel series whose VFIO and IOMMU interfaces the modules are written for.
# shellcheck disable=SC2034
SERIES=6.12

PROG=${PROG:-$(basename "$0")}

say()
{
	printf '%s: %s\n' "$PROG" "$*" >&2
}

die()
{
	say "$*"
	exit 2
}

# Run a command. Print its output only if it fails.
quietly()
{
	local log rc=0

	log=$(mktemp)
	"$@" >"$log" 2>&1 || rc=$?
	if [ "$rc" -ne 0 ]; then
		cat "$log" >&2
	fi
	rm -f "$log"
	return "$rc"
}

# Lock the thing named $1, so that only one process makes it. The lock ends with the process.
lock()
{
	local fd

	mkdir -p "$(dirname "$1")"
	exec {fd}>"$1.lock"
	if ! flock -n "$fd"; then
		say "waiting for another process that is at work on $(basename "$1")"
		flock "$fd"
	fi
}

# Refresh the package lists, at most once in a run, if $1 (a package) is not known to apt.
apt_know()
{
	if apt-cache show "$1" >/dev/null 2>&1; then
		return 0
	fi
	if [ -z "${APT_UPDATED:-}" ]; then
		apt_update
		apt-cache show "$1" >/dev/null 2>&1 && return 0
	fi
	return 1
}

apt_update()
{
	[ "$(id -u)" -eq 0 ] || die "apt has no package lists for what is needed: run 'apt-get update' as root"
	say "updating the package lists (apt-get update)"
	quietly apt-get -q update || die "apt-get update failed; see above"
	APT_UPDATED=1
}

# Print the version of package $1 that apt would download.
apt_version()
{
	apt-cache policy "$1" | sed -n 's/^  Candidate: //p'
}

# Download package $1 at version $2 into $BUILD/download, print the path of the .deb. A file with the right
# name and size is complete, since it gets its name only after the hash is checked.
apt_fetch()
{
	local pkg=$1 version=$2 dir=$BUILD/download record name size hash deb try

	record=$(apt-cache show "$pkg=$version") || die "apt does not know $pkg $version"
	name=$(sed -n 's/^Filename: .*\///p' <<<"$record" | head -n 1)
	size=$(sed -n 's/^Size: //p' <<<"$record" | head -n 1)
	hash=$(sed -n 's/^SHA256: //p' <<<"$record" | head -n 1)
	deb=$dir/$name
	mkdir -p "$dir"
	if [ -f "$deb" ] && [ "$(stat -c %s "$deb")" = "$size" ]; then
		echo "$deb"
		return 0
	fi
	for try in 1 2 3; do
		rm -rf "$dir/.get.$pkg"
		mkdir "$dir/.get.$pkg"
		# apt's sandbox user cannot write into this directory.
		say "downloading $pkg $version ($((size >> 20)) MiB)"
		if (cd "$dir/.get.$pkg" &&
		    quietly apt-get -q -o APT::Sandbox::User=root download "$pkg=$version") &&
		   sha256sum --quiet -c - <<<"$hash  $(echo "$dir/.get.$pkg"/*.deb)" >&2; then
			mv "$dir/.get.$pkg"/*.deb "$deb"
			rmdir "$dir/.get.$pkg"
			echo "$deb"
			return 0
		fi
		say "download of $pkg failed (attempt $try)"
		# The archive may have changed after the package lists were fetched.
		[ -n "${APT_UPDATED:-}" ] || [ "$(id -u)" -ne 0 ] || apt_update
	done
	die "could not download $pkg $version"
}
