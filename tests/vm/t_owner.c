// SPDX-License-Identifier: GPL-2.0-only
/*
 * The threads of the owner's process that populate its memory: when they exist, and their effect
 * on fork, exec, signals, the freezer and the end of the process, while they wait for memory that
 * another process does not provide. The device of a dead owner does no more DMA.
 *
 * vm: --mem 1024
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "knob.h"
#include "prefault.h"
#include "rig.h"
#include "uffd.h"

#define LEN	(2 * MiB)
#define CGROUP	"/sys/fs/cgroup"

/* Threads of a process whose name begins like this. */
static unsigned int threads(pid_t pid, const char *name)
{
	char path[64], comm[32];
	struct dirent *entry;
	unsigned int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		FILE *f;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.12s/comm", pid, entry->d_name);
		f = fopen(path, "r");
		if (f && fgets(comm, sizeof(comm), f))
			n += !strncmp(comm, name, strlen(name));
		if (f)
			fclose(f);
	}
	if (dir)
		closedir(dir);
	return n;
}

static bool threads_soon(unsigned int want)
{
	unsigned int spins = 0;

	while (threads(getpid(), "vfio-iopf") != want && spins < 60000)
		sim_nap(&spins);
	return threads(getpid(), "vfio-iopf") == want;
}

static void check_life(void)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct rig r;
	int status;
	pid_t pid;

	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	tap_ok(threads_soon(2), "group attached: two threads");
	rig_map(&r, &b);
	tap_ok(threads_soon(2), "memory mapped: the same");
	rig_both_ways(&r.sim[0], &b, 1, "with them");
	pid = must_sys(fork());
	if (!pid) {
		tap_forget();
		_exit(threads(getpid(), "") != 1);
	}
	must_sys(waitpid(pid, &status, 0));
	tap_is((unsigned int)status, 0, "fork: the child has none");
	rig_unmap(&r, &b);
	rig_clean(&r);
	rig_close(&r);
	tap_ok(threads_soon(0), "container closed: they leave");
	mem_unmap(b.va, LEN);
	rig_balanced();
}

/* Ways in which the owner waits, and ends. */
enum wait { BY_FAULT, BY_PREFAULT };
enum end { BY_KILL, BY_EXIT, BY_EXEC, BY_NOBODY, BY_STOP, BY_FREEZE };

static void *exit_alone(void *unused)
{
	syscall(SYS_exit, 0);
	return unused;
}

/*
 * The owner: one engine writes for ever, the other one, or a request, waits for memory that the
 * parent holds back. Says where, and waits for the word to end.
 */
static void owner(enum wait wait, enum end end, int said, int word)
{
	struct simbuf busy = { .iova = RIG_IOVA, .len = LEN };
	struct simbuf held = { .iova = RIG_IOVA + 2 * LEN, .len = LEN };
	struct vfio_iopf_range range = { RIG_IOVA + 2 * LEN, MEM_PAGE };
	struct iopf_sim_cmd cmd;
	struct iopf_sim_cpl cpl;
	pthread_t thread;
	struct rig r;
	uint64_t id;
	int uffd;
	char byte;

	tap_forget();
	tap_quiet(true);
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	busy.va = mem_anon(LEN);
	held.va = mem_anon(LEN);
	rig_map(&r, &busy);
	rig_map(&r, &held);
	uffd = uffd_missing(held.va, LEN);
	if (end != BY_STOP && end != BY_FREEZE) {
		cmd = sim_cmd(IOPF_SIM_OP_WRITE, &busy, 0, LEN, 1);
		sim_cmd_order(&cmd, IOPF_SIM_ORDER_RANDOM, 64, 64, 1);
		cmd.count = 2000000000;
		sim_start(&r.sim[0], &cmd);
	}
	cmd = sim_cmd(IOPF_SIM_OP_READ, &held, 0, MEM_PAGE, 0);
	if (wait == BY_FAULT)
		sim_start(&r.sim[0], &cmd);
	else
		must(prefault_start(&r.c, &range, 1, PREFAULT_READ, -1, &id));
	must_be(write(said, &uffd, sizeof(uffd)) == sizeof(uffd));
	must_be(write(said, &held.va, sizeof(held.va)) == sizeof(held.va));
	if (end == BY_STOP || end == BY_FREEZE) {
		sim_wait(&r.sim[0], &cpl);
		_exit(cpl.status != 0);
	}
	must_be(read(word, &byte, 1) == 1);
	if (end == BY_EXIT)
		_exit(0);
	if (end == BY_EXEC)
		execlp("true", "true", NULL);
	if (end == BY_NOBODY) {
		must(pthread_create(&thread, NULL, exit_alone, NULL));
		syscall(SYS_exit, 0);
	}
	for (;;)
		pause();
}

/* The device of a dead process can be opened again soon. */
static bool open_again(struct rig *r)
{
	unsigned int spins = 0;

	for (;;) {
		memset(r, 0, sizeof(*r));
		must(vfio_container_open(&r->c));
		if (!vfio_dev_open(&r->vfio[0], &r->c, rig_bdf(0), VFIO_TYPE1v2_IOMMU)) {
			r->devices = 1;
			return true;
		}
		vfio_dev_close(&r->vfio[0]);
		vfio_container_close(&r->c);
		if (spins >= 60000)
			return false;
		sim_nap(&spins);
	}
}

static pid_t start(enum wait wait, enum end end, int *uffd, void **va, int *word)
{
	int said[2], words[2], fd, pidfd;
	pid_t pid;

	must_sys(pipe(said));
	must_sys(pipe(words));
	pid = must_sys(fork());
	if (!pid)
		owner(wait, end, said[1], words[0]);
	must_be(read(said[0], &fd, sizeof(fd)) == sizeof(fd));
	must_be(read(said[0], va, sizeof(*va)) == sizeof(*va));
	pidfd = (int)must_sys(syscall(SYS_pidfd_open, pid, 0));
	*uffd = (int)must_sys(syscall(SYS_pidfd_getfd, pidfd, fd, 0));
	uffd_asked(*uffd);
	close(pidfd);
	close(said[0]);
	close(said[1]);
	close(words[0]);
	*word = words[1];
	return pid;
}

static void check_end(enum wait wait, enum end end, const char *what)
{
	uint64_t before, after;
	int uffd, word, status;
	struct rig r;
	void *va;
	pid_t pid = start(wait, end, &uffd, &va, &word);

	if (end == BY_KILL)
		must_sys(kill(pid, SIGKILL));
	else
		must_sys(write(word, "e", 1));
	must_sys(waitpid(pid, &status, 0));
	before = sim_count(rig_bdf(0), "bytes_written");
	if (end == BY_KILL)
		tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s: dies", what);
	else
		tap_is((unsigned int)status, 0, "%s: its own status", what);
	if (tap_ok(open_again(&r), "%s: its device can be opened again", what))
		rig_close(&r);
	after = sim_count(rig_bdf(0), "bytes_written");
	/* Accesses in flight within the device may still complete. */
	tap_ok(after - before <= 4 * MEM_PAGE, "%s: no DMA after that (%llu bytes)", what,
	       (unsigned long long)(after - before));
	close(uffd);
	close(word);
	rig_balanced_soon();
}

static bool frozen(const char *dir)
{
	char path[128], line[64];
	unsigned int spins = 0;
	bool is = false;

	snprintf(path, sizeof(path), "%s/cgroup.events", dir);
	while (!is && spins < 60000) {
		FILE *f = fopen(path, "r");

		while (f && fgets(line, sizeof(line), f))
			is |= !strcmp(line, "frozen 1\n");
		if (f)
			fclose(f);
		sim_nap(&spins);
	}
	return is;
}

static void check_pause(enum end end, const char *what)
{
	static const char dir[] = CGROUP "/owner";
	static char page[MEM_PAGE] __attribute__((aligned(MEM_PAGE)));
	int uffd, word, status;
	void *va;
	pid_t pid = start(BY_FAULT, end, &uffd, &va, &word);

	if (end == BY_STOP) {
		must_sys(kill(pid, SIGSTOP));
		must_sys(waitpid(pid, &status, WUNTRACED));
		tap_ok(WIFSTOPPED(status), "%s: all threads do", what);
		must_sys(kill(pid, SIGCONT));
	} else {
		(void)mkdir(dir, 0755);
		must(mem_write_file(CGROUP "/owner/cgroup.procs", "%d", pid));
		must(mem_write_file(CGROUP "/owner/cgroup.freeze", "1"));
		tap_ok(frozen(dir), "%s: all threads are", what);
		must(mem_write_file(CGROUP "/owner/cgroup.freeze", "0"));
	}
	must(uffd_give(uffd, (uintptr_t)va, page, MEM_PAGE));
	must_sys(waitpid(pid, &status, 0));
	tap_is((unsigned int)status, 0, "%s: and the fault goes on afterwards", what);
	close(uffd);
	close(word);
	rig_balanced_soon();
	if (end == BY_FREEZE)
		(void)rmdir(dir);
}

/* MAP_DMA fails for a user who may have no more threads. */
static void check_limit(void)
{
	struct rlimit none = { 1, 1 };
	int group, status, err;
	struct rig r;
	pid_t pid;

	group = vfio_group_id(rig_bdf(0));
	pid = rig_fork_user(group, LEN);
	if (!pid) {
		tap_forget();
		tap_quiet(true);
		must_sys(setrlimit(RLIMIT_NPROC, &none));
		rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
		err = vfio_map(&r.c, mem_anon(LEN), RIG_IOVA, LEN);
		_exit(err == -EAGAIN ? 0 : 1);
	}
	must_sys(waitpid(pid, &status, 0));
	tap_is((unsigned int)status, 0, "RLIMIT_NPROC: MAP_DMA fails with EAGAIN");
	rig_balanced_soon();
}

/* Two processes that share their memory also share the threads. */
struct shared {
	struct rig r;
	struct simbuf late;
	int said;
	int word;
};

/* It shares the memory of the process that opened the container, and lives on. */
static int heir(void *arg)
{
	struct shared *s = arg;
	struct iopf_sim_cpl cpl;
	uint32_t status;
	char byte;

	must_be(read(s->word, &byte, 1) == 1);
	sim_wait(&s->r.sim[0], &cpl);
	if (cpl.status != IOPF_SIM_ST_INVALID)
		_exit(2);
	must(vfio_map(&s->r.c, s->late.va, s->late.iova, s->late.len));
	status = sim_write(&s->r.sim[0], &s->late, 0, s->late.len, 7, NULL);
	_exit(status == IOPF_SIM_ST_OK && threads(getpid(), "vfio-iopf") >= 2 ? 0 : 3);
}

static void shared_owner(int said, int word)
{
	static char stack[256 * 1024] __attribute__((aligned(64)));
	struct simbuf busy = { .iova = RIG_IOVA, .len = LEN };
	static struct shared s;
	struct iopf_sim_cmd cmd;
	pid_t pid;

	tap_forget();
	tap_quiet(true);
	s.said = said;
	s.word = word;
	s.late = (struct simbuf){ mem_anon(LEN), RIG_IOVA + 2 * LEN, LEN };
	rig_open(&s.r, 1, VFIO_TYPE1v2_IOMMU);
	busy.va = mem_anon(LEN);
	rig_map(&s.r, &busy);
	cmd = sim_cmd(IOPF_SIM_OP_WRITE, &busy, 0, LEN, 1);
	sim_cmd_order(&cmd, IOPF_SIM_ORDER_RANDOM, 64, 64, 1);
	cmd.count = 2000000000;
	sim_start(&s.r.sim[0], &cmd);
	pid = must_sys(clone(heir, stack + sizeof(stack), CLONE_VM | CLONE_PARENT | SIGCHLD, &s));
	must_be(write(said, &pid, sizeof(pid)) == sizeof(pid));
	for (;;)
		pause();
}

/* The owner is killed; another process has the same memory and the same files. */
static void check_shared(void)
{
	int said[2], words[2], status;
	uint64_t before, after;
	unsigned int spins = 0;
	pid_t pid, other;

	must_sys(pipe(said));
	must_sys(pipe(words));
	pid = must_sys(fork());
	if (!pid)
		shared_owner(said[1], words[0]);
	must_be(read(said[0], &other, sizeof(other)) == sizeof(other));
	before = sim_count(rig_bdf(0), "bytes_written");
	while (sim_count(rig_bdf(0), "bytes_written") == before && spins < 60000)
		sim_nap(&spins);
	must_sys(kill(pid, SIGKILL));
	must_sys(waitpid(pid, &status, 0));
	before = sim_count(rig_bdf(0), "bytes_written");
	tap_is((unsigned int)kill(other, 0), 0,
	       "the owner is killed, the process that shares its memory lives");
	must_sys(usleep(100000));
	after = sim_count(rig_bdf(0), "bytes_written");
	tap_ok(after - before <= 4 * MEM_PAGE, "the owner's device does no more DMA (%llu bytes)",
	       (unsigned long long)(after - before));
	must_sys(write(words[1], "e", 1));
	must_sys(waitpid(other, &status, 0));
	tap_is((unsigned int)status, 0, "the other one maps memory anew, with threads of its own");
	for (int i = 0; i < 2; i++) {
		close(said[i]);
		close(words[i]);
	}
	rig_balanced_soon();
}

/* The maximum number of processes that a container follows. All of them end. */
#define PROCESSES 1024

static int map_as(struct rig *r, void *va, unsigned int n)
{
	pid_t pid = must_sys(fork());
	int status;

	if (!pid) {
		tap_forget();
		_exit(-vfio_map(&r->c, va, RIG_IOVA + n * MEM_PAGE, MEM_PAGE));
	}
	must_sys(waitpid(pid, &status, 0));
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

static void check_many(void)
{
	void *va = mem_anon(MEM_PAGE);
	unsigned int n = 0;
	struct rig r;
	int err;

	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	do
		err = map_as(&r, va, n++);
	while (!err && n <= PROCESSES);
	tap_errno_is(err, -ENOSPC, "a process too many maps memory");
	tap_is(n - 1, PROCESSES, "those before it could");
	must(vfio_unmap(&r.c, RIG_IOVA, MEM_PAGE));
	tap_errno_is(map_as(&r, va, n), 0, "the memory of one is unmapped: one more can map");
	must(vfio_unmap_flags(&r.c, RIG_IOVA, 2 * PROCESSES * MEM_PAGE, 0, NULL));
	tap_errno_is(map_as(&r, va, 0), 0, "unmapped all");
	rig_clean(&r);
	rig_close(&r);
	mem_unmap(va, MEM_PAGE);
	rig_balanced();
}

int main(void)
{
	rig_backend_only();
	rig_load("devices=1 engines=2", "");
	check_life();
	check_end(BY_FAULT, BY_KILL, "killed while a fault waits");
	check_end(BY_PREFAULT, BY_KILL, "killed while a request waits");
	check_end(BY_FAULT, BY_EXIT, "exit while a fault waits");
	check_end(BY_FAULT, BY_EXEC, "exec while a fault waits");
	check_end(BY_FAULT, BY_NOBODY, "each thread ends by itself while a fault waits");
	check_pause(BY_STOP, "stopped while a fault waits");
	check_pause(BY_FREEZE, "frozen while a fault waits");
	check_limit();
	check_shared();
	check_many();
	tap_errno_is(rig_unload(), 0, "the modules can be unloaded");
	return tap_done();
}
