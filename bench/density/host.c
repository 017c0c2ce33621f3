// SPDX-License-Identifier: GPL-2.0-only
/* Host: see host.h. */
#include "host.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../ran.h"
#include "figures.h"
#include "knob.h"
#include "mem.h"
#include "tap.h"

#define HOST_STORE	"/dev/nullb0"	/* the kernel's name of the first null_blk device */

/* Names of the counters, and the fields of /proc/vmstat of which they are the sum. */
static const struct {
	const char *name;
	const char *field[2];
} counts[HOST_COUNTS] = {
	[HOST_SWAPPED_IN] = { "swapped_in", { "pswpin" } },
	[HOST_SWAPPED_OUT] = { "swapped_out", { "pswpout" } },
	[HOST_REFAULTED] = { "refaulted", { "workingset_refault_anon" } },
	[HOST_SCANNED] = { "scanned", { "pgscan_kswapd", "pgscan_direct" } },
	[HOST_WAITED] = { "waited", { "pgscan_direct" } },
	[HOST_STOLEN] = { "stolen", { "pgsteal_kswapd", "pgsteal_direct" } },
	[HOST_MAJOR] = { "major", { "pgmajfault" } },
	[HOST_READ_AHEAD] = { "read_ahead", { "swap_ra" } },
	[HOST_READ_AHEAD_USED] = { "read_ahead_used", { "swap_ra_hit" } },
};

void host_look(struct host *h)
{
	h->ns = now_ns();
	h->busy_ns = ran_ns();
	h->unmaps = sim_iommu_count("unmaps");
	for (unsigned int i = 0; i < HOST_COUNTS; i++) {
		h->count[i] = 0;
		for (unsigned int j = 0; j < ARRAY_SIZE(counts[i].field) && counts[i].field[j]; j++)
			h->count[i] += mem_vmstat(counts[i].field[j]);
	}
}

const char *host_count_name(enum host_count count)
{
	return counts[count].name;
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
