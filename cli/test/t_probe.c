// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl probe: what it reads of each device, and the verdict for each thing that may be missing,
 * one at a time from a device that has all.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "../cmd.h"
#include "tree.h"

#define DEV	"0000:01:00.0"
#define PCI	"bus/pci/devices/"

#define CAP_EXP		0x40
#define CAP_ATS		0x100
#define CAP_PRI		0x140
#define CAP_PASID	0x180

/**
 * struct config - configuration space to be
 * @bytes: it
 * @last: the extended capability added last, or 0
 */
struct config {
	uint8_t bytes[4096];
	unsigned int last;
};

static void set16(struct config *c, unsigned int at, unsigned int value)
{
	c->bytes[at] = value;
	c->bytes[at + 1] = value >> 8;
}

/* A PCI Express endpoint without extended capabilities. */
static void config_begin(struct config *c, unsigned int vendor, unsigned int device)
{
	memset(c, 0, sizeof(*c));
	set16(c, PCI_VENDOR_ID, vendor);
	set16(c, PCI_DEVICE_ID, device);
	set16(c, PCI_STATUS, PCI_STATUS_CAP_LIST);
	set16(c, PCI_CLASS_DEVICE, 0x0b40);
	c->bytes[PCI_CAPABILITY_LIST] = CAP_EXP;
	c->bytes[CAP_EXP] = PCI_CAP_ID_EXP;
	set16(c, CAP_EXP + PCI_EXP_FLAGS, 2);
}

static void config_cap(struct config *c, unsigned int at, unsigned int id, unsigned int ctrl)
{
	/* The first one has to be at 0x100. */
	if (c->last)
		set16(c, c->last + 2, at << 4 | 1);
	else if (at != CAP_ATS)
		at = CAP_ATS;
	set16(c, at, id);
	set16(c, at + 2, 1);
	set16(c, at + (id == PCI_EXT_CAP_ID_PRI ? PCI_PRI_CTRL : PCI_ATS_CTRL), ctrl);
	c->last = at;
}

static void pci_file(struct tree *t, const char *dev, const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), PCI "%s/%s", dev, name);
	tree_file(t, path, "%s\n", text);
}

static void pci_link(struct tree *t, const char *dev, const char *name, const char *target)
{
	char path[128];

	snprintf(path, sizeof(path), PCI "%s/%s", dev, name);
	tree_link(t, path, target);
}

static void pci_device(struct tree *t, const char *dev, const struct config *c, size_t len)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), PCI "%s/config", dev);
	tree_bytes(t, path, c->bytes, len);
	snprintf(text, sizeof(text), "0x%02x%02x", c->bytes[1], c->bytes[0]);
	pci_file(t, dev, "vendor", text);
	snprintf(text, sizeof(text), "0x%02x%02x", c->bytes[3], c->bytes[2]);
	pci_file(t, dev, "device", text);
	snprintf(text, sizeof(text), "0x%02x%02x00", c->bytes[11], c->bytes[10]);
	pci_file(t, dev, "class", text);
	pci_file(t, dev, "subsystem_vendor", "0x1af4");
	pci_file(t, dev, "subsystem_device", "0x0007");
}

/* Behind Intel's IOMMU dmar0, which takes page requests, in group 5. */
static void pci_behind(struct tree *t, const char *dev)
{
	char path[128];

	tree_file(t, "class/iommu/dmar0/intel-iommu/ecap", "%llx\n", 0xf000ull | 1 << 29);
	tree_file(t, "class/iommu/dmar0/intel-iommu/version", "5:0\n");
	pci_link(t, dev, "iommu", "../../../../class/iommu/dmar0");
	snprintf(path, sizeof(path), "kernel/iommu_groups/5/devices/%s", dev);
	tree_file(t, path, "%s", "");
	pci_link(t, dev, "iommu_group", "../../../../kernel/iommu_groups/5");
}

static void pci_vfio(struct tree *t, const char *dev)
{
	char path[128];

	pci_link(t, dev, "driver", "../../drivers/vfio-pci");
	snprintf(path, sizeof(path), PCI "%s/vfio-dev/vfio0", dev);
	tree_dir(t, path);
}

/* A device that lacks nothing, and is in use. */
static void perfect(struct tree *t)
{
	struct config c;

	tree_module(t);
	config_begin(&c, 0x8086, 0x4321);
	config_cap(&c, CAP_ATS, PCI_EXT_CAP_ID_ATS, PCI_ATS_CTRL_ENABLE);
	config_cap(&c, CAP_PRI, PCI_EXT_CAP_ID_PRI, PCI_PRI_CTRL_ENABLE);
	config_cap(&c, CAP_PASID, PCI_EXT_CAP_ID_PASID, 0);
	pci_device(t, DEV, &c, sizeof(c.bytes));
	pci_behind(t, DEV);
	pci_vfio(t, DEV);
	tree_device(t, DEV, "2", 17);
	tree_file(t, "module/vfio_iommu_iopf/parameters/ids", "8086:4321\n");
}

/* The same, not in use, and never was. */
static void ready(struct tree *t)
{
	perfect(t);
	tree_device(t, DEV, "none", 0);
}

static void verdict(struct tree *t, const char *want, const char *part, const char *file, int line)
{
	tree_want(tree_run(t, "probe", DEV, "--json", NULL), CTL_OK, file, line);
	tree_says(json_object_get_string(tree_json(t, "/devices/0/verdict")), want, true, file,
		  line);
	tree_says(json_object_get_string(tree_json(t, "/devices/0/text")), part, true, file, line);
}

/* The verdict on the device has to be this, and say that. */
#define VERDICT(t, want, part)	verdict(t, want, part, __FILE__, __LINE__)

static void faults(void **state)
{
	struct tree *t = *state;

	perfect(t);
	VERDICT(t, "faults", "in container 2");
	JSON_STRING(t, "/devices/0/device", DEV);
	JSON_STRING(t, "/devices/0/id", "8086:4321");
	JSON_STRING(t, "/devices/0/class", "0b4000");
	JSON_STRING(t, "/devices/0/subsystem", "1af4:0007");
	JSON_STRING(t, "/devices/0/driver", "vfio-pci");
	JSON_BOOL(t, "/devices/0/vfio", true);
	JSON_STRING(t, "/devices/0/ats", "enabled");
	JSON_STRING(t, "/devices/0/pri", "enabled");
	JSON_STRING(t, "/devices/0/pasid", "present");
	JSON_STRING(t, "/devices/0/stall", "absent");
	JSON_STRING(t, "/devices/0/iommu", "dmar0");
	JSON_STRING(t, "/devices/0/iommu_kind", "intel-iommu");
	JSON_STRING(t, "/devices/0/iommu_version", "5:0");
	JSON_STRING(t, "/devices/0/iommu_page_requests", "present");
	JSON_INT(t, "/devices/0/iommu_group", 5);
	JSON_STRING(t, "/devices/0/mode", "arbitrary");
	JSON_STRING(t, "/devices/0/origin", "ids");
	JSON_INT(t, "/devices/0/container", 2);
	JSON_INT(t, "/devices/0/faults", 17);
	JSON_LENGTH(t, "/devices/0/needs", 0);

	tree_device(t, DEV, "none", 17);
	VERDICT(t, "faults", "not in use");
	RUN(t, CTL_OK, "probe");
	SAYS(t->out, DEV);
	SAYS(t->out, "faults: not in use");
}

static void driver_has_the_last_word(void **state)
{
	struct tree *t = *state;

	ready(t);
	VERDICT(t, "could", "could, if its IOMMU's driver (dmar0) turns page faults on");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/served_by", "vfio_iommu_type1\n");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason",
		  "refused: its IOMMU driver can't turn I/O page faults on for it (it needs PRI and ATS, or stall)\n");
	VERDICT(t, "cannot", "dmar0");
}

static void capabilities(void **state)
{
	struct tree *t = *state;
	struct config c;

	ready(t);
	config_begin(&c, 0x8086, 0x4321);
	pci_device(t, DEV, &c, sizeof(c.bytes));
	VERDICT(t, "cannot", "no page request interface");
	JSON_STRING(t, "/devices/0/pri", "absent");
	config_cap(&c, CAP_ATS, PCI_EXT_CAP_ID_ATS, 0);
	pci_device(t, DEV, &c, sizeof(c.bytes));
	VERDICT(t, "cannot", "no page request interface");
	JSON_STRING(t, "/devices/0/ats", "present");
	config_begin(&c, 0x8086, 0x4321);
	config_cap(&c, CAP_ATS, PCI_EXT_CAP_ID_PRI, 0);
	pci_device(t, DEV, &c, sizeof(c.bytes));
	VERDICT(t, "cannot", "no address translation services");
	config_cap(&c, CAP_PRI, PCI_EXT_CAP_ID_ATS, 0);
	set16(&c, CAP_ATS + PCI_PRI_STATUS, PCI_PRI_STATUS_RF);
	pci_device(t, DEV, &c, sizeof(c.bytes));
	VERDICT(t, "could", "it is reset");
	/* What a user without rights can read, and then a conventional PCI device. */
	pci_device(t, DEV, &c, 64);
	VERDICT(t, "unknown", "root");
	JSON_NULL(t, "/devices/0/pri");
	pci_device(t, DEV, &c, 256);
	VERDICT(t, "cannot", "no page request interface");
}

static void iommus(void **state)
{
	struct tree *t = *state;

	ready(t);
	tree_file(t, "class/iommu/dmar0/intel-iommu/ecap", "f000\n");
	VERDICT(t, "cannot", "dmar0) takes no page requests");
	tree_file(t, "class/iommu/dmar0/intel-iommu/ecap", "rubbish\n");
	VERDICT(t, "could", "turns page faults on");
	JSON_NULL(t, "/devices/0/iommu_page_requests");
	tree_remove(t, "class/iommu/dmar0/intel-iommu");
	tree_file(t, "class/iommu/dmar0/amd-iommu/features", "0:2\n");
	VERDICT(t, "could", "turns page faults on");
	JSON_STRING(t, "/devices/0/iommu_kind", "amd-iommu");
	JSON_STRING(t, "/devices/0/iommu_page_requests", "present");
	tree_file(t, "class/iommu/dmar0/amd-iommu/features", "2:5\n");
	VERDICT(t, "cannot", "takes no page requests");
	tree_remove(t, PCI DEV "/iommu");
	VERDICT(t, "cannot", "not behind an IOMMU");
	tree_remove(t, "class/iommu/dmar0");
	VERDICT(t, "cannot", "no IOMMU is in use");
}

static void stall(void **state)
{
	struct tree *t = *state;
	struct config c;

	ready(t);
	tree_remove(t, "class/iommu/dmar0");
	tree_dir(t, "class/iommu/smmu3.0x2b400000");
	pci_link(t, DEV, "iommu", "../../../../class/iommu/smmu3.0x2b400000");
	config_begin(&c, 0x19e5, 0xa250);
	pci_device(t, DEV, &c, sizeof(c.bytes));
	VERDICT(t, "could", "it waits for a missing page on the bus (stall)");
	JSON_NULL(t, "/devices/0/stall");
	JSON_STRING(t, "/devices/0/iommu_kind", "arm-smmu-v3");
	pci_file(t, DEV, "of_node/dma-can-stall", "");
	VERDICT(t, "could", "turns page faults on");
	SAYS_NOT(t->out, "waits for a missing page");
	JSON_STRING(t, "/devices/0/stall", "present");
	JSON_LENGTH(t, "/devices/0/needs", 1);
}

static void permission(void **state)
{
	struct tree *t = *state;

	ready(t);
	tree_file(t, "module/vfio_iommu_iopf/parameters/ids", "\n");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/mode", "none\n");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/enabled", "0\n");
	VERDICT(t, "could", "device add --apply pci 8086:4321 arbitrary");
	JSON_STRING(t, "/devices/0/origin", "default");
	tree_file(t, "etc/devices.conf", "class 0b40 none\n");
	VERDICT(t, "could", "'class 0b40 none'");
	/* Switched off by hand. */
	tree_file(t, "etc/devices.conf", "class 0b40 arbitrary policy=prefault\n");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/mode", "arbitrary\n");
	VERDICT(t, "could", "set --device " DEV " enabled=1");
	JSON_STRING(t, "/devices/0/origin", "set");
	JSON_STRING(t, "/devices/0/mode", "none");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/enabled", "1\n");
	VERDICT(t, "could", "turns page faults on");
	JSON_STRING(t, "/devices/0/origin", "admin");
	JSON_STRING(t, "/devices/0/rule", "class 0b40 arbitrary policy=prefault");
}

/* The rule that the module has for the device, which may be older than its table. */
static void rule(void **state)
{
	struct tree *t = *state;

	ready(t);
	tree_file(t, "kernel/vfio_iopf/table",
		  "admin 2 pci 8086:* none\nbuiltin 1 class ff none # somewhere\ndefault - address * none\n");
	tree_file(t, "etc/devices.conf", "this is not read\n");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/rule",
		  "admin 7 pci 8086:4321 arbitrary policy=pin # somebody\n");
	VERDICT(t, "could", "turns page faults on");
	JSON_STRING(t, "/devices/0/origin", "admin");
	JSON_STRING(t, "/devices/0/rule", "pci 8086:4321 arbitrary policy=pin");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/mode", "selective\n");
	VERDICT(t, "could", "somebody answers");
	JSON_STRING(t, "/devices/0/origin", "set");
	JSON_NULL(t, "/devices/0/rule");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/mode", "none\n");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/rule", "default - address * none\n");
	VERDICT(t, "could", "device add");
	JSON_STRING(t, "/devices/0/origin", "default");
	/* A device that the module does not know yet is judged by its table. */
	tree_remove(t, "kernel/vfio_iopf/devices/" DEV);
	tree_file(t, "module/vfio_iommu_iopf/parameters/ids", "\n");
	VERDICT(t, "could", "'pci 8086:* none'");
}

static void selective(void **state)
{
	struct tree *t = *state;

	ready(t);
	tree_file(t, "module/vfio_iommu_iopf/parameters/ids", "\n");
	tree_file(t, "etc/devices.conf", "address " DEV " selective\n");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/mode", "selective\n");
	VERDICT(t, "could", "somebody answers");
	tree_file(t, "etc/devices.conf", "address " DEV " selective window=0x0-0xfff\n");
	VERDICT(t, "could", "turns page faults on");
	/* What the module has counts. */
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/windows", "%s", "");
	VERDICT(t, "could", "somebody answers");
	/* In use meanwhile, and pinned for that. */
	tree_device(t, DEV, "2", 0);
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/mode", "selective\n");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason",
		  "unanswered: it faults only in part, and nobody has said yet where it may not\n");
	VERDICT(t, "could", "somebody answers");
	JSON_LENGTH(t, "/devices/0/needs", 1);
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason", "\n");
	VERDICT(t, "faults", "in container 2");
}

static void others(void **state)
{
	struct tree *t = *state;
	struct config c;

	ready(t);
	config_begin(&c, 0x8086, 0x5555);
	pci_device(t, "0000:01:00.1", &c, sizeof(c.bytes));
	pci_behind(t, "0000:01:00.1");
	VERDICT(t, "could", "IOMMU group 5 may fault, too: 0000:01:00.1");
	/* A bridge is nobody's; a device that may fault is no obstacle. */
	pci_file(t, "0000:01:00.1", "class", "0x060400");
	VERDICT(t, "could", "turns page faults on");
	pci_file(t, "0000:01:00.1", "class", "0x020000");
	tree_file(t, "module/vfio_iommu_iopf/parameters/ids", "8086:*\n");
	VERDICT(t, "could", "turns page faults on");
}

static void not_vfio(void **state)
{
	struct tree *t = *state;

	ready(t);
	tree_remove(t, "kernel/vfio_iopf/devices/" DEV);
	tree_remove(t, PCI DEV "/vfio-dev");
	tree_remove(t, PCI DEV "/driver");
	VERDICT(t, "could", "vfio-pci (now to nothing)");
	JSON_NULL(t, "/devices/0/driver");
	JSON_NULL(t, "/devices/0/served_by");
	JSON_STRING(t, "/devices/0/mode", "arbitrary");
	pci_link(t, DEV, "driver", "../../drivers/idxd");
	VERDICT(t, "could", "vfio-pci (now: idxd)");
	tree_remove(t, "kernel/vfio_iopf");
	VERDICT(t, "could", "modprobe vfio_iommu_iopf");
	JSON_LENGTH(t, "/devices/0/needs", 2);
}

static void reasons(void **state)
{
	struct tree *t = *state;

	ready(t);
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/served_by", "vfio_iommu_type1\n");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason",
		  "unsafe: its interrupts are not remapped (module parameter allow_unsafe_interrupts)\n");
	VERDICT(t, "could", "allow_unsafe_interrupts permits");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason",
		  "failed: attaching it here failed\n");
	VERDICT(t, "could", "container is opened anew");
	SAYS(t->out, "(vfio_iommu_type1 serves the last: attaching it here failed)");
	JSON_STRING(t, "/devices/0/reason", "failed: attaching it here failed");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason",
		  "behind: in other words\n");
	VERDICT(t, "could", "asked before vfio_iommu_type1");
	SAYS(t->out, "write 1 to /sys/kernel/vfio_iopf/front");
	JSON_LENGTH(t, "/devices/0/needs", 1);
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason",
		  "bypassed: its container was opened before\n");
	VERDICT(t, "could", "container is opened anew");
	/* It is the word that counts, all of it and nothing else. */
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason",
		  "failed: allow_unsafe_interrupts, can't turn I/O page faults on, refused: it all\n");
	VERDICT(t, "could", "container is opened anew");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason", "refuse: it\n");
	VERDICT(t, "could", "serves the last: it)");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason", "refusedly: it\n");
	VERDICT(t, "could", "serves the last: it)");
	/* What a word means that is not known is not guessed. */
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason", "elsewhere\n");
	VERDICT(t, "could", "serves the last: elsewhere)");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason", "refused: in other words\n");
	VERDICT(t, "cannot", "dmar0");
	/* Since then it was allowed; what its IOMMU can has not been asked. */
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason",
		  "disabled: it, or another one of its group, is not enabled (device table, or its sysfs file mode)\n");
	VERDICT(t, "could", "turns page faults on");
	JSON_LENGTH(t, "/devices/0/needs", 2);
	tree_device(t, DEV, "2", 0);
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason",
		  "pinned: it may not fault, so its container is pinned\n");
	VERDICT(t, "could", "not pinned");
}

static void virtual_function(void **state)
{
	struct tree *t = *state;
	struct config c;

	ready(t);
	config_begin(&c, 0x8086, 0x4322);
	config_cap(&c, CAP_ATS, PCI_EXT_CAP_ID_ATS, PCI_ATS_CTRL_ENABLE);
	pci_device(t, "0000:01:01.0", &c, sizeof(c.bytes));
	pci_behind(t, "0000:01:01.0");
	pci_link(t, "0000:01:01.0", "physfn", "../" DEV);
	RUN(t, CTL_OK, "probe", "0000:01:01.0", "--json");
	JSON_STRING(t, "/devices/0/pri", "enabled");
	JSON_STRING(t, "/devices/0/verdict", "could");
	/* Without its physical function, whose the interface is, nothing is known. */
	tree_remove(t, PCI DEV);
	RUN(t, CTL_OK, "probe", "0000:01:01.0", "--json");
	JSON_NULL(t, "/devices/0/pri");
	JSON_STRING(t, "/devices/0/verdict", "unknown");
}

static void many(void **state)
{
	struct tree *t = *state;
	struct config c;

	ready(t);
	config_begin(&c, 0x1b36, 1);
	c.bytes[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_BRIDGE;
	pci_device(t, "0000:00:01.0", &c, sizeof(c.bytes));
	config_begin(&c, 0x1af4, 0x1000);
	pci_device(t, "10f5:00:00.0", &c, sizeof(c.bytes));
	RUN(t, CTL_OK, "probe", "--json");
	JSON_LENGTH(t, "/devices", 2);
	JSON_STRING(t, "/devices/0/device", DEV);
	JSON_STRING(t, "/devices/1/device", "10f5:00:00.0");
	RUN(t, CTL_OK, "probe", "--json", "--all");
	JSON_LENGTH(t, "/devices", 3);
	JSON_STRING(t, "/devices/0/device", "0000:00:01.0");
	JSON_STRING(t, "/devices/0/verdict", "cannot");
	/* Who names a bridge gets it, and domain 0 need not be said. */
	RUN(t, CTL_OK, "probe", "--json", "00:01.0", "10f5:00:00.0");
	JSON_LENGTH(t, "/devices", 2);
	RUN(t, CTL_NOT_FOUND, "probe", "00:01.0", "00:02.0");
	SAYS(t->err, "no PCI device 00:02.0");
	assert_string_equal(t->out, "");
	RUN(t, CTL_NOT_FOUND, "probe", "../x");
	RUN(t, CTL_OK, "probe", DEV);
	SAYS(t->out, "SUBSYSTEM");
}

/* Many more of a group than are named. */
static void crowd(void **state)
{
	struct tree *t = *state;
	struct config c;
	char name[32];

	ready(t);
	config_begin(&c, 0x8086, 0x5555);
	for (unsigned int i = 1; i < 20; i++) {
		snprintf(name, sizeof(name), "0000:01:%02x.0", i);
		pci_device(t, name, &c, sizeof(c.bytes));
		pci_behind(t, name);
	}
	VERDICT(t, "could", "0000:01:01.0 0000:01:02.0 ");
	SAYS(t->out, "0000:01:08.0 and 11 more");
	SAYS_NOT(t->out, "01:09.0");
	/* One of the crowd does not count itself. */
	RUN(t, CTL_OK, "probe", "0000:01:01.0", "--json");
	JSON_INT(t, "/devices/0/iommu_group", 5);
}

/* So many devices, all in one group or each in its own, and how many files it takes. */
static unsigned int opens(struct tree *t, unsigned int from, unsigned int to, bool together)
{
	struct config c;
	char name[32], group[64], path[128];

	config_begin(&c, 0x8086, 0x5555);
	config_cap(&c, CAP_ATS, PCI_EXT_CAP_ID_ATS, 0);
	config_cap(&c, CAP_PRI, PCI_EXT_CAP_ID_PRI, 0);
	for (unsigned int i = from; i < to; i++) {
		snprintf(name, sizeof(name), "0001:%02x:%02x.0", i >> 5, i & 31);
		pci_device(t, name, &c, sizeof(c.bytes));
		pci_behind(t, name);
		tree_device(t, name, "none", 0);
		if (together)
			continue;
		snprintf(path, sizeof(path), "kernel/iommu_groups/%u/devices/%s", 100 + i, name);
		tree_file(t, path, "%s", "");
		snprintf(group, sizeof(group), "../../../../kernel/iommu_groups/%u", 100 + i);
		pci_link(t, name, "iommu_group", group);
	}
	return tree_opens(t, "probe", NULL);
}

/* Each device more costs the same, however many there are. */
static void linear(void **state)
{
	const unsigned int step = 40;
	struct tree *t = *state;

	for (unsigned int together = 0; together < 2; together++) {
		unsigned int none, first, later;

		ready(t);
		none = opens(t, 0, 0, together);
		first = opens(t, 0, step, together) - none;
		later = opens(t, step, 4 * step, together) - none - first;
		/* Something was read of each; what is quadratic would make it five times that. */
		assert_true(first >= 5 * step);
		assert_in_range(later, 3 * first - step, 3 * first + step);
		tree_remove(t, "bus");
		tree_remove(t, "kernel");
	}
}

/* A device that is listed, and gone when it is looked at. */
static void vanished(void **state)
{
	struct tree *t = *state;
	struct config c;

	ready(t);
	config_begin(&c, 0x8086, 0x5555);
	pci_device(t, "0000:02:00.0", &c, sizeof(c.bytes));
	tree_remove(t, PCI "0000:02:00.0/vendor");
	RUN(t, CTL_OK, "probe", "--json");
	JSON_LENGTH(t, "/devices", 1);
	JSON_STRING(t, "/devices/0/device", DEV);
	RUN(t, CTL_NOT_FOUND, "probe", "0000:02:00.0");
	/* One that stays, and can't be understood. */
	pci_file(t, "0000:02:00.0", "vendor", "rubbish");
	RUN(t, CTL_OK, "probe", DEV);
	tree_remove(t, PCI "0000:02:00.0/device");
	RUN(t, CTL_FAILED, "probe");
	SAYS(t->err, "0000:02:00.0: libpci: ");
}

/* Verdicts are long. They are broken between words, wherever they are put. */
static void widths(void **state)
{
	static const unsigned int columns[] = { 40, 60, 80, 100, 120, 200 };
	struct tree *t = *state;
	struct config c;
	char *text;

	ready(t);
	config_begin(&c, 0x8086, 0x5555);
	pci_device(t, "0000:01:00.1", &c, sizeof(c.bytes));
	pci_behind(t, "0000:01:00.1");
	RUN(t, CTL_OK, "probe", DEV, "--json");
	text = strdup(json_object_get_string(tree_json(t, "/devices/0/text")));
	assert_non_null(text);
	for (unsigned int i = 0; i < ARRAY_SIZE(columns); i++) {
		t->terminal = columns[i];
		RUN(t, CTL_OK, "probe");
		tree_fits(t->out, columns[i]);
		tree_has_words(t->out, text);
		tree_has_words(t->out, DEV " 8086:4321 vfio-pci enabled dmar0 arbitrary");
		tree_has_words(t->out, "0000:01:00.1 8086:5555 - absent dmar0 none");
		RUN(t, CTL_OK, "probe", DEV);
		tree_fits(t->out, columns[i]);
		tree_has_words(t->out, text);
	}
	/* Where there is no terminal a device is a line. */
	t->terminal = 0;
	RUN(t, CTL_OK, "probe");
	SAYS(t->out, text);
	t->columns = "80";
	RUN(t, CTL_OK, "probe");
	tree_fits(t->out, 80);
	tree_has_words(t->out, text);
	free(text);
}

/* A file that can't be understood is no reason to guess. */
static void bad_table(void **state)
{
	struct tree *t = *state;

	ready(t);
	tree_file(t, "etc/devices.conf", "# mine\npci 8086:zzzz none\n");
	RUN(t, CTL_FAILED, "probe");
	SAYS(t->err, "line 2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(faults),
		TEST(driver_has_the_last_word),
		TEST(capabilities),
		TEST(iommus),
		TEST(stall),
		TEST(permission),
		TEST(rule),
		TEST(selective),
		TEST(others),
		TEST(not_vfio),
		TEST(reasons),
		TEST(virtual_function),
		TEST(many),
		TEST(crowd),
		TEST(linear),
		TEST(vanished),
		TEST(widths),
		TEST(bad_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
