// SPDX-License-Identifier: GPL-2.0-only
/*
 * Facts about a device from sysfs and the device table: see facts.h.
 *
 * Two kinds of IOMMU show in sysfs whether they accept page requests. Both files are hexadecimal:
 *
 *   Intel  "ecap", the extended capability register; bit 29, page request support (VT-d
 *          specification, 11.4.3)
 *   AMD    "features", the extended feature register; bit 1, PPR support (IOMMU specification,
 *          3.4.10)
 */
#include <assert.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../core/devtable.h"
#include "../print/array.h"
#include "../print/memory.h"
#include "facts.h"
#include "rules.h"
#include "sysfs.h"

static_assert(FACTS_TEXT > IOPF_DEVTABLE_MAX_LINE);

#define ECAP_PRS	(1ULL << 29)
#define FEATURES_PPR	(1ULL << 1)

#define CLASS_BRIDGE	6

/* One more than facts.others names: the device itself may be one of them. */
#define GROUP_SHOWN	(FACTS_OTHERS + 1)

/** fact_word() - a fact as a word; NULL: unknown */
const char *fact_word(enum fact fact)
{
	switch (fact) {
	case FACT_NO:
		return "absent";
	case FACT_YES:
		return "present";
	case FACT_ON:
		return "enabled";
	default:
		return NULL;
	}
}

/* Read a bit of a register. The file may contain several registers; the last one counts. */
static enum fact register_bit(uint64_t bit, const char *iommu, const char *kind, const char *name)
{
	char text[128], *digits, *end;
	uint64_t value;

	if (sysfs_read(text, sizeof(text), "class/iommu/%s/%s/%s", iommu, kind, name))
		return FACT_UNKNOWN;
	digits = strrchr(text, ':');
	digits = digits ? digits + 1 : text;
	value = strtoull(digits, &end, 16);
	if (end == digits || *end)
		return FACT_UNKNOWN;
	return value & bit ? FACT_YES : FACT_NO;
}

static void word(char *buf, size_t size, const char *text)
{
	snprintf(buf, size, "%s", text);
}

static void iommu_facts(struct facts *f)
{
	sysfs_link(f->iommu, sizeof(f->iommu), SYSFS_PCI "/%s/iommu", f->name);
	sysfs_link(f->group, sizeof(f->group), SYSFS_PCI "/%s/iommu_group", f->name);
	if (!*f->iommu)
		return;
	if (sysfs_there("class/iommu/%s/intel-iommu", f->iommu)) {
		word(f->iommu_kind, sizeof(f->iommu_kind), "intel-iommu");
		sysfs_read(f->iommu_version, sizeof(f->iommu_version),
			   "class/iommu/%s/intel-iommu/version", f->iommu);
		f->prs = register_bit(ECAP_PRS, f->iommu, "intel-iommu", "ecap");
	} else if (sysfs_there("class/iommu/%s/amd-iommu", f->iommu)) {
		word(f->iommu_kind, sizeof(f->iommu_kind), "amd-iommu");
		f->prs = register_bit(FEATURES_PPR, f->iommu, "amd-iommu", "features");
	} else if (!strncmp(f->iommu, "smmu3", 5)) {
		word(f->iommu_kind, sizeof(f->iommu_kind), "arm-smmu-v3");
	}
}

/* Firmware on Arm marks devices that stall. The IOMMUs of Intel and AMD have no stall. */
static void stall_facts(struct facts *f)
{
	if (sysfs_there(SYSFS_PCI "/%s/of_node/dma-can-stall", f->name))
		f->stall = FACT_YES;
	else if (!strcmp(f->iommu_kind, "intel-iommu") || !strcmp(f->iommu_kind, "amd-iommu"))
		f->stall = FACT_NO;
}

static void judge(struct facts *f, const struct rules *rules)
{
	struct iopf_id id = {
		.name = f->name,
		.vendor = f->vendor,
		.device = f->device,
		.subvendor = f->subvendor,
		.subdevice = f->subdevice,
		.class = f->class,
		.pci = true,
	};
	struct iopf_verdict v = iopf_devtable_judge(rules->ids, rules->admin, rules->builtin, &id);

	f->mode = v.mode;
	word(f->origin, sizeof(f->origin), iopf_origin_name(v.origin));
	if (v.rule) {
		snprintf(f->rule, sizeof(f->rule), "%.*s", (int)v.rule->len, v.rule->text);
		f->windows = v.rule->nr_windows;
		if (v.rule->policy != IOPF_POLICY_DEFAULT)
			word(f->policy, sizeof(f->policy), iopf_policy_name(v.rule->policy));
	}
}

/* Set the mode by the rule that the module applies to the device. */
static void module_rule(struct facts *f, char *line)
{
	struct iopf_devtable_error err;
	struct iopf_devtable *table;
	enum iopf_origin origin;
	unsigned int number;
	char *rest;

	origin = rules_split(line, &number, &rest);
	word(f->origin, sizeof(f->origin), iopf_origin_name(origin));
	f->rule[0] = 0;
	f->mode = origin == IOPF_ORIGIN_IDS ? IOPF_MODE_ARBITRARY : IOPF_MODE_NONE;
	if (origin != IOPF_ORIGIN_ADMIN && origin != IOPF_ORIGIN_BUILTIN)
		return;
	if (rules_parse(&table, rest, strlen(rest), &err))
		return;
	if (table->nr) {
		f->mode = table->rule[0].mode;
		snprintf(f->rule, sizeof(f->rule), "%.*s", (int)table->rule[0].len,
			 table->rule[0].text);
	}
	free(table);
}

/* The module's files of the device override the device table. */
static void module_facts(struct facts *f)
{
	char text[FACTS_TEXT];
	uint64_t enabled;
	int mode;

	f->known = sysfs_there(SYSFS_DEVICES "/%s", f->name);
	if (!f->known)
		return;
	if (!sysfs_read(text, sizeof(text), SYSFS_DEVICES "/%s/rule", f->name))
		module_rule(f, text);
	if (!sysfs_read(text, sizeof(text), SYSFS_DEVICES "/%s/mode", f->name)) {
		mode = iopf_mode_parse(text, strlen(text));
		if (mode >= 0 && mode != f->mode) {
			f->mode = mode;
			word(f->origin, sizeof(f->origin), "override");
			f->rule[0] = 0;
		}
	}
	if (!sysfs_read_u64(&enabled, SYSFS_DEVICES "/%s/enabled", f->name) && !enabled &&
	    f->mode != IOPF_MODE_NONE) {
		f->mode = IOPF_MODE_NONE;
		word(f->origin, sizeof(f->origin), "override");
		f->rule[0] = 0;
	}
	sysfs_read(f->policy, sizeof(f->policy), SYSFS_DEVICES "/%s/policy", f->name);
	if (!sysfs_read(text, sizeof(text), SYSFS_DEVICES "/%s/windows", f->name))
		f->windows = *text;
	sysfs_read(f->backend, sizeof(f->backend), SYSFS_DEVICES "/%s/backend", f->name);
	sysfs_read(f->reason, sizeof(f->reason), SYSFS_DEVICES "/%s/reason", f->name);
	sysfs_read(f->container, sizeof(f->container), SYSFS_DEVICES "/%s/container", f->name);
	sysfs_read_u64(&f->faults, SYSFS_DEVICES "/%s/faults", f->name);
	if (!strcmp(f->container, "none"))
		f->container[0] = 0;
}

/* Return an id of a device. Return 0 if it has none. */
static unsigned int read_id(const char *name, const char *file)
{
	uint64_t id;

	return sysfs_read_u64(&id, SYSFS_PCI "/%s/%s", name, file) ? 0 : id;
}

/* Whether a device may fault, by sysfs alone. */
static bool may_fault(const char *name, const struct rules *rules)
{
	struct facts *f = calloc(1, sizeof(*f));
	bool may;

	if (!f)
		return true;
	word(f->name, sizeof(f->name), name);
	f->vendor = read_id(name, "vendor");
	f->device = read_id(name, "device");
	f->subvendor = read_id(name, "subsystem_vendor");
	f->subdevice = read_id(name, "subsystem_device");
	f->class = read_id(name, "class");
	judge(f, rules);
	module_facts(f);
	may = f->mode != IOPF_MODE_NONE;
	free(f);
	return may;
}

/**
 * struct group - an IOMMU group
 * @name: its number
 * @nr: number of its devices that may not fault
 * @device: the first of these devices
 */
struct group {
	char name[FACTS_NAME];
	unsigned int nr;
	char device[GROUP_SHOWN][FACTS_NAME];
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct group *)a)->name, ((const struct group *)b)->name);
}

/* Whether a device prevents its group from faulting: it may not fault, and is no bridge. */
static bool is_obstacle(const char *name, const struct rules *rules)
{
	return !may_fault(name, rules) && read_id(name, "class") >> 16 != CLASS_BRIDGE;
}

/* Read the group of @member. */
static void read_group(struct group *g, const char *member, const struct rules *rules)
{
	struct sysfs_names names;

	if (sysfs_list(&names, SYSFS_PCI "/%s/iommu_group/devices", member))
		return;
	for (unsigned int i = 0; i < names.nr; i++) {
		if (!is_obstacle(names.name[i], rules))
			continue;
		if (g->nr < ARRAY_SIZE(g->device))
			word(g->device[g->nr], FACTS_NAME, names.name[i]);
		g->nr++;
	}
	sysfs_list_free(&names);
}

/* Return the group of a device. Read each group only once. */
static const struct group *find_group(struct facts_common *common, const struct facts *f)
{
	struct group *g = calloc(1, sizeof(*g)), **found;

	if (!g)
		ctl_no_memory();
	word(g->name, sizeof(g->name), f->group);
	found = tsearch(g, &common->groups, by_name);
	if (!found)
		ctl_no_memory();
	if (*found == g)
		read_group(g, f->name, common->rules);
	else
		free(g);
	return *found;
}

static void group_facts(struct facts *f, struct facts_common *common)
{
	const struct group *g;
	unsigned int shown = 0;
	size_t len = 0;

	if (!*f->group)
		return;
	g = find_group(common, f);
	f->nr_others = g->nr;
	/* Subtract the device itself, if is_obstacle() counted it. */
	if (f->nr_others && f->mode == IOPF_MODE_NONE && f->class >> 16 != CLASS_BRIDGE)
		f->nr_others--;
	for (unsigned int i = 0; i < ARRAY_SIZE(g->device) && shown < FACTS_OTHERS; i++) {
		if (!*g->device[i] || !strcmp(g->device[i], f->name))
			continue;
		len += snprintf(f->others + len, sizeof(f->others) - len, "%s%s",
				shown ? " " : "", g->device[i]);
		shown++;
	}
}

/**
 * facts_begin() - prepare to gather facts
 * @common: out: the shared facts; the caller calls facts_end()
 * @rules: the device table; the caller keeps it
 */
void facts_begin(struct facts_common *common, const struct rules *rules)
{
	struct sysfs_names names;

	*common = (struct facts_common){ .rules = rules };
	if (!sysfs_list(&names, "class/iommu")) {
		common->iommus = names.nr;
		sysfs_list_free(&names);
	}
}

/** facts_end() - free the shared facts */
void facts_end(struct facts_common *common)
{
	tdestroy(common->groups, free);
	common->groups = NULL;
}

/**
 * facts_gather() - add the facts from sysfs and the device table
 * @f: the device, with the facts from pci_each()
 * @common: the shared facts; the function adds to them
 *
 * The function reads facts that several devices share only once. So the work is linear in the
 * number of devices, however large the groups are.
 */
void facts_gather(struct facts *f, struct facts_common *common)
{
	f->iommus = common->iommus;
	iommu_facts(f);
	stall_facts(f);
	if (!sysfs_link(f->driver, sizeof(f->driver), SYSFS_PCI "/%s/driver", f->name))
		f->vfio = sysfs_there(SYSFS_PCI "/%s/vfio-dev", f->name);
	f->loaded = sysfs_there(SYSFS_IOPF);
	judge(f, common->rules);
	module_facts(f);
	group_facts(f, common);
}
