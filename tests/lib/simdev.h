/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Driver of the iopf_sim device (include/uapi/linux/iopf_sim.h), over VFIO.
 *
 * One struct simdev is used by one thread at a time. Commands may be submitted while
 * others are in flight; completions come in the order the device writes them.
 *
 * Functions that wait yield the CPU, and sleep for short times. Time never decides a point. If a
 * command makes no progress for SIM_HANG_SECONDS, the test prints registers and counters of the
 * device, and bails out, unless the caller asks for -ETIMEDOUT.
 *
 * Data: the pattern at address a is iopf_sim_word(seed, a - origin). A struct simbuf is memory of
 * this process with the IOVA of the device. The origin of its pattern is the first byte of the
 * buffer. So the CPU and the device compute the same words at any IOVA.
 */
#ifndef TESTS_LIB_SIMDEV_H
#define TESTS_LIB_SIMDEV_H

#include <linux/iopf_sim.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfio.h"

#define SIM_HANG_SECONDS	90

/**
 * struct simbuf - memory that the device may access
 * @va: address for this process
 * @iova: address for the device
 * @len: bytes
 */
struct simbuf {
	void *va;
	uint64_t iova;
	size_t len;
};

/**
 * struct sim_rings - addresses and lengths of the rings
 * @sq_entries: 0 means the default (as many as fit into the BAR page)
 * @cq_entries: the same
 * @sq: memory for the submission ring; va NULL means in the BAR
 * @cq: memory for the completion ring; va NULL means in the BAR
 *
 * Ring memory must be mapped for the device by the caller; it is zeroed by sim_up().
 */
struct sim_rings {
	uint32_t sq_entries;
	uint32_t cq_entries;
	struct simbuf sq;
	struct simbuf cq;
};

/**
 * struct simdev - a running device
 * @vfio: the device
 * @sq: submission ring
 * @cq: completion ring
 * @sq_entries: slots
 * @cq_entries: slots
 * @sq_tail: commands submitted, free-running; rung or not
 * @cq_head: completions consumed, free-running
 * @kick: offset of the kick register in configuration space; 0: there is none
 * @engines: engines of the device
 * @use_kick: write the kick register at each sim_ring()
 */
struct simdev {
	struct vfio_dev *vfio;
	volatile struct iopf_sim_cmd *sq;
	volatile struct iopf_sim_cpl *cq;
	uint32_t sq_entries;
	uint32_t cq_entries;
	uint32_t sq_tail;
	uint32_t cq_head;
	unsigned int kick;
	unsigned int engines;
	bool use_kick;
};

/**
 * sim_up() - enable the device
 * @s: out
 * @vfio: an open device, disabled (fresh, after FLR or after sim_down())
 * @rings: NULL means both in the BAR, default length
 *
 * Return: 0; -ENODEV: it is not a simulated device; -EIO: it halted; -ETIMEDOUT: it did not answer
 */
int sim_up(struct simdev *s, struct vfio_dev *vfio, const struct sim_rings *rings);

/** sim_down() - disable the device, wait until READY is clear; 0 or -ETIMEDOUT */
int sim_down(struct simdev *s);

uint32_t sim_reg(struct simdev *s, unsigned int off);
uint64_t sim_reg64(struct simdev *s, unsigned int off);
void sim_reg_set(struct simdev *s, unsigned int off, uint32_t value);
void sim_reg64_set(struct simdev *s, unsigned int off, uint64_t value);

/** sim_space() - commands that can be submitted before the submission ring is full */
uint32_t sim_space(struct simdev *s);

/** sim_submit() - put @cmd into the ring, without ringing; -EAGAIN: the ring is full */
int sim_submit(struct simdev *s, const struct iopf_sim_cmd *cmd);

/** sim_ring() - ring the doorbell, and kick the device if it has a kick register */
void sim_ring(struct simdev *s);

/** sim_poll() - take one completion; returns 1, or 0 if there is none */
int sim_poll(struct simdev *s, struct iopf_sim_cpl *cpl);

/** sim_wait() - wait for one completion, and take it; bails out on a hang */
void sim_wait(struct simdev *s, struct iopf_sim_cpl *cpl);

/**
 * sim_wait_for() - the same, but fail after some time without progress
 * @s: the device
 * @cpl: out
 * @seconds: that time
 *
 * Return: 0; -ETIMEDOUT; -EIO: the device is halted
 */
int sim_wait_for(struct simdev *s, struct iopf_sim_cpl *cpl, unsigned int seconds);

/** sim_run() - submit, ring, wait; returns the completion's status (IOPF_SIM_ST_*) */
int sim_run(struct simdev *s, const struct iopf_sim_cmd *cmd, struct iopf_sim_cpl *cpl);

/** sim_start() - submit (bails out if the ring is full) and ring; wait with sim_wait() */
void sim_start(struct simdev *s, const struct iopf_sim_cmd *cmd);

/** sim_nap() - let other tasks run; each loop that waits calls it; *@spins starts at 0 */
void sim_nap(unsigned int *spins);

/** sim_status_name() - "OK", "INVALID", ... */
const char *sim_status_name(unsigned int status);

/** sim_describe() - print the registers of the device, as comments */
void sim_describe(struct simdev *s);

/* Commands. Defaults: sequential accesses of 4 KiB, one request at a time. */
struct iopf_sim_cmd sim_cmd(unsigned int opcode, const struct simbuf *b, size_t off, size_t len,
			    uint64_t seed);
struct iopf_sim_cmd sim_cmd_copy(const struct simbuf *dst, size_t dst_off,
				 const struct simbuf *src, size_t src_off, size_t len);
struct iopf_sim_cmd sim_cmd_nop(uint64_t cookie);

/**
 * sim_cmd_order() - make @cmd strided or random, over the same bytes
 * @cmd: from sim_cmd()
 * @order: IOPF_SIM_ORDER_*
 * @size: bytes per access
 * @stride: STRIDED, RANDOM: bytes between slots; at least @size for accesses that don't overlap
 * @order_seed: RANDOM
 *
 * STRIDED: as many accesses as fit. RANDOM: as many accesses as there are slots, so that some slots
 * are used more than once, and some never. Set count afterwards for another number.
 */
void sim_cmd_order(struct iopf_sim_cmd *cmd, unsigned int order, uint32_t size, uint64_t stride,
		   uint64_t order_seed);

/* One command each, run to its end; return its status, and the completion if @cpl is not NULL. */
int sim_write(struct simdev *s, const struct simbuf *b, size_t off, size_t len, uint64_t seed,
	      struct iopf_sim_cpl *cpl);
int sim_verify(struct simdev *s, const struct simbuf *b, size_t off, size_t len, uint64_t seed,
	       struct iopf_sim_cpl *cpl);
int sim_read(struct simdev *s, const struct simbuf *b, size_t off, size_t len,
	     struct iopf_sim_cpl *cpl);
int sim_checksum(struct simdev *s, const struct simbuf *b, size_t off, size_t len, uint64_t *sum,
		 struct iopf_sim_cpl *cpl);
int sim_copy(struct simdev *s, const struct simbuf *dst, size_t dst_off, const struct simbuf *src,
	     size_t src_off, size_t len, struct iopf_sim_cpl *cpl);
/** sim_ask() - send a page request for each page, also for mapped pages, and access no page */
int sim_ask(struct simdev *s, const struct simbuf *b, size_t off, size_t len);
/** sim_touch() - read 8 bytes of every page */
int sim_touch(struct simdev *s, const struct simbuf *b, size_t off, size_t len,
	      struct iopf_sim_cpl *cpl);

/* The pattern, for the CPU. */

/** simbuf_fill() - write the pattern into bytes [off, off + len) */
void simbuf_fill(const struct simbuf *b, size_t off, size_t len, uint64_t seed);

/**
 * simbuf_differs() - count words that are not the pattern; prints the first one as a comment
 * @b: the buffer
 * @off: first byte
 * @len: bytes
 * @seed: of the pattern
 *
 * Return: their number; 0: each byte is right
 */
size_t simbuf_differs(const struct simbuf *b, size_t off, size_t len, uint64_t seed);

/** simbuf_sum() - the expected result of CHECKSUM */
uint64_t simbuf_sum(const struct simbuf *b, size_t off, size_t len);

/** simbuf_nonzero() - words that are not zero */
size_t simbuf_nonzero(const struct simbuf *b, size_t off, size_t len);

#endif /* TESTS_LIB_SIMDEV_H */
