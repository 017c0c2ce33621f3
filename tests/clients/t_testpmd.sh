#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# DPDK's testpmd on two virtio network cards behind an emulated VT-d, connected to each other: a real
# IOMMU driver, huge pages, an event loop in user space. With the backend loaded in front of stock type1,
# which serves, since the cards can't fault; then with the backend serving them, everything pinned.
#
# Each card sends a number of packets to the other one. All have to arrive, and each as it was sent.
#
# The machine is that of t_nvme.sh.
#
# vm: --machine q35 --mem 1024 --image clients --nvme 64 --module nvme --test-timeout 150
# vm: --append 'intel_iommu=on iommu=nopt' --device intel-iommu,intremap=on,aw-bits=48
# vm: --device '-netdev hubport,id=a,hubid=0' --device '-netdev hubport,id=b,hubid=0'
# vm: --device virtio-net-pci,netdev=a,iommu_platform=on,disable-legacy=on
# vm: --device virtio-net-pci,netdev=b,iommu_platform=on,disable-legacy=on

# shellcheck source=tests/lib/tap.sh
. /iopf/lib/tap.sh
# shellcheck source=tests/lib/client.sh
. /iopf/lib/client.sh

NET=0x020000
BURSTS=8
# So many looks at counters that stand still: what has not arrived is lost. That is no hang.
LOOKS=100
# What testpmd sends if not told otherwise.
PACKETS=$((BURSTS * 32))
LENGTH=64

# Counter $2 of port $1, from the last reply.
counter()
{
	echo "$CLIENT_REPLY" | awk -v port="$1" -v name="$2:" '
		/NIC statistics for port/ { at = $6 }
		at == port {
			for (i = 1; i < NF; i++)
				if ($i == name)
					print $(i + 1)
		}'
}

# Packets from card $1, as testpmd prints those it receives.
arrived()
{
	grep -c "src=$1 .*type=0x0800 - length=$LENGTH .*L2_ETHER L3_IPV4 L4_UDP" client.log
}

# Packets to and fro while $1 serves.
to_and_fro()
{
	who=$1
	diag "served by $who"
	client_start "testpmd> " stdbuf -oL dpdk-testpmd --lcores '0@0,1@0' --in-memory -m 64 \
		--no-telemetry -a "$first" -a "$second" -- \
		-i --total-num-mbufs=2048 --forward-mode=rxonly
	check "$who: testpmd uses VFIO's type 1" grep "Using IOMMU type 1 " client.log
	check_served "$first" "$who"
	# The second one joins the container when it is decided who serves that; only who serves hears of it.
	[ "$who" = vfio_iommu_type1 ] || check_served "$second" "$who"
	client_ask "show port info 0"
	mac0=$(echo "$CLIENT_REPLY" | sed -n 's/^MAC address: //p')
	client_ask "show port info 1"
	mac1=$(echo "$CLIENT_REPLY" | sed -n 's/^MAC address: //p')

	client_ask "set verbose 1"
	client_ask "start tx_first $BURSTS"
	looks=0
	before=
	until [ "$(counter 0 RX-packets)" = "$PACKETS" ] && [ "$(counter 1 RX-packets)" = "$PACKETS" ]; do
		usleep 100000
		client_ask "show port stats all"
		now="$(counter 0 RX-packets) $(counter 1 RX-packets)"
		[ "$now" = "$before" ] && looks=$((looks + 1)) || looks=0
		before=$now
		[ $looks -lt $LOOKS ] || break
	done
	for port in 0 1; do
		check_is "$who: port $port sent" "$(counter $port TX-packets)" "$PACKETS"
		check_is "$who: port $port received" "$(counter $port RX-packets)" "$PACKETS"
		check_is "$who: all of it" "$(counter $port RX-bytes)" $((PACKETS * LENGTH))
		check_is "$who: without errors" "$(counter $port RX-errors)$(counter $port TX-errors)" 00
	done
	check_pinned "$first" "$who"
	client_ask "stop"
	check_is "$who: packets of port 0 as they were sent" "$(arrived "$mac0")" "$PACKETS"
	check_is "$who: packets of port 1 as they were sent" "$(arrived "$mac1")" "$PACKETS"
	client_say quit
	client_end
	check_is "$who: testpmd ends well" $? 0
	[ "$TAP_FAILED" -eq 0 ] || client_log | grep -v -e src= -e ol_flags
}

client_root
# shellcheck disable=SC2046 # a list of words
set -- $(devices $NET)
[ $# -eq 2 ] || bail "there are not two network cards"
first=$1
second=$2
check "there is a VT-d in front of them" [ -e "/sys/class/iommu/dmar0/devices/$first" ]
echo 48 >/proc/sys/vm/nr_hugepages
backend_load ids=all
give "$first" vfio-pci
give "$second" vfio-pci
to_and_fro vfio_iommu_type1
if serve_pinned; then
	to_and_fro vfio_iommu_iopf
fi
give "$first" ""
give "$second" ""
echo 0 >/proc/sys/vm/nr_hugepages
tap_end
