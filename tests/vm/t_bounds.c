// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory and threads that an owner or a device can make the kernel hold are bounded, and
 * charged to the owner (docs/internals/bounds.md). The test reaches each bound. Beyond it the
 * owner gets an error, or the device an answer. Other owners and devices go on. The charges are
 * given back.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "policy.h"
#include "prefault.h"
#include "provider.h"
#include "rig.h"

#define LEN		(1 * MiB)
#define SEED		50
/* Twice the limit of outstanding requests of the simulated device. */
#define WAITING		1024u
#define FLOOD		4000u
/*
 * Faults that may wait if the owner's cgroup has no room; and the charges that the kernel made in
 * advance.
 */
#define RESERVE		32u
#define AHEAD		64u
#define SCATTERED	IOPF_SIM_MAX_PRG_PAGES
#define TRACING		"/sys/kernel/tracing"
#define MANY		1000u
#define POLICIES	20000u
#define TOGGLES		300u
/* Lines about a device in a minute, of a kind; see device.c. */
#define LINES		10u

static uint64_t count(const char *name)
{
	return iopf_count(rig_bdf(0), name);
}

/*
 * Waits until @least bytes are charged: the kernel sums up every two seconds. Returns whether they
 * are.
 */
static bool charged(const char *field, size_t least)
{
	unsigned int spins = 0;

	while (mem_cgroup_stat(field) < least && spins < 1500)
		sim_nap(&spins);
	return mem_cgroup_stat(field) >= least;
}

/* Waits until the charge has fallen to @most. */
static void given_back(const char *field, size_t most, const char *what)
{
	unsigned int spins = 0;

	while (mem_cgroup_stat(field) > most && spins < 1500)
		sim_nap(&spins);
	tap_ok(mem_cgroup_stat(field) <= most, "%s: the charge is given back", what);
}

/* Others in the same container and in another one. */
static void others_go_on(struct rig *r, struct rig *apart, const char *what)
{
	struct simbuf near = { mem_anon(LEN), 2 * RIG_IOVA, LEN };
	struct simbuf far = { mem_anon(LEN), RIG_IOVA, LEN };
	char point[128];

	rig_map(r, &near);
	rig_map(apart, &far);
	snprintf(point, sizeof(point), "%s: a neighbour", what);
	rig_both_ways(&r->sim[1], &near, SEED, point);
	snprintf(point, sizeof(point), "%s: another container", what);
	rig_both_ways(&apart->sim[0], &far, SEED, point);
	rig_unmap(r, &near);
	rig_unmap(apart, &far);
	mem_unmap(near.va, LEN);
	mem_unmap(far.va, LEN);
}

/**
 * struct flood - more faults than a device may have, for memory that nobody provides
 * @b: the memory
 * @p: its provider
 * @parked: faults that were parked or deferred
 * @deferred: those of them that were deferred
 * @answered: responses to the extra groups, at the beginning
 */
struct flood {
	struct simbuf b;
	struct provider p;
	uint64_t parked;
	uint64_t deferred;
	uint64_t answered;
};

static uint64_t flood_answered(const struct flood *f)
{
	return sim_count(rig_bdf(0), "responses_unexpected") - f->answered;
}

static void flood_map(struct flood *f, struct rig *r)
{
	*f = (struct flood){
		.b = { mem_anon(LEN), RIG_IOVA, LEN },
		.parked = count("parked"),
		.deferred = count("deferred"),
		.answered = sim_count(rig_bdf(0), "responses_unexpected"),
	};
	provider_open(&f->p, &f->b, SEED);
	provider_start(&f->p, true);
	rig_map(r, &f->b);
}

/* Sends the faults, and waits until all but @waiting are deferred. */
static void flood_begin(struct flood *f, struct rig *r, unsigned int waiting)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_VERIFY, &f->b, 0, MEM_PAGE, SEED);
	unsigned int spins = 0;

	sim_knob(rig_bdf(0), "retry_limit", 1u << 30);
	sim_knob(rig_bdf(0), "extra_groups", FLOOD);
	must(sim_submit(&r->sim[0], &cmd));
	sim_ring(&r->sim[0]);
	/* The device itself asks again and again. */
	while (count("deferred") - f->deferred < FLOOD + 2 - waiting)
		sim_nap(&spins);
	f->deferred = count("deferred") - f->deferred;
	f->parked = count("parked") - f->parked;
}

/* Provides the memory. Each fault must be answered once. */
static void flood_end(struct flood *f, struct rig *r)
{
	struct iopf_sim_cpl cpl;
	unsigned int spins = 0;

	provider_release(&f->p);
	sim_wait(&r->sim[0], &cpl);
	rig_status_is((int)cpl.status, IOPF_SIM_ST_OK, "the device gets its memory in the end");
	while (flood_answered(f) < FLOOD)
		sim_nap(&spins);
	tap_is(flood_answered(f), FLOOD, "each of the extra groups was answered once");
	sim_knob(rig_bdf(0), "retry_limit", 1000);
	rig_unmap(r, &f->b);
	provider_stop(&f->p);
}

/* A device sends more than it may. The excess is deferred. */
static void check_waiting(struct rig *r, struct rig *apart)
{
	struct flood f;
	size_t before;

	flood_map(&f, r);
	before = mem_cgroup_stat("kernel");
	flood_begin(&f, r, WAITING);
	tap_ok(f.parked - f.deferred >= WAITING && f.parked - f.deferred <= WAITING + 10,
	       "of %llu faults %u wait, the others are deferred: %llu",
	       (unsigned long long)f.parked, WAITING, (unsigned long long)f.deferred);
	tap_ok(flood_answered(&f) >= FLOOD - WAITING, "the deferred faults have been answered");
	tap_ok(charged("kernel", before + WAITING * 200ul),
	       "the waiting faults are charged: %zu bytes for each",
	       (mem_cgroup_stat("kernel") - before) / WAITING);
	others_go_on(r, apart, "a flood");
	flood_end(&f, r);
	mem_unmap(f.b.va, LEN);
	given_back("kernel", before + WAITING * 100ul, "a flood");
}

/* The owner's cgroup has no room at all from now on, though nobody is in it. */
static void fill_up(const char *cgroup)
{
	void *other = mem_anon(LEN);
	char text[32];

	/* The kernel uncharges the stock of this processor when another cgroup is charged. */
	memset(other, 1, LEN);
	snprintf(text, sizeof(text), "%ld", cgroup_read(cgroup, "memory.current"));
	cgroup_set(cgroup, "memory.max", text);
	mem_unmap(other, LEN);
}

/* The same flood, but the cgroup that pays for waiting faults has no room. */
static void check_reserve(struct rig *apart)
{
	struct simbuf far = { mem_anon(LEN), RIG_IOVA, LEN };
	struct flood f;
	struct rig r;

	cgroup_make("payer");
	cgroup_enter("payer");
	rig_open_at(&r, 0, 1, VFIO_TYPE1v2_IOMMU);
	cgroup_make("others");
	cgroup_enter("others");
	flood_map(&f, &r);
	/* Make the chunk. */
	must_be(sim_read(&r.sim[0], &(struct simbuf){ f.b.va, f.b.iova + LEN, LEN }, 0, 8, NULL));
	fill_up("payer");
	flood_begin(&f, &r, RESERVE + AHEAD);
	tap_ok(f.parked - f.deferred >= RESERVE && f.parked - f.deferred <= RESERVE + AHEAD,
	       "no room: of %llu faults %llu wait, by the reserve", (unsigned long long)f.parked,
	       (unsigned long long)(f.parked - f.deferred));
	rig_map(apart, &far);
	rig_both_ways(&apart->sim[0], &far, SEED, "no room: another container");
	rig_unmap(apart, &far);
	cgroup_set("payer", "memory.max", "max");
	flood_end(&f, &r);
	rig_clean(&r);
	rig_close(&r);
	mem_unmap(f.b.va, LEN);
	mem_unmap(far.va, LEN);
	cgroup_remove("payer");
	cgroup_enter(NULL);
	cgroup_remove("others");
}

/* A group of more requests than a device may have outstanding. */
static void check_extra_requests(struct rig *r, struct rig *apart)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };

	rig_map(r, &b);
	simbuf_fill(&b, 0, LEN, SEED);
	sim_knob(rig_bdf(0), "extra_requests", WAITING - 1);
	rig_status_is(sim_verify(&r->sim[0], &b, 0, MEM_PAGE, SEED, NULL), IOPF_SIM_ST_OK,
		      "a group of %u requests", WAITING);
	mem_drop(b.va, LEN);
	simbuf_fill(&b, 0, LEN, SEED);
	sim_knob(rig_bdf(0), "extra_requests", WAITING);
	rig_status_is(sim_verify(&r->sim[0], &b, 0, MEM_PAGE, SEED, NULL), IOPF_SIM_ST_INVALID,
		      "a group of one more");
	others_go_on(r, apart, "a long group");
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

static void probe_write(const char *file, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), TRACING "/%s", file);
	must(mem_write_file(path, "%s", text));
}

/* Returns how often the backend has looked at page requests. */
static uint64_t probe_hits(void)
{
	unsigned long long hits, found = 0;
	char name[64];
	FILE *f = fopen(TRACING "/kprobe_profile", "r");

	must_be(f);
	while (fscanf(f, "%63s %llu %*u", name, &hits) == 2)
		if (!strcmp(name, "iopf_look"))
			found = hits;
	fclose(f);
	return found;
}

/* A group of pages that do not lie side by side and are all absent. */
static void scattered(struct rig *r, bool provided, bool probed, const char *what)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = SCATTERED * 3 * MEM_PAGE };
	uint64_t groups = sim_count(rig_bdf(0), "groups"), hits;
	struct iopf_sim_cmd cmd;
	struct provider p;

	b.va = mem_anon(b.len);
	if (provided) {
		provider_open(&p, &b, SEED);
		provider_start(&p, false);
	}
	rig_map(r, &b);
	cmd = sim_cmd(provided ? IOPF_SIM_OP_VERIFY : IOPF_SIM_OP_WRITE, &b, 0, b.len, SEED);
	sim_cmd_order(&cmd, IOPF_SIM_ORDER_STRIDED, MEM_PAGE, 3 * MEM_PAGE, 0);
	cmd.prg_pages = SCATTERED;
	hits = probed ? probe_hits() : 0;
	rig_status_is(sim_run(&r->sim[0], &cmd, NULL), IOPF_SIM_ST_OK, "%u pages, %s", SCATTERED,
		      what);
	hits = (probed ? probe_hits() : 0) - hits;
	groups = sim_count(rig_bdf(0), "groups") - groups;
	if (probed)
		tap_ok(hits <= 8 * SCATTERED, "... are looked at %llu times, in %llu groups",
		       (unsigned long long)hits, (unsigned long long)groups);
	if (!provided)
		for (unsigned int i = 0; i < SCATTERED; i++)
			must_be(!simbuf_differs(&b, i * 3 * MEM_PAGE, MEM_PAGE, SEED) ||
				!"wrong data");
	rig_unmap(r, &b);
	if (provided)
		provider_stop(&p);
	mem_unmap(b.va, b.len);
}

static void check_scattered(struct rig *r)
{
	bool probed;

	if (access(TRACING "/README", F_OK))
		must_sys(mount("tracefs", TRACING, "tracefs", 0, NULL));
	probed = !access(TRACING "/kprobe_events", F_OK);
	if (!probed)
		tap_skip("this kernel has no kprobe events", "how often a request is looked at");
	if (probed) {
		probe_write("kprobe_events", "p:iopf_look vfio_iommu_iopf:iopf_chunk_fault");
		probe_write("events/kprobes/iopf_look/enable", "1");
	}
	scattered(r, false, probed, "absent");
	scattered(r, true, probed, "provided by user space");
	if (probed) {
		probe_write("events/kprobes/iopf_look/enable", "0");
		probe_write("kprobe_events", "-:iopf_look");
	}
}

static unsigned int minutes(void)
{
	struct timespec now;

	must_sys(clock_gettime(CLOCK_MONOTONIC, &now));
	return (unsigned int)now.tv_sec / 60;
}

static void lines_limited(const char *needle, unsigned int began, const char *what)
{
	unsigned int lines = kmsg_count(needle), most = LINES * (minutes() - began + 2);

	tap_ok(lines && lines <= most, "%s: %u lines in the log", what, lines);
}

/* The log has only a few lines about an event that an owner or a device repeats. */
static void check_log(struct rig *r, struct rig *apart)
{
	struct simbuf nowhere = { NULL, RIG_IOVA + (1ull << 40), MEM_PAGE };
	unsigned int began = minutes();
	uint64_t id;

	kmsg_mark();
	must(policy_mode(rig_bdf(0), "selective"));
	for (unsigned int i = 0; i < TOGGLES; i++) {
		must(policy_lock(&r->c, 0, 0, VFIO_IOPF_LOCK_COMPLETE, &id));
		must(policy_unlock(&r->c, 0, VFIO_IOPF_UNLOCK_INCOMPLETE));
	}
	must(policy_mode(rig_bdf(0), "arbitrary"));
	lines_limited("memory is pinned by", began, "COMPLETE and INCOMPLETE");

	began = minutes();
	kmsg_mark();
	for (unsigned int i = 0; i < TOGGLES; i++)
		sim_read(&r->sim[0], &nowhere, 0, 8, NULL);
	lines_limited("is outside any mapped range", began, "faults where nothing is");

	began = minutes();
	kmsg_mark();
	must(iopf_enable(apart->vfio[0].bdf, false));
	rig_close(apart);
	for (unsigned int i = 0; i < TOGGLES / 10; i++) {
		struct vfio_container c;
		struct vfio_dev d;

		must(vfio_container_open(&c));
		must(vfio_dev_open(&d, &c, rig_bdf(2), VFIO_TYPE1v2_IOMMU));
		vfio_dev_close(&d);
		vfio_container_close(&c);
	}
	lines_limited("memory is pinned by", began, "attached and detached");
	must(iopf_enable(rig_bdf(2), true));
	rig_open_at(apart, 2, 1, VFIO_TYPE1v2_IOMMU);
}

static void *reserve(size_t len)
{
	void *va = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must_be(va != MAP_FAILED);
	return va;
}

/* The maximum number of areas. */
static void check_areas(struct rig *r)
{
	char *va = mem_anon((MANY + 1) * MEM_PAGE);
	size_t before = mem_cgroup_stat("slab");
	unsigned int made = 0;
	int ret;

	while (!(ret = vfio_map(&r->c, va + made * MEM_PAGE, RIG_IOVA + made * 2 * MEM_PAGE,
				MEM_PAGE)))
		made++;
	tap_errno_is(ret, -ENOSPC, "after %u areas there is no more", made);
	tap_is(made, MANY, "those are dma_entry_limit");
	tap_ok(charged("slab", before + MANY * 300ul), "areas are charged: %zu bytes for each",
	       (mem_cgroup_stat("slab") - before) / MANY);
	must(vfio_unmap_flags(&r->c, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, NULL));
	tap_errno_is(vfio_map(&r->c, va, RIG_IOVA, MEM_PAGE), 0, "they are gone: one more");
	must(vfio_unmap(&r->c, RIG_IOVA, MEM_PAGE));
	given_back("slab", before + MANY * 150ul, "areas");
	mem_unmap(va, (MANY + 1) * MEM_PAGE);
}

/* A policy for every other page, up to the limit. A change that adds no policy still succeeds. */
static void check_policies(struct rig *r)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = 3 * POLICIES * MEM_PAGE };
	unsigned int made = 0;
	size_t before;
	int ret;

	b.va = reserve(b.len);
	rig_map(r, &b);
	before = mem_cgroup_stat("slab");
	while (!(ret = policy_set(&r->c, b.iova + made * 2 * MEM_PAGE, MEM_PAGE,
				  VFIO_IOPF_POLICY_FAULT)))
		made++;
	tap_errno_is(ret, -ENOSPC, "after %u policies there is no more", made);
	tap_is(made, POLICIES, "those are policy_entry_limit");
	tap_ok(charged("slab", before + POLICIES * 16ul), "policies are charged: %zu bytes each",
	       (mem_cgroup_stat("slab") - before) / POLICIES);
	tap_errno_is(policy_set(&r->c, b.iova + 20 * MEM_PAGE, MEM_PAGE, VFIO_IOPF_POLICY_PREFAULT),
		     0, "one can be changed");
	tap_errno_is(policy_set(&r->c, b.iova + 41 * MEM_PAGE, MEM_PAGE, VFIO_IOPF_POLICY_FAULT),
		     -ENOSPC, "one between them is one too many");
	tap_errno_is(policy_set(&r->c, b.iova + 40 * MEM_PAGE, 3 * MEM_PAGE,
				VFIO_IOPF_POLICY_FAULT), 0,
		     "one in the place of two is not");
	tap_errno_is(policy_set(&r->c, b.iova + 51 * MEM_PAGE, MEM_PAGE, VFIO_IOPF_POLICY_FAULT),
		     0, "then there is room for one");
	tap_errno_is(policy_set(&r->c, b.iova + 41 * MEM_PAGE, MEM_PAGE, VFIO_IOPF_POLICY_DEFAULT),
		     -ENOSPC, "there is none for a hole");
	rig_unmap(r, &b);
	given_back("slab", before + POLICIES * 8ul, "policies");
	rig_map(r, &b);
	tap_errno_is(policy_set(&r->c, b.iova, b.len, VFIO_IOPF_POLICY_FAULT), 0,
		     "unmapping makes room");
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
}

/* Locks: each of them, and each area that one goes over. */
static void check_locks(struct rig *r)
{
	const unsigned int areas = 500, most = VFIO_IOPF_LOCKS_MAX;
	struct simbuf b = { .iova = RIG_IOVA, .len = areas * MEM_PAGE };
	unsigned int made = 0;
	uint64_t id, first = 0;
	int ret;

	b.va = mem_anon(b.len);
	for (unsigned int i = 0; i < areas; i++)
		must(vfio_map(&r->c, (char *)b.va + i * MEM_PAGE, b.iova + i * MEM_PAGE, MEM_PAGE));
	while (!(ret = policy_lock(&r->c, b.iova, b.len, 0, &id))) {
		first = first ?: id;
		made++;
	}
	tap_errno_is(ret, -ENOSPC, "after %u locks of %u areas there is no more", made, areas);
	tap_is(made, most / areas, "each area counts");
	for (made = 0; made < most % areas; made++)
		must(policy_lock(&r->c, b.iova, MEM_PAGE, 0, &id));
	tap_errno_is(policy_lock(&r->c, b.iova, MEM_PAGE, 0, &id), -ENOSPC,
		     "nor is there for a single one after %u", most);
	must(policy_unlock(&r->c, first, 0));
	tap_errno_is(policy_lock(&r->c, b.iova, MEM_PAGE, 0, &id), 0, "unlocking makes room");
	must(vfio_unmap_flags(&r->c, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, NULL));
	policy_pinned_is(r->vfio[0].bdf, 0, "locks");
	mem_unmap(b.va, b.len);
}

/*
 * Prefault requests, those of policies, and the chunks of a sparse area that a device has touched.
 */
static void check_requests(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct vfio_iopf_range range = { b.iova, MEM_PAGE };
	unsigned int made = 0;
	struct provider p;
	uint64_t id;
	int ret;

	provider_open(&p, &b, SEED);
	provider_start(&p, true);
	rig_map(r, &b);
	while (!(ret = prefault_start(&r->c, &range, 1, PREFAULT_READ, -1, &id)))
		made++;
	tap_errno_is(ret, -EBUSY, "after %u requests there is no more", made);
	tap_is(made, VFIO_IOPF_REQUESTS_MAX, "those are VFIO_IOPF_REQUESTS_MAX");
	made = 0;
	while (!(ret = policy_set(&r->c, b.iova, MEM_PAGE, VFIO_IOPF_POLICY_PREFAULT)))
		made++;
	tap_errno_is(ret, -EBUSY, "after %u requests of policies there is no more", made);
	tap_is(made, 1024, "the header has the same number");
	provider_release(&p);
	rig_unmap(r, &b);
	provider_stop(&p);
	mem_unmap(b.va, b.len);
}

/* A page in each 128 MiB: the index of a chunk is larger than the chunk. */
static void check_sparse(struct rig *r)
{
	const size_t step = 128 * MiB;
	struct simbuf b = { .iova = RIG_IOVA * 16, .len = MANY * step };
	struct iopf_sim_cmd cmd;
	size_t before;

	b.va = reserve(b.len);
	must_sys(madvise(b.va, b.len, MADV_NOHUGEPAGE));
	rig_map(r, &b);
	before = mem_cgroup_stat("slab_reclaimable");
	cmd = sim_cmd(IOPF_SIM_OP_READ, &b, 0, b.len, 0);
	sim_cmd_order(&cmd, IOPF_SIM_ORDER_STRIDED, 8, step, 0);
	rig_status_is(sim_run(&r->sim[0], &cmd, NULL), IOPF_SIM_ST_OK, "a page in each 128 MiB");
	tap_ok(charged("slab_reclaimable", before + MANY * 500ul),
	       "the nodes of chunks are charged: %zu bytes for each",
	       (mem_cgroup_stat("slab_reclaimable") - before) / MANY);
	rig_unmap(r, &b);
	given_back("slab_reclaimable", before + MANY * 250ul, "nodes of chunks");
	mem_unmap(b.va, b.len);
}

static void check_limits(struct rig *apart)
{
	struct rig r;

	must(iopf_param("dma_entry_limit", MANY));
	must(iopf_param("policy_entry_limit", POLICIES));
	rig_open_at(&r, 0, 2, VFIO_TYPE1v2_IOMMU);
	check_areas(&r);
	check_policies(&r);
	check_locks(&r);
	check_requests(&r);
	check_sparse(&r);
	others_go_on(&r, apart, "limits");
	rig_clean(&r);
	rig_close(&r);
}

int main(void)
{
	/* With memory comes a cgroup of its own. */
	void *first = mem_anon(MEM_PAGE);
	struct rig r, apart;

	rig_backend_only();
	rig_load("devices=3 engines=1", "");
	rig_open_at(&r, 0, 2, VFIO_TYPE1v2_IOMMU);
	rig_open_at(&apart, 2, 1, VFIO_TYPE1v2_IOMMU);
	check_waiting(&r, &apart);
	check_extra_requests(&r, &apart);
	check_scattered(&r);
	check_log(&r, &apart);
	rig_clean(&r);
	rig_close(&r);
	check_limits(&apart);
	check_reserve(&apart);
	rig_close(&apart);
	rig_balanced();
	mem_unmap(first, MEM_PAGE);
	return tap_done();
}
