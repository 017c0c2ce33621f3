// SPDX-License-Identifier: GPL-2.0-only
/*
 * userfaultfd: the device faults on a missing page, a thread of the process provides it. What
 * post-copy migration and lazy restore stand on.
 *
 * vm: --mem 1024
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rig.h"

#define LEN	(4 * MiB)
#define SEED	1

/**
 * struct provider - the thread that provides pages
 * @uffd: userfaultfd
 * @b: the memory
 * @provided: pages provided so far
 * @hold: provide nothing while set
 * @stop: a pipe; readable when it is time to go
 */
struct provider {
	int uffd;
	struct simbuf b;
	unsigned long provided;
	bool hold;
	int stop[2];
};

static void provide(struct provider *p, const struct uffd_msg *msg)
{
	uint64_t at = msg->arg.pagefault.address & ~(MEM_PAGE - 1);
	struct simbuf page = { aligned_alloc(MEM_PAGE, MEM_PAGE), 0, MEM_PAGE };
	size_t off = at - (uintptr_t)p->b.va, i;
	struct uffdio_copy copy = { .dst = at, .len = MEM_PAGE };

	for (i = 0; i < MEM_PAGE; i += 8)
		((uint64_t *)page.va)[i / 8] = iopf_sim_word(SEED, off + i);
	copy.src = (uintptr_t)page.va;
	if (!ioctl(p->uffd, UFFDIO_COPY, &copy))
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

/* Wait for the thread to have counted what the device has already been given. */
static void provided(struct provider *p, unsigned long pages)
{
	unsigned int spins = 0;

	while (__atomic_load_n(&p->provided, __ATOMIC_RELAXED) < pages && spins < 10000)
		sim_nap(&spins);
}

static void provider_open(struct provider *p, const struct simbuf *b)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)b->va, b->len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = { .api = UFFD_API };

	memset(p, 0, sizeof(*p));
	p->b = *b;
	p->uffd = (int)must_sys(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
	must_sys(ioctl(p->uffd, UFFDIO_API, &api));
	must_sys(ioctl(p->uffd, UFFDIO_REGISTER, &reg));
	must_sys(pipe(p->stop));
}

static void check_kind(struct rig *r, void *va, const char *kind)
{
	struct simbuf b = { va, RIG_IOVA, LEN };
	struct iopf_sim_cmd cmd;
	struct provider p;
	pthread_t thread;

	tap_diag("%s", kind);
	provider_open(&p, &b);
	rig_map(r, &b);
	must_be(!pthread_create(&thread, NULL, provider, &p));

	rig_status_is(sim_verify(&r->sim[0], &b, 0, LEN / 2, SEED, NULL), IOPF_SIM_ST_OK,
		      "the device reads what the thread provides");
	provided(&p, LEN / 2 / MEM_PAGE);
	tap_is(p.provided, LEN / 2 / MEM_PAGE, "each page was provided once");

	cmd = sim_cmd(IOPF_SIM_OP_WRITE, &b, LEN / 2, LEN / 2, SEED + 1);
	cmd.prg_depth = 8;
	rig_status_is(sim_run(&r->sim[0], &cmd, NULL), IOPF_SIM_ST_OK,
		      "the device writes over what the thread provides, 8 groups deep");
	provided(&p, LEN / MEM_PAGE);
	tap_is(p.provided, LEN / MEM_PAGE, "each page was provided once");
	tap_is(simbuf_differs(&b, 0, LEN / 2, SEED) +
	       simbuf_differs(&b, LEN / 2, LEN / 2, SEED + 1), 0, "every byte is right");

	must_sys(write(p.stop[1], "", 1));
	pthread_join(thread, NULL);
	close(p.uffd);
	rig_both_ways(&r->sim[0], &b, 3, "after userfaultfd");
	rig_unmap(r, &b);
	mem_unmap(va, LEN);
}

/* While a page is not provided nobody else waits: other memory, other devices, reset, unmap. */
static void check_held(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct simbuf other = { mem_anon(LEN), RIG_IOVA + LEN, LEN };
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_VERIFY, &b, 0, LEN, SEED);
	uint64_t groups = sim_count(r->vfio[0].bdf, "groups");
	unsigned int spins = 0;
	struct iopf_sim_cpl cpl;
	struct provider p;
	pthread_t thread;

	provider_open(&p, &b);
	rig_map(r, &b);
	rig_map(r, &other);
	p.hold = true;
	must_be(!pthread_create(&thread, NULL, provider, &p));
	sim_start(&r->sim[0], &cmd);
	while (sim_count(r->vfio[0].bdf, "groups") == groups)
		sim_nap(&spins);
	rig_both_ways(&r->sim[1], &other, 5, "another device works meanwhile");
	rig_unmap(r, &other);
	tap_ok(!sim_poll(&r->sim[0], &cpl), "the first one still waits");
	__atomic_store_n(&p.hold, false, __ATOMIC_RELEASE);
	sim_wait(&r->sim[0], &cpl);
	rig_status_is(cpl.status, IOPF_SIM_ST_OK, "and gets its page in the end");

	/* Reset and unmap while the page is held back: neither may wait for it. */
	must_sys(madvise(b.va, LEN, MADV_DONTNEED));
	p.hold = true;
	groups = sim_count(r->vfio[0].bdf, "groups");
	sim_start(&r->sim[0], &cmd);
	spins = 0;
	while (sim_count(r->vfio[0].bdf, "groups") == groups)
		sim_nap(&spins);
	tap_errno_is(vfio_reset(&r->vfio[0]), 0, "reset does not wait for user space");
	tap_errno_is(vfio_unmap(&r->c, b.iova, LEN), 0, "nor does unmap");
	__atomic_store_n(&p.hold, false, __ATOMIC_RELEASE);
	must_sys(write(p.stop[1], "", 1));
	pthread_join(thread, NULL);
	close(p.uffd);
	must(vfio_bus_master(&r->vfio[0], true));
	must(sim_up(&r->sim[0], &r->vfio[0], NULL));
	rig_map(r, &b);
	rig_both_ways(&r->sim[0], &b, 7, "and again");
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
	mem_unmap(other.va, LEN);
}

/* Detach while a page is held back for ever: the device is closed, the process may exit. */
static void check_detach(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_VERIFY, &b, 0, LEN, SEED);
	uint64_t groups = sim_count(r->vfio[0].bdf, "groups");
	unsigned int spins = 0;
	struct provider p;

	provider_open(&p, &b);
	rig_map(r, &b);
	sim_start(&r->sim[0], &cmd);
	while (sim_count(r->vfio[0].bdf, "groups") == groups)
		sim_nap(&spins);
	vfio_dev_put(&r->vfio[0]);
	tap_errno_is(vfio_dev_detach(&r->vfio[0]), 0, "detach does not wait for user space");
	rig_close(r);
	rig_balanced();
	close(p.uffd);
	mem_unmap(b.va, LEN);
}

int main(void)
{
	struct rig r;
	int fd;

	rig_backend_only();
	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	check_kind(&r, mem_anon(LEN), "anonymous");
	check_kind(&r, mem_memfd(LEN, &fd), "shmem");
	check_held(&r);
	rig_clean(&r);
	check_detach(&r);
	return tap_done();
}
