// SPDX-License-Identifier: GPL-2.0-only
/*
 * A budget below the working set. Devices make progress, also with the smallest budget and many
 * engines. User space is notified of the beginning and of the end. The hottest blocks are pinned
 * within the limit, and unpinned when the host is short of memory. Nothing waits for the owner's
 * address space to pin them.
 *
 * vm: --mem 1024 --module fuse
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "budget.h"
#include "dma.h"
#include "policy.h"
#include "slowfs.h"

#define LEN		(MiB)
#define STEP		(2 * MiB)
#define BLOCKS		100

static const char *bdf;

/* Each of 16 engines goes through a part of its own, by groups of page requests. */
static void check_progress(struct rig *r, unsigned int prg_pages)
{
	struct simbuf b[2];
	struct budget_watch w;
	struct dma d[2];
	unsigned int i, j;

	must(budget_set(bdf, "resident_max", BUDGET_LEAST));
	budget_watch(&w);
	for (i = 0; i < 2; i++) {
		struct iopf_sim_cmd cmds[8];

		b[i] = (struct simbuf){ mem_anon(LEN), RIG_IOVA + i * LEN, LEN };
		simbuf_fill(&b[i], 0, LEN, i);
		rig_map(r, &b[i]);
		for (j = 0; j < 8; j++) {
			cmds[j] = sim_cmd(IOPF_SIM_OP_VERIFY, &b[i], j * LEN / 8, LEN / 8, i);
			cmds[j].prg_pages = (uint16_t)prg_pages;
		}
		dma_start(&d[i], &r->sim[i], cmds, 8);
	}
	for (i = 0; i < 2; i++)
		dma_wait_rounds(&d[i], 2);
	tap_ok(budget_watch_end(&w) <= BUDGET_LEAST, "%u requests a group: never too much mapped",
	       prg_pages);
	for (i = 0; i < 2; i++) {
		tap_is(dma_stop(&d[i]), 0, "device %u: gets through with the least there may be",
		       i);
		rig_unmap(r, &b[i]);
		mem_unmap(b[i].va, LEN);
	}
	budget_none(bdf);
}

/* A page in each of BLOCKS blocks, at random. */
static void begin(struct rig *r, struct simbuf *b, struct dma *d)
{
	struct iopf_sim_cmd cmd;

	*b = (struct simbuf){ NULL, RIG_IOVA, BLOCKS * STEP };
	b->va = mmap(NULL, b->len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must_be(b->va != MAP_FAILED);
	must_sys(madvise(b->va, b->len, MADV_NOHUGEPAGE));
	for (size_t off = 0; off < b->len; off += STEP)
		((volatile char *)b->va)[off] = 1;
	rig_map(r, b);
	cmd = sim_cmd(IOPF_SIM_OP_READ, b, 0, b->len, 0);
	sim_cmd_order(&cmd, IOPF_SIM_ORDER_RANDOM, 8, STEP, 7);
	cmd.count = 20 * BLOCKS;
	dma_start(d, &r->sim[0], &cmd, 1);
}

static void wait_value(const char *name, bool (*good)(uint64_t), const char *what)
{
	unsigned int spins = 0;

	while (!good(budget_get(bdf, name)))
		sim_nap(&spins);
	tap_ok(true, "%s", what);
}

static bool is_one(uint64_t value)
{
	return value == 1;
}

static bool is_zero(uint64_t value)
{
	return !value;
}

static bool is_some(uint64_t value)
{
	return value;
}

static int thrashing_open(void)
{
	char path[128];

	snprintf(path, sizeof(path), KNOB_IOPF_DIR "/containers/%llu/thrashing",
		 (unsigned long long)iopf_count(bdf, "container"));
	return must_sys(open(path, O_RDONLY | O_CLOEXEC));
}

/* Sleeps until the file has this value. An earlier notification may be for an earlier value. */
static void told(int fd, char want, const char *what)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };
	char c = 0;

	while (c != want) {
		must_be(poll(&p, 1, -1) == 1 && p.revents & POLLPRI);
		must_be(pread(fd, &c, 1, 0) == 1);
	}
	tap_ok(true, "%s", what);
}

static void check_told(struct rig *r)
{
	uint64_t events = budget_get(bdf, "thrash_events");
	struct simbuf b;
	struct dma d;
	int fd = thrashing_open();
	char c;

	/* A program that has read the file is notified of the next change. */
	must_be(pread(fd, &c, 1, 0) == 1);
	begin(r, &b, &d);
	dma_wait_rounds(&d, 1);
	tap_is(budget_get(bdf, "thrashing"), 0, "without a budget there is no thrashing");
	must(budget_set(bdf, "resident_max", BUDGET_LEAST));
	told(fd, '1', "told: the budget is too small");
	tap_ok(budget_get(bdf, "thrash_events") > events, "counted");
	dma_wait_rounds(&d, 1);
	must(budget_set(bdf, "resident_max", 2 * BLOCKS * MEM_PAGE));
	told(fd, '0', "with a larger one: told that it is over");
	tap_is(dma_stop(&d), 0, "the device got on all the time");
	close(fd);
	budget_none(bdf);
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
}

#define HOT	16

static void check_hot(struct rig *r)
{
	struct iopf_sim_cmd cmd;
	struct simbuf b;
	struct dma d;

	tap_is(budget_get(bdf, "hot_pinned_max"), 0, "nothing is held unless allowed");
	must(budget_set(bdf, "resident_max", BUDGET_LEAST + HOT * MEM_PAGE));
	must(budget_set(bdf, "hot_pinned_max", HOT * MEM_PAGE));
	begin(r, &b, &d);
	wait_value("hot_pinned", is_some, "the hottest blocks are pinned");
	dma_wait_rounds(&d, 1);
	tap_ok(budget_get(bdf, "pinned") <= HOT * MEM_PAGE, "within its allowance: %llu pages",
	       (unsigned long long)budget_get(bdf, "pinned") / MEM_PAGE);
	tap_ok(budget_mapped() <= BUDGET_LEAST + HOT * MEM_PAGE, "it is within the budget");
	mem_sync_drop_caches();
	wait_value("hot_pinned", is_zero, "the host is short of memory: let go");
	tap_is(budget_get(bdf, "pinned"), 0, "nothing is pinned");
	wait_value("hot_pinned", is_some, "later some is held again");
	must(budget_set(bdf, "pinned_high", 0));
	wait_value("hot_pinned", is_zero, "above pinned_high: unpinned");
	must(budget_write(bdf, "pinned_high", "max"));
	wait_value("hot_pinned", is_some, "later some is held again");
	must(budget_set(bdf, "resident_max", 2 * BLOCKS * MEM_PAGE));
	wait_value("thrashing", is_zero, "room for all");
	wait_value("hot_pinned", is_zero, "nothing is held then");
	tap_is(dma_stop(&d), 0, "the device got on all the time");
	must(budget_set(bdf, "resident_max", BUDGET_LEAST + HOT * MEM_PAGE));
	cmd = d.cmds[0];
	dma_start(&d, &r->sim[0], &cmd, 1);
	wait_value("thrashing", is_one, "too small again");
	wait_value("hot_pinned", is_some, "held again");
	tap_is(dma_stop(&d), 0, "the device stops");
	rig_unmap(r, &b);
	tap_is(budget_get(bdf, "pinned"), 0, "unmapped: nothing is pinned");
	budget_none(bdf);
	must(budget_set(bdf, "hot_pinned_max", 0));
	mem_unmap(b.va, b.len);
}

/* Reads the address space while it waits for the file system. */
static void *read_self(void *arg)
{
	int fd = must_sys(open("/proc/self/mem", O_RDONLY));
	char c;

	must_be(pread(fd, &c, 1, (off_t)(uintptr_t)arg) == 1);
	close(fd);
	return arg;
}

/*
 * Pins are charged under the lock of the owner's address space. Another thread of it has that lock
 * for as long as it likes. Whoever would hold more gives up, as if pinning had failed, and
 * everything else in the budget goes on.
 */
static void check_busy(struct rig *r)
{
	unsigned int spins = 0;
	pthread_t reader;
	struct simbuf b;
	struct dma d;
	void *slow;

	slowfs_start();
	slow = slowfs_mem(0, MEM_PAGE);
	must(budget_set(bdf, "resident_max", BUDGET_LEAST + HOT * MEM_PAGE));
	must(budget_set(bdf, "hot_pinned_max", MEM_PAGE));
	begin(r, &b, &d);
	wait_value("hot_pinned", is_some, "a page is held");
	slowfs_hold();
	must_be(!pthread_create(&reader, NULL, read_self, slow));
	must_be(slowfs_held());
	must(budget_set(bdf, "hot_pinned_max", HOT * MEM_PAGE));
	dma_wait_rounds(&d, 3);
	tap_is(budget_get(bdf, "hot_pinned"), MEM_PAGE,
	       "the address space is in use: what is held stays, and nothing is added");
	must(budget_set(bdf, "resident_max", 2 * BLOCKS * MEM_PAGE));
	wait_value("thrashing", is_zero, "room for all");
	wait_value("hot_pinned", is_zero, "let go, although the address space is in use");
	slowfs_release();
	must_be(!pthread_join(reader, NULL));
	while (policy_locked_kb())
		sim_nap(&spins);
	tap_ok(true, "it is not in use any more: the charge is given back");
	must(budget_set(bdf, "resident_max", BUDGET_LEAST + HOT * MEM_PAGE));
	wait_value("hot_pinned", is_some, "held again");
	tap_is(dma_stop(&d), 0, "the device got on all the time");
	budget_none(bdf);
	must(budget_set(bdf, "hot_pinned_max", 0));
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
	slowfs_stop();
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_load("devices=2 engines=8", "");
	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	bdf = r.vfio[0].bdf;
	check_progress(&r, 1);
	check_progress(&r, 32);
	check_told(&r);
	check_hot(&r);
	check_busy(&r);
	rig_clean(&r);
	rig_close(&r);
	rig_unpinned("at the end nothing is pinned");
	rig_balanced();
	return tap_done();
}
