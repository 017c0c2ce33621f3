// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl probe: the facts that it reads about a device, and its verdict. Most tests start with a
 * device that has every feature, and remove one.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "../print/exit.h"
#include "pcitree.h"
#include "tree.h"

#define DEV	"0000:01:00.0"

/* A device that lacks nothing, in use. */
static void perfect(struct tree *t)
{
	struct pci_config c;

	tree_module(t);
	pci_config_begin(&c, 0x8086, 0x4321);
	pci_config_cap(&c, CAP_ATS, PCI_EXT_CAP_ID_ATS, PCI_ATS_CTRL_ENABLE);
	pci_config_cap(&c, CAP_PRI, PCI_EXT_CAP_ID_PRI, PCI_PRI_CTRL_ENABLE);
	pci_config_cap(&c, CAP_PASID, PCI_EXT_CAP_ID_PASID, 0);
	pci_device(t, DEV, &c, sizeof(c.bytes));
	pci_behind(t, DEV);
	pci_vfio(t, DEV);
	tree_device(t, DEV, "2", 17);
	tree_file(t, "module/vfio_iommu_iopf/parameters/ids", "8086:4321\n");
}

/* The same device, never used. */
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

/* Check the word and a part of the text of the verdict. */
#define VERDICT(t, want, part)	verdict(t, want, part, __FILE__, __LINE__)

static void faults(void **state)
{
	struct tree *t = *state;

	perfect(t);
	VERDICT(t, "enabled", "in container 2");
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
	VERDICT(t, "enabled", "not in use");
	RUN(t, CTL_OK, "probe");
	SAYS(t->out, DEV);
	SAYS(t->out, "enabled: not in use");
}

static void driver_has_the_last_word(void **state)
{
	struct tree *t = *state;

	ready(t);
	VERDICT(t, "possible", "possible, if the driver of its IOMMU (dmar0) enables page faults");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/backend", "vfio_iommu_type1\n");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason",
		  "iommu_refused: its IOMMU driver can't turn I/O page faults on for it (it needs PRI and ATS, or stall)\n");
	VERDICT(t, "unsupported", "dmar0");
}

static void capabilities(void **state)
{
	struct tree *t = *state;
	struct pci_config c;

	ready(t);
	pci_config_begin(&c, 0x8086, 0x4321);
	pci_device(t, DEV, &c, sizeof(c.bytes));
	VERDICT(t, "unsupported", "no page request interface");
	JSON_STRING(t, "/devices/0/pri", "absent");
	pci_config_cap(&c, CAP_ATS, PCI_EXT_CAP_ID_ATS, 0);
	pci_device(t, DEV, &c, sizeof(c.bytes));
	VERDICT(t, "unsupported", "no page request interface");
	JSON_STRING(t, "/devices/0/ats", "present");
	pci_config_begin(&c, 0x8086, 0x4321);
	pci_config_cap(&c, CAP_ATS, PCI_EXT_CAP_ID_PRI, 0);
	pci_device(t, DEV, &c, sizeof(c.bytes));
	VERDICT(t, "unsupported", "no address translation services");
	pci_config_cap(&c, CAP_PRI, PCI_EXT_CAP_ID_ATS, 0);
	pci_config_set16(&c, CAP_ATS + PCI_PRI_STATUS, PCI_PRI_STATUS_RF);
	pci_device(t, DEV, &c, sizeof(c.bytes));
	VERDICT(t, "possible", "it is reset");
	/* First the part that an unprivileged user may read, then a conventional PCI device. */
	pci_device(t, DEV, &c, 64);
	VERDICT(t, "unknown", "root");
	JSON_NULL(t, "/devices/0/pri");
	pci_device(t, DEV, &c, 256);
	VERDICT(t, "unsupported", "no page request interface");
}

static void iommus(void **state)
{
	struct tree *t = *state;

	ready(t);
	tree_file(t, "class/iommu/dmar0/intel-iommu/ecap", "f000\n");
	VERDICT(t, "unsupported", "dmar0) accepts no page requests");
	tree_file(t, "class/iommu/dmar0/intel-iommu/ecap", "rubbish\n");
	VERDICT(t, "possible", "enables page faults for it");
	JSON_NULL(t, "/devices/0/iommu_page_requests");
	tree_remove(t, "class/iommu/dmar0/intel-iommu");
	tree_file(t, "class/iommu/dmar0/amd-iommu/features", "0:2\n");
	VERDICT(t, "possible", "enables page faults for it");
	JSON_STRING(t, "/devices/0/iommu_kind", "amd-iommu");
	JSON_STRING(t, "/devices/0/iommu_page_requests", "present");
	tree_file(t, "class/iommu/dmar0/amd-iommu/features", "2:5\n");
	VERDICT(t, "unsupported", "accepts no page requests");
	tree_remove(t, PCI_DIR DEV "/iommu");
	VERDICT(t, "unsupported", "not behind an IOMMU");
	tree_remove(t, "class/iommu/dmar0");
	VERDICT(t, "unsupported", "no IOMMU is active");
}

static void stall(void **state)
{
	struct tree *t = *state;
	struct pci_config c;

	ready(t);
	tree_remove(t, "class/iommu/dmar0");
	tree_dir(t, "class/iommu/smmu3.0x2b400000");
	pci_link(t, DEV, "iommu", "../../../../class/iommu/smmu3.0x2b400000");
	pci_config_begin(&c, 0x19e5, 0xa250);
	pci_device(t, DEV, &c, sizeof(c.bytes));
	VERDICT(t, "possible", "it stalls on a missing page");
	JSON_NULL(t, "/devices/0/stall");
	JSON_STRING(t, "/devices/0/iommu_kind", "arm-smmu-v3");
	pci_file(t, DEV, "of_node/dma-can-stall", "");
	VERDICT(t, "possible", "enables page faults for it");
	SAYS_NOT(t->out, "stalls on a missing page");
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
	VERDICT(t, "possible", "device add --apply pci 8086:4321 arbitrary");
	JSON_STRING(t, "/devices/0/origin", "default");
	tree_file(t, "etc/devices.conf", "class 0b40 none\n");
	VERDICT(t, "possible", "'class 0b40 none'");
	/* Disabled by hand. */
	tree_file(t, "etc/devices.conf", "class 0b40 arbitrary policy=prefault\n");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/mode", "arbitrary\n");
	VERDICT(t, "possible", "set --device " DEV " enabled=1");
	JSON_STRING(t, "/devices/0/origin", "override");
	JSON_STRING(t, "/devices/0/mode", "none");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/enabled", "1\n");
	VERDICT(t, "possible", "enables page faults for it");
	JSON_STRING(t, "/devices/0/origin", "admin");
	JSON_STRING(t, "/devices/0/rule", "class 0b40 arbitrary policy=prefault");
}

/* The rule of the device may be older than the table. */
static void rule(void **state)
{
	struct tree *t = *state;

	ready(t);
	tree_file(t, "kernel/vfio_iopf/device_table",
		  "admin 2 pci 8086:* none\nbuiltin 1 class ff none # somewhere\ndefault - address * none\n");
	tree_file(t, "etc/devices.conf", "this is not read\n");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/rule",
		  "admin 7 pci 8086:4321 arbitrary policy=pin # somebody\n");
	VERDICT(t, "possible", "enables page faults for it");
	JSON_STRING(t, "/devices/0/origin", "admin");
	JSON_STRING(t, "/devices/0/rule", "pci 8086:4321 arbitrary policy=pin");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/mode", "selective\n");
	VERDICT(t, "possible", "declares where it does not fault");
	JSON_STRING(t, "/devices/0/origin", "override");
	JSON_NULL(t, "/devices/0/rule");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/mode", "none\n");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/rule", "default - address * none\n");
	VERDICT(t, "possible", "device add");
	JSON_STRING(t, "/devices/0/origin", "default");
	/* The table decides for a device that the module does not know yet. */
	tree_remove(t, "kernel/vfio_iopf/devices/" DEV);
	tree_file(t, "module/vfio_iommu_iopf/parameters/ids", "\n");
	VERDICT(t, "possible", "'pci 8086:* none'");
}

static void selective(void **state)
{
	struct tree *t = *state;

	ready(t);
	tree_file(t, "module/vfio_iommu_iopf/parameters/ids", "\n");
	tree_file(t, "etc/devices.conf", "address " DEV " selective\n");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/mode", "selective\n");
	VERDICT(t, "possible", "declares where it does not fault");
	tree_file(t, "etc/devices.conf", "address " DEV " selective window=0x0-0xfff\n");
	VERDICT(t, "possible", "enables page faults for it");
	/* The module's files override the table. */
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/windows", "%s", "");
	VERDICT(t, "possible", "declares where it does not fault");
	/* Now in use, and therefore pinned. */
	tree_device(t, DEV, "2", 0);
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/mode", "selective\n");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason",
		  "undeclared: it is selective, and user space has not declared yet which ranges can't fault\n");
	VERDICT(t, "possible", "declares where it does not fault");
	JSON_LENGTH(t, "/devices/0/needs", 1);
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason", "\n");
	VERDICT(t, "enabled", "in container 2");
}

static void others(void **state)
{
	struct tree *t = *state;
	struct pci_config c;

	ready(t);
	pci_config_begin(&c, 0x8086, 0x5555);
	pci_device(t, "0000:01:00.1", &c, sizeof(c.bytes));
	pci_behind(t, "0000:01:00.1");
	VERDICT(t, "possible", "IOMMU group 5 may fault, too: 0000:01:00.1");
	/* Neither a bridge nor a device that may fault is an obstacle. */
	pci_file(t, "0000:01:00.1", "class", "0x060400");
	VERDICT(t, "possible", "enables page faults for it");
	pci_file(t, "0000:01:00.1", "class", "0x020000");
	tree_file(t, "module/vfio_iommu_iopf/parameters/ids", "8086:*\n");
	VERDICT(t, "possible", "enables page faults for it");
}

static void not_vfio(void **state)
{
	struct tree *t = *state;

	ready(t);
	tree_remove(t, "kernel/vfio_iopf/devices/" DEV);
	tree_remove(t, PCI_DIR DEV "/vfio-dev");
	tree_remove(t, PCI_DIR DEV "/driver");
	VERDICT(t, "possible", "vfio-pci (now to no driver)");
	JSON_NULL(t, "/devices/0/driver");
	JSON_NULL(t, "/devices/0/backend");
	JSON_STRING(t, "/devices/0/mode", "arbitrary");
	pci_link(t, DEV, "driver", "../../drivers/idxd");
	VERDICT(t, "possible", "vfio-pci (now to idxd)");
	tree_remove(t, "kernel/vfio_iopf");
	VERDICT(t, "possible", "modprobe vfio_iommu_iopf");
	JSON_LENGTH(t, "/devices/0/needs", 2);
}

static void reasons(void **state)
{
	struct tree *t = *state;

	ready(t);
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/backend", "vfio_iommu_type1\n");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason",
		  "unsafe_interrupts: its interrupts are not remapped (module parameter allow_unsafe_interrupts)\n");
	VERDICT(t, "possible", "allow_unsafe_interrupts is set");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason",
		  "failed: attaching it here failed\n");
	VERDICT(t, "possible", "opens a new container");
	SAYS(t->out, "(vfio_iommu_type1 serves the last one: attaching it here failed)");
	JSON_STRING(t, "/devices/0/reason", "failed: attaching it here failed");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason",
		  "shadowed: in other words\n");
	VERDICT(t, "possible", "asks the module before vfio_iommu_type1");
	SAYS(t->out, "write 1 to /sys/kernel/vfio_iopf/first");
	JSON_LENGTH(t, "/devices/0/needs", 1);
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason",
		  "opened_before: its container was opened before\n");
	VERDICT(t, "possible", "opens a new container");
	/* Only the whole first word counts. */
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason",
		  "failed: allow_unsafe_interrupts, can't turn I/O page faults on, refused: it all\n");
	VERDICT(t, "possible", "opens a new container");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason", "refuse: it\n");
	VERDICT(t, "possible", "serves the last one: it)");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason", "refusedly: it\n");
	VERDICT(t, "possible", "serves the last one: it)");
	/* An unknown word has no special meaning. */
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason", "elsewhere\n");
	VERDICT(t, "possible", "serves the last one: elsewhere)");
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason", "iommu_refused: in other words\n");
	VERDICT(t, "unsupported", "dmar0");
	/* The table permits the device since then. Nobody has asked the IOMMU driver yet. */
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason",
		  "disabled: it, or another one of its group, is not enabled (device table, or its sysfs file mode)\n");
	VERDICT(t, "possible", "enables page faults for it");
	JSON_LENGTH(t, "/devices/0/needs", 2);
	tree_device(t, DEV, "2", 0);
	tree_file(t, "kernel/vfio_iopf/devices/" DEV "/reason",
		  "pinned: it may not fault, so its container is pinned\n");
	VERDICT(t, "possible", "not pinned");
}

static void virtual_function(void **state)
{
	struct tree *t = *state;
	struct pci_config c;

	ready(t);
	pci_config_begin(&c, 0x8086, 0x4322);
	pci_config_cap(&c, CAP_ATS, PCI_EXT_CAP_ID_ATS, PCI_ATS_CTRL_ENABLE);
	pci_device(t, "0000:01:01.0", &c, sizeof(c.bytes));
	pci_behind(t, "0000:01:01.0");
	pci_link(t, "0000:01:01.0", "physfn", "../" DEV);
	RUN(t, CTL_OK, "probe", "0000:01:01.0", "--json");
	JSON_STRING(t, "/devices/0/pri", "enabled");
	JSON_STRING(t, "/devices/0/verdict", "possible");
	/* PRI belongs to the physical function. Without that function nothing is known. */
	tree_remove(t, PCI_DIR DEV);
	RUN(t, CTL_OK, "probe", "0000:01:01.0", "--json");
	JSON_NULL(t, "/devices/0/pri");
	JSON_STRING(t, "/devices/0/verdict", "unknown");
}

static void many(void **state)
{
	struct tree *t = *state;
	struct pci_config c;

	ready(t);
	pci_config_begin(&c, 0x1b36, 1);
	c.bytes[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_BRIDGE;
	pci_device(t, "0000:00:01.0", &c, sizeof(c.bytes));
	pci_config_begin(&c, 0x1af4, 0x1000);
	pci_device(t, "10f5:00:00.0", &c, sizeof(c.bytes));
	RUN(t, CTL_OK, "probe", "--json");
	JSON_LENGTH(t, "/devices", 2);
	JSON_STRING(t, "/devices/0/device", DEV);
	JSON_STRING(t, "/devices/1/device", "10f5:00:00.0");
	RUN(t, CTL_OK, "probe", "--json", "--all");
	JSON_LENGTH(t, "/devices", 3);
	JSON_STRING(t, "/devices/0/device", "0000:00:01.0");
	JSON_STRING(t, "/devices/0/verdict", "unsupported");
	/* A bridge is shown if it is named. An address may omit domain 0. */
	RUN(t, CTL_OK, "probe", "--json", "00:01.0", "10f5:00:00.0");
	JSON_LENGTH(t, "/devices", 2);
	RUN(t, CTL_NOT_FOUND, "probe", "00:01.0", "00:02.0");
	SAYS(t->err, "no PCI device 00:02.0");
	assert_string_equal(t->out, "");
	RUN(t, CTL_NOT_FOUND, "probe", "../x");
	RUN(t, CTL_OK, "probe", DEV);
	SAYS(t->out, "SUBSYSTEM");
}

/* A group with more devices than the verdict names. */
static void crowd(void **state)
{
	struct tree *t = *state;
	struct pci_config c;
	char name[32];

	ready(t);
	pci_config_begin(&c, 0x8086, 0x5555);
	for (unsigned int i = 1; i < 20; i++) {
		snprintf(name, sizeof(name), "0000:01:%02x.0", i);
		pci_device(t, name, &c, sizeof(c.bytes));
		pci_behind(t, name);
	}
	VERDICT(t, "possible", "0000:01:01.0 0000:01:02.0 ");
	SAYS(t->out, "0000:01:08.0 and 11 more");
	SAYS_NOT(t->out, "01:09.0");
	/* A device of the group does not count itself. */
	RUN(t, CTL_OK, "probe", "0000:01:01.0", "--json");
	JSON_INT(t, "/devices/0/iommu_group", 5);
}

/* Add devices, in one group or in a group each; return the number of files that probe opens. */
static unsigned int opens(struct tree *t, unsigned int from, unsigned int to, bool together)
{
	struct pci_config c;
	char name[32], group[64], path[128];

	pci_config_begin(&c, 0x8086, 0x5555);
	pci_config_cap(&c, CAP_ATS, PCI_EXT_CAP_ID_ATS, 0);
	pci_config_cap(&c, CAP_PRI, PCI_EXT_CAP_ID_PRI, 0);
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

/* The work per device does not depend on the number of devices. */
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
		/* probe reads each device. Quadratic work would open five times as many files. */
		assert_true(first >= 5 * step);
		assert_in_range(later, 3 * first - step, 3 * first + step);
		tree_remove(t, "bus");
		tree_remove(t, "kernel");
	}
}

/* A device that vanishes after libpci has listed it. */
static void vanished(void **state)
{
	struct tree *t = *state;
	struct pci_config c;

	ready(t);
	pci_config_begin(&c, 0x8086, 0x5555);
	pci_device(t, "0000:02:00.0", &c, sizeof(c.bytes));
	tree_remove(t, PCI_DIR "0000:02:00.0/vendor");
	RUN(t, CTL_OK, "probe", "--json");
	JSON_LENGTH(t, "/devices", 1);
	JSON_STRING(t, "/devices/0/device", DEV);
	RUN(t, CTL_NOT_FOUND, "probe", "0000:02:00.0");
	/* A device that stays, with malformed files. */
	pci_file(t, "0000:02:00.0", "vendor", "rubbish");
	RUN(t, CTL_OK, "probe", DEV);
	tree_remove(t, PCI_DIR "0000:02:00.0/device");
	RUN(t, CTL_FAILED, "probe");
	SAYS(t->err, "0000:02:00.0: libpci: ");
}

/* Verdicts are long. Lines break between words, at any width. */
static void widths(void **state)
{
	static const unsigned int columns[] = { 40, 60, 80, 100, 120, 200 };
	struct tree *t = *state;
	struct pci_config c;
	char *text;

	ready(t);
	pci_config_begin(&c, 0x8086, 0x5555);
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
	/* Without a terminal, a device takes one line. */
	t->terminal = 0;
	RUN(t, CTL_OK, "probe");
	SAYS(t->out, text);
	t->columns = "80";
	RUN(t, CTL_OK, "probe");
	tree_fits(t->out, 80);
	tree_has_words(t->out, text);
	free(text);
}

/* probe fails if the device table is malformed. */
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
