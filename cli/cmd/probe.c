// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl probe: which PCI devices can take page faults; why the others cannot; what would change
 * that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../model/verdict.h"
#include "../print/array.h"
#include "../print/memory.h"
#include "../print/message.h"
#include "../print/out.h"
#include "../sys/pci.h"
#include "../sys/rules.h"
#include "cmd.h"
#include "options.h"

static const struct option probe_options[] = {
	{ "all", no_argument, NULL, 'a' },
	{ }
};

static const struct out_col probe_cols[] = {
	{ "device", "DEVICE", 0 },
	{ "id", "ID", 0 },
	{ "class", "CLASS", OUT_DETAIL },
	{ "subsystem", "SUBSYSTEM", OUT_DETAIL },
	{ "name", "NAME", OUT_DETAIL },
	{ "driver", "DRIVER", 0 },
	{ "pri", "PRI", 0 },
	{ "ats", "ATS", 0 },
	{ "pasid", "PASID", OUT_DETAIL },
	{ "stall", "STALL", OUT_DETAIL },
	{ "iommu", "IOMMU", 0 },
	{ "iommu_kind", "IOMMU-KIND", OUT_DETAIL },
	{ "iommu_version", "IOMMU-VERSION", OUT_DETAIL },
	{ "iommu_page_requests", "PAGE-REQUESTS", OUT_DETAIL },
	{ "iommu_group", "GROUP", OUT_DETAIL },
	{ "mode", "MODE", 0 },
	{ "policy", "POLICY", OUT_DETAIL },
	{ "origin", "ORIGIN", OUT_DETAIL },
	{ "rule", "RULE", OUT_DETAIL },
	{ "backend", "SERVED-BY", OUT_DETAIL },
	{ "reason", "REASON", OUT_DETAIL },
	{ "container", "CONTAINER", OUT_DETAIL },
	{ "faults", "FAULTS", OUT_RIGHT | OUT_DETAIL },
	{ "text", "VERDICT", OUT_WRAP },
};

/**
 * struct probe_name - a device in the command line
 * @name: its name there
 * @found: the device exists
 */
struct probe_name {
	const char *name;
	bool found;
};

/**
 * struct probe - arguments and results
 * @name: the devices in the command line, sorted
 * @nr: number of these devices; 0: all devices
 * @all: show bridges, too
 * @rules: the device table
 * @common: facts that several devices share
 * @rows: the results: a row for each device
 */
struct probe {
	struct probe_name *name;
	unsigned int nr;
	bool all;
	struct rules rules;
	struct facts_common common;
	struct json_object *rows;
};

static struct json_object *fact_json(enum fact fact)
{
	return fact == FACT_UNKNOWN ? NULL : out_string(fact_word(fact));
}

static struct json_object *printed(const char *fmt, unsigned int a, unsigned int b)
{
	char text[32];

	snprintf(text, sizeof(text), fmt, a, b);
	return out_string(text);
}

static void put_iommu(struct json_object *row, const struct facts *f)
{
	out_put(row, "iommu", out_known(f->iommu));
	out_put(row, "iommu_kind", out_known(f->iommu_kind));
	out_put(row, "iommu_version", out_known(f->iommu_version));
	out_put(row, "iommu_page_requests", fact_json(f->prs));
	out_put(row, "iommu_group", *f->group ? out_number(f->group) : NULL);
}

static void put_module(struct json_object *row, const struct facts *f)
{
	out_put(row, "mode", out_string(iopf_mode_name(f->mode)));
	out_put(row, "policy", out_known(f->policy));
	out_put(row, "origin", out_known(f->origin));
	out_put(row, "rule", out_known(f->rule));
	out_put(row, "backend", out_known(f->backend));
	out_put(row, "reason", out_known(f->reason));
	out_put(row, "container", *f->container ? out_number(f->container) : NULL);
	out_put(row, "faults", f->known ? json_object_new_uint64(f->faults) : NULL);
}

static void put_verdict(struct json_object *row, const struct verdict *v)
{
	struct json_object *needs = out_array();
	char text[VERDICT_NEEDS * sizeof(v->needs[0])];

	for (unsigned int i = 0; i < v->nr_needs; i++)
		out_append(needs, out_string(v->needs[i]));
	verdict_text(v, text, sizeof(text));
	out_put(row, "verdict", out_string(verdict_word(v->kind)));
	out_put(row, "why", out_known(v->why));
	out_put(row, "needs", needs);
	out_put(row, "text", out_string(text));
}

static struct json_object *probe_row(const struct facts *f, const struct verdict *v)
{
	struct json_object *row = out_object();

	out_put(row, "device", out_string(f->name));
	out_put(row, "id", printed("%04x:%04x", f->vendor, f->device));
	out_put(row, "class", printed("%06x", f->class, 0));
	out_put(row, "subsystem", printed("%04x:%04x", f->subvendor, f->subdevice));
	out_put(row, "name", out_known(f->label));
	out_put(row, "driver", out_known(f->driver));
	out_put(row, "vfio", json_object_new_boolean(f->vfio));
	out_put(row, "pri", fact_json(f->pri));
	out_put(row, "ats", fact_json(f->ats));
	out_put(row, "pasid", fact_json(f->pasid));
	out_put(row, "stall", fact_json(f->stall));
	put_iommu(row, f);
	put_module(row, f);
	put_verdict(row, v);
	return row;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct probe_name *)a)->name, ((const struct probe_name *)b)->name);
}

/* Whether a name is in the command line. If so, mark its device as found. */
static bool is_named(struct probe *p, const char *name)
{
	const struct probe_name key = { .name = name };
	struct probe_name *named = bsearch(&key, p->name, p->nr, sizeof(key), by_name);

	if (named)
		named->found = true;
	return named;
}

static bool wanted(struct probe *p, const struct facts *f)
{
	bool named;

	if (!p->nr)
		return p->all || !f->bridge;
	named = is_named(p, f->name);
	/* A short address is an address in domain 0. */
	if (!strncmp(f->name, "0000:", 5))
		named |= is_named(p, f->name + 5);
	return named;
}

static int probe_each(struct facts *f, void *data)
{
	struct probe *p = data;
	struct verdict *v;

	if (!wanted(p, f))
		return CTL_OK;
	v = malloc(sizeof(*v));
	if (!v)
		ctl_no_memory();
	facts_gather(f, &p->common);
	verdict_judge(v, f);
	out_append(p->rows, probe_row(f, v));
	free(v);
	return CTL_OK;
}

static int probe_run(struct probe *p)
{
	int status = pci_each(probe_each, p);

	if (status != CTL_OK)
		return status;
	for (unsigned int i = 0; i < p->nr; i++)
		if (!p->name[i].found)
			return ctl_fail(CTL_NOT_FOUND,
					"there is no PCI device %s; iopfctl probe --all shows all",
					p->name[i].name);
	if (p->nr)
		return out_records(probe_cols, ARRAY_SIZE(probe_cols), "devices", p->rows);
	return out_table(probe_cols, ARRAY_SIZE(probe_cols), "devices", p->rows);
}

/* Sort the names, and drop repeated ones. */
static void take_names(struct probe *p, char **names, int nr)
{
	p->name = calloc(nr + 1, sizeof(*p->name));
	if (!p->name)
		ctl_no_memory();
	for (int i = 0; i < nr; i++)
		p->name[i].name = names[i];
	qsort(p->name, nr, sizeof(*p->name), by_name);
	for (int i = 0; i < nr; i++)
		if (!p->nr || strcmp(p->name[p->nr - 1].name, p->name[i].name))
			p->name[p->nr++] = p->name[i];
}

static int run(int argc, char **argv)
{
	struct probe p = { 0 };
	int c, status;

	while ((c = ctl_getopt(argc, argv, ":ah", probe_options)) != -1) {
		switch (c) {
		case 'a':
			p.all = true;
			break;
		case 'h':
			return ctl_help();
		default:
			return ctl_usage(NULL);
		}
	}
	status = rules_load(&p.rules);
	if (status != CTL_OK)
		return status;
	take_names(&p, argv + optind, argc - optind);
	facts_begin(&p.common, &p.rules);
	p.rows = out_array();
	status = probe_run(&p);
	json_object_put(p.rows);
	facts_end(&p.common);
	free(p.name);
	rules_free(&p.rules);
	return status;
}

const struct cmd cmd_probe = {
	.name = "probe",
	.args = "[DEVICE...]",
	.summary = "Show which PCI devices can take page faults, and why others cannot",
	.help = "  -a, --all          show bridges, too\n",
	.run = run,
};
