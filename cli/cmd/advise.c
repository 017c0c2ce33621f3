// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl advise: how much memory a container needs. The command samples a container in use,
 * predicts the number of faults at several limits, and recommends a limit.
 *
 * The command always stops sampling before it exits. A signal ends sampling early, and the command
 * uses the samples that it has. SIGKILL leaves sampling on: the next `advise` tells the user how to
 * stop it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../print/message.h"
#include "../print/out.h"
#include "../print/size.h"
#include "../sys/sysfs.h"
#include "advise.h"
#include "cmd.h"
#include "options.h"

#define SECONDS_MAX	86400
#define INTERVAL_MAX	60000
/* Minimum number of events for a recommendation. */
#define EVENTS_MIN	32
/* Seconds between two reads of the log. The log holds more events than occur in this time. */
#define NAP		0.25

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

static volatile sig_atomic_t interrupted;

static void interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

/* Set the handler of the signals that end the program by default. */
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
		return ctl_usage("'%s': %s must be a number from %g to %g", text, what, least,
				 most);
	return CTL_OK;
}

static int parse_count(unsigned int *value, const char *text, unsigned int least,
		       unsigned int most, const char *what)
{
	double real;
	int status = parse_real(&real, text, least, most, what);

	if (status == CTL_OK && real != (unsigned int)real)
		return ctl_usage("'%s': %s must be an integer", text, what);
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
	return a->sizes ? CTL_OK : ctl_usage("--sizes takes a list: 64M,128M");
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

/* Read the number of faults so far, and their total duration. */
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

static bool sampled_enough(const struct advise *a, double left)
{
	return left <= 0 || interrupted || a->samples.nr >= SAMPLES_MAX;
}

/* Read samples until the time is over, a signal comes, or there are SAMPLES_MAX. */
static int sample_on(struct advise *a)
{
	bool tell = !out_is_json() && isatty(STDERR_FILENO);
	struct timespec start;
	int ret = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!ret) {
		double left = a->seconds - since(&start);

		if (sampled_enough(a, left))
			break;
		nap(left < NAP ? left : NAP);
		ret = samples_more(&a->samples);
		if (!ret && tell)
			fprintf(stderr, "\riopfctl: %.0f s left, %llu uses of %u chunks ",
				max(a->seconds - since(&start), 0.0),
				(unsigned long long)a->samples.next, a->samples.head.blocks);
	}
	if (tell)
		fprintf(stderr, "\r\033[K");
	return ret;
}

/* Compute number and duration of the faults during sampling: totals after, minus totals before. */
static void count_faults(struct advise *a, uint64_t count, uint64_t sum, uint64_t count_after,
			 uint64_t sum_after)
{
	if (count_after < count || sum_after < sum) {
		/* Another program has reset the counters meanwhile. */
		count = 0;
		sum = 0;
	}
	a->faults = count_after - count;
	a->load.stalled_ns = sum_after - sum;
	if (a->faults)
		a->load.fault_ns = a->load.stalled_ns / a->faults;
	else if (count)
		/* No faults during sampling: use the mean duration of the faults before. */
		a->load.fault_ns = (double)sum / count;
}

/* Read everything that is known only after sampling. */
static int read_rest(struct advise *a, uint64_t *count, uint64_t *sum)
{
	int ret = samples_more(&a->samples);

	if (!ret)
		ret = sysfs_read_u64(&a->share, SYSFS_CONTAINERS "/%s/" SAMPLES_DIR "/cost_ppm",
				     a->container);
	return ret ? ret : read_latency(a, count, sum);
}

static int sample(struct advise *a)
{
	uint64_t count, sum, count_after, sum_after;
	int ret, stopped, status;

	ret = read_latency(a, &count, &sum);
	if (ret == -ENOENT)
		return ctl_fail(CTL_NOT_FOUND,
				"there is no container %s; iopfctl list shows all", a->container);
	if (ret)
		return ctl_fail_errno(ret, "container %s: duration of faults", a->container);
	status = samples_start(&a->samples, a->container, a->interval, a->max);
	if (status != CTL_OK)
		return status;
	ret = sample_on(a);
	stopped = samples_stop(&a->samples);
	on_signals(SIG_DFL);
	if (stopped)
		return ctl_fail_errno(stopped, "container %s: stopping to sample", a->container);
	if (!ret)
		ret = read_rest(a, &count_after, &sum_after);
	if (ret == -EBADMSG)
		return ctl_fail(CTL_FAILED,
				"container %s: module and iopfctl are of different versions",
				a->container);
	if (ret)
		return ctl_fail_errno(ret, "container %s: samples", a->container);
	count_faults(a, count, sum, count_after, sum_after);
	return CTL_OK;
}

/* Read a limit of the container. An absent limit, or "max", is IOPF_BUDGET_NONE. */
static uint64_t read_limit(const struct advise *a, const char *name, uint64_t unit, uint64_t by)
{
	uint64_t value;

	if (sysfs_read_u64(&value, SYSFS_CONTAINERS "/%s/%s", a->container, name) ||
	    value > UINT64_MAX / by)
		return IOPF_BUDGET_NONE;
	return value * by / unit;
}

/* Read the limits that the simulation uses. */
static void read_limits(struct advise *a)
{
	uint64_t min_residency, aging_interval;

	min_residency = read_limit(a, "min_residency", 1, 1);
	aging_interval = read_limit(a, "aging_interval", 1, 1000000);
	a->load.limits = (struct iopf_limits){
		.high = read_limit(a, "resident_high", 4096, 1),
		.pinned_high = IOPF_BUDGET_NONE,
		.pinned_max = IOPF_BUDGET_NONE,
		.aging_interval = aging_interval ? aging_interval : IOPF_BUDGET_NONE,
		.min_residency = min_residency == IOPF_BUDGET_NONE ? 0 : min_residency,
	};
}

/* Choose the limits of the table in @steps equal steps, unless the user gave limits. */
static void choose_sizes(struct advise *a)
{
	uint64_t least = curve_least(&a->load), most = curve_most(&a->load);

	if (a->sizes)
		return;
	for (unsigned int i = 1; i <= a->steps; i++)
		a->size[a->sizes++] = (least + (most - least) * i / a->steps) * 4096;
}

static int evaluate(struct advise *a)
{
	const struct samples *s = &a->samples;
	uint64_t pinned;
	int ret;

	if (s->nr < EVENTS_MIN)
		return ctl_fail(CTL_FAILED,
				"container %s: sampling saw only %zu uses of memory; "
				"sample longer (--seconds), or while its devices work",
				a->container, s->nr);
	if (!a->load.fault_ns)
		return ctl_fail(CTL_FAILED,
				"container %s: the module does not measure the duration of faults; "
				"set its parameter latency_sampling",
				a->container);
	read_limits(a);
	pinned = read_limit(a, "pinned", 4096, 1);
	ret = curve_load(&a->load, &s->head, s->event, (uint32_t)s->nr,
			 pinned == IOPF_BUDGET_NONE ? 0 : pinned);
	if (ret)
		return ctl_fail_errno(ret, "container %s: samples", a->container);
	choose_sizes(a);
	for (unsigned int i = 0; i < a->sizes; i++)
		curve_at(&a->load, a->size[i] / 4096, s->head.alone, &a->point[a->points++]);
	a->advice.pages = curve_recommend(&a->load, s->head.alone, a->slowdown, &a->advice);
	return CTL_OK;
}

static int apply(const struct advise *a)
{
	char text[32];
	int ret;

	if (!a->advice.pages)
		return ctl_fail(CTL_FAILED, "container %s: no limit is set", a->container);
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
	printed = advise_print(a, a->apply && status == CTL_OK);
	return status != CTL_OK ? status : printed;
}

static int run(int argc, char **argv)
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

const struct cmd cmd_advise = {
	.name = "advise",
	.args = "[--seconds S] [--slowdown PERCENT] [--apply] CONTAINER",
	.summary = "Recommend a limit of resident memory for a container in use",
	.help = "  -a, --apply        set resident_max to the recommended limit\n"
		"  -d, --slowdown P   acceptable slowdown of the devices in percent (5)\n"
		"  -i, --interval MS  interval between two samples of a chunk (100)\n"
		"  -m, --max N        maximum number of sampled chunks of 2 MiB (1024)\n"
		"  -n, --steps N      number of limits in the table (12)\n"
		"  -s, --seconds S    duration of sampling (30); a signal ends it early\n"
		"      --sizes LIST   limits in the table: 64M,128M,1G\n",
	.run = run,
};
