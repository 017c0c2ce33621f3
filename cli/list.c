// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl list: containers, whose they are, what they use and may use, and how fast they fault.
 *
 * A container that ends while it is being read is left out. What the module does not offer (it may
 * be older, or a thing be switched off) is null.
 */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "out.h"
#include "rate.h"
#include "sysfs.h"

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
	{ "hot", "HOT", OUT_RIGHT | OUT_SIZE | OUT_DETAIL },
	{ "hot_max", "HOT-MAX", OUT_RIGHT | OUT_SIZE | OUT_DETAIL },
	{ "policy", "POLICY", 0 },
	{ "faults", "FAULTS", OUT_RIGHT | OUT_DETAIL },
	{ "faults_per_s", "FAULTS/S", OUT_RIGHT },
	{ "evicted", "EVICTED", OUT_RIGHT | OUT_DETAIL },
	{ "expired", "EXPIRED", OUT_RIGHT | OUT_DETAIL },
	{ "refaults", "REFAULTS", OUT_RIGHT | OUT_DETAIL },
	{ "thrashing", "THRASHING", 0 },
	{ "thrash_events", "THRASH-EVENTS", OUT_RIGHT | OUT_DETAIL },
	{ "faults_parked", "FAULTS-PARKED", OUT_RIGHT | OUT_DETAIL },
	{ "faults_max", "FAULTS-MAX", OUT_RIGHT | OUT_DETAIL },
	{ "ahead_max", "AHEAD-MAX", OUT_RIGHT | OUT_DETAIL },
	{ "expire", "EXPIRE", OUT_RIGHT | OUT_DETAIL },
	{ "min_residency", "MIN-RESIDENCY", OUT_RIGHT | OUT_DETAIL },
	{ "prefaults", "PREFAULTS", OUT_RIGHT | OUT_DETAIL },
	{ "prefault_pages", "PREFAULT-PAGES", OUT_RIGHT | OUT_DETAIL },
};

/* Files of a container that are numbers, or "max", under the same names as their keys. */
static const char * const list_numbers[] = {
	"pid", "areas", "mapped", "resident", "resident_high", "resident_max", "pinned",
	"pinned_high", "pinned_max", "hot", "hot_max", "evicted", "expired", "refaults",
	"thrash_events", "faults_parked", "faults_max", "ahead_max", "expire", "min_residency",
	"prefaults", "prefault_pages",
};

/**
 * struct list - what is asked for
 * @ids: containers, or NULL: all
 * @nr: how many
 * @interval: seconds between readings; 0: no rate
 * @watch: again and again
 * @count: how often; 0: until interrupted
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

/* A row, or NULL when the container is gone. */
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
					"there is no container %s; iopfctl list shows those there are",
					names.name[i]);
	}
	if (!list->nr)
		sysfs_list_free(&names);
	return CTL_OK;
}

static int list_print(const struct list *list, struct json_object *rows)
{
	if (list->watch && ctl.json) {
		struct json_object *top = out_object();
		int status;

		out_put(top, "containers", json_object_get(rows));
		status = out_json(top, true);
		json_object_put(top);
		return status;
	}
	if (list->nr)
		return out_records(list_cols, ARRAY_SIZE(list_cols), "containers", rows);
	if (!ctl.json && !json_object_array_length(rows)) {
		ctl_note("no program has a container of vfio_iommu_iopf open");
		return CTL_OK;
	}
	return out_table(list_cols, ARRAY_SIZE(list_cols), "containers", rows);
}

/* One list, of a reading and the one before it, if there was one. */
static int list_once(const struct list *list, const struct rate_reading *before,
		     const struct rate_reading *now)
{
	struct json_object *rows = out_array();
	int status = list_ids(list, rows, before, now);

	if (status == CTL_OK) {
		/* Home, and clear to the end: what is there is overwritten without flicker. */
		if (list->watch && !ctl.json && isatty(STDOUT_FILENO))
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

static int list_run(const struct list *list)
{
	struct rate_reading before = { 0 }, now = { 0 };
	unsigned long n = 0;
	bool have = false;
	int ret, status;

	while (1) {
		ret = rate_read(&now);
		if (ret) {
			/* The module may go while it is watched. */
			status = sysfs_need_module();
			if (status == CTL_OK)
				status = ctl_fail_errno(ret, "reading the devices");
			break;
		}
		status = CTL_OK;
		if (have || !list->interval) {
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
	/* That way round, as nothing compares with what is no number. */
	if (end != optarg && !*end && *seconds >= 0 && *seconds <= DAY)
		return CTL_OK;
	return ctl_usage("'%s' is no number of seconds, 0 to %d", optarg, DAY);
}

static int list_parse(struct list *list, int argc, char **argv)
{
	char *end;
	int c;

	while ((c = ctl_getopt(argc, argv, ":hi:n:w", list_options)) != -1) {
		switch (c) {
		case 'h':
			return -1;
		case 'i':
			if (parse_interval(&list->interval))
				return CTL_USAGE;
			break;
		case 'n':
			errno = 0;
			list->count = strtoul(optarg, &end, 10);
			if (!isdigit((unsigned char)*optarg) || *end || errno || !list->count)
				return ctl_usage("'%s' is no number of times", optarg);
			break;
		case 'w':
			list->watch = true;
			break;
		default:
			return ctl_usage(NULL);
		}
	}
	list->ids = argv + optind;
	list->nr = argc - optind;
	for (int i = 0; i < list->nr; i++)
		if (sysfs_check_number(list->ids[i]))
			return ctl_usage("'%s' is no number of a container", list->ids[i]);
	if (list->watch && !list->interval)
		return ctl_usage("to watch takes an interval");
	if (list->count && !list->watch)
		return ctl_usage("--count is for --watch");
	return CTL_OK;
}

int cmd_list(int argc, char **argv)
{
	/* Whoever interrupts it twice does not wait for what is being read. */
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
