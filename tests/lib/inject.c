// SPDX-License-Identifier: GPL-2.0-only
/*
 * Injected faults: see inject.h. The kernel's fail-nth counts all calls that can fail by injection:
 * allocations of slabs and pages, and copies to and from user space.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "inject.h"
#include "mem.h"
#include "tap.h"

#define NTH	"/proc/thread-self/fail-nth"

static int inject_fd = -1;

static void setting(const char *fault, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", fault, name);
	must(mem_write_file(path, "%s", value));
}

bool inject_begin(void)
{
	if (access(NTH, F_OK) || access("/sys/kernel/debug/failslab", F_OK))
		return false;
	/* Allocations that may wait fail too. Print nothing, since that is a complaint. */
	setting("failslab", "ignore-gfp-wait", "N");
	setting("failslab", "verbose", "0");
	setting("fail_page_alloc", "ignore-gfp-wait", "N");
	setting("fail_page_alloc", "verbose", "0");
	setting("fail_usercopy", "verbose", "0");
	if (inject_fd < 0)
		inject_fd = must_sys(open(NTH, O_RDWR | O_CLOEXEC));
	return true;
}

void inject_nth(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	must_sys(pwrite(inject_fd, text, (size_t)len, 0));
}

bool inject_end(void)
{
	char text[16] = "";

	/* This read counts as well. If it fails, no earlier call has failed. */
	if (pread(inject_fd, text, sizeof(text) - 1, 0) < 0)
		return false;
	if (!atoi(text))
		return true;
	/* The write may be the call that fails. Then write again. */
	while (pwrite(inject_fd, "0", 1, 0) < 0)
		;
	return false;
}
