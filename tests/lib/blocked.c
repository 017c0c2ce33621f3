// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds accesses to memory: see blocked.h. access.c lists the accesses.
 *
 * An ioctl's structure lies across the boundary of two pages, so that its parts are accessed one
 * after the other. Its data follows. A missing page holds the first access to it. A write-protected
 * page holds the first write to it.
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "access.h"
#include "dirty.h"
#include "others.h"
#include "slowfs.h"
#include "blocked.h"
#include "uffd.h"

#define ACCESSES_MAX	64

static struct blocked all_blocked[ACCESSES_MAX];

static size_t access_split(const struct access *a)
{
	return a->split ? a->split : a->size;
}

unsigned int blocked_count(void)
{
	unsigned int nr = 0;

	while (blocked_accesses[nr].what)
		nr++;
	must_be(nr <= ACCESSES_MAX);
	return nr;
}

const char *blocked_name(unsigned int i)
{
	return blocked_accesses[i].what;
}

int blocked_want(unsigned int i)
{
	return blocked_accesses[i].want;
}

bool blocked_reports(unsigned int i)
{
	return blocked_accesses[i].reports;
}

bool blocked_alone(unsigned int i)
{
	return blocked_accesses[i].run;
}

bool blocked_joins(unsigned int i)
{
	return blocked_accesses[i].joins;
}

bool blocked_known(unsigned long cmd)
{
	for (unsigned int i = 0; blocked_accesses[i].what; i++)
		if (blocked_accesses[i].cmd == cmd)
			return true;
	return false;
}

void blocked_open(struct rig *r)
{
	blocked_own = (struct simbuf){ mem_anon(BLOCKED_LEN), RIG_IOVA, BLOCKED_LEN };
	blocked_other = (struct simbuf){ mem_anon(BLOCKED_LEN), OTHER_IOVA, BLOCKED_LEN };
	slowfs_start();
	rig_open(r, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(r, &blocked_own);
	rig_both_ways(&r->sim[0], &blocked_own, 1, "the owner's device");
	must(dirty_track(&r->c, true));
	/* Make the working set non-empty. */
	must_be(sim_read(&r->sim[0], &blocked_own, 0, blocked_own.len, NULL) == IOPF_SIM_ST_OK);
}

void blocked_close(struct rig *r)
{
	must(dirty_track(&r->c, false));
	rig_clean(r);
	rig_unmap(r, &blocked_own);
	rig_close(r);
	slowfs_stop();
	mem_unmap(blocked_own.va, BLOCKED_LEN);
	mem_unmap(blocked_other.va, BLOCKED_LEN);
}

static void *blocked_run(void *arg)
{
	struct blocked *s = arg;
	const struct access *a = s->a;

	while (sem_wait(&s->start))
		;
	if (a->run)
		s->result = a->run(s);
	else if (ioctl(s->r->c.fd, a->cmd, s->page + MEM_PAGE - access_split(a)) < 0)
		s->result = -errno;
	else
		s->result = 0;
	__atomic_store_n(&s->over, true, __ATOMIC_RELEASE);
	return NULL;
}

bool blocked_over(unsigned int i, unsigned int seconds)
{
	for (unsigned int n = 0; n < seconds * 100; n++) {
		if (__atomic_load_n(&all_blocked[i].over, __ATOMIC_ACQUIRE))
			return true;
		usleep(10000);
	}
	return false;
}

static void protect(int uffd, const void *page, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)page, MEM_PAGE },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	must_sys(ioctl(uffd, UFFDIO_WRITEPROTECT, &wp));
}

static bool writes(const struct access *a)
{
	return a->held == OUT || a->held == OUT_TAIL;
}

/* Make the page of the access missing or write-protected, and populate the others. */
static void pages_prepare(struct blocked *s)
{
	unsigned int held = s->a->held == DATA ? 2 :
			    s->a->held == TAIL || s->a->held == OUT_TAIL ? 1 : 0;

	s->uffd = -1;
	s->held = s->page + held * MEM_PAGE;
	for (unsigned int i = 0; i < 4; i++)
		if (i != held || writes(s->a) || s->a->held == PINNED)
			memcpy(s->page + i * MEM_PAGE, s->copy + i * MEM_PAGE, MEM_PAGE);
	if (s->a->held == PINNED)
		return;
	if (writes(s->a)) {
		s->uffd = uffd_open(s->held, MEM_PAGE, 0, UFFDIO_REGISTER_MODE_WP);
		protect(s->uffd, s->held, true);
	} else {
		s->uffd = uffd_missing(s->held, MEM_PAGE);
	}
}

/*
 * While memory is being pinned, the kernel holds mmap_lock, so the process can neither map memory
 * nor fork. So this function maps memory and starts threads before.
 */
void blocked_prepare(struct rig *r, unsigned int i)
{
	const struct access *a = &blocked_accesses[i];
	struct blocked *s = &all_blocked[i];

	others_fork(r);
	*s = (struct blocked){ .a = a, .r = r, .nr = i };
	s->page = mem_anon(4 * MEM_PAGE);
	s->copy = mem_anon(4 * MEM_PAGE);
	if (a->held == PINNED)
		s->mem = slowfs_mem(i, FUSE_LEN);
	a->fill(s, s->copy + MEM_PAGE - access_split(a));
	pages_prepare(s);
	must_be(!sem_init(&s->start, 0, 0));
	must_be(!pthread_create(&s->thread, NULL, blocked_run, s));
}

bool blocked_begin(unsigned int i)
{
	struct blocked *s = &all_blocked[i];

	if (s->a->held == PINNED)
		slowfs_hold();
	must_be(!sem_post(&s->start));
	if (s->a->held == PINNED)
		return slowfs_held();
	return (uffd_asked(s->uffd) & ~(MEM_PAGE - 1)) == (uintptr_t)s->held;
}

void blocked_release(unsigned int i)
{
	struct blocked *s = &all_blocked[i];

	if (s->released)
		return;
	s->released = true;
	if (s->a->held == PINNED)
		slowfs_release();
	else if (writes(s->a))
		protect(s->uffd, s->held, false);
	else
		must(uffd_give(s->uffd, (uintptr_t)s->held, s->copy + (s->held - s->page),
			       MEM_PAGE));
}

int blocked_end(unsigned int i)
{
	struct blocked *s = &all_blocked[i];
	struct rig *r = s->r;

	blocked_release(i);
	pthread_join(s->thread, NULL);
	sem_destroy(&s->start);
	if (s->uffd >= 0)
		close(s->uffd);
	if (s->mem) {
		vfio_unmap(&r->c, access_fuse_iova(s), FUSE_LEN);
		mem_unmap(s->mem, FUSE_LEN);
	}
	vfio_unmap(&r->c, OTHER_IOVA + s->nr * BLOCKED_LEN, MEM_PAGE);
	mem_unmap(s->page, 4 * MEM_PAGE);
	mem_unmap(s->copy, 4 * MEM_PAGE);
	return s->result;
}

bool blocked_others(struct rig *r, unsigned int seconds)
{
	return others_run(r, seconds);
}
