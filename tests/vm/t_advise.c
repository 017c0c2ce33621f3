// SPDX-License-Identifier: GPL-2.0-only
/*
 * The prediction of iopfctl advise agrees with measurement. A device runs a load while the
 * container is sampled without a limit. Then the device runs the same load at several limits. At
 * each limit the first run reaches a steady state, and the faults of the second run are counted.
 * The prediction must be within a tenth of the measured number, or within one fault per hundred
 * uses where faults are few.
 *
 * At a steep part of the curve one round differs from the next by a tenth. The prediction is for
 * the mean, so the test compares it with the mean of several rounds.
 *
 * A block has sixteen present pages, so that one fault maps all of them. The blocks are in random
 * order, so that no page is prefetched. The limits avoid three points at which a single block
 * decides: where a loop or a scan just fits, where it just does not fit, and where (at about half
 * of its size) its blocks come back just soon enough to count as used.
 *
 * The test runs on the instruction clock. So the number of uses between two samples of a block is
 * the same on any machine.
 *
 * vm: --mem 1024 --icount --test-timeout 600 --add cli/iopfctl
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../core/test/load.h"
#include "rig.h"
#include "sample.h"

#define BLOCKS		128
#define USES		2048
#define LEN		(BLOCKS * MEM_HUGE)
#define WINDOW		16
#define PAGE		40
#define ALL		(BLOCKS * WINDOW * MEM_PAGE)
/*
 * Time between two uses during sampling, and the interval of a block: 15 uses. In a loop each use
 * is an event. More samples would exceed 1 % of the time.
 */
#define PAUSE_US	4000
/*
 * On the debug kernel an event takes more than ten times longer, by the instruction clock, too. The
 * device goes through a loop only, which leaves nothing to chance, and less often.
 */
#define PAUSE_DEBUG_US	64000
#define USES_DEBUG	(USES / 4)
#define INTERVAL_USES	15
/* The most time that sampling may take, in ppm. */
#define SHARE_MAX	10000

#define JSON	"/tmp/advise.json"
#define ERR	"/tmp/advise.err"

/* Limits, in eighths of all that is used; at the last one everything fits. */
static const unsigned int eighths[] = { 2, 5, 7, 9 };

static unsigned int pause_us = PAUSE_US;
static unsigned int uses = USES;

/* The position of each block. */
static size_t place[BLOCKS];
/* The output of the command, without blanks and newlines. */
static char said[65536];

static uint64_t faults(void)
{
	return iopf_count(rig_bdf(0), "faults");
}

static struct simbuf buffer(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	uint64_t state = 3;

	for (size_t i = 0; i < BLOCKS; i++) {
		size_t j = load_random(&state) % (i + 1);

		place[i] = place[j];
		place[j] = i;
	}
	for (size_t i = 0; i < BLOCKS; i++)
		memset((char *)b.va + i * MEM_HUGE + (PAGE - PAGE % WINDOW) * MEM_PAGE, 1,
		       WINDOW * MEM_PAGE);
	rig_map(r, &b);
	return b;
}

/* Go through the load: how many faults that took. */
static uint64_t go(struct rig *r, const struct simbuf *b, const uint32_t *use, bool pause)
{
	uint64_t before = faults();

	for (unsigned int i = 0; i < uses; i++) {
		must_be(sim_read(&r->sim[0], b, place[use[i]] * MEM_HUGE + PAGE * MEM_PAGE, 8,
				 NULL) == IOPF_SIM_ST_OK);
		if (pause)
			usleep(pause_us);
	}
	return faults() - before;
}

static int limit(uint64_t bytes)
{
	if (bytes)
		return knob_write_try(bytes, "%s", sample_path("resident_max"));
	return mem_write_file(sample_path("resident_max"), "max");
}

/* The number of the container. */
static const char *container(void)
{
	static char id[16];

	must_be(sscanf(sample_path(""), KNOB_IOPF_DIR "/containers/%15[0-9]", id) == 1);
	return id;
}

static pid_t begin(const char *sizes, bool apply)
{
	char interval[16];
	pid_t pid;

	snprintf(interval, sizeof(interval), "%u", INTERVAL_USES * pause_us / 1000);
	fflush(NULL);
	pid = fork();
	must_sys(pid);
	if (!pid) {
		if (!freopen(JSON, "w", stdout) || !freopen(ERR, "w", stderr))
			_exit(126);
		execlp("iopfctl", "iopfctl", "advise", container(), "--json", "--seconds", "3600",
		       "--interval", interval, "--sizes", sizes, apply ? "--apply" : NULL, NULL);
		_exit(127);
	}
	return pid;
}

/* Wait for its start, or its end. */
static void begun(pid_t pid)
{
	unsigned int spins = 0;

	while (!sample_get("interval_ms") && !waitpid(pid, NULL, WNOHANG))
		sim_nap(&spins);
}

static void read_said(const char *file)
{
	FILE *f = fopen(file, "r");
	size_t n = 0;
	int c;

	must_be(f);
	while ((c = fgetc(f)) != EOF)
		if (c != ' ' && c != '\n' && n < sizeof(said) - 1)
			said[n++] = (char)c;
	said[n] = 0;
	fclose(f);
}

/* End the command and read its output. Returns its exit status. */
static int end(pid_t pid)
{
	int status;

	kill(pid, SIGINT);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
		tap_diag("iopfctl did not end by itself");
		return -1;
	}
	if (WEXITSTATUS(status)) {
		read_said(ERR);
		tap_diag("iopfctl: %s", said);
	}
	read_said(JSON);
	return WEXITSTATUS(status);
}

/* The number under the n-th (from 0) such key, after a text. */
static double number(const char *after, const char *key, unsigned int n)
{
	char want[64];
	const char *p = strstr(said, after);

	snprintf(want, sizeof(want), "\"%s\":", key);
	for (; p && (p = strstr(p, want)); n--) {
		p += strlen(want);
		if (!n)
			return strtod(p, NULL);
	}
	tap_diag("no %s of that number after %s in: %s", key, after, said);
	return -1;
}

static bool near(double got, double want)
{
	double most = want / 10 > uses / 100.0 ? want / 10 : uses / 100.0;

	return got >= want - most && got <= want + most;
}

/* Rounds whose mean is taken: a scan and a loop make the same faults in each. */
static unsigned int rounds(enum load_kind kind)
{
	return kind == LOAD_ZIPF || kind == LOAD_PHASES ? 4 : 1;
}

static void check_load(struct rig *r, const struct simbuf *b, enum load_kind kind)
{
	uint32_t *use = load_make(kind, BLOCKS, uses, 42);
	double predicted[ARRAY_SIZE(eighths)], fault_ns, seconds;
	const char *name = load_names[kind];
	uint64_t size[ARRAY_SIZE(eighths)];
	char sizes[128] = "";
	unsigned int i;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(eighths); i++) {
		size[i] = ALL * eighths[i] / 8;
		snprintf(sizes + strlen(sizes), sizeof(sizes) - strlen(sizes), "%s%llu",
			 i ? "," : "", (unsigned long long)size[i]);
	}
	must(limit(0));
	go(r, b, use, false);
	pid = begin(sizes, kind == LOAD_ZIPF);
	begun(pid);
	go(r, b, use, true);
	tap_is((uint64_t)end(pid), 0, "%s: advice is given", name);
	tap_is(sample_get("interval_ms"), 0, "%s: it is not sampled any more", name);
	for (i = 0; i < ARRAY_SIZE(eighths); i++)
		predicted[i] = number("\"curve\":", "faults", i);
	fault_ns = number("", "fault_ns", 0);
	seconds = number("", "seconds", 0);
	tap_ok(number("", "cost_ppm", 0) > 0 && number("", "cost_ppm", 0) <= SHARE_MAX,
	       "%s: sampling took %.0f ppm of the time", name, number("", "cost_ppm", 0));
	tap_diag("%s: %.0f events in %.1f s, a block left alone for %.1f ms, a fault takes %.1f us",
		 name, number("", "samples", 0), seconds, number("", "effective_interval_ms", 0),
		 fault_ns / 1e3);
	if (kind == LOAD_ZIPF) {
		uint64_t set, good = (uint64_t)number("\"recommended\":", "resident_max", 0);
		double measured;

		must(knob_read_try(&set, "%s", sample_path("resident_max")));
		tap_is(set, good, "the recommended limit has been set");
		go(r, b, use, false);
		measured = go(r, b, use, false) * fault_ns / (seconds * 1e9);
		/* 5 % is what is asked for, unless something else is; and a tenth. */
		tap_ok(measured <= 0.05 * 1.1, "there the slowdown is %.2f %%", 100 * measured);
	}
	for (i = 0; i < ARRAY_SIZE(eighths); i++) {
		uint64_t measured = 0;

		must(limit(size[i]));
		/*
		 * Both times as fast as it was sampled: what has just come may not go for some
		 * time, and a scan that once goes faster may settle otherwise and stay so.
		 */
		go(r, b, use, true);
		for (unsigned int n = 0; n < rounds(kind); n++)
			measured += go(r, b, use, true);
		measured /= rounds(kind);
		tap_ok(near(predicted[i], (double)measured),
		       "%s at %u/8: %llu faults, predicted %.0f", name, eighths[i],
		       (unsigned long long)measured, predicted[i]);
	}
	must(limit(0));
	free(use);
}

/* Run the command briefly. Returns its exit status; @said gets its message. */
static int run(void)
{
	char command[128];
	int status;

	snprintf(command, sizeof(command), "iopfctl advise %s --seconds 0.1 >" JSON " 2>" ERR,
		 container());
	status = system(command);
	read_said(ERR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Advice that can't be given. */
static void check_refusals(void)
{
	must(sample_set("interval_ms", 50));
	tap_is((uint64_t)run(), 1, "somebody samples already");
	tap_ok(strstr(said, "anotherprogramsamplescontainer"), "it says so");
	tap_is(sample_get("interval_ms"), 50, "and lets him");
	must(sample_set("interval_ms", 0));
	tap_is((uint64_t)run(), 1, "an idle device");
	tap_ok(strstr(said, "samplelonger"), "it says that there is nothing to learn from");
	tap_is(sample_get("interval_ms"), 0, "sampling has stopped");
}

int main(void)
{
	struct simbuf b;
	struct rig r;

	rig_backend_only();
	if (rig_debug_kernel()) {
		pause_us = PAUSE_DEBUG_US;
		uses = USES_DEBUG;
	}
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	b = buffer(&r);
	check_refusals();
	for (enum load_kind kind = 0; kind < LOAD_KINDS; kind++) {
		if (rig_debug_kernel() && kind != LOAD_LOOP)
			tap_skip("this kernel is too slow", "%s", load_names[kind]);
		else
			check_load(&r, &b, kind);
	}
	rig_unmap(&r, &b);
	mem_unmap(b.va, b.len);
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
