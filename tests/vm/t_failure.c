// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each call in the path of a fault fails, one after the other: the first call, the second, and so
 * on, until a run has no such call. A kprobe returns in place of the function, so this works on
 * any kernel. In each run the devices read and write in several ways. Each of their commands ends.
 * Then each byte has the right value. Dirty tracking reports exactly the pages that were written.
 * The backend's count of mapped memory equals the IOMMU's, and does not exceed the budget.
 *
 * Faults are answered by the IOMMU's thread, by threads of the process, and by prefetching. Memory
 * is prefaulted, pinned by a policy, and locked (also by a mediator).
 *
 * Only calls that the backend itself makes fail, and only those that have no effect when they
 * fail. These are left out:
 *
 *	handle_mm_fault() with VM_FAULT_RETRY	the callee has dropped the mmap lock
 *	iommu_unmap(), iommu_unmap_fast()	they don't fail for mapped memory
 *	get_mem_cgroup_from_mm()		it does not fail
 *	iopf_group_response()			it returns nothing
 *	__account_locked_vm()			it also uncharges, which does not fail: t_policy
 *	xas_store(), xas_nomem()		the call that fails is not the backend's own
 *	mmget_not_zero()			inlined
 *
 * vm: --mem 1024
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "budget.h"
#include "dirty.h"
#include "policy.h"
#include "prefault.h"
#include "rig.h"

#define FAILURE		"/sys/kernel/debug/iopf_failure/"
#define RUNS_MAX	500
#define TRIES		20	/* of an ioctl: more than calls fail in a row */

#define SMALL_PAGES	64
#define SMALL_FILLED	32	/* the rest the CPU has not touched */
#define PIN_FIRST	10	/* pinned by a policy */
#define PIN_PAGES	4
#define LOCK_FIRST	44	/* locked */
#define LOCK_PAGES	4
/* Pins leave room for faults. */
#define BUDGET		(BUDGET_LEAST + (PIN_PAGES + LOCK_PAGES) * MEM_PAGE)
#define HUGE_PAGES	(MEM_HUGE / MEM_PAGE)
#define WIDE_PAGES	12	/* half of them in one chunk, half in the next */
#define LONG_HUGE	8	/* a stream, which is only read */
#define FILE_PAGES	8	/* nobody but a thread of the process brings those in */

#define VM_FAULT_OOM	1
#define VM_FAULT_SIGBUS	2
#define NOMEM		((uint64_t)-ENOMEM)
#define INTR		((uint64_t)-EINTR)

/**
 * struct call - a function that is to fail
 * @function: its name
 * @value: with what
 * @gfp: by which argument it is asked for memory, or 0; what must not fail does not
 * @times: so many calls in a row
 * @always: each run has such calls
 * @apart: worth it also for two domains
 */
struct call {
	const char *function;
	uint64_t value;
	unsigned int gfp;
	unsigned int times;
	bool always;
	bool apart;
};

static const struct call calls[] = {
	{ "iommu_map", NOMEM, 0, 1, true, true },
	{ "iommu_map", NOMEM, 0, 9, true, false },
	{ "kmem_cache_alloc_noprof", 0, 2, 1, true, false },
	{ "kmem_cache_alloc_bulk_noprof", 0, 2, 1, false, false },
	{ "mempool_alloc_noprof", 0, 2, 1, true, false },
	{ "mempool_alloc_noprof", 0, 2, 9, true, false },
	{ "__xa_insert", NOMEM, 0, 1, true, false },
	{ "handle_mm_fault", VM_FAULT_OOM, 0, 2, true, false },
	{ "handle_mm_fault", VM_FAULT_SIGBUS, 0, 2, true, false },
	{ "down_read_trylock", 0, 0, 1, true, false },
	{ "down_read_killable", INTR, 0, 1, true, false },
	{ "pin_user_pages_remote", NOMEM, 0, 1, true, true },
	{ "down_write_killable", INTR, 0, 1, false, false },
	{ "down_write_trylock", 0, 0, 1, false, false },
	{ "mas_preallocate", NOMEM, 3, 1, true, false },
	{ "get_free_pages_noprof", 0, 1, 1, false, false },
	{ "alloc_pages_noprof", 0, 1, 16, false, false },
	{ "__kmalloc_cache_noprof", 0, 2, 1, true, false },
	{ "__kmalloc_noprof", 0, 2, 1, false, false },
	{ "__kvmalloc_node_noprof", 0, 0, 1, true, false },
};

/**
 * struct model - a buffer, and what is to be in it
 * @b: the buffer
 * @copy: what is to be in it
 * @written: pages that the device has written, in this run
 */
struct model {
	struct simbuf b;
	struct simbuf copy;
	bool written[HUGE_PAGES];
};

static struct simbuf stream;
static struct model small, huge, wide, file;
static struct model * const models[] = { &small, &huge, &wide, &file };

/* The function that fails, and the number of commands that were repeated. */
static bool tracked;
static bool budgeted;
static unsigned int domains;
static unsigned int again;

static void failure_set(const char *file, uint64_t value)
{
	must(knob_write_try(value, FAILURE "%s", file));
}

static uint64_t failure_get(const char *file)
{
	uint64_t value;

	must(knob_read_try(&value, FAILURE "%s", file));
	return value;
}

static void model_init(struct model *m, void *va, uint64_t iova, size_t pages)
{
	m->b = (struct simbuf){ va, iova, pages * MEM_PAGE };
	m->copy = (struct simbuf){ mem_anon(pages * MEM_PAGE), iova, pages * MEM_PAGE };
}

/* The CPU writes. */
static void model_fill(struct model *m, size_t first, size_t n, uint64_t seed)
{
	simbuf_fill(&m->b, first * MEM_PAGE, n * MEM_PAGE, seed);
	simbuf_fill(&m->copy, first * MEM_PAGE, n * MEM_PAGE, seed);
}

/* The state each run begins with. */
static void models_begin(struct rig *r)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(models); i++) {
		rig_map(r, &models[i]->b);
		memset(models[i]->written, 0, sizeof(models[i]->written));
	}
	rig_map(r, &stream);
	memset(small.copy.va, 0, small.copy.len);
	memset(wide.copy.va, 0, wide.copy.len);
	model_fill(&small, 0, SMALL_FILLED, 1);
	model_fill(&file, 0, FILE_PAGES, 1);
	mem_drop(file.b.va, file.b.len);
}

static void models_end(struct rig *r)
{
	for (size_t i = 0; i < HUGE_PAGES; i++)
		if (huge.written[i])
			model_fill(&huge, i, 1, 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(models); i++)
		rig_unmap(r, &models[i]->b);
	rig_unmap(r, &stream);
	mem_drop(small.b.va, small.b.len);
	mem_drop(wide.b.va, wide.b.len);
}

/*
 * Run a command to its end. It may be answered that there is no memory, where
 * that is what failed; the next one is served. 0 or 1: how much is wrong.
 */
static unsigned int run(struct simdev *s, const struct iopf_sim_cmd *cmd, const char *what)
{
	struct iopf_sim_cpl cpl;
	int status = sim_run(s, cmd, &cpl);

	for (unsigned int i = 0; status != IOPF_SIM_ST_OK && i < 2; i++) {
		again++;
		status = sim_run(s, cmd, &cpl);
	}
	if (status == IOPF_SIM_ST_OK)
		return 0;
	tap_diag("%s: %s", what, sim_status_name((unsigned int)status));
	return 1;
}

static unsigned int write_pages(struct simdev *s, struct model *m, size_t first, size_t n,
				uint64_t seed, unsigned int group, const char *what)
{
	struct iopf_sim_cmd cmd =
		sim_cmd(IOPF_SIM_OP_WRITE, &m->b, first * MEM_PAGE, n * MEM_PAGE, seed);

	if (group > 1) {
		cmd.prg_depth = 2;
		cmd.prg_pages = group;
	}
	simbuf_fill(&m->copy, first * MEM_PAGE, n * MEM_PAGE, seed);
	memset(m->written + first, true, n);
	return run(s, &cmd, what);
}

static unsigned int read_at(struct simdev *s, const struct simbuf *b, size_t page, uint64_t seed,
			    const char *what)
{
	struct iopf_sim_cmd cmd = sim_cmd(seed ? IOPF_SIM_OP_VERIFY : IOPF_SIM_OP_READ, b,
					  page * MEM_PAGE, MEM_PAGE, seed);

	return run(s, &cmd, what);
}

static unsigned int read_page(struct simdev *s, const struct model *m, size_t page, uint64_t seed,
			      const char *what)
{
	return read_at(s, &m->b, page, seed, what);
}

/* Prefault some of the memory. It may fail: later accesses must not differ. */
static void prefault_some(struct rig *r)
{
	struct vfio_iopf_range range = {
		.iova = wide.b.iova,
		.size = (WIDE_PAGES / 2 + 1) * MEM_PAGE,
	};
	struct vfio_iopf_prefault_status s;
	uint64_t id;

	if (!prefault_start(&r->c, &range, 1, PREFAULT_READ, -1, &id))
		prefault_wait(&r->c, id, &s);
}

/* 0 or 1. */
static unsigned int pinned_differs(struct rig *r, size_t pages)
{
	uint64_t pinned = policy_count(r->vfio[0].bdf, "pinned");

	if (pinned == pages * MEM_PAGE)
		return 0;
	tap_diag("%llu bytes pinned, not %zu", (unsigned long long)pinned, pages * MEM_PAGE);
	return 1;
}

/* 0 or 1: whether an ioctl still fails. */
static unsigned int ask(int ret, const char *what)
{
	if (!ret)
		return 0;
	tap_diag("%s: %s", what, strerror(-ret));
	return 1;
}

#define ASK(call, what)						\
({								\
	int ask_ret = -1;					\
								\
	for (unsigned int i = 0; ask_ret && i < TRIES; i++) {	\
		again += !!i;					\
		ask_ret = (call);				\
	}							\
	ask(ask_ret, what);					\
})

/* The devices also use pinned and locked memory. Pinned memory counts as written. */
static unsigned int use_pinned(struct rig *r, struct simdev *s, struct simdev *other)
{
	uint64_t at = small.b.iova + PIN_FIRST * MEM_PAGE, size = PIN_PAGES * MEM_PAGE, id = 0;
	uint64_t lock = small.b.iova + LOCK_FIRST * MEM_PAGE;
	unsigned int wrong = 0;

	wrong += ASK(policy_set(&r->c, at, size, VFIO_IOPF_POLICY_PIN), "pinned");
	memset(small.written + PIN_FIRST, true, PIN_PAGES);
	wrong += read_page(other, &small, PIN_FIRST + 3, 1, "pinned memory, read");
	wrong += write_pages(s, &small, PIN_FIRST, 2, 12, 1, "then written");
	wrong += ASK(policy_lock(&r->c, lock, LOCK_PAGES * MEM_PAGE, 0, &id), "locked");
	memset(small.written + LOCK_FIRST, true, LOCK_PAGES);
	wrong += write_pages(s, &small, LOCK_FIRST + 1, 2, 13, 1, "locked memory, written");
	wrong += pinned_differs(r, PIN_PAGES + LOCK_PAGES);
	wrong += ASK(policy_unlock(&r->c, id, 0), "unlocked");
	wrong += ASK(policy_set(&r->c, at, size, VFIO_IOPF_POLICY_DEFAULT), "not pinned");
	wrong += pinned_differs(r, 0);
	return wrong;
}

/* One run: @s writes; the other device, if there is one, reads. */
static unsigned int use(struct rig *r)
{
	struct simdev *s = &r->sim[0], *other = &r->sim[r->devices - 1];
	unsigned int wrong = 0;

	wrong += read_page(other, &small, 0, 1, "a page and its window, read");
	wrong += write_pages(s, &small, 0, 1, 2, 1, "a page mapped for reading, written");
	wrong += write_pages(s, &small, 1, 1, 3, 1, "the page beside it");
	wrong += write_pages(s, &small, 21, 1, 4, 1, "a page in another window");
	wrong += write_pages(s, &small, 40, 4, 5, 1, "pages that are not there");
	wrong += read_page(other, &small, 60, 0, "a page that is not there, read");
	wrong += write_pages(s, &small, 60, 1, 6, 1, "then written");
	wrong += read_page(other, &huge, 3, 1, "a page of 2 MiB, read");
	wrong += write_pages(s, &huge, 3, 1, 7, 1, "then written");
	wrong += write_pages(s, &huge, 100, 1, 8, 1, "another of its pages");
	prefault_some(r);
	wrong += write_pages(s, &wide, 0, WIDE_PAGES, 9, 4, "groups, across a chunk's end");
	wrong += read_page(other, &file, 0, 1, "a page of a file, read");
	wrong += write_pages(s, &file, 0, 1, 10, 1, "then written");
	wrong += write_pages(s, &file, 5, 1, 11, 1, "another one");
	wrong += use_pinned(r, s, other);
	for (size_t i = 0; i < LONG_HUGE; i++)
		wrong += read_at(other, &stream, i * HUGE_PAGES, 1, "a stream");
	wrong += read_page(other, &small, 1, 3, "written memory, read");
	return wrong;
}

/* Waits for prefetching to end. Returns 0 or 1. */
static unsigned int counters_differ(struct rig *r)
{
	uint64_t mapped = 0, resident = 0;
	unsigned int spins = 0;

	do {
		if (spins)
			sim_nap(&spins);
		spins++;
		mapped = budget_mapped();
		resident = budget_get(r->vfio[0].bdf, "resident") * domains;
	} while (mapped != resident && spins < 2000);
	if (mapped != resident)
		tap_diag("%llu bytes mapped, %llu resident", (unsigned long long)mapped,
			 (unsigned long long)resident);
	if (budgeted && mapped > BUDGET * domains)
		tap_diag("%llu bytes mapped, more than the maximum", (unsigned long long)mapped);
	return mapped != resident || (budgeted && mapped > BUDGET * domains);
}

/*
 * Pages that were written and are not reported; with one domain also those
 * reported in vain: with two a page may have been mapped in one of them for a
 * moment.
 */
static size_t report_differs(struct rig *r, const struct simbuf *b, const bool *written)
{
	struct dirty_map map;
	size_t wrong = 0;

	dirty_map_init(&map, b->iova, b->len);
	must(dirty_get(&r->c, &map));
	if (domains == 1)
		wrong = dirty_differs(&map, written);
	for (size_t i = 0; domains > 1 && written && i < b->len / MEM_PAGE; i++)
		wrong += written[i] && !dirty_page(&map, i);
	dirty_map_free(&map);
	return wrong;
}

/* One run, in which call @nth fails; 0: none. Whether it came to that. */
static bool run_nth(struct rig *r, unsigned int nth, const char *what, unsigned int *wrong)
{
	unsigned int was = *wrong;
	size_t differs;
	bool failed;

	models_begin(r);
	failure_set("nth", nth);
	*wrong += use(r);
	*wrong += counters_differ(r);
	failed = failure_get("failed");
	failure_set("nth", 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(models); i++) {
		const struct model *m = models[i];

		if (memcmp(m->b.va, m->copy.va, m->b.len)) {
			tap_diag("buffer %u: wrong data", i);
			++*wrong;
		}
		differs = tracked ? report_differs(r, &m->b, m->written) : 0;
		if (differs)
			tap_diag("buffer %u: %zu pages wrongly reported", i, differs);
		*wrong += !!differs;
	}
	if (tracked && report_differs(r, &stream, NULL)) {
		tap_diag("the stream: pages wrongly reported");
		++*wrong;
	}
	models_end(r);
	if (budget_mapped()) {
		tap_diag("%llu bytes are left mapped", (unsigned long long)budget_mapped());
		++*wrong;
	}
	if (*wrong != was)
		tap_diag("%s: call %u", what, nth);
	return failed;
}

static void check_call(struct rig *r, const struct call *call)
{
	unsigned int wrong = 0, nth = 1;
	char what[128];

	must(mem_write_file(FAILURE "function", "%s", call->function));
	failure_set("value", call->value);
	failure_set("gfp", call->gfp);
	failure_set("times", call->times);
	snprintf(what, sizeof(what), "%s() %lld, %u in a row, writes %stracked, %s, %u domain%s",
		 call->function, (long long)call->value, call->times, tracked ? "" : "not ",
		 budgeted ? "a budget" : "no budget", domains, domains > 1 ? "s" : "");
	again = 0;
	/* Rows overlap by half. */
	while (nth < RUNS_MAX && run_nth(r, nth, what, &wrong))
		nth += call->times > 2 ? call->times / 2 : 1;
	must(mem_write_file(FAILURE "function", "\n"));
	tap_is(wrong, 0, "%s: %u calls", what, nth - 1);
	tap_ok(nth < RUNS_MAX && (nth > 1 || !call->always),
	       "%s: each of them, %u commands given again", what, again);
}

/*
 * The threads of an earlier container leave a moment after it. One of them would make threads, too,
 * and take the failures that are meant for the next container.
 */
static void threads_gone(void)
{
	unsigned int n, spins = 0;
	struct dirent *entry;
	DIR *dir;

	for (;;) {
		dir = opendir("/proc/self/task");
		must_be(dir);
		for (n = 0; (entry = readdir(dir));)
			n += entry->d_name[0] != '.';
		closedir(dir);
		if (n == 1)
			return;
		sim_nap(&spins);
	}
}

/*
 * Threads of the process are made when its first group is attached, or, where that has failed, for
 * its first mapping, which fails when that does.
 */
static bool threads_fail(unsigned int nth, unsigned int times)
{
	unsigned int refused = 0;
	struct rig r;
	bool failed;
	int ret;

	threads_gone();
	must(mem_write_file(FAILURE "function", "vhost_task_create"));
	failure_set("value", NOMEM);
	failure_set("gfp", 0);
	failure_set("times", times);
	failure_set("nth", nth);
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	while ((ret = vfio_map(&r.c, small.b.va, small.b.iova, small.b.len)) == -ENOMEM &&
	       refused < times)
		refused++;
	failed = failure_get("failed");
	must(mem_write_file(FAILURE "function", "\n"));
	tap_errno_is(ret, 0, "threads, %u calls from the %u.: mapped in the end", times, nth);
	tap_is(refused, failed ? times - 1 : 0, "each mapping that needs them is refused");
	simbuf_fill(&small.b, 0, small.b.len, 1);
	rig_both_ways(&r.sim[0], &small.b, 1, "then faults are served");
	rig_unmap(&r, &small.b);
	mem_drop(small.b.va, small.b.len);
	rig_clean(&r);
	rig_close(&r);
	return failed;
}

static void check_threads(void)
{
	unsigned int nth = 0;

	while (threads_fail(++nth, 1) && nth < RUNS_MAX)
		;
	tap_ok(nth > 1 && nth < RUNS_MAX, "threads: each of %u calls", nth - 1);
	tap_ok(threads_fail(1, 2) && threads_fail(1, 3), "threads: several calls in a row");
}

static void check_mode(unsigned int devices, bool track, bool budget)
{
	unsigned int wrong = 0;
	struct rig r;

	tracked = track;
	budgeted = budget;
	domains = devices;
	rig_open(&r, devices, VFIO_TYPE1v2_IOMMU);
	/* A container inherits the limits of the owner's last container. */
	budget_none(r.vfio[0].bdf);
	if (budget)
		must(budget_set(r.vfio[0].bdf, "resident_max", BUDGET));
	if (track)
		must(dirty_track(&r.c, true));
	/* No call fails: all must be right, too. */
	run_nth(&r, 0, "none", &wrong);
	tap_is(wrong, 0, "no call fails");
	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++)
		if (devices == 1 || calls[i].apart)
			check_call(&r, &calls[i]);
	if (track)
		must(dirty_track(&r.c, false));
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
}

/* Memory of a file, of a kind that is not asked for in place. */
static void *ramfs_file(size_t len)
{
	int fd;

	(void)mkdir("/tmp", 0755);
	(void)mkdir("/tmp/ramfs", 0755);
	must_be(!mount("none", "/tmp/ramfs", "ramfs", 0, NULL) || errno == EBUSY);
	return mem_file("/tmp/ramfs/failure", len, true, true, &fd);
}

int main(void)
{
	rig_backend_only();
	rig_load("devices=2 iommu.second=0x2", "");
	must_be(!system("insmod /iopf/modules/iopf_failure.ko"));
	model_init(&small, mem_anon(SMALL_PAGES * MEM_PAGE), RIG_IOVA, SMALL_PAGES);
	model_init(&huge, mem_thp(MEM_HUGE), RIG_IOVA + MEM_HUGE, HUGE_PAGES);
	model_init(&wide, mem_anon(WIDE_PAGES * MEM_PAGE),
		   RIG_IOVA + 3 * MEM_HUGE - WIDE_PAGES / 2 * MEM_PAGE, WIDE_PAGES);
	model_init(&file, ramfs_file(FILE_PAGES * MEM_PAGE), RIG_IOVA + 4 * MEM_HUGE, FILE_PAGES);
	model_fill(&huge, 0, HUGE_PAGES, 1);
	stream = (struct simbuf){ mem_thp(LONG_HUGE * MEM_HUGE), RIG_IOVA + 8 * MEM_HUGE,
				  LONG_HUGE * MEM_HUGE };
	simbuf_fill(&stream, 0, stream.len, 1);
	check_threads();
	for (unsigned int mode = 0; mode < 4; mode++)
		check_mode(1, mode & 1, mode & 2);
	check_mode(2, true, false);
	return tap_done();
}
