// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two tenants whose devices are behind one IOMMU. One thread of its driver takes the faults of
 * both. The first tenant's memory is not available: user space withholds it (userfaultfd, FUSE),
 * its cgroup has no room, its disk is throttled, its pages are being migrated, its address space
 * is locked. Meanwhile the second tenant's faults are answered, also those that wait for a thread
 * of its own process.
 *
 * Nothing depends on time: the faults of the first tenant wait from before those of the second
 * until after them.
 *
 * vm: --mem 1024 --append numa=fake=2 --swap 512 --disk 256 --module fuse
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "dma.h"
#include "holder.h"
#include "provider.h"
#include "rig.h"
#include "slowfs.h"
#include "uffd.h"

#define LEN		(32 * MiB)
#define FILE_LEN	(1 * MiB)
#define PART		(4 * MEM_PAGE)
#define SEED		9

/**
 * struct first - the first tenant, in its own process
 * @r: its container, device 0
 * @b: its memory
 * @uffd: that keeps it
 * @dma: what its device does all the time, if it does
 * @busy: it does
 * @threads: what makes things hard
 * @started: how many there are
 * @tid: of one of them
 * @turn: a pipe: it may begin
 * @holder: pages that are being migrated
 */
struct first {
	struct rig r;
	struct simbuf b;
	int uffd;
	struct dma dma;
	bool busy;
	pthread_t threads[2];
	unsigned int started;
	pid_t tid;
	int turn[2];
	struct holder holder;
};

/**
 * struct hardship - why its memory can't be had
 * @what: what the points say
 * @make: makes the memory
 * @begin: makes things hard; the memory is mapped for the device
 * @end: makes them easy again, in the first tenant
 * @relieve: the same in the second one
 * @write: its device writes
 */
struct hardship {
	const char *what;
	void (*make)(struct first *f);
	void (*begin)(struct first *f);
	void (*end)(struct first *f);
	void (*relieve)(void);
	bool write;
};

static void start(struct first *f, void *(*fn)(void *arg))
{
	must_be(!pthread_create(&f->threads[f->started++], NULL, fn, f));
}

static void join(struct first *f)
{
	while (f->started)
		pthread_join(f->threads[--f->started], NULL);
}

static void make_anon(struct first *f)
{
	f->b.va = mem_anon(LEN);
	f->b.len = LEN;
}

static void make_little(struct first *f)
{
	f->b.va = mem_anon(PART);
	f->b.len = PART;
	memset(f->b.va, 1, PART);
}

/* userfaultfd */

static void begin_uffd(struct first *f)
{
	f->uffd = uffd_missing(f->b.va, f->b.len);
}

static void end_uffd(struct first *f)
{
	close(f->uffd);
}

/* No room: nothing can be reclaimed, so each page costs a pause; or all of it is being swapped. */

static void begin_high(struct first *f)
{
	cgroup_set("first", "memory.swap.max", "0");
	cgroup_set("first", "memory.high", "1048576");
	(void)f;
}

static void relieve_high(void)
{
	cgroup_set("first", "memory.high", "max");
}

static void begin_reclaim(struct first *f)
{
	cgroup_set("first", "memory.swap.max", "max");
	cgroup_set("first", "memory.max", "12582912");
	dma_start_both(&f->dma, &f->r.sim[0], &f->b, SEED);
	f->busy = true;
	dma_wait_rounds(&f->dma, 1);
}

static void end_reclaim(struct first *f)
{
	dma_wait_rounds(&f->dma, 1);
	cgroup_set("first", "memory.max", "max");
	if (dma_stop(&f->dma))
		_exit(10);
}

/* A throttled disk: the file is not in memory. */

static void make_file(struct first *f)
{
	int fd;

	f->b.va = mem_file("/mnt/first", FILE_LEN, true, false, &fd);
	f->b.len = FILE_LEN;
}

static void disk_limit(const char *rbps)
{
	char text[64], name[32];
	int fd = must_sys(open("/mnt/first", O_RDONLY));

	cgroup_disk(fd, name);
	close(fd);
	snprintf(text, sizeof(text), "%s rbps=%s", name, rbps);
	cgroup_set("first", "io.max", text);
}

static void begin_disk(struct first *f)
{
	(void)f;
	disk_limit("4096");
}

static void relieve_disk(void)
{
	disk_limit("max");
}

/* A file system that does not answer. */

static void make_slow(struct first *f)
{
	f->b.va = slowfs_mem(0, PART);
	f->b.len = PART;
}

static void begin_slow(struct first *f)
{
	slowfs_hold();
	(void)f;
}

static void end_slow(struct first *f)
{
	slowfs_release();
	join(f);
}

/* An address space in use: one thread reads it and waits for the file system, one waits for it. */

static void *read_self(void *arg)
{
	void *slow = slowfs_mem(1, PART);
	int fd = must_sys(open("/proc/self/mem", O_RDONLY));
	char c;

	must_be(pread(fd, &c, 1, (off_t)(uintptr_t)slow) == 1);
	close(fd);
	return arg;
}

static void *write_self(void *arg)
{
	struct first *f = arg;
	char c;

	__atomic_store_n(&f->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	must_be(read(f->turn[0], &c, 1) == 1);
	must_be(mmap(NULL, MEM_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	return arg;
}

/* Whether a thread of the process sleeps so that no signal wakes it. */
static bool sleeps(pid_t tid)
{
	char path[64], text[256] = "", *paren;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	fd = must_sys(open(path, O_RDONLY));
	must_be(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	paren = strrchr(text, ')');
	return paren && paren[2] == 'D';
}

/* Memory that the process itself touches is present: the CPU's faults would wait, too. */
static void make_in_use(struct first *f)
{
	must_sys(mlockall(MCL_CURRENT));
	make_anon(f);
}

static void begin_in_use(struct first *f)
{
	unsigned int spins = 0;

	must_sys(pipe(f->turn));
	slowfs_hold();
	/* While the address space is in use, no thread can be made. */
	start(f, write_self);
	start(f, read_self);
	must_be(slowfs_held());
	must_be(write(f->turn[1], "t", 1) == 1);
	while (!__atomic_load_n(&f->tid, __ATOMIC_ACQUIRE) || !sleeps(f->tid))
		sim_nap(&spins);
}

/* Pages that are being migrated, and don't arrive. */

static void begin_migrate(struct first *f)
{
	holder_hold(&f->holder, f->b.va, f->b.len);
}

static void end_migrate(struct first *f)
{
	holder_release(&f->holder);
}

static const struct hardship hardships[] = {
	{ "userfaultfd", make_anon, begin_uffd, end_uffd, NULL, false },
	{ "memory.high", make_anon, begin_high, NULL, relieve_high, true },
	{ "reclaim", make_anon, begin_reclaim, end_reclaim, NULL, false },
	{ "io.max", make_file, begin_disk, NULL, relieve_disk, false },
	{ "FUSE", make_slow, begin_slow, end_slow, NULL, false },
	{ "an address space in use", make_in_use, begin_in_use, end_slow, NULL, false },
	{ "migration", make_little, begin_migrate, end_migrate, NULL, false },
};

/* The first tenant. Its exit status tells the error. */
static void first(const struct hardship *h, int said, int word)
{
	static struct first f = { .b.iova = RIG_IOVA };
	struct iopf_sim_cmd cmd;
	struct iopf_sim_cpl cpl;
	char c;

	tap_forget();
	tap_quiet(true);
	cgroup_enter("first");
	rig_open(&f.r, 1, VFIO_TYPE1v2_IOMMU);
	h->make(&f);
	rig_map(&f.r, &f.b);
	/* The pages that the CPU touches for this are in its page tables from now on. */
	cmd = sim_cmd_nop(0);
	must_be(sim_run(&f.r.sim[0], &cmd, NULL) == IOPF_SIM_ST_OK);
	h->begin(&f);
	cmd = sim_cmd(h->write ? IOPF_SIM_OP_WRITE : IOPF_SIM_OP_READ, &f.b, 0, f.b.len, SEED);
	if (!f.busy)
		sim_start(&f.r.sim[0], &cmd);
	must_be(write(said, "s", 1) == 1);
	must_be(read(word, &c, 1) == 1);
	/* It has not waited. */
	if (!f.busy && sim_poll(&f.r.sim[0], &cpl))
		_exit(11);
	must_be(write(said, "w", 1) == 1);
	if (h->end)
		h->end(&f);
	if (!f.busy)
		sim_wait(&f.r.sim[0], &cpl);
	_exit(!f.busy && cpl.status != IOPF_SIM_ST_OK ? 12 : 0);
}

/* The second one: faults that are answered at once, and such that wait for its own threads. */
static void second(struct rig *r, const char *what)
{
	struct simbuf b = { mem_anon(MiB), RIG_IOVA, MiB };
	struct simbuf own = { mem_anon(16 * MEM_PAGE), 2 * RIG_IOVA, 16 * MEM_PAGE };
	uint64_t slow = iopf_count(rig_bdf(1), "parked");
	struct provider p;

	rig_map(r, &b);
	rig_both_ways(&r->sim[0], &b, SEED, what);
	provider_open(&p, &own, SEED);
	provider_start(&p, false);
	rig_map(r, &own);
	rig_status_is(sim_verify(&r->sim[0], &own, 0, own.len, SEED, NULL), IOPF_SIM_ST_OK,
		      "%s: the other's userfaultfd", what);
	tap_ok(iopf_count(rig_bdf(1), "parked") - slow >= own.len / MEM_PAGE,
	       "%s: by threads of its own", what);
	rig_unmap(r, &own);
	provider_stop(&p);
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
	mem_unmap(own.va, own.len);
}

static void check(struct rig *r, const struct hardship *h)
{
	uint64_t slow = iopf_count(rig_bdf(0), "parked");
	int said[2], word[2], status;
	unsigned int spins = 0;
	pid_t pid;
	char c;

	cgroup_make("first");
	must_sys(pipe(said));
	must_sys(pipe(word));
	pid = must_sys(fork());
	if (!pid)
		first(h, said[1], word[0]);
	close(said[1]);
	must_be(read(said[0], &c, 1) == 1);
	while (iopf_count(rig_bdf(0), "parked") == slow)
		sim_nap(&spins);
	second(r, h->what);
	must_be(write(word[1], "w", 1) == 1);
	/*
	 * The process reports that it has checked before the memory becomes available, or it ends.
	 */
	(void)!read(said[0], &c, 1);
	if (h->relieve)
		h->relieve();
	must_sys(waitpid(pid, &status, 0));
	tap_is((unsigned int)status, 0, "%s: the first one waited for all that time, and goes on",
	       h->what);
	close(said[0]);
	close(word[0]);
	close(word[1]);
	cgroup_remove("first");
}

static void cold_file(void)
{
	int fd;
	void *va = mem_file("/mnt/first", FILE_LEN, true, true, &fd);

	memset(va, 1, FILE_LEN);
	must_sys(fsync(fd));
	mem_unmap(va, FILE_LEN);
	close(fd);
	mem_sync_drop_caches();
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_load("devices=2", "");
	/* As an interrupt thread does; by default each device reports its own faults. */
	sim_iommu_knob("prq_thread", 1);
	holder_load();
	mem_keep_still();
	cgroup_use("+memory +io");
	cold_file();
	slowfs_start();
	rig_open_at(&r, 1, 1, VFIO_TYPE1v2_IOMMU);
	for (unsigned int i = 0; i < ARRAY_SIZE(hardships); i++)
		check(&r, &hardships[i]);
	slowfs_stop();
	rig_clean(&r);
	rig_close(&r);
	rig_balanced_soon();
	holder_unload();
	return tap_done();
}
