// SPDX-License-Identifier: GPL-2.0-only
/*
 * Host: see host.h. How long tasks ran is in /proc/schedstat: of each CPU's line the seventh
 * number.
 */
#include "host.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "figures.h"
#include "mem.h"
#include "tap.h"

#define HOST_STORE	"/dev/nullb0"	/* the name the kernel gives the first of its kind */

static uint64_t host_busy_ns(void)
{
	unsigned long long ran, sum = 0;
	char line[512];
	FILE *f = fopen("/proc/schedstat", "re");

	if (!f)
		tap_bail("/proc/schedstat: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "cpu%*u %*u %*u %*u %*u %*u %*u %llu", &ran) == 1)
			sum += ran;
	}
	fclose(f);
	if (!sum)
		tap_bail("/proc/schedstat does not tell how long tasks ran");
	return sum;
}

void host_look(struct host *h)
{
	h->ns = now_ns();
	h->busy_ns = host_busy_ns();
	h->swapped_in = mem_vmstat("pswpin");
	h->swapped_out = mem_vmstat("pswpout");
}

void host_store_fill(unsigned int mib)
{
	int fd = must_sys(open(HOST_STORE, O_WRONLY | O_DIRECT | O_CLOEXEC));
	char *block = mem_anon(MiB);

	memset(block, 0, MiB);
	for (unsigned int i = 0; i < mib; i++)
		must_be(write(fd, block, MiB) == MiB);
	close(fd);
	mem_unmap(block, MiB);
}

void host_swap_on(unsigned int mib)
{
	char command[128];
	int status;

	snprintf(command, sizeof(command), "mkswap %s %u >/dev/null && swapon %s", HOST_STORE,
		 mib * 1024, HOST_STORE);
	status = system(command);
	if (status)
		tap_bail("%s: status 0x%x", command, status);
}
