# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# For tests that are scripts: start a program of Debian in the image (vm/run --image), send it commands,
# read its replies; and handle the devices that it drives. Needs tap.sh.
#
# A program that runs but does not prompt again hangs. There is no time limit for that here: the runner
# has a limit for each test.

IOPF=/sys/kernel/vfio_iopf
PARAMETERS=/sys/module/vfio_iommu_iopf/parameters

# Mount the file systems that a program expects.
client_root()
{
	for dir in dev dev/hugepages dev/shm proc sys tmp; do
		grep -q " /image/$dir " /proc/mounts || mount --bind "/$dir" "/image/$dir" ||
			bail "cannot mount /image/$dir"
	done
}

# Start a program of the image, which prompts with $1 and reads commands. Wait for the first prompt.
client_start()
{
	CLIENT_PROMPT=$1
	CLIENT_ASKED=0
	shift
	rm -f client.in client.log
	mkfifo client.in || bail "mkfifo"
	chroot /image "$@" <client.in >client.log 2>&1 &
	CLIENT=$!
	exec 3>client.in
	client_prompt
}

# Wait until the program prompts again. Programs flush their output before the prompt.
client_prompt()
{
	until [ "$(grep -o "$CLIENT_PROMPT" client.log | wc -l)" -gt "$CLIENT_ASKED" ]; do
		if ! kill -0 "$CLIENT" 2>/dev/null; then
			client_log
			bail "the program ended"
		fi
		usleep 20000
	done
}

client_say()
{
	# If the program has ended, SIGPIPE must not kill this script.
	(trap '' PIPE; echo "$*" >&3) 2>/dev/null && return
	client_log
	bail "the program does not listen to '$*'"
}

# Send a command and wait until it is done. CLIENT_REPLY is the reply.
client_ask()
{
	client_say "$@"
	CLIENT_ASKED=$((CLIENT_ASKED + 1))
	client_prompt
	CLIENT_REPLY=$(awk -v RS="$CLIENT_PROMPT" -v n=$((CLIENT_ASKED + 1)) 'NR == n' client.log)
}

# Whether the reply has a line that matches $1.
client_replied()
{
	echo "$CLIENT_REPLY" | grep -qE "$1"
}

client_log()
{
	sed 's/^/#   /' client.log
}

# Wait until the program ends. Returns its exit status.
client_end()
{
	exec 3>&-
	wait "$CLIENT"
}

# Print the addresses of the devices of PCI class $1 (0x...).
devices()
{
	for dev in /sys/bus/pci/devices/*; do
		if [ "$(cat "$dev/class")" = "$1" ]; then
			echo "${dev##*/}"
		fi
	done
}

# Bind device $1 to driver $2. "": bind no driver.
give()
{
	dev=/sys/bus/pci/devices/$1
	[ ! -e "$dev/driver" ] || echo "$1" >"$dev/driver/unbind" || bail "cannot unbind $1"
	[ -n "$2" ] || return 0
	echo "$2" >"$dev/driver_override" && echo "$1" >/sys/bus/pci/drivers_probe
	[ "$(basename "$(readlink "$dev/driver")")" = "$2" ] || bail "$2 does not take $1"
}

# Load VFIO and the backend with parameters "$@", without the simulator.
backend_load()
{
	modprobe vfio_iommu_type1 || bail "cannot load type1"
	modprobe vfio-pci || bail "cannot load vfio-pci"
	insmod /iopf/modules/vfio_iommu_iopf.ko "$@" || bail "cannot load the backend"
}

# One point: backend $2 serves device $1, which is open.
check_served()
{
	check_is "$1 is served by $2" "$(cat "$IOPF/devices/$1/backend")" "$2"
	diag "reason: $(cat "$IOPF/devices/$1/reason")"
}

# Points: the memory that the program has mapped is pinned, and device $1, which $2 serves, did not fault.
# (The charge of the program shows less, since some programs lock all their memory.)
check_pinned()
{
	if [ "$2" = vfio_iommu_iopf ]; then
		pinned=0
		for dir in "$IOPF/containers/"*; do
			[ "$(cat "$dir/pid")" != "$CLIENT" ] || pinned=$(cat "$dir/pinned")
		done
		diag "$pinned bytes are pinned"
		check "$2: memory is pinned" [ "$pinned" -gt 0 ]
	fi
	check_is "$2: nothing faulted" "$(cat "$IOPF/devices/$1/faults")" 0
}

# Make the backend serve containers without a faulting device.
serve_pinned()
{
	check "serve_pinned can be set" [ -e "$PARAMETERS/serve_pinned" ] &&
		echo 1 >"$PARAMETERS/serve_pinned"
}
