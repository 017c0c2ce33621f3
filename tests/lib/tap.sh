# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# TAP for tests that are scripts (busybox): points as they are decided, the plan at the end. What does
# not work although everything depends on it is a bail(), which fails the test.

TAP_POINTS=0
TAP_FAILED=0

diag()
{
	echo "# $*"
}

bail()
{
	echo "Bail out! $*"
	exit 1
}

# One point, named $1; the rest is a command: passed if it succeeds.
check()
{
	tap_what=$1
	shift
	TAP_POINTS=$((TAP_POINTS + 1))
	if "$@"; then
		echo "ok $TAP_POINTS - $tap_what"
	else
		TAP_FAILED=$((TAP_FAILED + 1))
		echo "not ok $TAP_POINTS - $tap_what"
		return 1
	fi
}

# One point, named $1: $2 is what it should be, $3.
check_is()
{
	check "$1" [ "$2" = "$3" ] && return
	diag "got '$2', want '$3'"
	return 1
}

# The last thing a test does.
tap_end()
{
	echo "1..$TAP_POINTS"
	[ "$TAP_FAILED" -eq 0 ] || exit 1
	exit 0
}
