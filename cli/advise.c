// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl advise: how much memory a container needs. Samples it while it runs, works out how many
 * faults there would be at what limit, and recommends one.
 *
 * Whatever ends it, sampling is stopped: signals that would end it only end the sampling early, and
 * what has been learned by then is used. (Not if it is killed; then who comes next is told how.)
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "curve.h"
#include "out.h"
#include "samples.h"
#include "size.h"
#include "sysfs.h"

#define SECONDS_MAX	86400
#define INTERVAL_MAX	60000
/* Uses below which nothing is said. */
#define EVENTS_LEAST	32
/* Between two looks at the log: it has room for a good deal more than comes in that time. */
#define NAP		0.25
#define CHART_WIDTH	40

static const struct option advise_options[] = {
	{ "apply", no_argument, NULL, 'a' },
	{ "interval", required_argument, NULL, 'i' },
	{ "max", required_argument, NULL, 'm' },
	{ "seconds", required_argument, NULL, 's' },
	{ "sizes", required_argument, NULL, 'S' },
	{ "slowdown", required_argument, NULL, 'd' },
	{ "steps", required_argument, NULL, 'n' },
	{ }
};

/**
 * struct advise - what is asked for, and what has been found
 * @container: its number
 * @seconds: for how long to sample
 * @interval: at what interval, in ms
 * @max: chunks to watch at most; 0: as it is
 * @steps: limits in the table
 * @size: those limits in bytes, when they are given: so many
 * @sizes: how many
 * @slowdown: that is acceptable, in percent
 * @apply: set the recommended limit
 * @share: of time that sampling took, in ppm
 * @faults: that there were in the meantime, those that sampling made included
 * @samples: the log
 * @load: what it says
 * @point: the curve
 * @points: how long that is
 * @advice: what would be at the recommended limit, if @pages is not 0
 */
struct advise {
	const char *container;
	double seconds;
	unsigned int interval;
	unsigned int max;
	unsigned int steps;
	uint64_t size[CURVE_POINTS];
	unsigned int sizes;
	double slowdown;
	bool apply;
	uint64_t share;
	uint64_t faults;
	struct samples samples;
	struct curve_load load;
	struct curve_point point[CURVE_POINTS];
	unsigned int points;
	struct curve_point advice;
};

static const struct out_col curve_cols[] = {
	{ "resident_max", "LIMIT", OUT_RIGHT | OUT_SIZE },
	{ "faults_per_s", "FAULTS/S", OUT_RIGHT },
	{ "slowdown", "SLOWDOWN", OUT_RIGHT },
	{ "remark", "", 0 },
	{ "chart", "", 0 },
};

static volatile sig_atomic_t interrupted;

static void interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

/* What the signals do that would end the program. */
static void on_signals(sighandler_t handler)
{
	const struct sigaction action = { .sa_handler = handler };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

static int parse_real(double *value, const char *text, double least, double most, const char *what)
{
	char *end;

	errno = 0;
	*value = strtod(text, &end);
	if (errno || end == text || *end || !(*value >= least && *value <= most))
		return ctl_usage("'%s': %s is a number from %g to %g", text, what, least, most);
	return CTL_OK;
}

static int parse_count(unsigned int *value, const char *text, unsigned int least,
		       unsigned int most, const char *what)
{
	double real;
	int status = parse_real(&real, text, least, most, what);

	if (status == CTL_OK && real != (unsigned int)real)
		return ctl_usage("'%s': %s is a whole number", text, what);
	if (status == CTL_OK)
		*value = (unsigned int)real;
	return status;
}

static int parse_sizes(struct advise *a, char *list)
{
	a->sizes = 0;
	for (char *save, *size = strtok_r(list, ",", &save); size;
	     size = strtok_r(NULL, ",", &save)) {
		if (a->sizes == CURVE_POINTS)
			return ctl_usage("more than %d sizes", CURVE_POINTS);
		if (size_parse(size, &a->size[a->sizes]) || !a->size[a->sizes])
			return ctl_usage("'%s' is no size: 64M, 2G", size);
		a->sizes++;
	}
	return a->sizes ? CTL_OK : ctl_usage("--sizes wants sizes: 64M,128M");
}

static int parse_option(struct advise *a, int c)
{
	switch (c) {
	case 'a':
		a->apply = true;
		return CTL_OK;
	case 'd':
		return parse_real(&a->slowdown, optarg, 0.001, 1000, "the slowdown in percent");
	case 'i':
		return parse_count(&a->interval, optarg, 1, INTERVAL_MAX, "the interval in ms");
	case 'm':
		return parse_count(&a->max, optarg, 16, 1 << 18, "the number of chunks");
	case 'n':
		return parse_count(&a->steps, optarg, 1, CURVE_POINTS, "the number of steps");
	case 's':
		return parse_real(&a->seconds, optarg, 0.01, SECONDS_MAX, "the time in seconds");
	case 'S':
		return parse_sizes(a, optarg);
	default:
		return ctl_usage(NULL);
	}
}

static int parse(struct advise *a, int argc, char **argv)
{
	int c, status = CTL_OK;

	while (status == CTL_OK &&
	       (c = ctl_getopt(argc, argv, ":ad:hi:m:n:s:", advise_options)) != -1) {
		if (c == 'h')
			return -1;
		status = parse_option(a, c);
	}
	if (status != CTL_OK)
		return status;
	if (optind + 1 != argc)
		return ctl_usage(optind == argc ? "which container?" : "one container at a time");
	a->container = argv[optind];
	if (sysfs_check_number(a->container))
		return ctl_usage("'%s' is no number of a container", a->container);
	return CTL_OK;
}

/* How many faults there were, and how long they took. */
static int read_latency(const struct advise *a, uint64_t *count, uint64_t *sum)
{
	unsigned long long n, ns;
	char line[256];
	int ret = sysfs_read(line, sizeof(line), SYSFS_CONTAINERS "/%s/latency/total",
			     a->container);

	if (ret)
		return ret;
	if (sscanf(line, "count %llu sum %llu", &n, &ns) != 2)
		return -EBADMSG;
	*count = n;
	*sum = ns;
	return 0;
}

static double since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) + (now.tv_nsec - start->tv_nsec) / 1e9;
}

static void nap(double seconds)
{
	struct timespec ts = { .tv_sec = (time_t)seconds };

	ts.tv_nsec = (long)((seconds - ts.tv_sec) * 1e9);
	nanosleep(&ts, NULL);
}

/* Until the time is over, or enough is enough. */
static int sample_on(struct advise *a)
{
	bool tell = !ctl.json && isatty(STDERR_FILENO);
	struct timespec start;
	int ret = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		double left = a->seconds - since(&start);

		if (left <= 0 || interrupted || a->samples.nr >= SAMPLES_MAX)
			break;
		nap(left < NAP ? left : NAP);
		ret = samples_more(&a->samples);
		if (ret)
			break;
		if (tell)
			fprintf(stderr, "\riopfctl: %.0f s to go, %llu uses of %u chunks ",
				max(a->seconds - since(&start), 0.0),
				(unsigned long long)a->samples.next, a->samples.head.blocks);
	}
	if (tell)
		fprintf(stderr, "\r\033[K");
	return ret;
}

static int sample(struct advise *a)
{
	uint64_t count, sum, count_after, sum_after;
	int ret, stopped, status;

	ret = read_latency(a, &count, &sum);
	if (ret == -ENOENT)
		return ctl_fail(CTL_NOT_FOUND,
				"there is no container %s; iopfctl list shows those there are",
				a->container);
	if (ret)
		return ctl_fail_errno(ret, "container %s: how long faults take", a->container);
	status = samples_start(&a->samples, a->container, a->interval, a->max);
	if (status != CTL_OK)
		return status;
	ret = sample_on(a);
	stopped = samples_stop(&a->samples);
	on_signals(SIG_DFL);
	if (stopped)
		return ctl_fail_errno(stopped, "container %s: it is still being sampled",
				      a->container);
	if (!ret)
		ret = samples_more(&a->samples);
	if (!ret)
		ret = sysfs_read_u64(&a->share, SYSFS_CONTAINERS "/%s/" SAMPLES_DIR "/share",
				     a->container);
	if (!ret)
		ret = read_latency(a, &count_after, &sum_after);
	if (ret == -EBADMSG)
		return ctl_fail(CTL_FAILED,
				"container %s: the module and this program differ in version",
				a->container);
	if (ret)
		return ctl_fail_errno(ret, "container %s: its samples", a->container);
	if (count_after < count || sum_after < sum) {
		/* Somebody has set them back meanwhile. */
		count = 0;
		sum = 0;
	}
	a->faults = count_after - count;
	a->load.stalled_ns = sum_after - sum;
	if (a->faults)
		a->load.fault_ns = a->load.stalled_ns / a->faults;
	else if (count)
		/* None in between: what they took before. */
		a->load.fault_ns = (double)sum / count;
	return CTL_OK;
}

/* A limit of the container; one that is not there, or "max", is none. */
static uint64_t read_limit(const struct advise *a, const char *name, uint64_t unit, uint64_t by)
{
	uint64_t value;

	if (sysfs_read_u64(&value, SYSFS_CONTAINERS "/%s/%s", a->container, name) ||
	    value > UINT64_MAX / by)
		return IOPF_BUDGET_NONE;
	return value * by / unit;
}

static int evaluate(struct advise *a)
{
	const struct samples *s = &a->samples;
	uint64_t stay, expire, pinned;
	int ret;

	if (s->nr < EVENTS_LEAST)
		return ctl_fail(CTL_FAILED,
				"container %s: memory that was looked at was used %zu times only; "
				"sample longer (--seconds), or while its devices work",
				a->container, s->nr);
	if (!a->load.fault_ns)
		return ctl_fail(CTL_FAILED,
				"container %s: how long faults take is not measured; "
				"set the module's parameter latency",
				a->container);
	stay = read_limit(a, "min_residency", 1, 1);
	expire = read_limit(a, "expire", 1, 1000000);
	pinned = read_limit(a, "pinned", 4096, 1);
	a->load.limits = (struct iopf_limits){
		.high = read_limit(a, "resident_high", 4096, 1),
		.pinned_high = IOPF_BUDGET_NONE,
		.pinned_max = IOPF_BUDGET_NONE,
		.expire = expire ? expire : IOPF_BUDGET_NONE,
		.stay = stay == IOPF_BUDGET_NONE ? 0 : stay,
	};
	ret = curve_load(&a->load, &s->head, s->event, (uint32_t)s->nr,
			 pinned == IOPF_BUDGET_NONE ? 0 : pinned);
	if (ret)
		return ctl_fail_errno(ret, "container %s: its samples", a->container);
	if (!a->sizes) {
		uint64_t least = curve_least(&a->load), most = curve_most(&a->load);

		for (unsigned int i = 1; i <= a->steps; i++)
			a->size[a->sizes++] = (least + (most - least) * i / a->steps) * 4096;
	}
	for (unsigned int i = 0; i < a->sizes; i++)
		curve_at(&a->load, a->size[i] / 4096, s->head.alone, &a->point[a->points++]);
	a->advice.pages = curve_recommend(&a->load, s->head.alone, a->slowdown, &a->advice);
	return CTL_OK;
}

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

/* A bar as long as there are faults. */
static struct json_object *bar(const struct curve_point *p, double most)
{
	char text[CHART_WIDTH + 1];
	int n = most > 0 ? (int)(p->per_s / most * CHART_WIDTH + 0.5) : 0;

	/* Few are more than none. */
	if (!n && p->faults)
		n = 1;
	memset(text, '#', n);
	text[n] = 0;
	return out_string(text);
}

/* Where a little more or less memory makes a great difference. */
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
	printf("%.1f s, %llu uses seen, %u of %llu chunks watched, %s in use\n", head->time / 1e6,
	       (unsigned long long)a->samples.nr, head->blocks, (unsigned long long)head->all,
	       footprint);
	printf("sampling took %.2f %% of the time", a->share / 1e4);
	if (head->alone > head->interval + head->interval / 4)
		printf(", so chunks were looked at every %u ms only", head->alone / 1000);
	printf("; a fault takes %.1f us\n\n", a->load.fault_ns / 1e3);
	if (a->samples.lost)
		printf("%llu uses were missed for want of time\n\n",
		       (unsigned long long)a->samples.lost);
	size_text(a->advice.pages * 4096, size, sizeof(size));
	if (a->advice.pages)
		printf("recommended: resident_max=%s, with %.1f faults/s, slowdown %.1f %%\n", size,
		       a->advice.per_s, a->advice.slowdown);
	else
		printf("no limit keeps the slowdown below %g %%: new memory alone takes more\n",
		       a->slowdown);
	printf("(if a device waits for each of its faults and the host has the memory)\n\n");
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
	out_put(o, "coarse", json_object_new_boolean(p->coarse));
	out_put(o, "good", json_object_new_boolean(p->slowdown_high <= a->slowdown));
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
	out_put(o, "alone_ms", json_object_new_double(head->alone / 1e3));
	out_put(o, "uses", json_object_new_uint64(a->samples.nr));
	out_put(o, "uses_lost", json_object_new_uint64(a->samples.lost));
	out_put(o, "chunks_watched", json_object_new_uint64(head->blocks));
	out_put(o, "chunks", json_object_new_uint64(head->all));
	out_put(o, "share_ppm", json_object_new_uint64(a->share));
	out_put(o, "footprint", json_object_new_uint64(iopf_mrc_footprint(&a->load.m) * 4096));
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

static int apply(const struct advise *a)
{
	char text[32];
	int ret;

	if (!a->advice.pages)
		return ctl_fail(CTL_FAILED, "container %s: no limit was set", a->container);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)a->advice.pages * 4096);
	ret = sysfs_write(text, SYSFS_CONTAINERS "/%s/resident_max", a->container);
	if (ret)
		return ctl_fail_errno(ret, "container %s: resident_max=%s", a->container, text);
	return CTL_OK;
}

static int advise(struct advise *a)
{
	int status = sample(a), printed;

	if (status == CTL_OK)
		status = evaluate(a);
	if (status != CTL_OK)
		return status;
	if (a->apply)
		status = apply(a);
	if (ctl.json) {
		printed = print_json(a, a->apply && status == CTL_OK);
	} else {
		print_summary(a);
		printed = print_table(a);
	}
	return status != CTL_OK ? status : printed;
}

/* iopfctl advise */
int cmd_advise(int argc, char **argv)
{
	struct advise a = {
		.seconds = 30,
		.interval = 100,
		.steps = 12,
		.slowdown = 5,
		.samples = { .fd = -1 },
	};
	int status = parse(&a, argc, argv);

	if (status == -1)
		return ctl_help();
	if (status == CTL_OK)
		status = sysfs_need_module();
	if (status == CTL_OK) {
		on_signals(interrupt);
		status = advise(&a);
	}
	samples_free(&a.samples);
	curve_free(&a.load);
	return status;
}
