#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Debian's udev, with its own rules and ours (packaging/): the module has the administrator's device
# table as soon as it has been loaded, be it before udev was there, as at boot. And without our rule it
# has not, so that it is the rule that does it.
#
# What the rule runs is iopfctl as it was built, in the image, where its libraries are.
#
# vm: --mem 1024 --image udev --add cli/iopfctl --add packaging/60-vfio-iopf.rules:/iopf/60-vfio-iopf.rules

# The functions are called, by check.
# shellcheck disable=SC2317

# shellcheck source=tests/lib/tap.sh
. /iopf/lib/tap.sh
# shellcheck source=tests/lib/client.sh
. /iopf/lib/client.sh

RULES=/image/run/udev/rules.d
RULE=/image/run/udev/rules.d/60-vfio-iopf.rules
CONF=/image/etc/vfio-iopf/devices.conf
LIMITS=/image/etc/vfio-iopf/limits.conf
# Looks at what is to come: udev says itself when it is through.
LOOKS=600

# In a chroot udev does nothing unless it is told that that is no mistake.
in_image()
{
	SYSTEMD_IGNORE_CHROOT=1 chroot /image "$@"
}

# What the image can't have, being read-only: settings, and what udev keeps.
udev_root()
{
	client_root
	mkdir -p /tmp/etc /tmp/run
	cp -a /image/etc/. /tmp/etc/
	mount --bind /tmp/etc /image/etc || bail "cannot mount /image/etc"
	mount --bind /tmp/run /image/run || bail "cannot mount /image/run"
	mkdir -p "$RULES" "${CONF%/*}"
	cp /iopf/bin/iopfctl /tmp/iopfctl || bail "there is no iopfctl"
}

# The rule, as "make install" makes it of the one in packaging/.
install_rule()
{
	sed 's,@sbindir@,/tmp,g' /iopf/60-vfio-iopf.rules >"$RULE"
}

udev_start()
{
	in_image /lib/systemd/systemd-udevd --daemon || bail "udev does not start"
	n=0
	until in_image udevadm control --ping 2>/dev/null; do
		n=$((n + 1))
		[ $n -lt $LOOKS ] || bail "udev does not answer"
		usleep 100000
	done
}

udev_stop()
{
	in_image udevadm control --exit || bail "udev does not end"
	while pidof systemd-udevd >/dev/null; do
		usleep 100000
	done
}

# Rules for the limits of new containers that are in force.
limits()
{
	grep "^admin " "$IOPF/limits"
}

# Until udev has nothing more to do.
settle()
{
	in_image udevadm settle --timeout=120 || bail "udev does not come to an end"
}

# The simulator, no backend; the devices are bound by nobody's rule but vfio-pci's override.
simulator()
{
	NOBACKEND=1 iopf-load devices=2 >/dev/null || bail "cannot load the simulator"
}

backend()
{
	insmod /iopf/modules/vfio_iommu_iopf.ko allow_unsafe_interrupts=1 || bail "cannot load the backend"
}

# Rules of the administrator that are in force.
rules()
{
	grep "^admin " "$IOPF/device_table"
}

mode()
{
	cat "$IOPF/devices/10f5:00:0$1.0/mode"
}

udev_root
printf 'address 10f5:00:00.0 arbitrary # by udev\nclass 0880 selective window=0x0-0xfff\n' >"$CONF"
printf 'user 1000-1999 fault_workers_max=8 # by udev\n' >"$LIMITS"

udev_start
simulator
backend
settle
check_is "without our rule udev does nothing" "$(rules)" ""
check_is "and sets no limits" "$(limits)" ""
iopf-unload || bail "cannot unload"

install_rule
check "udev reads our rule" in_image udevadm control --reload
simulator
backend
settle
check_is "loaded: the table is there" "$(rules)" "admin 1 address 10f5:00:00.0 arbitrary # by udev
admin 2 class 0880 selective window=0x0-0xfff"
check_is "loaded: the limits are there" "$(limits)" "admin 1 user 1000-1999 fault_workers_max=8 # by udev"
check_is "loaded: a device has its rule" "$(mode 0)" arbitrary
check_is "loaded: and so has another" "$(mode 1)" selective
in_image udevadm test --action=add /sys/module/vfio_iommu_iopf >test.log 2>&1
check "udev has read it without complaints" grep -q "60-vfio-iopf.rules" test.log
check_is "and has none about a line of it" "$(grep "60-vfio-iopf.rules:[0-9]" test.log |
	grep -iE "invalid|unknown|ignoring|failed")" ""
check "it would run iopfctl" grep -q "/tmp/iopfctl device apply" test.log
check "for the limits, too" grep -q "/tmp/iopfctl limits apply" test.log

# A device that is plugged in has its rule from the table that is there.
echo 1 >/sys/bus/pci/devices/10f5:00:00.0/remove
check "unplugged: the device is gone" [ ! -e "$IOPF/devices/10f5:00:00.0" ]
echo 1 >/sys/bus/pci/rescan
settle
give 10f5:00:00.0 vfio-pci
check_is "plugged in: it has its rule" "$(mode 0)" arbitrary

# A file with a mistake: what is in force stays.
printf 'address 10f5:00:00.0 perhaps\n' >"$CONF"
in_image udevadm trigger --action=add --type=subsystems --subsystem-match=module
settle
check_is "a file with a mistake: the old rules stay" "$(rules | wc -l)" 2
iopf-unload || bail "cannot unload"

# At boot, modules may be loaded before udev is there; systemd-udev-trigger tells it of them.
udev_stop
printf 'address 10f5:00:00.0 arbitrary # at boot\n' >"$CONF"
simulator
backend
udev_start
settle
check_is "loaded before udev: nothing yet" "$(rules)" ""
in_image udevadm trigger --type=subsystems --action=add
in_image udevadm trigger --type=devices --action=add
settle
check_is "what is done at boot: the table is there" "$(rules)" \
	"admin 1 address 10f5:00:00.0 arbitrary # at boot"
check_is "what is done at boot: a device has its rule" "$(mode 0)" arbitrary
udev_stop
iopf-unload || bail "cannot unload"
tap_end
