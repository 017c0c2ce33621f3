// SPDX-License-Identifier: GPL-2.0-only
/*
 * Providing the pages of a userfaultfd: see provider.h.
 */
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"
#include "provider.h"
#include "tap.h"
#include "uffd.h"

static void provide(struct provider *p, const struct uffd_msg *msg)
{
	uint64_t at = msg->arg.pagefault.address & ~(MEM_PAGE - 1);
	struct simbuf page = { aligned_alloc(MEM_PAGE, MEM_PAGE), 0, MEM_PAGE };
	size_t off = at - (uintptr_t)p->b.va, i;

	for (i = 0; i < MEM_PAGE; i += 8)
		((uint64_t *)page.va)[i / 8] = iopf_sim_word(p->seed, off + i);
	if (!uffd_give(p->uffd, at, page.va, MEM_PAGE))
		__atomic_add_fetch(&p->provided, 1, __ATOMIC_RELAXED);
	free(page.va);
}

static void *provider(void *arg)
{
	struct provider *p = arg;
	struct pollfd fds[2] = { { p->uffd, POLLIN, 0 }, { p->stop[0], POLLIN, 0 } };

	for (;;) {
		struct uffd_msg msg;
		unsigned int spins = 0;

		must_sys(poll(fds, 2, -1));
		if (fds[1].revents)
			return NULL;
		while (__atomic_load_n(&p->hold, __ATOMIC_ACQUIRE))
			sim_nap(&spins);
		if (read(p->uffd, &msg, sizeof(msg)) == sizeof(msg) &&
		    msg.event == UFFD_EVENT_PAGEFAULT)
			provide(p, &msg);
	}
}

void provider_open(struct provider *p, const struct simbuf *b, uint64_t seed)
{
	memset(p, 0, sizeof(*p));
	p->b = *b;
	p->seed = seed;
	p->uffd = uffd_missing(b->va, b->len);
	must_sys(pipe(p->stop));
}

void provider_start(struct provider *p, bool hold)
{
	p->hold = hold;
	must_be(!pthread_create(&p->thread, NULL, provider, p));
}

void provider_hold(struct provider *p)
{
	__atomic_store_n(&p->hold, true, __ATOMIC_RELEASE);
}

void provider_release(struct provider *p)
{
	__atomic_store_n(&p->hold, false, __ATOMIC_RELEASE);
}

unsigned long provider_provided(struct provider *p, unsigned long pages)
{
	unsigned int spins = 0;

	/* The device may get a page before the thread counts it. */
	while (__atomic_load_n(&p->provided, __ATOMIC_RELAXED) < pages && spins < 10000)
		sim_nap(&spins);
	return __atomic_load_n(&p->provided, __ATOMIC_RELAXED);
}

void provider_stop(struct provider *p)
{
	provider_release(p);
	must_sys(write(p->stop[1], "", 1));
	pthread_join(p->thread, NULL);
	close(p->uffd);
	close(p->stop[0]);
	close(p->stop[1]);
}
