// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of a side's process: see place.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mem.h"
#include "place.h"
#include "tap.h"

#define EOF_LEN		0x4000ull

static const struct {
	const char *name;
	uint64_t va;
	uint64_t len;
} places[] = {
	{ "ram", VA_RAM, RAM_LEN },
	{ "mix-end", VA_MIX_END, 0x6000 },
	{ "mix-none", VA_MIX_NONE, 0x2000 },
	{ "mix-ro", VA_MIX_RO, 0x2000 },
	{ "mix-hole", VA_MIX_HOLE, 0x2000 },
	{ "mix", VA_MIX, 0x4000 },
	{ "read-only", VA_RO, PART_LEN },
	{ "prot-none", VA_NONE, PART_LEN },
	{ "hole", VA_HOLE, PART_LEN },
	{ "memfd", VA_FILE, PART_LEN },
	{ "memfd-alias", VA_ALIAS, PART_LEN },
	{ "end-of-file", VA_EOF, PART_LEN },
	{ "secretmem", VA_SECRET, PART_LEN },
	{ "disk-file", VA_DISK, PART_LEN },
	{ "bar", VA_BAR, PART_LEN },
	{ "hugetlb", VA_HUGE, MEM_HUGE },
	{ "write-only", VA_WO, PART_LEN },
	{ "gone", VA_GONE, PART_LEN },
	{ "poison", VA_POISON, PART_LEN },
	{ "dax", VA_DAX, PART_LEN },
	{ "dax-read-only", VA_DAX_RO, PART_LEN },
};

static bool have_secret, have_disk, have_huge, have_dax, have_poison;

static void *at(uint64_t va)
{
	return (void *)(uintptr_t)va;
}

static void map_at(uint64_t va, uint64_t len, int prot, int flags, int fd)
{
	void *got = mmap(at(va), len, prot, flags | MAP_FIXED_NOREPLACE, fd, 0);

	must_be(got == at(va));
}

static void anon_at(uint64_t va, uint64_t len, int prot)
{
	map_at(va, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	must_sys(madvise(at(va), len, MADV_NOHUGEPAGE));
	if (prot == (PROT_READ | PROT_WRITE))
		return;
	memset(at(va), 0x5a, len);
	must_sys(mprotect(at(va), len, prot));
}

/* A memfd of @size bytes, mapped at @va and, if given, at @again. */
static void memfd_at(uint64_t va, uint64_t len, uint64_t size, uint64_t again, int again_prot)
{
	int fd = must_sys(memfd_create("conform", MFD_CLOEXEC));

	must_sys(ftruncate(fd, (off_t)size));
	map_at(va, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	if (again)
		map_at(again, len, again_prot, MAP_SHARED, fd);
	close(fd);
}

static void mix(void)
{
	anon_at(VA_MIX, PART_LEN, PROT_READ | PROT_WRITE);
	memset(at(VA_MIX), 0x5a, PART_LEN);
	must_sys(munmap(at(VA_MIX_HOLE), VA_MIX_RO - VA_MIX_HOLE));
	must_sys(mprotect(at(VA_MIX_RO), VA_MIX_NONE - VA_MIX_RO, PROT_READ));
	must_sys(mprotect(at(VA_MIX_NONE), VA_MIX_END - VA_MIX_NONE, PROT_NONE));
}

static void secret(void)
{
	int fd = (int)syscall(SYS_memfd_secret, 0);

	if (fd < 0)
		return;
	must_sys(ftruncate(fd, (off_t)PART_LEN));
	/* Secret memory is locked memory, and the limit may not allow that. */
	have_secret = mmap(at(VA_SECRET), PART_LEN, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0) == at(VA_SECRET);
	close(fd);
}

/* A file in @dir, mapped at @va and, if given, at @again for reading. */
static bool file_at(const char *dir, uint64_t va, uint64_t again)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/conform.%d", dir, getpid());
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	must_sys(ftruncate(fd, (off_t)PART_LEN));
	unlink(path);
	map_at(va, PART_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	if (again)
		map_at(again, PART_LEN, PROT_READ, MAP_SHARED, fd);
	close(fd);
	return true;
}

static void huge(void)
{
	void *va = mem_hugetlb(MEM_HUGE, false);

	have_huge = va && mremap(va, MEM_HUGE, MEM_HUGE, MREMAP_MAYMOVE | MREMAP_FIXED,
				 at(VA_HUGE)) == at(VA_HUGE);
}

/* Who loses memory is told by a signal. */
static void on_loss(int number)
{
	(void)number;
}

static void poison(void)
{
	anon_at(VA_POISON, PART_LEN, PROT_READ | PROT_WRITE);
	memset(at(VA_POISON), 0x5a, PART_LEN);
	must_be(signal(SIGBUS, on_loss) != SIG_ERR);
	have_poison = !madvise(at(VA_POISON), MEM_PAGE, MADV_HWPOISON);
	must_be(signal(SIGBUS, SIG_DFL) != SIG_ERR);
}

void place_again(void)
{
	munmap(at(VA_GONE), PART_LEN);
	anon_at(VA_GONE, PART_LEN, PROT_READ | PROT_WRITE);
}

void place_all(void)
{
	anon_at(VA_RAM, RAM_LEN, PROT_READ | PROT_WRITE);
	mix();
	anon_at(VA_RO, PART_LEN, PROT_READ);
	anon_at(VA_NONE, PART_LEN, PROT_NONE);
	anon_at(VA_WO, PART_LEN, PROT_WRITE);
	place_again();
	memfd_at(VA_FILE, PART_LEN, PART_LEN, VA_ALIAS, PROT_READ | PROT_WRITE);
	memfd_at(VA_EOF, PART_LEN, EOF_LEN, 0, 0);
	memfd_at(VA_ARG, ARG_LEN, ARG_LEN, VA_ARG_RO, PROT_READ);
	memfd_at(VA_BM, BM_PAGE, BM_PAGE, VA_BM_RO, PROT_READ);
	secret();
	have_disk = file_at("/mnt", VA_DISK, 0);
	have_dax = file_at("/dax", VA_DAX, VA_DAX_RO);
	huge();
	poison();
}

bool place_there(uint64_t va)
{
	switch (va) {
	case VA_SECRET:
		return have_secret;
	case VA_DISK:
		return have_disk;
	case VA_HUGE:
		return have_huge;
	case VA_POISON:
		return have_poison;
	case VA_DAX:
	case VA_DAX_RO:
		return have_dax;
	}
	return true;
}

static bool inside(uint64_t va, uint64_t size, uint64_t place)
{
	return va >= place && va - place < PART_LEN && size <= PART_LEN - (va - place);
}

bool place_later(uint64_t va, uint64_t size, bool write)
{
	return (write && inside(va, size, VA_DISK)) || inside(va, size, VA_DAX) ||
	       inside(va, size, VA_POISON) ||
	       (!write && inside(va, size, VA_DAX_RO)) ||
	       (inside(va, size, VA_EOF) && va + size > VA_EOF + EOF_LEN);
}

int place_pinning(uint64_t va)
{
	return inside(va, 0, VA_DAX) || inside(va, 0, VA_DAX_RO) ? -EOPNOTSUPP : -EFAULT;
}

void place_print(char *text, size_t len, uint64_t va)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		uint64_t off = va - places[i].va;

		if (va < places[i].va || off >= places[i].len)
			continue;
		if (off)
			snprintf(text, len, "%s+0x%llx", places[i].name, (unsigned long long)off);
		else
			snprintf(text, len, "%s", places[i].name);
		return;
	}
	snprintf(text, len, "0x%llx", (unsigned long long)va);
}
