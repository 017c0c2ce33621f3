// SPDX-License-Identifier: GPL-2.0-only
/*
 * The number of threads that populate memory while it waits for user space. There is a limit for a
 * process, for all of its containers; a limit for a user, for all of its processes; a low limit
 * for work that nobody waits for; and the limit of its cgroup. Beyond a limit, faults wait in
 * order, and each is answered.
 *
 * vm: --mem 1024
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "prefault.h"
#include "provider.h"
#include "rig.h"
#include "uffd.h"

/* The limits of docs/internals/bounds.md. */
#define PROCESS_MOST	256u
#define USER_MOST	1024u
#define USER_FREE	8u
#define BACKGROUND_MOST	16u
#define DEVICE_MOST	32u

/* For each process: enough devices in two containers to exceed its limit. */
#define DEVICES		9u
#define FIRST_ONES	5u
#define PROCESSES	5u
#define PART		(DEVICE_MOST * MEM_PAGE)
#define LEN		(DEVICES * PART)

/**
 * struct owner - a process whose devices' faults wait
 * @pid: the process
 * @word: a pipe: it is to have them answered
 */
struct owner {
	pid_t pid;
	int word;
};

/* Those of the kernel's, without the one that makes the others. */
static unsigned int threads(pid_t pid)
{
	struct dirent *entry;
	unsigned int n = 0;
	char path[300];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		char comm[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", pid, entry->d_name);
		f = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (f && fgets(comm, sizeof(comm), f))
			n += !strcmp(comm, "vfio-iopf\n");
		if (f)
			fclose(f);
	}
	if (dir)
		closedir(dir);
	return n;
}

/* The number of threads reaches the limit, and stays there. */
static void threads_are(pid_t pid, unsigned int want, const char *what)
{
	unsigned int spins = 0, i;

	while (threads(pid) < want && spins < 20000)
		sim_nap(&spins);
	for (i = 0; i < 100; i++)
		sim_nap(&spins);
	tap_is(threads(pid), want, "%s", what);
}

/* A container with some of the devices, and all of the memory. */
static void open_part(struct rig *r, unsigned int at, unsigned int nr, const struct simbuf *b)
{
	rig_open_at(r, at, nr, VFIO_TYPE1v2_IOMMU);
	rig_map(r, b);
}

/* All that a device may have a thread for. */
static void fault(struct rig *r, const struct simbuf *b, unsigned int part)
{
	for (unsigned int i = 0; i < r->devices; i++, part++) {
		struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_READ, b, part * PART, PART, 0);

		cmd.prg_depth = DEVICE_MOST;
		sim_start(&r->sim[i], &cmd);
	}
}

static bool answered(struct rig *r)
{
	bool good = true;

	for (unsigned int i = 0; i < r->devices; i++) {
		struct iopf_sim_cpl cpl;

		sim_wait(&r->sim[i], &cpl);
		good &= cpl.status == IOPF_SIM_ST_OK;
	}
	return good;
}

static void owner(unsigned int at, int word)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	int uffd = uffd_missing(b.va, b.len);
	struct rig one, two;
	bool good;
	char c;

	tap_forget();
	tap_quiet(true);
	open_part(&one, at, FIRST_ONES, &b);
	open_part(&two, at + FIRST_ONES, DEVICES - FIRST_ONES, &b);
	fault(&one, &b, 0);
	fault(&two, &b, FIRST_ONES);
	must_be(read(word, &c, 1) == 1);
	/* After that the memory is zero. */
	close(uffd);
	good = answered(&one);
	good &= answered(&two);
	_exit(good ? 0 : 1);
}

/* Its cgroup; NULL: that of its parent. */
static struct owner owner_start(unsigned int at, const char *cgroup)
{
	struct owner o;
	int word[2];

	must_sys(pipe(word));
	o.pid = must_sys(fork());
	if (!o.pid) {
		if (cgroup)
			cgroup_enter(cgroup);
		owner(at, word[0]);
	}
	close(word[0]);
	o.word = word[1];
	return o;
}

static void owner_end(struct owner *o, const char *what)
{
	int status;

	must_be(write(o->word, "w", 1) == 1);
	must_sys(waitpid(o->pid, &status, 0));
	close(o->word);
	tap_is((unsigned int)status, 0, "%s: each fault is answered", what);
}

/* One user's processes, one after the other. */
static void check_user(void)
{
	unsigned int last = USER_MOST + PROCESSES * USER_FREE - (PROCESSES - 1) * PROCESS_MOST;
	struct owner o[PROCESSES];
	char what[64];
	unsigned int i;

	for (i = 0; i < PROCESSES; i++) {
		o[i] = owner_start(i * DEVICES, NULL);
		snprintf(what, sizeof(what), "process %u", i + 1);
		threads_are(o[i].pid, i < PROCESSES - 1 ? PROCESS_MOST : last, what);
	}
	owner_end(&o[0], "process 1");
	threads_are(o[PROCESSES - 1].pid, PROCESS_MOST, "when one has ended the last has more");
	for (i = 1; i < PROCESSES; i++) {
		snprintf(what, sizeof(what), "process %u", i + 1);
		owner_end(&o[i], what);
	}
}

static void check_cgroup(void)
{
	struct owner o;

	cgroup_make("few");
	cgroup_set("few", "pids.max", "6");
	o = owner_start(0, "few");
	/* Itself, the one that makes others, and these. */
	threads_are(o.pid, 4, "pids.max 6: four threads");
	owner_end(&o, "pids.max 6");
	cgroup_remove("few");
}

/* One request at a time for each container, and a fault meanwhile. */
static void check_background(void)
{
	static struct rig r[BACKGROUND_MOST + 4];
	struct simbuf b = { mem_anon(PART), RIG_IOVA, PART };
	struct simbuf own = { mem_anon(PART), 2 * RIG_IOVA, PART };
	int uffd = uffd_missing(b.va, b.len), mine = uffd_missing(own.va, own.len);
	struct iopf_sim_cmd cmd;
	struct iopf_sim_cpl cpl;
	unsigned int i;
	uint64_t id;

	for (i = 0; i < ARRAY_SIZE(r); i++) {
		struct vfio_iopf_range range = { RIG_IOVA + i * MEM_PAGE, MEM_PAGE };

		open_part(&r[i], i, 1, &b);
		must(prefault_start(&r[i].c, &range, 1, PREFAULT_READ, -1, &id));
	}
	threads_are(getpid(), BACKGROUND_MOST, "requests of many containers: the limit of threads");
	rig_map(&r[0], &own);
	cmd = sim_cmd(IOPF_SIM_OP_READ, &own, 0, MEM_PAGE, 0);
	sim_start(&r[0].sim[0], &cmd);
	uffd_asked(mine);
	threads_are(getpid(), BACKGROUND_MOST + 1, "one more thread for a fault");
	close(mine);
	sim_wait(&r[0].sim[0], &cpl);
	rig_status_is((int)cpl.status, IOPF_SIM_ST_OK,
		      "the fault is answered before the requests end");
	close(uffd);
	for (i = 0; i < ARRAY_SIZE(r); i++)
		rig_close(&r[i]);
	mem_unmap(b.va, b.len);
	mem_unmap(own.va, own.len);
}

/* Threads of the kernel's that a tracer has. */
#define TRACED	16u

/**
 * struct traced - an owner whose threads stand still
 * @o: the owner
 * @said: a pipe: it has closed its container
 * @tid: the threads
 * @nr: how many
 */
struct traced {
	struct owner o;
	int said;
	pid_t tid[TRACED];
	unsigned int nr;
};

/* A fault of it waits for user space. At the word it closes all it has, and lives on. */
static void traced_owner(int asked, int word, int said)
{
	struct simbuf b = { mem_anon(PART), RIG_IOVA, PART };
	int uffd = uffd_missing(b.va, b.len);
	struct iopf_sim_cmd cmd;
	struct rig r;
	char c = 0;

	tap_forget();
	tap_quiet(true);
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	cmd = sim_cmd(IOPF_SIM_OP_READ, &b, 0, MEM_PAGE, 0);
	sim_start(&r.sim[0], &cmd);
	uffd_asked(uffd);
	must_be(write(asked, &c, 1) == 1);
	must_be(read(word, &c, 1) == 1);
	rig_close(&r);
	must_be(write(said, &c, 1) == 1);
	for (;;)
		pause();
}

/* Stop all threads of the kernel's in it, the one that makes the others, too. */
static void trace(struct traced *t)
{
	struct dirent *entry;
	char path[300];
	int status;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", t->o.pid);
	dir = opendir(path);
	must_be(dir);
	while ((entry = readdir(dir))) {
		pid_t tid = atoi(entry->d_name);

		if (!tid || tid == t->o.pid)
			continue;
		must_be(t->nr < TRACED);
		must_sys(ptrace(PTRACE_SEIZE, tid, NULL, NULL));
		must_sys(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL));
		must_sys(waitpid(tid, &status, __WALL));
		must_be(WIFSTOPPED(status));
		t->tid[t->nr++] = tid;
	}
	closedir(dir);
}

static void traced_start(struct traced *t)
{
	int asked[2], word[2], said[2];
	char c;

	must_sys(pipe(asked));
	must_sys(pipe(word));
	must_sys(pipe(said));
	t->nr = 0;
	t->o.pid = must_sys(fork());
	if (!t->o.pid)
		traced_owner(asked[1], word[0], said[1]);
	t->o.word = word[1];
	t->said = said[0];
	must_be(read(asked[0], &c, 1) == 1);
	close(asked[0]);
	close(asked[1]);
	close(word[0]);
	close(said[1]);
	trace(t);
}

/* It is killed, also if it is traced. Its tracer reaps traced threads. */
static void traced_kill(struct traced *t, const char *what)
{
	int status;

	must_sys(kill(t->o.pid, SIGKILL));
	for (unsigned int i = 0; i < t->nr; i++)
		do
			must_sys(waitpid(t->tid[i], &status, __WALL));
		while (WIFSTOPPED(status));
	must_sys(waitpid(t->o.pid, &status, 0));
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s: it can be killed", what);
	close(t->o.word);
	close(t->said);
}

/* Memory of our own that is provided by user space, so that threads of our own are needed. */
static void use(unsigned int at, const char *what)
{
	struct simbuf b = { mem_anon(PART), RIG_IOVA, PART };
	unsigned int spins = 0;
	struct provider p;
	struct rig r;

	provider_open(&p, &b, 3);
	provider_start(&p, false);
	open_part(&r, at, 1, &b);
	rig_status_is(sim_verify(&r.sim[0], &b, 0, b.len, 3, NULL), IOPF_SIM_ST_OK, "%s", what);
	rig_close(&r);
	provider_stop(&p);
	mem_unmap(b.va, b.len);
	while (threads(getpid()) && spins < 20000)
		sim_nap(&spins);
	tap_is(threads(getpid()), 0, "%s: its threads leave", what);
}

static void check_traced(void)
{
	struct traced t;
	char c = 0;

	traced_start(&t);
	tap_ok(t.nr >= 2, "an owner's threads are stopped by a tracer: %u", t.nr);
	use(1, "traced: another owner");
	tap_errno_is(rig_unload(), -EAGAIN, "traced: unloading is refused, and does not wait");
	must_be(write(t.o.word, &c, 1) == 1);
	must_be(read(t.said, &c, 1) == 1);
	tap_ok(threads(t.o.pid), "traced: it closes its container, its threads are still there");
	use(0, "traced: another owner of the same device");
	tap_errno_is(rig_unload(), -EAGAIN, "traced and closed: unloading is refused");
	traced_kill(&t, "traced and closed");
	use(0, "traced and killed: another owner");

	traced_start(&t);
	traced_kill(&t, "traced, while a fault waits");
	use(0, "traced and killed: another owner");
}

/* Processes are killed while they map memory first, so at any moment in the making of threads. */
static void check_killed_first(void)
{
	const unsigned int processes = 60;
	struct simbuf b = { mem_anon(PART), RIG_IOVA, PART };
	unsigned int i, mapped = 0;
	struct rig r;

	open_part(&r, 0, 1, &b);
	for (i = 0; i < processes; i++) {
		uint64_t iova = RIG_IOVA + (i + 1) * (uint64_t)PART;
		int said[2], status;
		pid_t pid;
		char c = 0;

		must_sys(pipe(said));
		pid = must_sys(fork());
		if (!pid) {
			tap_forget();
			must_be(write(said[1], &c, 1) == 1);
			(void)vfio_map(&r.c, b.va, iova, b.len);
			for (;;)
				pause();
		}
		must_be(read(said[0], &c, 1) == 1);
		must_sys(usleep(i * 40));
		must_sys(kill(pid, SIGKILL));
		must_sys(waitpid(pid, &status, 0));
		close(said[0]);
		close(said[1]);
		mapped += !vfio_unmap(&r.c, iova, b.len);
	}
	tap_is(i, processes, "killed while they map memory first: all of them die");
	tap_diag("%u of %u had mapped it", mapped, processes);
	rig_both_ways(&r.sim[0], &b, 5, "after that");
	rig_unmap(&r, &b);
	rig_clean(&r);
	rig_close(&r);
	mem_unmap(b.va, b.len);
}

int main(void)
{
	char args[32];

	rig_backend_only();
	snprintf(args, sizeof(args), "devices=%u", PROCESSES * DEVICES);
	rig_load(args, "");
	cgroup_use("+memory +pids");
	check_background();
	check_cgroup();
	check_user();
	check_traced();
	check_killed_first();
	rig_balanced_soon();
	tap_errno_is(rig_unload_soon(), 0, "the modules can be unloaded");
	return tap_done();
}
