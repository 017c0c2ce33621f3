// SPDX-License-Identifier: GPL-2.0-only
/*
 * The number of faults of jobs and streams: see dma.h.
 *
 * A job is one pass over a cold, populated buffer, page by page. Its memory is scattered. It begins
 * at the start of a 2 MiB block, or within one. A stream is a pass over 1 GiB in commands of 1 MiB,
 * with a full ring. The last command that faulted shows where the faults stopped.
 *
 * After the stream, 1 GiB is touched. The memory that the kernel needs for this is measured too.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "busy.h"
#include "dma.h"
#include "figures.h"
#include "frames.h"
#include "kernmem.h"
#include "part.h"

#define JOB_BUF		(16 * MiB)

#define STREAM_LEN	(1024 * MiB)
#define STREAM_STEP	MiB
#define STREAM_STEPS	(STREAM_LEN / STREAM_STEP)

static const struct job {
	const char *name;
	size_t off;
	size_t len;
} jobs[] = {
	{ "1m", 0, MiB },
	{ "1m_within", MiB / 2, MiB },
	{ "10m", 0, 10 * MiB },
	{ "10m_within", MiB / 2, 10 * MiB },
};

static uint64_t job_run(struct rig *r, const struct simbuf *b, const struct job *job)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, job->off, job->len, 1);
	struct iopf_sim_cpl cpl;

	sim_cmd_order(&cmd, IOPF_SIM_ORDER_STRIDED, 8, MEM_PAGE, 7);
	rig_map(r, b);
	must_be(!sim_run(&r->sim[0], &cmd, &cpl));
	rig_unmap(r, b);
	return cpl.faults;
}

void job_faults(struct rig *r, const char *side)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = JOB_BUF };
	char key[64];

	printf("%s: faults of jobs\n", side);
	/* CPU and I/O addresses have the same alignment, so "within" is within a block for both. */
	b.va = mem_aligned(JOB_BUF, MEM_HUGE);
	must_be(mmap(b.va, b.len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == b.va);
	must_sys(madvise(b.va, b.len, MADV_NOHUGEPAGE));
	frames_populate(FRAMES_SCATTERED, b.va, b.len);
	figure(side, "job_runs", frames_runs(b.va, b.len));
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		snprintf(key, sizeof(key), "job_%s_faults", jobs[i].name);
		figure(side, key, job_run(r, &b, &jobs[i]));
	}
	frames_free(FRAMES_SCATTERED, b.va, b.len);
}

static void stream_run(struct rig *r, const struct simbuf *b, const char *side)
{
	struct simdev *s = &r->sim[0];
	uint64_t sent = 0, done = 0, faults = 0, last = 0;

	while (done < STREAM_STEPS) {
		struct iopf_sim_cpl cpl;

		while (sent < STREAM_STEPS && sent - done < s->cq_entries && sim_space(s)) {
			struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, sent * STREAM_STEP,
							  STREAM_STEP, 1);

			sim_cmd_order(&cmd, IOPF_SIM_ORDER_STRIDED, 8, MEM_PAGE, 7);
			cmd.cookie = sent++;
			must(sim_submit(s, &cmd));
		}
		sim_ring(s);
		sim_wait(s, &cpl);
		must_be(cpl.status == IOPF_SIM_ST_OK);
		done++;
		faults += cpl.faults;
		if (cpl.faults && (cpl.cookie + 1) * STREAM_STEP > last)
			last = (cpl.cookie + 1) * STREAM_STEP;
	}
	figure(side, "stream_faults", faults);
	figure(side, "stream_last", last);
}

void stream_faults(struct rig *r, const char *side)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = STREAM_LEN };
	struct kernmem before, after;

	printf("%s: a stream through 1 GiB\n", side);
	b.va = frames_get(FRAMES_ANON, b.len);
	frames_populate(FRAMES_ANON, b.va, b.len);
	kernmem_look(&before);
	rig_map(r, &b);
	stream_run(r, &b, side);
	kernmem_look(&after);
	kernmem_figures(&before, &after, side, "touched_1g");
	rig_unmap(r, &b);
	frames_free(FRAMES_ANON, b.va, b.len);
}
