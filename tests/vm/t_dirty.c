// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty tracking without hardware support. A report names exactly the pages that the device has
 * written, once. This holds for any kind of memory and any change of it. A failed report loses
 * nothing. In a migration, a copy that follows the reports while the device writes is equal at the
 * end.
 *
 * vm: --mem 768 --swap 512 --disk 256
 * also: no5lvl pti zswap numa
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dirty.h"
#include "knob.h"
#include "migrate.h"
#include "rig.h"

#define LEN	(4 * MiB)
#define PAGES	(LEN / MEM_PAGE)

/* Check that the report of @b names exactly the pages in @want; NULL: none. */
static void report_is(struct rig *r, const struct simbuf *b, const bool *want, const char *what)
{
	size_t page, wanted = 0;
	struct dirty_map m;

	for (page = 0; want && page < b->len / MEM_PAGE; page++)
		wanted += want[page];
	dirty_map_init(&m, b->iova, b->len);
	must(dirty_get(&r->c, &m));
	tap_is(dirty_differs(&m, want), 0, "%s: exactly the %zu pages written are dirty", what,
	       wanted);
	dirty_map_free(&m);
}

static void write_page(struct rig *r, const struct simbuf *b, bool *written, size_t page)
{
	must_be(sim_write(&r->sim[0], b, page * MEM_PAGE, MEM_PAGE, 7, NULL) == IOPF_SIM_ST_OK);
	written[page] = true;
}

static void write_some(struct rig *r, const struct simbuf *b, bool *written)
{
	unsigned int i;

	memset(written, 0, PAGES);
	for (i = 0; i < 40; i++)
		write_page(r, b, written, (size_t)rand() % (b->len / MEM_PAGE));
	write_page(r, b, written, 0);
	write_page(r, b, written, b->len / MEM_PAGE - 1);
}

static void check_exact(struct rig *r, const struct simbuf *b, const char *what)
{
	static bool written[PAGES];

	simbuf_fill(b, 0, b->len, 3);
	/* All pages are mapped for writing when tracking starts. */
	must_be(sim_write(&r->sim[0], b, 0, b->len, 3, NULL) == IOPF_SIM_ST_OK);
	must(dirty_track(&r->c, true));
	report_is(r, b, NULL, what);
	must_be(sim_verify(&r->sim[0], b, 0, b->len, 3, NULL) == IOPF_SIM_ST_OK);
	report_is(r, b, NULL, what);
	write_some(r, b, written);
	report_is(r, b, written, what);
	report_is(r, b, NULL, what);
	/* The same pages, which were mapped writable until the report. */
	write_some(r, b, written);
	write_some(r, b, written);
	mem_drop(b->va, b->len);
	write_page(r, b, written, 5);
	/* A second start changes nothing; a stop drops all reports. */
	must(dirty_track(&r->c, true));
	must(dirty_track(&r->c, false));
	must(dirty_track(&r->c, true));
	report_is(r, b, NULL, "tracking begins anew");
	write_some(r, b, written);
	mem_swap_out(b->va, b->len);
	report_is(r, b, written, "swapped out since");
	must(dirty_track(&r->c, false));
}

/* Reads and writes of half a page, and commands that touch many pages. */
static void check_commands(struct rig *r, const struct simbuf *b)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, b->len, 9);
	static bool written[PAGES];
	size_t page;

	must(dirty_track(&r->c, true));
	/* Every other page. */
	sim_cmd_order(&cmd, IOPF_SIM_ORDER_STRIDED, 2048, 2 * MEM_PAGE, 0);
	cmd.prg_depth = 8;
	cmd.prg_pages = 4;
	must_be(sim_run(&r->sim[0], &cmd, NULL) == IOPF_SIM_ST_OK);
	for (page = 0; page < PAGES; page++)
		written[page] = !(page % 2);
	report_is(r, b, written, "every other page, groups of 4");
	must(dirty_track(&r->c, false));
}

static void check_failed_report(struct rig *r, const struct simbuf *b)
{
	struct dirty_map m, bad;
	static bool written[PAGES];

	must(dirty_track(&r->c, true));
	write_some(r, b, written);
	dirty_map_init(&m, b->iova, b->len);
	bad = m;
	bad.bits = mmap(NULL, MEM_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must_be(bad.bits != MAP_FAILED);
	tap_errno_is(dirty_get(&r->c, &bad), -EFAULT, "a bitmap that can't be written");
	tap_errno_is(dirty_unmap(&r->c, &bad), -EFAULT, "nor does unmapping");
	write_page(r, b, written, 9);
	report_is(r, b, written, "after reports that failed");
	munmap(bad.bits, MEM_PAGE);
	dirty_map_free(&m);
	must(dirty_track(&r->c, false));
}

static void check_unmap(struct rig *r, const struct simbuf *b)
{
	static bool written[PAGES];
	struct dirty_map m;

	must(dirty_track(&r->c, true));
	write_some(r, b, written);
	dirty_map_init(&m, b->iova, b->len);
	tap_errno_is(dirty_unmap(&r->c, &m), 0, "unmapping with a report");
	tap_is(dirty_differs(&m, written), 0, "the report is exact");
	rig_status_is(sim_write(&r->sim[0], b, 0, MEM_PAGE, 1, NULL), IOPF_SIM_ST_INVALID,
		      "the range is unmapped");
	dirty_map_free(&m);
	must(dirty_track(&r->c, false));
	rig_map(r, b);
}

/* Pages of three areas: two side by side, a gap, and another one. */
#define EDGE_A		100u
#define EDGE_B		3u
#define EDGE_GAP	27u
#define EDGE_C		570u
#define EDGE_ALL	(EDGE_A + EDGE_B + EDGE_GAP + EDGE_C)

static struct simbuf edge_part(const struct simbuf *b, size_t page, size_t n)
{
	return (struct simbuf){ (char *)b->va + page * MEM_PAGE, b->iova + page * MEM_PAGE,
				n * MEM_PAGE };
}

static void edge_refused(struct rig *r, const struct simbuf *b, size_t page, size_t n)
{
	struct dirty_map m;

	dirty_map_init(&m, b->iova + page * MEM_PAGE, n * MEM_PAGE);
	tap_errno_is(dirty_get(&r->c, &m), -EINVAL, "pages %zu to %zu, within an area: refused",
		     page, page + n - 1);
	dirty_map_free(&m);
}

/* Reports across edges of areas, of all of them at once and in two parts, against the model. */
static void check_edges(struct rig *r)
{
	static const size_t at_edges[] = { 0, 63, 64, 99, 100, 102, 130, 131, 191, 192, 699 };
	const size_t c = EDGE_A + EDGE_B + EDGE_GAP;
	struct simbuf b = { mem_anon(EDGE_ALL * MEM_PAGE), RIG_IOVA + 64 * MiB,
			    EDGE_ALL * MEM_PAGE };
	struct simbuf areas[] = { edge_part(&b, 0, EDGE_A), edge_part(&b, EDGE_A, EDGE_B),
				  edge_part(&b, c, EDGE_C) };
	struct simbuf low = edge_part(&b, 0, EDGE_A + EDGE_B);
	struct simbuf high = edge_part(&b, EDGE_A + EDGE_B, EDGE_GAP + EDGE_C);
	static bool written[EDGE_ALL];

	for (size_t i = 0; i < ARRAY_SIZE(areas); i++)
		rig_map(r, &areas[i]);
	must(dirty_track(&r->c, true));
	for (unsigned int round = 0; round < 4; round++) {
		memset(written, 0, sizeof(written));
		for (size_t i = round % 2; i < ARRAY_SIZE(at_edges); i += 2)
			write_page(r, &b, written, at_edges[i]);
		for (unsigned int i = 0; i < 30; i++)
			write_page(r, &b, written, c + (size_t)rand() % EDGE_C);
		edge_refused(r, &b, 1, EDGE_ALL - 1);
		edge_refused(r, &b, 0, EDGE_ALL - 1);
		edge_refused(r, &b, 0, EDGE_A + 1);
		if (round < 2) {
			report_is(r, &b, written, "across areas and a gap");
		} else {
			report_is(r, &high, written + EDGE_A + EDGE_B, "from the gap on");
			report_is(r, &low, written, "the two side by side");
		}
		report_is(r, &b, NULL, "across areas, again");
	}
	must(dirty_track(&r->c, false));
	for (size_t i = 0; i < ARRAY_SIZE(areas); i++)
		rig_unmap(r, &areas[i]);
	mem_unmap(b.va, b.len);
}

/* With all memory pinned, all pages are dirty. */
static void check_pinned(struct rig *r, const struct simbuf *b)
{
	const char *bdf = r->vfio[0].bdf;
	static bool all[PAGES], written[PAGES];

	memset(all, true, sizeof(all));
	must(dirty_track(&r->c, true));
	write_some(r, b, written);
	must(iopf_enable(bdf, false));
	report_is(r, b, all, "pinned");
	report_is(r, b, all, "still pinned");
	must(iopf_enable(bdf, true));
	report_is(r, b, all, "no longer pinned, once");
	report_is(r, b, NULL, "no longer pinned");
	write_some(r, b, written);
	report_is(r, b, written, "no longer pinned");
	must(dirty_track(&r->c, false));
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;
	int fd;

	rig_backend_only();
	srand(1);
	rig_load("devices=1 engines=2", "");
	rig_open_mapped(&r, &b);
	check_exact(&r, &b, "anonymous memory");
	check_commands(&r, &b);
	check_failed_report(&r, &b);
	check_unmap(&r, &b);
	check_edges(&r);
	migrate_check(&r, &b, "anonymous memory");
	check_pinned(&r, &b);
	rig_unmap(&r, &b);
	mem_unmap(b.va, LEN);

	b.va = mem_thp(LEN);
	rig_map(&r, &b);
	check_exact(&r, &b, "huge pages");
	migrate_check(&r, &b, "huge pages");
	rig_unmap(&r, &b);
	mem_unmap(b.va, LEN);

	b.va = mem_memfd(LEN, &fd);
	rig_map(&r, &b);
	migrate_check(&r, &b, "shmem");
	rig_unmap(&r, &b);

	rig_end(&r);
	return tap_done();
}
