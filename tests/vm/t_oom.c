// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device populates more memory than the owner's memory cgroup may have. Then the OOM killer
 * chooses a process of that cgroup, as for the CPU's own accesses: the owner, whose device stops,
 * or another process of the cgroup, and the device goes on. Processes of other cgroups are not
 * affected. If no process may be killed, the device is told to ask again, and gets its memory when
 * there is room. A prefault request kills no process: it ends.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "prefault.h"
#include "rig.h"

#define LEN	(40 * MiB)
#define MAX	"25165824"
#define VICTIM	(16 * MiB)
#define SEED	7

/* Kinds of memory, and the ways to populate it. */
enum kind { ANON, SHARED, MEMFD, THP };
enum by { BY_WRITE, BY_PREFAULT, BY_CPU };

static void *memory(enum kind kind, size_t len)
{
	int fd;

	switch (kind) {
	case SHARED:
		return mem_shared_anon(len);
	case MEMFD:
		return mem_memfd(len, &fd);
	case THP:
		return mem_thp(len);
	default:
		return mem_anon(len);
	}
}

static void small(const char *name)
{
	cgroup_make(name);
	cgroup_set(name, "memory.max", MAX);
	(void)cgroup_try(name, "memory.swap.max", "0");
}

static void score(int value)
{
	must(mem_write_file("/proc/self/oom_score_adj", "%d", value));
}

static long kills(const char *name)
{
	return cgroup_field(name, "memory.events", "oom_kill");
}

/* The owner; does not come back. */
static void owner(enum kind kind, enum by by)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct vfio_iopf_range range = { RIG_IOVA, LEN };
	struct vfio_iopf_prefault_status s;
	struct rig r;
	uint64_t id;

	tap_forget();
	tap_quiet(true);
	cgroup_enter("small");
	b.va = memory(kind, LEN);
	if (by == BY_CPU) {
		memset(b.va, 1, LEN);
		_exit(0);
	}
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	if (by == BY_WRITE) {
		sim_write(&r.sim[0], &b, 0, LEN, SEED, NULL);
		_exit(0);
	}
	must(prefault_start(&r.c, &range, 1, PREFAULT_WRITE, -1, &id));
	prefault_wait(&r.c, id, &s);
	_exit(s.state == VFIO_IOPF_PREFAULT_STATE_FAILED && s.error == ENOMEM ? 0 : 1);
}

static void check_killed(struct rig *other, enum kind kind, enum by by, const char *what)
{
	struct simbuf b = { mem_anon(MiB), RIG_IOVA, MiB };
	uint64_t before, all = mem_vmstat("oom_kill");
	long small_kills, other_kills = kills("other");
	int status;
	pid_t pid;

	small("small");
	small_kills = kills("small");
	pid = must_sys(fork());
	if (!pid)
		owner(kind, by);
	must_sys(waitpid(pid, &status, 0));
	before = sim_count(rig_bdf(0), "bytes_written");
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s: the owner is killed", what);
	tap_is((uint64_t)(kills("small") - small_kills), 1, "%s: by its cgroup, once", what);
	tap_is((uint64_t)(kills("other") - other_kills), 0, "%s: none of another cgroup", what);
	tap_is(mem_vmstat("oom_kill") - all, 1, "%s: nor anywhere else", what);
	rig_map(other, &b);
	rig_both_ways(&other->sim[0], &b, SEED, "another cgroup's device");
	rig_unmap(other, &b);
	mem_unmap(b.va, b.len);
	tap_ok(sim_count(rig_bdf(0), "bytes_written") - before <= 4 * MEM_PAGE,
	       "%s: the owner's device has stopped", what);
	cgroup_remove("small");
}

static void check_request(enum kind kind, const char *what)
{
	uint64_t all = mem_vmstat("oom_kill");
	int status;
	pid_t pid;

	small("small");
	pid = must_sys(fork());
	if (!pid)
		owner(kind, BY_PREFAULT);
	must_sys(waitpid(pid, &status, 0));
	tap_is((unsigned int)status, 0, "%s: ends with ENOMEM", what);
	tap_is(mem_vmstat("oom_kill") - all, 0, "%s: no process is killed", what);
	cgroup_remove("small");
}

/* Another process of the cgroup has much, and is to go first. */
static pid_t victim(void)
{
	int ready[2];
	pid_t pid;
	char c;

	must_sys(pipe(ready));
	pid = must_sys(fork());
	if (!pid) {
		char *va;

		tap_forget();
		cgroup_enter("small");
		score(1000);
		va = mem_anon(VICTIM);
		memset(va, 1, VICTIM);
		must_sys(write(ready[1], "r", 1));
		for (;;)
			pause();
	}
	must_be(read(ready[0], &c, 1) == 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

/*
 * The owner survives: what it needs is there once another process has gone. The owner may not be
 * killed: the kernel takes a process that exits for done before all of its pages are free, and
 * would now and then kill the owner as well, whoever brings its memory in.
 */
static void check_victim(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = VICTIM };
	uint64_t all = mem_vmstat("oom_kill");
	struct rig r;
	pid_t pid, other;
	int status;

	small("small");
	pid = victim();
	other = must_sys(fork());
	if (!other) {
		tap_forget();
		tap_quiet(true);
		cgroup_enter("small");
		score(-1000);
		b.va = mem_anon(b.len);
		rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
		rig_map(&r, &b);
		if (sim_write(&r.sim[0], &b, 0, b.len, SEED, NULL) != IOPF_SIM_ST_OK)
			_exit(1);
		_exit(simbuf_differs(&b, 0, b.len, SEED) ? 2 : 0);
	}
	must_sys(waitpid(other, &status, 0));
	tap_is((unsigned int)status, 0, "another is killed: the device gets its memory");
	must_sys(kill(pid, 0));
	must_sys(waitpid(pid, &status, 0));
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "another is killed: that one");
	tap_is(mem_vmstat("oom_kill") - all, 1, "another process is killed: no third one");
	cgroup_remove("small");
}

/* Nobody in the cgroup may be killed: there is no memory until there is room. */
static void check_nobody(struct rig *r)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	uint64_t all = mem_vmstat("oom_kill");
	int status, max;

	small("small");
	/* Once it is full, files can't be opened any more. */
	max = must_sys(open(CGROUP_ROOT "/small/memory.max", O_WRONLY));
	cgroup_enter("small");
	score(-1000);
	b.va = mem_anon(LEN);
	rig_map(r, &b);
	sim_knob(rig_bdf(1), "retry_limit", 0);
	status = sim_write(&r->sim[0], &b, 0, LEN, SEED, NULL);
	tap_ok(status != IOPF_SIM_ST_OK, "no process may be killed: the device ends with %s",
	       sim_status_name((unsigned int)status));
	must_be(write(max, "max", 3) == 3);
	close(max);
	sim_calm(rig_bdf(1));
	tap_is(mem_vmstat("oom_kill") - all, 0, "no process may be killed: none is");
	rig_status_is(sim_write(&r->sim[0], &b, 0, LEN, SEED, NULL), IOPF_SIM_ST_OK,
		      "with room it has its memory");
	rig_same(&b, SEED, "with room");
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
	score(0);
	cgroup_enter("other");
	cgroup_remove("small");
}

int main(void)
{
	struct rig other;

	rig_backend_only();
	rig_load("devices=2", "");
	cgroup_use("+memory");
	cgroup_make("other");
	cgroup_enter("other");
	rig_open_at(&other, 1, 1, VFIO_TYPE1v2_IOMMU);
	check_killed(&other, ANON, BY_CPU, "the CPU writes");
	check_killed(&other, ANON, BY_WRITE, "anonymous memory");
	check_killed(&other, SHARED, BY_WRITE, "shared memory");
	check_killed(&other, MEMFD, BY_WRITE, "a memfd");
	check_killed(&other, THP, BY_WRITE, "huge pages");
	check_request(ANON, "a request");
	check_request(MEMFD, "a request for a memfd");
	check_victim();
	check_nobody(&other);
	rig_clean(&other);
	rig_close(&other);
	rig_balanced_soon();
	return tap_done();
}
