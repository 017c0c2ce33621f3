// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory for tests: see mem.h.
 *
 * The memory cgroup: cgroup v2 does not move the charge of memory with a process. So the process
 * joins its cgroup at the first mapping, before it touches the memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "mem.h"
#include "tap.h"

#define MEM_PRESSURE_SECONDS	10

#define CGROUP_MINE	CGROUP_ROOT "/iopf-test"

#define PAGEMAP_PRESENT	(1ull << 63)
#define PAGEMAP_SWAPPED	(1ull << 62)
#define PAGEMAP_PFN	((1ull << 55) - 1)

int mem_write_file(const char *path, const char *fmt, ...)
{
	char text[256];
	va_list args;
	ssize_t n;
	int fd, err = 0;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	must_be(n < (ssize_t)sizeof(text));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	if (n < 0)
		err = -errno;
	close(fd);
	return err;
}

static int mem_cgroup_join(void)
{
	static int joined = 1;

	if (joined <= 0)
		return joined;
	if (access(CGROUP_ROOT "/cgroup.controllers", R_OK) &&
	    mount("cgroup2", CGROUP_ROOT, "cgroup2", 0, NULL))
		return joined = -errno;
	joined = mem_write_file(CGROUP_ROOT "/cgroup.subtree_control", "+memory");
	if (joined)
		return joined;
	if (mkdir(CGROUP_MINE, 0755) && errno != EEXIST)
		return joined = -errno;
	return joined = mem_write_file(CGROUP_MINE "/cgroup.procs", "0");
}

static void *mem_map(void *at, size_t len, int prot, int flags, int fd)
{
	void *va;

	/* Without a memory controller only mem_pressure() fails, and returns an error. */
	(void)mem_cgroup_join();
	va = mmap(at, len, prot, flags, fd, 0);
	if (va == MAP_FAILED)
		tap_bail("mmap of %zu bytes: %s", len, strerror(errno));
	return va;
}

void *mem_anon(size_t len)
{
	void *va = mem_map(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	must_sys(madvise(va, len, MADV_NOHUGEPAGE));
	return va;
}

void *mem_shared_anon(size_t len)
{
	return mem_map(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
}

void *mem_aligned(size_t len, size_t align)
{
	uintptr_t start, want;

	start = (uintptr_t)mem_map(NULL, len + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	want = (start + align - 1) / align * align;
	if (want > start)
		mem_unmap((void *)start, want - start);
	if (start + align > want)
		mem_unmap((void *)(want + len), start + align - want);
	return (void *)want;
}

void *mem_thp(size_t len)
{
	void *va = mem_aligned(len, MEM_HUGE);

	va = mem_map(va, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1);
	must_sys(madvise(va, len, MADV_HUGEPAGE));
	return va;
}

void *mem_memfd(size_t len, int *fd)
{
	*fd = must_sys(memfd_create("iopf-test", MFD_CLOEXEC));
	must_sys(ftruncate(*fd, (off_t)len));
	return mem_map(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, *fd);
}

void *mem_hugetlb(size_t len, bool shared)
{
	static const char pool[] = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
	size_t pages = (len + MEM_HUGE - 1) / MEM_HUGE;
	void *va;

	if (mem_info_kb("HugePages_Free") < pages)
		(void)mem_write_file(pool, "%zu", mem_info_kb("HugePages_Total") -
				     mem_info_kb("HugePages_Free") + pages);
	va = mmap(NULL, len, PROT_READ | PROT_WRITE,
		  (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	return va == MAP_FAILED ? NULL : va;
}

void *mem_file(const char *path, size_t len, bool shared, bool create, int *fd)
{
	*fd = must_sys(open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_TRUNC : 0), 0600));
	if (create) {
		static const char zeros[65536];
		size_t done = 0;

		/* Allocate blocks, so that a write fault need not allocate any. */
		while (done < len) {
			size_t n = len - done < sizeof(zeros) ? len - done : sizeof(zeros);

			done += (size_t)must_sys(write(*fd, zeros, n));
		}
	}
	return mem_map(NULL, len, PROT_READ | PROT_WRITE, shared ? MAP_SHARED : MAP_PRIVATE, *fd);
}

void mem_unmap(void *va, size_t len)
{
	must_sys(munmap(va, len));
}

void mem_drop(void *va, size_t len)
{
	must_sys(madvise(va, len, MADV_DONTNEED));
}

void mem_punch(int fd, off_t off, size_t len)
{
	must_sys(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, (off_t)len));
}

#define PAGEMAP_BATCH	512

static size_t mem_pagemap_count(const void *va, size_t len, uint64_t bit)
{
	size_t page = (uintptr_t)va / MEM_PAGE, left = len / MEM_PAGE, count = 0, i;
	uint64_t entries[PAGEMAP_BATCH];
	int fd;

	fd = must_sys(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	while (left) {
		size_t n = left < PAGEMAP_BATCH ? left : PAGEMAP_BATCH;
		ssize_t got = must_sys(pread(fd, entries, n * 8, (off_t)(page * 8)));

		if (got <= 0 || got % 8)
			tap_bail("pagemap: short read");
		n = (size_t)got / 8;
		for (i = 0; i < n; i++)
			count += (entries[i] & bit) != 0;
		page += n;
		left -= n;
	}
	close(fd);
	return count;
}

size_t mem_resident(const void *va, size_t len)
{
	return mem_pagemap_count(va, len, PAGEMAP_PRESENT);
}

size_t mem_swapped(const void *va, size_t len)
{
	return mem_pagemap_count(va, len, PAGEMAP_SWAPPED);
}

uint64_t mem_pfn(const void *va)
{
	uint64_t entry = 0;
	int fd;

	fd = must_sys(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	must_sys(pread(fd, &entry, 8, (off_t)((uintptr_t)va / MEM_PAGE * 8)));
	close(fd);
	return entry & PAGEMAP_PRESENT ? entry & PAGEMAP_PFN : 0;
}

size_t mem_incore(const void *va, size_t len)
{
	unsigned char vec[PAGEMAP_BATCH];
	size_t done, count = 0, i;

	for (done = 0; done < len; done += PAGEMAP_BATCH * MEM_PAGE) {
		size_t n = len - done;

		if (n > PAGEMAP_BATCH * MEM_PAGE)
			n = PAGEMAP_BATCH * MEM_PAGE;
		must_sys(mincore((char *)va + done, n, vec));
		for (i = 0; i < n / MEM_PAGE; i++)
			count += vec[i] & 1;
	}
	return count;
}

/* Return the value of a line "Field:  123 kB"; -1: @line is of another field. */
static long mem_field(const char *line, const char *field)
{
	size_t n = strlen(field);

	if (strncmp(line, field, n) || line[n] != ':')
		return -1;
	return atol(line + n + 1);
}

size_t mem_smaps_kb(const void *va, size_t len, const char *field)
{
	unsigned long start, end, from = (uintptr_t)va, to = from + len;
	bool inside = false;
	size_t sum = 0;
	char line[512];
	FILE *f;

	f = fopen("/proc/self/smaps", "re");
	if (!f)
		tap_bail("smaps: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
			inside = start >= from && end <= to;
		} else if (inside) {
			long kb = mem_field(line, field);

			if (kb > 0)
				sum += (size_t)kb;
		}
	}
	fclose(f);
	return sum;
}

size_t mem_huge_kb(const void *va, size_t len)
{
	return mem_smaps_kb(va, len, "AnonHugePages") + mem_smaps_kb(va, len, "ShmemPmdMapped") +
	       mem_smaps_kb(va, len, "FilePmdMapped");
}

static size_t mem_file_field(const char *path, const char *field)
{
	char line[512];
	long value = -1;
	FILE *f;

	f = fopen(path, "re");
	if (!f)
		tap_bail("%s: %s", path, strerror(errno));
	while (value < 0 && fgets(line, sizeof(line), f))
		value = mem_field(line, field);
	fclose(f);
	return value < 0 ? 0 : (size_t)value;
}

size_t mem_status_kb(pid_t pid, const char *field)
{
	char path[64];

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/status", pid);
	else
		snprintf(path, sizeof(path), "/proc/self/status");
	return mem_file_field(path, field);
}

size_t mem_info_kb(const char *field)
{
	return mem_file_field("/proc/meminfo", field);
}

size_t mem_cgroup_stat(const char *field)
{
	unsigned long long value, found = 0;
	char path[512], line[256], name[64];
	FILE *f = fopen("/proc/self/cgroup", "r");

	must_be(f && fgets(line, sizeof(line), f) && !strncmp(line, "0::", 3));
	fclose(f);
	line[strcspn(line, "\n")] = 0;
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.stat", line + 3);
	f = fopen(path, "r");
	must_be(f);
	while (fscanf(f, "%63s %llu", name, &value) == 2)
		if (!strcmp(name, field))
			found = value;
	fclose(f);
	return found;
}

uint64_t mem_vmstat(const char *field)
{
	unsigned long long value = 0;
	char line[256], name[128];
	FILE *f;

	f = fopen("/proc/vmstat", "re");
	if (!f)
		tap_bail("vmstat: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%127s %llu", name, &value) == 2 && !strcmp(name, field))
			break;
		value = 0;
	}
	fclose(f);
	return value;
}

bool mem_have_swap(void)
{
	return mem_info_kb("SwapTotal") > 0;
}

bool mem_swap_is_disk(void)
{
	bool disk = false;
	char line[256];
	FILE *f;

	f = fopen("/proc/swaps", "re");
	if (!f)
		return false;
	/* The first line is a heading. */
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, "zram"))
			disk = false;
		else if (line[0] == '/')
			disk = true;
		if (strstr(line, "zram"))
			break;
	}
	fclose(f);
	return disk;
}

/* A handler that does nothing: the signal interrupts a system call. */
static void mem_interrupt(int signal)
{
	(void)signal;
}

struct mem_presser {
	size_t bytes;
	int err;
};

static void *mem_press(void *arg)
{
	struct mem_presser *p = arg;

	/*
	 * memory.reclaim, not memory.high, which also makes tasks sleep that allocate above it.
	 * -EAGAIN: the kernel reclaimed less.
	 */
	p->err = mem_write_file(CGROUP_MINE "/memory.reclaim", "%zu", p->bytes);
	return NULL;
}

/*
 * The kernel continues as long as it makes progress. With DMA that may be minutes, so a signal
 * interrupts it.
 */
int mem_pressure(size_t bytes)
{
	struct mem_presser p = { .bytes = bytes };
	struct sigaction act = { .sa_handler = mem_interrupt };
	struct timespec until;
	pthread_t thread;
	int err;

	err = mem_cgroup_join();
	if (err)
		return err;
	must_sys(sigaction(SIGURG, &act, NULL));
	must_be(!pthread_create(&thread, NULL, mem_press, &p));
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += MEM_PRESSURE_SECONDS;
	while (pthread_timedjoin_np(thread, NULL, &until)) {
		pthread_kill(thread, SIGURG);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
	}
	return p.err == -EAGAIN || p.err == -EINTR ? 0 : p.err;
}

#define SWAP_OUT_ROUNDS	30

/*
 * A swap entry in the page table is not enough: the page may still be in the swap cache. Then a
 * fault would get the same page, and a test could not notice lost writes. mincore(2) also looks
 * into the swap cache.
 */
size_t mem_swap_out(void *va, size_t len)
{
	size_t pages = len / MEM_PAGE, gone = 0, before;
	unsigned int round;

	for (round = 0; round < SWAP_OUT_ROUNDS && gone < pages; round++) {
		before = gone;
		must_sys(madvise(va, len, MADV_PAGEOUT));
		if (round)
			must(mem_pressure((pages - gone) * MEM_PAGE));
		gone = pages - mem_incore(va, len);
		/* Pages under writeback cannot be freed yet. */
		if (gone < pages)
			usleep(2000);
		if (round > 10 && gone == before)
			break;
	}
	return gone;
}

int mem_age(void)
{
	static const char path[] = "/sys/kernel/debug/lru_gen";
	unsigned long memcg = 0, node = 0, gen = 0, value;
	FILE *f = fopen(path, "r");
	char line[512], kind[16];
	bool any = false;
	int err = 0;

	if (!f)
		return -ENOENT;
	/* "memcg N path", " node N", then a line for each generation: the last is the youngest. */
	while (!err) {
		bool more = fgets(line, sizeof(line), f);
		bool head = more && sscanf(line, " %15[a-z] %lu", kind, &value) == 2;

		if (any && (head || !more)) {
			err = mem_write_file(path, "+ %lu %lu %lu 1 1", memcg, node, gen);
			any = false;
		}
		if (!more)
			break;
		if (head && !strcmp(kind, "memcg"))
			memcg = value;
		else if (head)
			node = value;
		else
			any |= sscanf(line, "%lu", &gen) == 1;
	}
	fclose(f);
	return err;
}

void mem_keep_still(void)
{
	int err = mem_write_file("/proc/sys/kernel/numa_balancing", "0");

	must_be(!err || err == -ENOENT);
}

void mem_sync_drop_caches(void)
{
	sync();
	must(mem_write_file("/proc/sys/vm/drop_caches", "3"));
}
