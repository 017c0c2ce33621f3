# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Common functions of the guest's scripts, which run under busybox.
#
# Ports are named channels to the host (virtio-serial). out: text for people. verdict: one event a line,
# for the runner on the host. files: one tar archive, written at the end.

# Print the path of the port named $1.
port()
{
	for p in /sys/class/virtio-ports/*; do
		if [ "$(cat "$p/name" 2>/dev/null)" = "$1" ]; then
			echo "/dev/${p##*/}"
			return 0
		fi
	done
	return 1
}

event()
{
	echo "$*" >"$VERDICT"
}

# Print the complaints in the file $1 with surrounding lines. Return false if there are none.
complaints()
{
	grep -v '^#' /iopf/complaints >/tmp/.complaints
	grep -q -E -f /tmp/.complaints "$1" || return 1
	grep -E -B 3 -A 40 -f /tmp/.complaints "$1" | head -n 200
}
