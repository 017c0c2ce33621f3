# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# TAP for tests that are scripts (busybox). Each point is printed at once, and the plan at the end. If the
# set-up fails, a script calls bail(), which fails the test.

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

# One point, named $1. The other arguments are a command. The point passes if the command succeeds.
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

# One point, named $1: $2 equals the expected value $3.
check_is()
{
	check "$1" [ "$2" = "$3" ] && return
	diag "got '$2', want '$3'"
	return 1
}

# End a test. A test calls this last.
tap_end()
{
	echo "1..$TAP_POINTS"
	[ "$TAP_FAILED" -eq 0 ] || exit 1
	exit 0
}
