#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# QEMU's own NVMe driver in user space (nvme://, by qemu-io) on an emulated controller behind an
# emulated VT-d: a real IOMMU driver. With the backend loaded in front of stock type1, which serves, since
# the controller can't fault; then with the backend serving it, everything pinned. Whatever one side writes
# the other reads: qemu-io, and the kernel's driver.
#
# qemu-io opens the controller once each time: opened again by nvme:// without the kernel's driver in
# between, it was seen to hang on stock type1. So was qemu-img.
#
# vm: --machine q35 --mem 1024 --image clients --nvme 64 --module nvme --test-timeout 150
# vm: --append 'intel_iommu=on iommu=nopt' --device intel-iommu,intremap=on,aw-bits=48
# vm: --device '-netdev hubport,id=a,hubid=0' --device '-netdev hubport,id=b,hubid=0'
# vm: --device virtio-net-pci,netdev=a,iommu_platform=on,disable-legacy=on
# vm: --device virtio-net-pci,netdev=b,iommu_platform=on,disable-legacy=on

# The functions are called, by check.
# shellcheck disable=SC2317

# shellcheck source=tests/lib/tap.sh
. /iopf/lib/tap.sh
# shellcheck source=tests/lib/client.sh
. /iopf/lib/client.sh

NVME=0x010802
MIB=1048576

# The kernel's block device of the controller. It appears a moment after the driver is bound.
kernel_disk()
{
	until [ -b /dev/nvme0n1 ]; do
		usleep 20000
	done
	echo /dev/nvme0n1
}

# Whether $2 times 64 KiB of the disk from $1 on are the file $3, for the kernel.
kernel_reads()
{
	dd if="$(kernel_disk)" bs=64k skip="$1" count="$2" 2>/dev/null | cmp - "$3"
}

# Whether qemu-io did $1 and all of it.
io()
{
	client_ask "$1"
	client_replied '^(wrote|read) ([0-9]+)/\2 bytes' && ! client_replied 'Pattern' && return
	echo "$CLIENT_REPLY" | sed 's/^/#   /'
	return 1
}

# Whether it reads file $1, of $2 KiB, at the beginning of the disk.
io_reads_file()
{
	client_ask "read -v 0 $2k"
	client_replied "^read ($(($2 * 1024)))/\\1 bytes" || return 1
	echo "$CLIENT_REPLY" | awk '/^[0-9a-f]+: / { for (i = 2; i <= 17; i++) printf " %s", $i; print "" }' >read.hex
	od -An -v -tx1 "$1" | cmp - read.hex
}

# The control: whether it notices other data than it was told.
io_notices()
{
	client_ask "$1"
	client_replied 'Pattern verification failed'
}

# Data to and fro while $1 serves.
to_and_fro()
{
	who=$1
	diag "served by $who"
	dd if=/dev/urandom of=mine bs=$MIB count=2 2>/dev/null
	dd if=/dev/urandom of=kernels bs=64k count=1 2>/dev/null
	give "$nvme" nvme
	dd if=kernels of="$(kernel_disk)" bs=64k conv=fsync 2>/dev/null || bail "cannot write"

	give "$nvme" vfio-pci
	client_start "qemu-io> " qemu-io -f raw "nvme://$nvme/1"
	check_served "$nvme" "$who"
	check "$who: writes 1 MiB" io "write -P 0xab 16M 1M"
	check "$who: reads it back" io "read -P 0xab 16M 1M"
	check "$who: writes 4 KiB at an odd place" io "write -P 0xcd 16901k 4k"
	check "$who: reads what is before" io "read -P 0xab 16M 517k"
	check "$who: reads it back" io "read -P 0xcd 16901k 4k"
	check "$who: reads what is behind" io "read -P 0xab 16905k 503k"
	check "$who: writes a file of 2 MiB" io "write -s $PWD/mine 4M 2M"
	check "$who: flushes" client_ask flush
	check "$who: reads what the kernel wrote" io_reads_file kernels 64
	check_pinned "$nvme" "$who"
	check "$who: other data would be noticed" io_notices "read -P 0xab 16M 1M"
	client_say quit
	client_end
	check_is "$who: qemu-io ends, and remembers that" $? 1

	give "$nvme" nvme
	check "$who: what was written is on the disk" kernel_reads 64 32 mine
	check "$who: and no more of it" kernel_reads 0 1 kernels
}

client_root
nvme=$(devices $NVME)
[ -n "$nvme" ] || bail "there is no NVMe controller"
check "there is a VT-d in front of it" [ -e "/sys/class/iommu/dmar0/devices/$nvme" ]
backend_load ids=all
to_and_fro vfio_iommu_type1
if serve_pinned; then
	to_and_fro vfio_iommu_iopf
fi
tap_end
