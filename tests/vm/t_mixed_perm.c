// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings with different permissions: read-only, write-only, both; adjacent, and of the same
 * memory; and read-only memory that is mapped for reading.
 *
 * vm: --mem 1024
 * also: no5lvl pti numa
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rig.h"

#define LEN	(2 * MiB)

/* The status of an access that the permissions of the mapping forbid. */
static int forbidden(void)
{
	return rig_stock() ? IOPF_SIM_ST_UNTRANSLATED : IOPF_SIM_ST_INVALID;
}

/* Read-only memory (a file opened for reading) can be mapped for reading. */
static void check_text(struct rig *r, const struct simbuf *b)
{
	struct simbuf text = { .iova = RIG_IOVA + 3 * LEN, .len = LEN };
	int fd;

	fd = must_sys(open("/tmp/text", O_RDWR | O_CREAT | O_TRUNC, 0600));
	must_be(write(fd, b->va, LEN) == (ssize_t)LEN);
	close(fd);
	fd = must_sys(open("/tmp/text", O_RDONLY));
	text.va = mmap(NULL, LEN, PROT_READ, MAP_SHARED, fd, 0);
	must_be(text.va != MAP_FAILED);
	tap_errno_is(vfio_map_flags(&r->c, text.va, text.iova, LEN, VFIO_DMA_MAP_FLAG_READ), 0,
		     "read-only memory is mapped for reading");
	simbuf_fill(b, 0, LEN, 7);
	rig_status_is(sim_copy(&r->sim[0], b, 0, &text, 0, LEN, NULL), IOPF_SIM_ST_OK,
		      "the device reads it");
	rig_same(b, rig_stock() ? 4 : 6, "read-only memory");
	rig_status_is(sim_write(&r->sim[0], &text, 0, LEN, 8, NULL), forbidden(),
		      "the device can't write");
	close(fd);
	unlink("/tmp/text");
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct simbuf ro = { .iova = RIG_IOVA + LEN, .len = LEN };
	struct simbuf wo = { .iova = RIG_IOVA + 2 * LEN, .len = LEN };
	struct iopf_sim_cpl cpl;
	struct rig r;

	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	/* The same memory three times. */
	b.va = mem_anon(LEN);
	ro.va = b.va;
	wo.va = b.va;
	rig_map(&r, &b);
	must(vfio_map_flags(&r.c, ro.va, ro.iova, LEN, VFIO_DMA_MAP_FLAG_READ));
	must(vfio_map_flags(&r.c, wo.va, wo.iova, LEN, VFIO_DMA_MAP_FLAG_WRITE));

	rig_both_ways(&r.sim[0], &b, 1, "read-write");
	rig_status_is(sim_verify(&r.sim[0], &ro, 0, LEN, 2, NULL), IOPF_SIM_ST_OK,
		      "read-only: read");
	rig_status_is(sim_write(&r.sim[0], &ro, 0, LEN, 3, &cpl), forbidden(), "read-only: write");
	rig_same(&b, 2, "read-only: nothing was written");
	rig_status_is(sim_write(&r.sim[0], &wo, 0, LEN, 4, NULL), IOPF_SIM_ST_OK,
		      "write-only: write");
	rig_same(&b, 4, "write-only");
	rig_status_is(sim_verify(&r.sim[0], &ro, 0, LEN, 4, NULL), IOPF_SIM_ST_OK,
		      "the device reads through the read-only mapping");
	rig_status_is(sim_read(&r.sim[0], &wo, 0, LEN, NULL), forbidden(), "write-only: read");

	/* Forbidden copies write nothing. */
	rig_status_is(sim_copy(&r.sim[0], &ro, 0, &b, 0, LEN, NULL), forbidden(),
		      "copy into the read-only one");
	rig_status_is(sim_copy(&r.sim[0], &b, 0, &wo, 0, LEN, NULL), forbidden(),
		      "copy from the write-only one");
	rig_same(&b, 4, "after forbidden copies");

	if (!rig_stock()) {
		mem_drop(b.va, LEN);
		rig_status_is(sim_write(&r.sim[0], &ro, 0, LEN, 5, NULL), forbidden(),
			      "read-only, nothing there: write");
		rig_status_is(sim_write(&r.sim[0], &wo, 0, LEN, 6, NULL), IOPF_SIM_ST_OK,
			      "write-only, nothing there: write");
		rig_same(&b, 6, "write-only, nothing there");
	}

	check_text(&r, &b);
	rig_end(&r);
	return tap_done();
}
