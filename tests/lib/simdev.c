// SPDX-License-Identifier: GPL-2.0-only
/*
 * Driver of the iopf_sim device: see simdev.h.
 *
 * Ordering: a command is stored before the doorbell (release), the phase of a completion is
 * loaded before the rest of it (acquire). On x86 these are compiler barriers.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "knob.h"
#include "simdev.h"
#include "tap.h"

/*
 * A wait yields first, then sleeps for longer and longer times. On the debug kernel a wake-up costs
 * more than a short sleep. On one CPU, each wake-up delays the engine and the workers.
 */
#define SIM_SPINS	50
#define SIM_NAP_US	200
#define SIM_NAPS	8	/* number of sleeps of each length */
#define SIM_NAP_MAX_US	10000

/* Entries that fit into a ring page of the BAR. */
#define SIM_BAR_ENTRIES	(4096 / (unsigned int)sizeof(struct iopf_sim_cmd))

static volatile uint32_t *sim_at(struct simdev *s, unsigned int off)
{
	return (volatile uint32_t *)((volatile char *)s->vfio->bar + off);
}

uint32_t sim_reg(struct simdev *s, unsigned int off)
{
	return __atomic_load_n(sim_at(s, off), __ATOMIC_ACQUIRE);
}

uint64_t sim_reg64(struct simdev *s, unsigned int off)
{
	return __atomic_load_n((volatile uint64_t *)sim_at(s, off), __ATOMIC_ACQUIRE);
}

void sim_reg_set(struct simdev *s, unsigned int off, uint32_t value)
{
	__atomic_store_n(sim_at(s, off), value, __ATOMIC_RELEASE);
}

void sim_reg64_set(struct simdev *s, unsigned int off, uint64_t value)
{
	__atomic_store_n((volatile uint64_t *)sim_at(s, off), value, __ATOMIC_RELEASE);
}

void sim_nap(unsigned int *spins)
{
	unsigned int us, spun = (*spins)++;

	if (spun < SIM_SPINS) {
		sched_yield();
		return;
	}
	spun = (spun - SIM_SPINS) / SIM_NAPS;
	us = SIM_NAP_US << (spun < 6 ? spun : 6);
	usleep(us < SIM_NAP_MAX_US ? us : SIM_NAP_MAX_US);
}

static uint64_t sim_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec;
}

const char *sim_status_name(unsigned int status)
{
	static const char * const names[] = {
		[IOPF_SIM_ST_OK] = "OK",
		[IOPF_SIM_ST_BAD_COMMAND] = "BAD_COMMAND",
		[IOPF_SIM_ST_UNTRANSLATED] = "UNTRANSLATED",
		[IOPF_SIM_ST_INVALID] = "INVALID",
		[IOPF_SIM_ST_FAILURE] = "FAILURE",
		[IOPF_SIM_ST_MISMATCH] = "MISMATCH",
		[IOPF_SIM_ST_RETRIES] = "RETRIES",
		[IOPF_SIM_ST_ABORTED] = "ABORTED",
		[IOPF_SIM_ST_STALE] = "STALE",
	};

	if (status < ARRAY_SIZE(names))
		return names[status];
	return "unknown";
}

void sim_describe(struct simdev *s)
{
	tap_diag("%s: ctrl 0x%x status 0x%x error %s at 0x%llx", s->vfio->bdf,
		 sim_reg(s, IOPF_SIM_REG_CTRL), sim_reg(s, IOPF_SIM_REG_STATUS),
		 sim_status_name(sim_reg(s, IOPF_SIM_REG_ERROR)),
		 (unsigned long long)sim_reg64(s, IOPF_SIM_REG_ERROR_IOVA));
	tap_diag("%s: sq tail %u head %u of %u, cq tail %u head %u of %u", s->vfio->bdf,
		 sim_reg(s, IOPF_SIM_REG_SQ_TAIL), sim_reg(s, IOPF_SIM_REG_SQ_HEAD),
		 s->sq_entries, sim_reg(s, IOPF_SIM_REG_CQ_TAIL),
		 sim_reg(s, IOPF_SIM_REG_CQ_HEAD), s->cq_entries);
}

static void sim_find_kick(struct simdev *s)
{
	int cap;

	s->kick = 0;
	s->use_kick = false;
	if (!(sim_reg(s, IOPF_SIM_REG_CAPS) & IOPF_SIM_CAP_KICK))
		return;
	cap = vfio_find_cap(s->vfio, PCI_CAP_ID_VNDR);
	if (cap < 0)
		return;
	s->kick = (unsigned int)cap + IOPF_SIM_VNDR_KICK;
	s->use_kick = true;
}

static void sim_kick(struct simdev *s)
{
	/* Ignore errors: a kick is a hint, and other accesses notice that a device was removed. */
	if (s->use_kick)
		(void)vfio_config_write(s->vfio, s->kick, 4, 1);
}

/* Wait until STATUS has one of the bits in @any; if @any is 0, until it has no bit of @none. */
static int sim_wait_status(struct simdev *s, uint32_t any, uint32_t none)
{
	uint64_t start = sim_seconds();
	unsigned int spins = 0;
	uint32_t status;

	for (;;) {
		status = sim_reg(s, IOPF_SIM_REG_STATUS);
		if (any ? status & any : !(status & none))
			return 0;
		if (sim_seconds() - start > SIM_HANG_SECONDS)
			return -ETIMEDOUT;
		sim_nap(&spins);
	}
}

static void sim_ring_place(uint64_t *base, void **mem, const struct simbuf *where, void *in_bar)
{
	*base = where->va ? where->iova : IOPF_SIM_IN_BAR;
	*mem = where->va ? where->va : in_bar;
}

int sim_up(struct simdev *s, struct vfio_dev *vfio, const struct sim_rings *rings)
{
	static const struct sim_rings in_bar;
	char *bar = (char *)vfio->bar;
	uint64_t sq_base, cq_base;
	void *sq, *cq;
	int err;

	if (!rings)
		rings = &in_bar;
	memset(s, 0, sizeof(*s));
	s->vfio = vfio;
	if (sim_reg(s, IOPF_SIM_REG_MAGIC) != IOPF_SIM_MAGIC ||
	    sim_reg(s, IOPF_SIM_REG_VERSION) != IOPF_SIM_VERSION)
		return -ENODEV;
	s->engines = sim_reg(s, IOPF_SIM_REG_ENGINES);
	s->sq_entries = rings->sq_entries ? rings->sq_entries : SIM_BAR_ENTRIES;
	s->cq_entries = rings->cq_entries ? rings->cq_entries : SIM_BAR_ENTRIES;
	sim_ring_place(&sq_base, &sq, &rings->sq, bar + IOPF_SIM_BAR_SQ);
	sim_ring_place(&cq_base, &cq, &rings->cq, bar + IOPF_SIM_BAR_CQ);
	s->sq = sq;
	s->cq = cq;
	sim_find_kick(s);

	if (rings->sq.va)
		memset(rings->sq.va, 0, rings->sq.len);
	if (rings->cq.va) {
		memset(rings->cq.va, 0, rings->cq.len);
	} else {
		uint32_t i;

		for (i = 0; i < SIM_BAR_ENTRIES; i++)
			s->cq[i].phase = 0;
	}
	sim_reg_set(s, IOPF_SIM_REG_SQ_TAIL, 0);
	sim_reg_set(s, IOPF_SIM_REG_CQ_HEAD, 0);
	sim_reg64_set(s, IOPF_SIM_REG_SQ_BASE, sq_base);
	sim_reg64_set(s, IOPF_SIM_REG_CQ_BASE, cq_base);
	sim_reg_set(s, IOPF_SIM_REG_SQ_ENTRIES, s->sq_entries);
	sim_reg_set(s, IOPF_SIM_REG_CQ_ENTRIES, s->cq_entries);
	sim_reg_set(s, IOPF_SIM_REG_CTRL, IOPF_SIM_CTRL_ENABLE);
	sim_kick(s);
	err = sim_wait_status(s, IOPF_SIM_STATUS_READY | IOPF_SIM_STATUS_HALTED, 0);
	if (err)
		return err;
	return sim_reg(s, IOPF_SIM_REG_STATUS) & IOPF_SIM_STATUS_HALTED ? -EIO : 0;
}

int sim_down(struct simdev *s)
{
	sim_reg_set(s, IOPF_SIM_REG_CTRL, 0);
	sim_kick(s);
	return sim_wait_status(s, 0, IOPF_SIM_STATUS_READY);
}

uint32_t sim_space(struct simdev *s)
{
	return s->sq_entries - (s->sq_tail - sim_reg(s, IOPF_SIM_REG_SQ_HEAD));
}

int sim_submit(struct simdev *s, const struct iopf_sim_cmd *cmd)
{
	volatile uint64_t *to;
	uint64_t words[sizeof(*cmd) / 8];
	unsigned int i;

	if (!sim_space(s))
		return -EAGAIN;
	memcpy(words, cmd, sizeof(words));
	to = (volatile uint64_t *)&s->sq[s->sq_tail % s->sq_entries];
	for (i = 0; i < ARRAY_SIZE(words); i++)
		to[i] = words[i];
	s->sq_tail++;
	return 0;
}

void sim_ring(struct simdev *s)
{
	sim_reg_set(s, IOPF_SIM_REG_SQ_TAIL, s->sq_tail);
	sim_kick(s);
}

int sim_poll(struct simdev *s, struct iopf_sim_cpl *cpl)
{
	volatile struct iopf_sim_cpl *slot = &s->cq[s->cq_head % s->cq_entries];
	uint32_t lap = s->cq_head / s->cq_entries + 1;
	uint64_t words[sizeof(*cpl) / 8];
	volatile uint64_t *from = (volatile uint64_t *)slot;
	unsigned int i;

	/* Pairs with the device writing the phase last. */
	if (__atomic_load_n(&slot->phase, __ATOMIC_ACQUIRE) != (lap & 1))
		return 0;
	for (i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = from[i];
	memcpy(cpl, words, sizeof(*cpl));
	s->cq_head++;
	sim_reg_set(s, IOPF_SIM_REG_CQ_HEAD, s->cq_head);
	return 1;
}

/* Without access to the counters, wait this many times as long. */
#define SIM_HANG_UNSEEN 10

/* Return whether the device has made any progress since the last call. */
static bool sim_progressed(const struct simdev *s, uint64_t *seen, unsigned int *unseen)
{
	static const char * const counters[] = {
		"requests", "responses_success", "bytes_read", "bytes_written", "commands",
	};
	uint64_t sum = 0, value, before = *seen;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		/* The user is unprivileged, or the device is unplugged. */
		if (sim_count_try(s->vfio->bdf, counters[i], &value))
			return ++*unseen < SIM_HANG_UNSEEN;
		sum += value;
	}
	*seen = sum;
	return sum != before;
}

int sim_wait_for(struct simdev *s, struct iopf_sim_cpl *cpl, unsigned int seconds)
{
	uint64_t start = sim_seconds(), seen = 0;
	unsigned int spins = 0, unseen = 0;

	for (;;) {
		if (sim_poll(s, cpl))
			return 0;
		if (sim_reg(s, IOPF_SIM_REG_STATUS) & IOPF_SIM_STATUS_HALTED)
			return -EIO;
		if (sim_seconds() - start >= seconds) {
			if (!sim_progressed(s, &seen, &unseen))
				return -ETIMEDOUT;
			start = sim_seconds();
		}
		sim_nap(&spins);
	}
}

void sim_wait(struct simdev *s, struct iopf_sim_cpl *cpl)
{
	int err = sim_wait_for(s, cpl, SIM_HANG_SECONDS);

	if (!err)
		return;
	sim_describe(s);
	if (err == -EIO)
		tap_bail("%s halted", s->vfio->bdf);
	tap_bail("hang: %s did nothing for %d s", s->vfio->bdf, SIM_HANG_SECONDS);
}

void sim_start(struct simdev *s, const struct iopf_sim_cmd *cmd)
{
	must(sim_submit(s, cmd));
	sim_ring(s);
}

int sim_run(struct simdev *s, const struct iopf_sim_cmd *cmd, struct iopf_sim_cpl *cpl)
{
	struct iopf_sim_cpl mine;

	if (!cpl)
		cpl = &mine;
	sim_start(s, cmd);
	sim_wait(s, cpl);
	if (cpl->cookie != cmd->cookie)
		tap_bail("%s completed cookie 0x%llx, expected 0x%llx", s->vfio->bdf,
			 (unsigned long long)cpl->cookie, (unsigned long long)cmd->cookie);
	return cpl->status;
}

struct iopf_sim_cmd sim_cmd(unsigned int opcode, const struct simbuf *b, size_t off, size_t len,
			    uint64_t seed)
{
	static uint64_t cookie;
	struct iopf_sim_cmd cmd = {
		.opcode = (uint16_t)opcode,
		.order = IOPF_SIM_ORDER_SEQUENTIAL,
		.cookie = __atomic_add_fetch(&cookie, 1, __ATOMIC_RELAXED),
		.iova = b->iova + off,
		.origin = b->iova,
		.seed = seed,
		.size = 4096,
	};

	/* If the length is not a multiple of a page, the accesses are words. */
	if (len % cmd.size)
		cmd.size = 8;
	cmd.count = len / cmd.size;
	cmd.stride = cmd.size;
	return cmd;
}

struct iopf_sim_cmd sim_cmd_copy(const struct simbuf *dst, size_t dst_off,
				 const struct simbuf *src, size_t src_off, size_t len)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_COPY, dst, dst_off, len, 0);

	cmd.src = src->iova + src_off;
	return cmd;
}

struct iopf_sim_cmd sim_cmd_nop(uint64_t cookie)
{
	struct iopf_sim_cmd cmd = { .opcode = IOPF_SIM_OP_NOP, .cookie = cookie };

	return cmd;
}

void sim_cmd_order(struct iopf_sim_cmd *cmd, unsigned int order, uint32_t size, uint64_t stride,
		   uint64_t order_seed)
{
	uint64_t len = cmd->count * cmd->size;

	cmd->order = (uint16_t)order;
	cmd->size = size;
	if (order == IOPF_SIM_ORDER_SEQUENTIAL)
		stride = size;
	cmd->stride = stride;
	cmd->count = len < size ? 0 : (len - size) / stride + 1;
	cmd->slots = order == IOPF_SIM_ORDER_RANDOM ? cmd->count : 0;
	cmd->order_seed = order_seed;
}

static int sim_simple(struct simdev *s, unsigned int opcode, const struct simbuf *b, size_t off,
		      size_t len, uint64_t seed, struct iopf_sim_cpl *cpl)
{
	struct iopf_sim_cmd cmd = sim_cmd(opcode, b, off, len, seed);

	return sim_run(s, &cmd, cpl);
}

int sim_write(struct simdev *s, const struct simbuf *b, size_t off, size_t len, uint64_t seed,
	      struct iopf_sim_cpl *cpl)
{
	return sim_simple(s, IOPF_SIM_OP_WRITE, b, off, len, seed, cpl);
}

int sim_verify(struct simdev *s, const struct simbuf *b, size_t off, size_t len, uint64_t seed,
	       struct iopf_sim_cpl *cpl)
{
	return sim_simple(s, IOPF_SIM_OP_VERIFY, b, off, len, seed, cpl);
}

int sim_read(struct simdev *s, const struct simbuf *b, size_t off, size_t len,
	     struct iopf_sim_cpl *cpl)
{
	return sim_simple(s, IOPF_SIM_OP_READ, b, off, len, 0, cpl);
}

int sim_checksum(struct simdev *s, const struct simbuf *b, size_t off, size_t len, uint64_t *sum,
		 struct iopf_sim_cpl *cpl)
{
	struct iopf_sim_cpl mine;
	int status;

	if (!cpl)
		cpl = &mine;
	status = sim_simple(s, IOPF_SIM_OP_CHECKSUM, b, off, len, 0, cpl);
	*sum = cpl->result;
	return status;
}

int sim_copy(struct simdev *s, const struct simbuf *dst, size_t dst_off, const struct simbuf *src,
	     size_t src_off, size_t len, struct iopf_sim_cpl *cpl)
{
	struct iopf_sim_cmd cmd = sim_cmd_copy(dst, dst_off, src, src_off, len);

	return sim_run(s, &cmd, cpl);
}

int sim_ask(struct simdev *s, const struct simbuf *b, size_t off, size_t len)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_REQUEST, b, off, len, 0);

	return sim_run(s, &cmd, NULL);
}

int sim_touch(struct simdev *s, const struct simbuf *b, size_t off, size_t len,
	      struct iopf_sim_cpl *cpl)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_READ, b, off, len, 0);

	sim_cmd_order(&cmd, IOPF_SIM_ORDER_STRIDED, 8, 4096, 0);
	return sim_run(s, &cmd, cpl);
}

void simbuf_fill(const struct simbuf *b, size_t off, size_t len, uint64_t seed)
{
	uint64_t *word = (uint64_t *)((char *)b->va + off);
	size_t i;

	for (i = 0; i < len / 8; i++)
		word[i] = iopf_sim_word(seed, off + i * 8);
}

size_t simbuf_differs(const struct simbuf *b, size_t off, size_t len, uint64_t seed)
{
	const uint64_t *word = (const uint64_t *)((const char *)b->va + off);
	size_t i, wrong = 0;

	for (i = 0; i < len / 8; i++) {
		uint64_t want = iopf_sim_word(seed, off + i * 8);
		uint64_t got = word[i];

		if (got == want)
			continue;
		if (!wrong++)
			tap_diag("byte 0x%zx of the buffer: 0x%016llx, want 0x%016llx",
				 off + i * 8, (unsigned long long)got, (unsigned long long)want);
	}
	return wrong;
}

uint64_t simbuf_sum(const struct simbuf *b, size_t off, size_t len)
{
	const uint64_t *word = (const uint64_t *)((const char *)b->va + off);
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < len / 8; i++)
		sum += word[i];
	return sum;
}

size_t simbuf_nonzero(const struct simbuf *b, size_t off, size_t len)
{
	const uint64_t *word = (const uint64_t *)((const char *)b->va + off);
	size_t i, n = 0;

	for (i = 0; i < len / 8; i++)
		n += word[i] != 0;
	return n;
}
