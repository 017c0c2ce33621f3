// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl advise: prints the result.
 */
#include <stdio.h>
#include <string.h>

#include "../print/array.h"
#include "../print/out.h"
#include "../print/size.h"
#include "advise.h"

#define CHART_WIDTH	40

static const struct out_col curve_cols[] = {
	{ "resident_max", "LIMIT", OUT_RIGHT | OUT_SIZE },
	{ "faults_per_s", "FAULTS/S", OUT_RIGHT },
	{ "slowdown", "SLOWDOWN", OUT_RIGHT },
	{ "remark", "", 0 },
	{ "chart", "", 0 },
};

static struct json_object *tenths(double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.*f", value < 10 ? 1 : 0, value);
	return out_string(text);
}

static struct json_object *percent(double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.*f %%", value < 10 ? 1 : 0, value);
	return out_string(text);
}

/* A bar whose length is proportional to the number of faults. */
static struct json_object *bar(const struct curve_point *p, double most)
{
	char text[CHART_WIDTH + 1];
	int n = most > 0 ? (int)(p->per_s / most * CHART_WIDTH + 0.5) : 0;

	/* A limit with any fault at all has a bar. */
	if (!n && p->faults)
		n = 1;
	memset(text, '#', n);
	text[n] = 0;
	return out_string(text);
}

/* Whether a little more or less memory makes a large difference. */
static bool is_edge(const struct curve_point *p)
{
	return p->high - p->low > p->faults / 5 && p->high - p->low > 8;
}

static const char *remark(const struct curve_point *p)
{
	if (p->coarse)
		return "or more";
	return is_edge(p) ? "edge" : "";
}

static int print_table(const struct advise *a)
{
	struct json_object *rows = out_array();
	double most = 0;
	int status;

	for (unsigned int i = 0; i < a->points; i++)
		most = max(most, a->point[i].per_s);
	for (unsigned int i = 0; i < a->points; i++) {
		const struct curve_point *p = &a->point[i];
		struct json_object *row = out_object();

		out_put(row, "resident_max", json_object_new_uint64(p->pages * 4096));
		out_put(row, "faults_per_s", tenths(p->per_s));
		out_put(row, "slowdown", percent(p->slowdown));
		out_put(row, "remark", out_string(remark(p)));
		out_put(row, "chart", bar(p, most));
		out_append(rows, row);
	}
	status = out_table(curve_cols, ARRAY_SIZE(curve_cols), "curve", rows);
	json_object_put(rows);
	return status;
}

static void print_summary(const struct advise *a)
{
	const struct iopf_sample_header *head = &a->samples.head;
	char size[32], footprint[32];

	size_text(iopf_mrc_footprint(&a->load.m) * 4096, footprint, sizeof(footprint));
	printf("%.1f s, %llu uses, %u of %llu chunks sampled, %s in use\n", head->time / 1e6,
	       (unsigned long long)a->samples.nr, head->blocks, (unsigned long long)head->all,
	       footprint);
	printf("sampling took %.2f %% of the time", a->share / 1e4);
	if (head->alone > head->interval + head->interval / 4)
		printf(", so the interval was %u ms", head->alone / 1000);
	printf("; a fault takes %.1f us\n\n", a->load.fault_ns / 1e3);
	if (a->samples.lost)
		printf("iopfctl was too slow, and lost %llu uses\n\n",
		       (unsigned long long)a->samples.lost);
	size_text(a->advice.pages * 4096, size, sizeof(size));
	if (a->advice.pages)
		printf("recommended: resident_max=%s, with %.1f faults/s, slowdown %.1f %%\n", size,
		       a->advice.per_s, a->advice.slowdown);
	else
		printf("no limit keeps the slowdown below %g %%: first uses alone exceed it\n",
		       a->slowdown);
	printf("(if a device waits for each fault, and the host has the memory)\n\n");
}

static struct json_object *point_json(const struct advise *a, const struct curve_point *p)
{
	struct json_object *o = out_object();

	out_put(o, "resident_max", json_object_new_uint64(p->pages * 4096));
	out_put(o, "faults", json_object_new_uint64(p->faults));
	out_put(o, "faults_low", json_object_new_uint64(p->low));
	out_put(o, "faults_high", json_object_new_uint64(p->high));
	out_put(o, "faults_per_s", json_object_new_double(p->per_s));
	out_put(o, "slowdown_percent", json_object_new_double(p->slowdown));
	out_put(o, "lower_bound", json_object_new_boolean(p->coarse));
	out_put(o, "acceptable", json_object_new_boolean(p->slowdown_high <= a->slowdown));
	return o;
}

static int print_json(const struct advise *a, bool applied)
{
	const struct iopf_sample_header *head = &a->samples.head;
	struct json_object *o = out_object(), *curve = out_array();
	int status;

	for (unsigned int i = 0; i < a->points; i++)
		out_append(curve, point_json(a, &a->point[i]));
	out_put(o, "container", out_number(a->container));
	out_put(o, "seconds", json_object_new_double(head->time / 1e6));
	out_put(o, "interval_ms", json_object_new_double(head->interval / 1e3));
	out_put(o, "effective_interval_ms", json_object_new_double(head->alone / 1e3));
	out_put(o, "samples", json_object_new_uint64(a->samples.nr));
	out_put(o, "samples_lost", json_object_new_uint64(a->samples.lost));
	out_put(o, "chunks_sampled", json_object_new_uint64(head->blocks));
	out_put(o, "chunks", json_object_new_uint64(head->all));
	out_put(o, "cost_ppm", json_object_new_uint64(a->share));
	out_put(o, "working_set", json_object_new_uint64(iopf_mrc_footprint(&a->load.m) * 4096));
	out_put(o, "pinned", json_object_new_uint64(a->load.m.pinned * 4096));
	out_put(o, "faults", json_object_new_uint64(a->faults));
	out_put(o, "fault_ns", json_object_new_double(a->load.fault_ns));
	out_put(o, "slowdown_percent_max", json_object_new_double(a->slowdown));
	out_put(o, "curve", curve);
	out_put(o, "recommended", a->advice.pages ? point_json(a, &a->advice) : NULL);
	out_put(o, "applied", json_object_new_boolean(applied));
	status = out_json(o, false);
	json_object_put(o);
	return status;
}

/**
 * advise_print() - print the result
 * @a: the result
 * @applied: the recommended limit is set now
 *
 * Return: an exit status
 */
int advise_print(const struct advise *a, bool applied)
{
	if (out_is_json())
		return print_json(a, applied);
	print_summary(a);
	return print_table(a);
}
