// SPDX-License-Identifier: GPL-2.0-only
/*
 * A shared mapping of a file on a disk: a write of the device reaches the file. It survives
 * write-back, dropped caches, and unmounting.
 *
 * vm: --mem 768 --swap 512 --disk 256
 * also: no5lvl pti numa
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "dma.h"
#include "rig.h"

#define LEN	(4 * MiB)
#define PATH	"/mnt/shared"

/* The device that is mounted on /mnt. */
static void mnt_device(char *dev, size_t size)
{
	char line[512], where[128];
	FILE *f = fopen("/proc/mounts", "re");

	must_be(f);
	dev[0] = 0;
	while (fgets(line, sizeof(line), f)) {
		char name[128];

		if (sscanf(line, "%127s %127s", name, where) == 2 && !strcmp(where, "/mnt"))
			snprintf(dev, size, "%s", name);
	}
	fclose(f);
	if (!dev[0])
		tap_bail("no scratch disk on /mnt: run with --disk");
}

static void file_is(uint64_t seed, const char *what)
{
	struct simbuf file = { malloc(LEN), RIG_IOVA, LEN };
	int fd = must_sys(open(PATH, O_RDONLY));

	must_be(read(fd, file.va, LEN) == (ssize_t)LEN);
	rig_same(&file, seed, what);
	close(fd);
	free(file.va);
}

/* Write, clean, write again: a page that became clean must not take writes unnoticed. */
static void check_write_back(struct rig *r, const struct simbuf *b)
{
	uint64_t round;

	for (round = 0; round < 4; round++) {
		if (sim_write(&r->sim[0], b, 0, LEN, 10 + round, NULL))
			break;
		must_sys(msync(b->va, LEN, MS_SYNC));
		/* Now every page is clean. The device has it mapped, or has used it before. */
		if (sim_write(&r->sim[0], b, 0, LEN, 20 + round, NULL))
			break;
		mem_sync_drop_caches();
		must_sys(madvise(b->va, LEN, MADV_PAGEOUT));
		mem_sync_drop_caches();
		if (sim_verify(&r->sim[0], b, 0, LEN, 20 + round, NULL))
			break;
	}
	tap_is(round, 4, "write, write back, write, drop, read: four rounds");
}

static void check_under_dma(struct rig *r, const struct simbuf *b)
{
	struct dma dma;
	unsigned int i;

	dma_start_both(&dma, &r->sim[0], b, 30);
	for (i = 0; i < 5; i++) {
		must_sys(msync(b->va, LEN, MS_SYNC));
		must_sys(madvise(b->va, LEN, MADV_PAGEOUT));
		mem_sync_drop_caches();
	}
	dma_wait_rounds(&dma, 1);
	tap_is(dma_stop(&dma), 0, "write-back and reclaim under DMA: data right");
	dma_describe(&dma);
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	char dev[128];
	struct rig r;
	int fd;

	mnt_device(dev, sizeof(dev));
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	b.va = mem_file(PATH, LEN, true, true, &fd);
	rig_map(&r, &b);
	rig_both_ways(&r.sim[0], &b, 1, "shared file");
	rig_unpinned("shared file");
	file_is(2, "read(2) of the file");
	if (!rig_stock()) {
		check_write_back(&r, &b);
		check_under_dma(&r, &b);
	}
	rig_status_is(sim_write(&r.sim[0], &b, 0, LEN, 40, NULL), IOPF_SIM_ST_OK, "last write");
	rig_unmap(&r, &b);
	mem_unmap(b.va, LEN);
	close(fd);
	tap_is((unsigned int)umount("/mnt"), 0, "the file system can be unmounted");
	must(mem_write_file("/proc/sys/vm/drop_caches", "3"));
	must_sys(mount(dev, "/mnt", "ext4", 0, NULL));
	file_is(40, "after unmounting and mounting");
	unlink(PATH);
	rig_clean(&r);
	rig_balanced();
	rig_close(&r);
	return tap_done();
}
