// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that are being migrated: see holder.h. kmod/test/holder.c is the module.
 */
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "holder.h"
#include "knob.h"
#include "mem.h"
#include "simdev.h"
#include "tap.h"

#define DIR	"/sys/kernel/debug/iopf_holder"
#define PAGES	(HOLDER_MAX / MEM_PAGE)

void holder_load(void)
{
	must_be(!system("insmod /iopf/modules/iopf_holder.ko"));
}

void holder_unload(void)
{
	tap_is((unsigned int)system("rmmod iopf_holder"), 0, "the holder goes");
}

static void *move(void *arg)
{
	int node[PAGES], status[PAGES];
	struct holder *h = arg;
	void *pages[PAGES];
	unsigned int n = h->len / MEM_PAGE;

	for (unsigned int i = 0; i < n; i++)
		pages[i] = (char *)h->va + i * MEM_PAGE;
	must_sys(syscall(SYS_move_pages, 0, n, pages, NULL, node, 0));
	for (unsigned int i = 0; i < n; i++)
		node[i] = !node[i];
	must_sys(syscall(SYS_move_pages, 0, n, pages, node, status, MPOL_MF_MOVE));
	return NULL;
}

void holder_hold(struct holder *h, void *va, size_t len)
{
	unsigned int spins = 0;
	uint64_t before, held;

	must_be(len <= HOLDER_MAX);
	*h = (struct holder){ .va = va, .len = len };
	must(knob_read_try(&before, DIR "/held"));
	must(knob_write_try((uint64_t)getpid(), DIR "/process"));
	must_be(!pthread_create(&h->thread, NULL, move, h));
	do {
		sim_nap(&spins);
		must(knob_read_try(&held, DIR "/held"));
	} while (held == before);
}

void holder_release(struct holder *h)
{
	must(knob_write_try(0, DIR "/process"));
	pthread_join(h->thread, NULL);
}
