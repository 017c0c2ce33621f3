// SPDX-License-Identifier: GPL-2.0-only
/*
 * A private mapping of a file: the device reads the file. A write of the device does not reach the
 * file.
 *
 * vm: --mem 768 --swap 512 --disk 256
 * also: no5lvl pti numa
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"

#define LEN	(4 * MiB)
#define PATH	"/mnt/private"

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN }, file = b;
	struct rig r;
	int fd;

	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	/* The file's content, by write(2), then out of the page cache. */
	file.va = malloc(LEN);
	simbuf_fill(&file, 0, LEN, 1);
	fd = must_sys(open(PATH, O_RDWR | O_CREAT | O_TRUNC, 0600));
	must_be(write(fd, file.va, LEN) == (ssize_t)LEN);
	close(fd);
	mem_sync_drop_caches();

	b.va = mem_file(PATH, LEN, false, false, &fd);
	rig_map(&r, &b);
	rig_status_is(sim_verify(&r.sim[0], &b, 0, LEN, 1, NULL), IOPF_SIM_ST_OK,
		      "the device reads the file from the disk");
	rig_status_is(sim_write(&r.sim[0], &b, 0, LEN / 2, 2, NULL), IOPF_SIM_ST_OK,
		      "the device writes half of it");
	tap_is(simbuf_differs(&b, 0, LEN / 2, 2), 0, "the CPU reads the data of the device");
	tap_is(simbuf_differs(&b, LEN / 2, LEN / 2, 1), 0, "the other half is the file's");
	must_be(pread(fd, file.va, LEN, 0) == (ssize_t)LEN);
	rig_same(&file, 1, "the file did not change");

	if (!rig_stock()) {
		/* Clean file pages can go at any time and come back; written ones are anonymous. */
		mem_sync_drop_caches();
		rig_status_is(sim_verify(&r.sim[0], &b, 0, LEN / 2, 2, NULL), IOPF_SIM_ST_OK,
			      "written half, after dropping caches");
		rig_status_is(sim_verify(&r.sim[0], &b, LEN / 2, LEN / 2, 1, NULL),
			      IOPF_SIM_ST_OK, "other half, after dropping caches");

		/* MADV_DONTNEED throws the private copy away: the file shows again. */
		mem_drop(b.va, LEN);
		rig_status_is(sim_verify(&r.sim[0], &b, 0, LEN, 1, NULL), IOPF_SIM_ST_OK,
			      "after MADV_DONTNEED the device sees the file again");

		/* Someone else changes the file: pages not copied yet show it. */
		simbuf_fill(&file, 0, LEN, 3);
		must_be(pwrite(fd, file.va, LEN, 0) == (ssize_t)LEN);
		rig_status_is(sim_verify(&r.sim[0], &b, 0, LEN, 3, NULL), IOPF_SIM_ST_OK,
			      "the device sees a change of the file");
	}
	rig_both_ways(&r.sim[0], &b, 4, "private file");
	rig_unpinned("private file");
	rig_unmap(&r, &b);
	mem_unmap(b.va, LEN);
	close(fd);
	unlink(PATH);
	rig_clean(&r);
	rig_balanced();
	rig_close(&r);
	return tap_done();
}
