// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl list: containers, their processes and devices, how much memory they use and may use, and
 * their rate of faults.
 *
 * The list leaves out a container that ends while iopfctl reads it. A value that the module does
 * not provide is null: the module may be older than iopfctl.
 */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../print/array.h"
#include "../print/message.h"
#include "../print/out.h"
#include "../sys/rate.h"
#include "../sys/sysfs.h"
#include "cmd.h"
#include "options.h"

#define DAY	86400

static const struct option list_options[] = {
	{ "count", required_argument, NULL, 'n' },
	{ "interval", required_argument, NULL, 'i' },
	{ "watch", no_argument, NULL, 'w' },
	{ }
};

static const struct out_col list_cols[] = {
	{ "id", "ID", OUT_RIGHT },
	{ "pid", "PID", OUT_RIGHT },
	{ "command", "COMMAND", 0 },
	{ "devices", "DEVICES", OUT_WRAP },
	{ "areas", "AREAS", OUT_RIGHT | OUT_DETAIL },
	{ "mapped", "MAPPED", OUT_RIGHT | OUT_SIZE },
	{ "resident", "RESIDENT", OUT_RIGHT | OUT_SIZE },
	{ "resident_high", "RESIDENT-HIGH", OUT_RIGHT | OUT_SIZE | OUT_DETAIL },
	{ "resident_max", "RES-MAX", OUT_RIGHT | OUT_SIZE },
	{ "pinned", "PINNED", OUT_RIGHT | OUT_SIZE },
	{ "pinned_high", "PINNED-HIGH", OUT_RIGHT | OUT_SIZE | OUT_DETAIL },
	{ "pinned_max", "PIN-MAX", OUT_RIGHT | OUT_SIZE },
	{ "hot_pinned", "HOT-PINNED", OUT_RIGHT | OUT_SIZE | OUT_DETAIL },
	{ "hot_pinned_max", "HOT-PINNED-MAX", OUT_RIGHT | OUT_SIZE | OUT_DETAIL },
	{ "policy", "POLICY", 0 },
	{ "faults", "FAULTS", OUT_RIGHT | OUT_DETAIL },
	{ "faults_per_s", "FAULTS/S", OUT_RIGHT },
	{ "evicted", "EVICTED", OUT_RIGHT | OUT_DETAIL },
	{ "aged", "AGED", OUT_RIGHT | OUT_DETAIL },
	{ "refaults", "REFAULTS", OUT_RIGHT | OUT_DETAIL },
	{ "thrashing", "THRASHING", 0 },
	{ "thrash_events", "THRASH-EVENTS", OUT_RIGHT | OUT_DETAIL },
	{ "fault_workers", "FAULT-WORKERS", OUT_RIGHT | OUT_DETAIL },
	{ "fault_workers_max", "FAULT-WORKERS-MAX", OUT_RIGHT | OUT_DETAIL },
	{ "prefetch_max", "PREFETCH-MAX", OUT_RIGHT | OUT_DETAIL },
	{ "aging_interval", "AGING-INTERVAL", OUT_RIGHT | OUT_DETAIL },
	{ "min_residency", "MIN-RESIDENCY", OUT_RIGHT | OUT_DETAIL },
	{ "prefault_requests", "PREFAULT-REQUESTS", OUT_RIGHT | OUT_DETAIL },
	{ "prefault_pages", "PREFAULT-PAGES", OUT_RIGHT | OUT_DETAIL },
};

/* Files of a container that contain numbers, or "max". Each file has the name of its key. */
static const char *const list_numbers[] = {
	"pid",
	"areas",
	"mapped",
	"resident",
	"resident_high",
	"resident_max",
	"pinned",
	"pinned_high",
	"pinned_max",
	"hot_pinned",
	"hot_pinned_max",
	"evicted",
	"aged",
	"refaults",
	"thrash_events",
	"fault_workers",
	"fault_workers_max",
	"prefetch_max",
	"aging_interval",
	"min_residency",
	"prefault_requests",
	"prefault_pages",
};

/**
 * struct list - the arguments
 * @ids: the containers, if @nr is not 0
 * @nr: number of containers; 0: all
 * @interval: seconds between two readings; 0: show no rate
 * @watch: repeat the list
 * @count: number of lists; 0: until a signal
 */
struct list {
	char **ids;
	int nr;
	double interval;
	bool watch;
	unsigned long count;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

/* Make a row. Returns NULL if the container has ended. */
static struct json_object *list_row(const char *id, const struct rate_reading *before,
				    const struct rate_reading *now)
{
	struct json_object *row, *pid = sysfs_number(SYSFS_CONTAINERS "/%s/pid", id);

	if (!pid)
		return NULL;
	json_object_put(pid);
	row = out_object();
	out_put(row, "id", out_number(id));
	out_put(row, "command", sysfs_text(SYSFS_CONTAINERS "/%s/comm", id));
	out_put(row, "devices", rate_devices(now, id));
	out_put(row, "policy", sysfs_text(SYSFS_CONTAINERS "/%s/policy", id));
	out_put(row, "faults", rate_faults(now, id));
	out_put(row, "faults_per_s", before ? rate_per_second(before, now, id) : NULL);
	out_put(row, "thrashing", sysfs_flag(SYSFS_CONTAINERS "/%s/thrashing", id));
	for (unsigned int i = 0; i < ARRAY_SIZE(list_numbers); i++)
		out_put(row, list_numbers[i],
			sysfs_number(SYSFS_CONTAINERS "/%s/%s", id, list_numbers[i]));
	return row;
}

static int list_ids(const struct list *list, struct json_object *rows,
		    const struct rate_reading *before, const struct rate_reading *now)
{
	struct sysfs_names names = { .nr = list->nr, .name = list->ids };
	int ret;

	if (!list->nr) {
		ret = sysfs_list(&names, SYSFS_CONTAINERS);
		if (ret)
			return ctl_fail_errno(ret, "listing the containers");
	}
	for (unsigned int i = 0; i < names.nr; i++) {
		struct json_object *row = list_row(names.name[i], before, now);

		if (row)
			out_append(rows, row);
		else if (list->nr)
			return ctl_fail(CTL_NOT_FOUND,
					"there is no container %s; iopfctl list shows all",
					names.name[i]);
	}
	if (!list->nr)
		sysfs_list_free(&names);
	return CTL_OK;
}

static int list_print(const struct list *list, struct json_object *rows)
{
	if (list->watch && out_is_json()) {
		struct json_object *top = out_object();
		int status;

		out_put(top, "containers", json_object_get(rows));
		status = out_json(top, true);
		json_object_put(top);
		return status;
	}
	if (list->nr)
		return out_records(list_cols, ARRAY_SIZE(list_cols), "containers", rows);
	if (!out_is_json() && !json_object_array_length(rows)) {
		ctl_note("vfio_iommu_iopf serves no container");
		return CTL_OK;
	}
	return out_table(list_cols, ARRAY_SIZE(list_cols), "containers", rows);
}

/* Print a list. @before is the reading before @now, or NULL. */
static int list_once(const struct list *list, const struct rate_reading *before,
		     const struct rate_reading *now)
{
	struct json_object *rows = out_array();
	int status = list_ids(list, rows, before, now);

	if (status == CTL_OK) {
		/* Cursor home, erase below. */
		if (list->watch && !out_is_json() && isatty(STDOUT_FILENO))
			printf("\033[H\033[J");
		status = ctl_flush(list_print(list, rows));
	}
	json_object_put(rows);
	return status;
}

static void list_sleep(double seconds)
{
	struct timespec ts = { .tv_sec = (time_t)seconds };

	ts.tv_nsec = (long)((seconds - ts.tv_sec) * 1e9);
	while (!interrupted && nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static int list_read(struct rate_reading *now)
{
	int ret = rate_read(now), status;

	if (!ret)
		return CTL_OK;
	/* The module may have been unloaded meanwhile. */
	status = sysfs_need_module();
	return status == CTL_OK ? ctl_fail_errno(ret, "reading the devices") : status;
}

static int list_run(const struct list *list)
{
	struct rate_reading before = { 0 }, now = { 0 };
	unsigned long n = 0;
	bool have = false;
	int status;

	while (1) {
		status = list_read(&now);
		if (status == CTL_OK && (have || !list->interval)) {
			status = list_once(list, have ? &before : NULL, &now);
			n++;
		}
		if (status != CTL_OK || (n && (!list->watch || n == list->count)))
			break;
		rate_free(&before);
		before = now;
		now = (struct rate_reading){ 0 };
		have = true;
		list_sleep(list->interval);
		if (interrupted)
			break;
	}
	rate_free(&before);
	rate_free(&now);
	return status;
}

static int parse_interval(double *seconds)
{
	char *end;

	*seconds = strtod(optarg, &end);
	/* These comparisons are false for NaN. */
	if (end != optarg && !*end && *seconds >= 0 && *seconds <= DAY)
		return CTL_OK;
	return ctl_usage("'%s' is no number of seconds from 0 to %d", optarg, DAY);
}

static int parse_count(unsigned long *count)
{
	char *end;

	errno = 0;
	*count = strtoul(optarg, &end, 10);
	if (isdigit((unsigned char)*optarg) && !*end && !errno && *count)
		return CTL_OK;
	return ctl_usage("'%s' is no number of lists", optarg);
}

static int list_options_parse(struct list *list, int argc, char **argv)
{
	int c, status = CTL_OK;

	while (status == CTL_OK &&
	       (c = ctl_getopt(argc, argv, ":hi:n:w", list_options)) != -1) {
		switch (c) {
		case 'h':
			return -1;
		case 'i':
			status = parse_interval(&list->interval);
			break;
		case 'n':
			status = parse_count(&list->count);
			break;
		case 'w':
			list->watch = true;
			break;
		default:
			status = ctl_usage(NULL);
		}
	}
	return status;
}

static int list_parse(struct list *list, int argc, char **argv)
{
	int status = list_options_parse(list, argc, argv);

	if (status != CTL_OK)
		return status;
	list->ids = argv + optind;
	list->nr = argc - optind;
	for (int i = 0; i < list->nr; i++)
		if (sysfs_check_number(list->ids[i]))
			return ctl_usage("'%s' is no number of a container", list->ids[i]);
	if (list->watch && !list->interval)
		return ctl_usage("--watch requires an interval");
	if (list->count && !list->watch)
		return ctl_usage("--count requires --watch");
	return CTL_OK;
}

static int run(int argc, char **argv)
{
	/* A second signal ends the program at once. */
	struct sigaction sa = { .sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND };
	struct list list = { .interval = 0.5 };
	int status = list_parse(&list, argc, argv);

	if (status < 0)
		return ctl_help();
	if (status == CTL_OK)
		status = sysfs_need_module();
	if (status != CTL_OK)
		return status;
	if (list.watch)
		sigaction(SIGINT, &sa, NULL);
	return list_run(&list);
}

const struct cmd cmd_list = {
	.name = "list",
	.args = "[CONTAINER...]",
	.summary = "Show containers: their processes, devices, memory and faults",
	.help = "  -i, --interval S   seconds between two readings of the fault rate; 0: no rate\n"
		"  -n, --count N      with --watch: show N lists\n"
		"  -w, --watch        repeat the list until a signal\n",
	.run = run,
};
