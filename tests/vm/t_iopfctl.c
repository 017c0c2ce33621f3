// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl with the module: its output about devices and containers is right, and its settings take
 * effect under DMA. cli/test tests arguments and files.
 *
 * vm: --mem 1024 --add cli/iopfctl
 */
#include <ctype.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dma.h"
#include "rig.h"

#define LEN	(8 * MiB)
#define CONF	"/tmp/devices.conf"
#define ERR	"/tmp/iopfctl.err"
#define TRIES	200

/* See enum ctl_exit. */
#define CTL_FAILED	1
#define CTL_NOT_FOUND	3
#define CTL_NO_MODULE	4

/* The output of the last command, without blanks and newlines. */
static char said[65536];

static void read_said(FILE *f)
{
	size_t n = 0;
	int c;

	while ((c = fgetc(f)) != EOF)
		if (!isspace(c) && n < sizeof(said) - 1)
			said[n++] = (char)c;
	said[n] = 0;
}

/* Run iopfctl --json. Returns its exit status. */
static int ctl(const char *fmt, ...)
{
	char args[256], command[512];
	va_list list;
	int status;
	FILE *f;

	va_start(list, fmt);
	vsnprintf(args, sizeof(args), fmt, list);
	va_end(list);
	snprintf(command, sizeof(command), "iopfctl --json --config " CONF " %s 2>" ERR, args);
	f = popen(command, "r");
	must_be(f);
	read_said(f);
	status = pclose(f);
	must_be(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void describe(void)
{
	char line[512];
	FILE *f = fopen(ERR, "r");

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		tap_diag("%s", line);
	}
	if (f)
		fclose(f);
}

/* The value of a key that occurs once: the text after it. */
static const char *value(const char *key)
{
	char pattern[64];
	const char *p;

	snprintf(pattern, sizeof(pattern), "\"%s\":", key);
	p = strstr(said, pattern);
	if (!p)
		tap_bail("no %s in %s", key, said);
	return p + strlen(pattern);
}

static bool says(const char *key, const char *want)
{
	return !strncmp(value(key), want, strlen(want));
}

static uint64_t number(const char *key)
{
	const char *v = value(key);

	if (!isdigit((unsigned char)*v))
		tap_bail("%s is no number: %.20s", key, v);
	return strtoull(v, NULL, 10);
}

static void verdict_is(const char *bdf, const char *want, const char *what)
{
	char quoted[64];

	must_be(!ctl("probe %s", bdf));
	snprintf(quoted, sizeof(quoted), "\"%s\"", want);
	tap_ok(says("verdict", quoted), "%s: probe says %s (%.120s)", what, want, value("text"));
}

/* Check the first word of "reason". */
static void reason_is(const char *bdf, const char *want)
{
	char quoted[64];

	must_be(!ctl("probe %s", bdf));
	snprintf(quoted, sizeof(quoted), "\"%s:", want);
	tap_ok(says("reason", quoted), "the reason is \"%s\" (%.60s)", want, value("reason"));
}

/* Opens device @n alone, checks which backend serves it, and closes it. */
static void serves(unsigned int n, const char *want, const char *what)
{
	struct vfio_container c;
	struct vfio_dev d;

	must(vfio_container_open(&c));
	must(vfio_dev_open(&d, &c, rig_bdf(n), VFIO_TYPE1v2_IOMMU));
	tap_ok(!strcmp(iopf_text(rig_bdf(n), "backend"), want), "%s: served by %s (%s)", what,
	       want, iopf_text(rig_bdf(n), "backend"));
	vfio_dev_close(&d);
	vfio_container_close(&c);
}

/* Device 0 becomes one that may fault; device 1 still may not; the IOMMU of device 2 cannot. */
static void check_probe(void)
{
	verdict_is(rig_bdf(0), "possible", "not allowed");
	tap_ok(strstr(said, "iopfctldeviceadd"), "the text says how to permit it");
	serves(0, "vfio_iommu_type1", "not allowed");
	reason_is(rig_bdf(0), "disabled");

	tap_is(ctl("device add --apply address %s arbitrary", rig_bdf(0)), 0,
	       "device add --apply");
	describe();
	verdict_is(rig_bdf(0), "possible", "allowed, not used yet");
	tap_ok(strstr(said, "enablespagefaultsfor"), "the text has the condition");
	tap_ok(says("origin", "\"admin\""), "the text has the origin");
	serves(0, "vfio_iommu_iopf", "allowed");
	tap_ok(!ctl("probe %s", rig_bdf(0)) && says("reason", "null"), "no reason against it");
	verdict_is(rig_bdf(1), "possible", "not in the table");
	serves(1, "vfio_iommu_type1", "not in the table");

	tap_is(ctl("set --device %s enabled=1", rig_bdf(2)), 0, "set --device enabled=1");
	verdict_is(rig_bdf(2), "possible", "enabled, not used yet");
	serves(2, "vfio_iommu_type1", "its IOMMU can't");
	verdict_is(rig_bdf(2), "unsupported", "its IOMMU can't, and was asked");
	reason_is(rig_bdf(2), "iommu_refused");
}

/* Print the tables of iopfctl as comments. */
static void show(const char *args)
{
	char line[512];
	FILE *f;

	snprintf(line, sizeof(line), "iopfctl --config " CONF " %s 2>&1", args);
	tap_diag("$ iopfctl %s", args);
	f = popen(line, "r");
	must_be(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		tap_diag("%s", line);
	}
	must_be(!pclose(f));
}

static uint64_t check_list(struct rig *r, const struct simbuf *b)
{
	const char *bdf = r->vfio[0].bdf;
	uint64_t id;

	tap_is(ctl("list -i 0"), 0, "list");
	id = number("id");
	tap_is(number("pid"), getpid(), "list: whose it is");
	tap_ok(says("command", "\"t_iopfctl\""), "list: its name (%.20s)", value("command"));
	tap_ok(strstr(value("devices"), bdf), "list: its device");
	tap_is(number("mapped"), b->len, "list: mapped memory");
	tap_is(number("resident"), 0, "list: nothing is resident");
	tap_ok(says("faults_per_s", "null"), "list: no rate without an interval");

	rig_both_ways(&r->sim[0], b, 1, "data");
	tap_is(ctl("list %llu -i 0", (unsigned long long)id), 0, "list of one");
	tap_is(number("resident"), b->len, "list: all of it is resident");
	tap_is(number("faults"), iopf_count(bdf, "faults"), "list: its faults");
	verdict_is(bdf, "enabled", "in use");
	tap_is(number("container"), id, "probe: the same container");
	tap_is(ctl("list %llu -i 0", (unsigned long long)id + 1), CTL_NOT_FOUND, "list of another");
	return id;
}

/* Drop memory repeatedly, so that the device keeps faulting. */
struct dropper {
	pthread_t thread;
	const struct simbuf *b;
	bool stop;
};

static void *drop(void *data)
{
	struct dropper *d = data;

	while (!__atomic_load_n(&d->stop, __ATOMIC_RELAXED)) {
		mem_drop(d->b->va, MiB);
		usleep(1000);
	}
	return NULL;
}

static void check_rate(struct rig *r, const struct simbuf *b)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, MiB, 3);
	struct dropper dropper = { .b = b };
	unsigned int tries = 0;
	struct dma dma;
	bool moved;

	dma_start(&dma, &r->sim[0], &cmd, 1);
	must_be(!pthread_create(&dropper.thread, NULL, drop, &dropper));
	do {
		must_be(!ctl("list -i 0.2"));
		moved = strtod(value("faults_per_s"), NULL) > 0;
	} while (!moved && ++tries < TRIES);
	show("list -i 1");
	show("probe");
	__atomic_store_n(&dropper.stop, true, __ATOMIC_RELAXED);
	pthread_join(dropper.thread, NULL);
	tap_is(dma_stop(&dma), 0, "under DMA: every command was carried out");
	tap_ok(moved, "list: a rate, while the device faults");
}

static uint64_t listed(uint64_t id, const char *key)
{
	must_be(!ctl("list %llu -i 0", (unsigned long long)id));
	return number(key);
}

/* The kernel rejects the second of two assignments. */
static void check_refused(uint64_t id)
{
	tap_is(ctl("set %llu resident_high=64M pinned_max=1M", (unsigned long long)id), CTL_FAILED,
	       "a limit below the pinned amount is refused");
	describe();
	tap_ok(strstr(said, "\"restored\":[\"resident_high\"]"),
	       "earlier values are restored");
	must_be(!ctl("list %llu -i 0", (unsigned long long)id));
	tap_ok(says("resident_high", "\"max\"") && says("pinned_max", "\"max\""),
	       "nothing has changed");
}

/* Under DMA, a device is disabled and enabled, and a container is pinned and unpinned. */
static void check_pin(struct rig *r, const struct simbuf *b, uint64_t id)
{
	const char *bdf = r->vfio[0].bdf;

	tap_is(ctl("set --device %s enabled=0", bdf), 0, "set --device enabled=0");
	tap_is(mem_status_kb(0, "VmLck"), LEN / 1024, "all memory is pinned");
	tap_is(listed(id, "pinned"), LEN, "list: pinned memory");
	verdict_is(bdf, "possible", "switched off");
	reason_is(bdf, "pinned");
	tap_is(ctl("device mode %s arbitrary", bdf), 0, "device mode arbitrary");
	tap_is(mem_status_kb(0, "VmLck"), 0, "nothing is pinned");

	tap_is(ctl("set %llu policy=pin", (unsigned long long)id), 0, "set policy=pin");
	describe();
	tap_is(listed(id, "pinned"), LEN, "list: pinned again");
	tap_ok(says("policy", "\"pin\""), "list: the policy");
	check_refused(id);
	tap_is(ctl("set %llu policy=fault", (unsigned long long)id), 0, "set policy=fault");
	tap_is(listed(id, "pinned"), 0, "list: nothing is pinned");
	rig_both_ways(&r->sim[0], b, 11, "faulting again");
}

static void check_budget(struct rig *r, const struct simbuf *b, uint64_t id)
{
	struct dma dma;

	dma_start_both(&dma, &r->sim[0], b, 21);
	dma_wait_rounds(&dma, 1);
	tap_is(ctl("set %llu resident_max=4M resident_high=3M", (unsigned long long)id), 0,
	       "set resident_max, resident_high");
	describe();
	for (unsigned int i = 0; i < 3; i++) {
		uint64_t resident;

		dma_wait_rounds(&dma, 1);
		resident = listed(id, "resident");
		tap_ok(resident <= 4 * MiB, "list: no more is resident (%llu)",
		       (unsigned long long)resident);
	}
	tap_is(number("resident_max"), 4 * MiB, "list: the limit");
	tap_is(number("resident_high"), 3 * MiB, "list: the other limit");
	tap_is(ctl("set %llu resident_max=max resident_high=max", (unsigned long long)id), 0,
	       "set both to max");
	dma_wait_rounds(&dma, 1);
	tap_is(dma_stop(&dma), 0, "with a limit: data right");
	dma_describe(&dma);
	rig_both_ways(&r->sim[0], b, 23, "without");
	tap_is(listed(id, "resident"), LEN, "list: all of it is resident again");
}

/* A program name that contains escape sequences. */
static void check_name(void)
{
	struct vfio_container c;
	char path[128], text[128];
	struct vfio_dev d;
	size_t n;
	FILE *f;

	must(prctl(PR_SET_NAME, "a\nb\033[m\\\303\274"));
	must(vfio_container_open(&c));
	must(vfio_dev_open(&d, &c, rig_bdf(0), VFIO_TYPE1v2_IOMMU));
	must(prctl(PR_SET_NAME, "t_iopfctl"));
	must_be(!ctl("list -i 0"));
	tap_ok(says("command", "\"a\\\\nb\\\\e[m\\\\\\\\\303\274\""),
	       "list: a strange name (%.40s)",
	       value("command"));
	snprintf(path, sizeof(path), "/sys/kernel/vfio_iopf/containers/%llu/comm",
		 (unsigned long long)number("id"));
	f = fopen(path, "r");
	must_be(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	fclose(f);
	tap_ok(!strcmp(text, "a\\nb\\e[m\\\\\303\274\n"),
	       "sysfs: it is one line, without controls");
	vfio_dev_close(&d);
	vfio_container_close(&c);
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	uint64_t id;
	struct rig r;

	rig_backend_only();
	rig_load("devices=3 iommu.second=0x4 iommu.second_iopf=0", "ids=");
	check_probe();
	tap_is(ctl("list -i 0"), 0, "list, of nothing");
	tap_ok(!strcmp(said, "{\"containers\":[]}"), "nothing (%s)", said);

	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	b.va = mem_anon(LEN);
	rig_map(&r, &b);
	id = check_list(&r, &b);
	check_rate(&r, &b);
	check_pin(&r, &b, id);
	check_budget(&r, &b, id);
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	verdict_is(rig_bdf(0), "enabled", "not in use any more");
	check_name();
	tap_is(ctl("device remove --apply address %s", rig_bdf(0)), 0, "device remove --apply");
	verdict_is(rig_bdf(0), "possible", "not allowed any more");
	serves(0, "vfio_iommu_type1", "not allowed any more");
	must(rig_unload());
	tap_is(ctl("list"), CTL_NO_MODULE, "without the module");
	return tap_done();
}
