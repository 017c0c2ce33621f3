/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Programming interface of the iopf_sim DMA device.
 *
 * The device is a PCI function with one memory BAR. A driver (user space, over
 * vfio-pci) puts commands into a submission ring, rings a doorbell, and reads
 * completion records from a completion ring. Commands move data through the
 * IOMMU: every byte goes through a translation, and a missing translation is
 * requested by a page request (PCIe PRI) or a stall, according to the device.
 *
 * Everything here is little endian and naturally aligned. Nothing in this
 * interface depends on how the device is implemented: a model in a machine
 * emulator or an FPGA can provide it and run the same tests.
 */
#ifndef _UAPI_LINUX_IOPF_SIM_H
#define _UAPI_LINUX_IOPF_SIM_H

#include <linux/types.h>

/* PCI identity. 0x1234 is the vendor id emulators use for devices of their own. */
#define IOPF_SIM_PCI_VENDOR		0x1234
#define IOPF_SIM_PCI_DEVICE		0x10f5

/*
 * BAR 0, 16 KiB:
 *   page 0  registers (below)
 *   page 1  submission ring, used when IOPF_SIM_REG_SQ_BASE is IOPF_SIM_IN_BAR
 *   page 2  completion ring, used when IOPF_SIM_REG_CQ_BASE is IOPF_SIM_IN_BAR
 *   page 3  reserved
 */
#define IOPF_SIM_BAR			0
#define IOPF_SIM_BAR_SIZE		0x4000
#define IOPF_SIM_BAR_SQ			0x1000
#define IOPF_SIM_BAR_CQ			0x2000
#define IOPF_SIM_IN_BAR			(~0ULL)

/* Registers. 32 bits unless said otherwise; "ro" are written by the device. */
#define IOPF_SIM_REG_MAGIC		0x000	/* ro IOPF_SIM_MAGIC */
#define IOPF_SIM_REG_VERSION		0x004	/* ro IOPF_SIM_VERSION */
#define IOPF_SIM_REG_CAPS		0x008	/* ro IOPF_SIM_CAP_* */
#define IOPF_SIM_REG_ENGINES		0x00c	/* ro engines working in parallel */
#define IOPF_SIM_REG_CTRL		0x010	/* rw IOPF_SIM_CTRL_* */
#define IOPF_SIM_REG_STATUS		0x014	/* ro IOPF_SIM_STATUS_* */
#define IOPF_SIM_REG_SQ_BASE		0x018	/* rw u64 IOVA or IOPF_SIM_IN_BAR */
#define IOPF_SIM_REG_CQ_BASE		0x020	/* rw u64 IOVA or IOPF_SIM_IN_BAR */
#define IOPF_SIM_REG_SQ_ENTRIES		0x028	/* rw power of two, 2..32768 */
#define IOPF_SIM_REG_CQ_ENTRIES		0x02c	/* rw power of two, 2..32768 */
#define IOPF_SIM_REG_SQ_HEAD		0x030	/* ro commands fetched so far */
#define IOPF_SIM_REG_CQ_TAIL		0x034	/* ro completions written so far */
#define IOPF_SIM_REG_ERROR		0x038	/* ro IOPF_SIM_ST_* that halted it */
#define IOPF_SIM_REG_ERROR_IOVA		0x040	/* ro u64 where, if anywhere */
#define IOPF_SIM_REG_SQ_TAIL		0x800	/* rw doorbell: commands submitted */
#define IOPF_SIM_REG_CQ_HEAD		0x804	/* rw completions consumed */

#define IOPF_SIM_MAGIC			0x46504f49u	/* "IOPF" */
#define IOPF_SIM_VERSION		1

#define IOPF_SIM_CAP_PRI		(1u << 0)	/* faults by page requests */
#define IOPF_SIM_CAP_STALL		(1u << 1)	/* faults by stalling */
#define IOPF_SIM_CAP_KICK		(1u << 2)	/* has the kick register */

/*
 * Control. Setting ENABLE latches the ring registers, zeroes SQ_HEAD and CQ_TAIL,
 * and sets STATUS.READY (or STATUS.HALTED with ERROR IOPF_SIM_ST_BAD_COMMAND when
 * the ring registers make no sense: entries out of range, a ring in memory that is
 * not aligned to 128 bytes or wraps, one in the BAR of more than 32 entries);
 * SQ_TAIL and CQ_HEAD must be zero by then. Clearing it lets the commands in
 * flight finish, fetches no more, and clears READY when done. A command that waits
 * for a page response then finishes at once, with IOPF_SIM_ST_ABORTED, for the response may
 * never come; so does a completion that waits for room, which is lost.
 * The device comes out of FLR with everything zero but the ro identity.
 */
#define IOPF_SIM_CTRL_ENABLE		(1u << 0)

#define IOPF_SIM_STATUS_READY		(1u << 0)
#define IOPF_SIM_STATUS_HALTED		(1u << 1)	/* ring access failed; FLR to leave */

/*
 * The kick: bit 0 of the 32 bit register at IOPF_SIM_VNDR_KICK in the
 * vendor-specific capability (id 0x09) of configuration space. An
 * implementation that learns of doorbell writes only by polling (a simulator
 * whose BAR is plain memory) looks at once when it is written. Optional; never needed
 * for correctness.
 */
#define IOPF_SIM_VNDR_LEN		0x0c
#define IOPF_SIM_VNDR_KICK		0x08

/*
 * Rings. SQ_TAIL, SQ_HEAD, CQ_TAIL and CQ_HEAD are free-running counts; the
 * slot is count % entries. The device never fetches past SQ_TAIL and never
 * has more than CQ_ENTRIES completions not yet consumed (CQ_TAIL - CQ_HEAD).
 * An SQ_TAIL more than SQ_ENTRIES ahead of SQ_HEAD halts it, as does a ring that it
 * cannot reach.
 * Commands may complete in any order when there are several engines.
 * A completion is valid once its phase is 1 in odd laps and 0 in even laps of
 * the ring, counting from lap 1; memory starts as zero. The phase is written last.
 */

/*
 * Opcodes. REQUEST asks for every page of the accesses, translated or not, for writing
 * (IOPF_SIM_F_READ_FIRST: for reading). STOP_MARKER is a PRI stop marker.
 */
#define IOPF_SIM_OP_NOP			0
#define IOPF_SIM_OP_WRITE		1	/* write the pattern */
#define IOPF_SIM_OP_VERIFY		2	/* read, compare with the pattern */
#define IOPF_SIM_OP_COPY		3	/* read at src, write at iova */
#define IOPF_SIM_OP_CHECKSUM		4	/* read, sum the 64-bit words */
#define IOPF_SIM_OP_READ		5	/* read, look at nothing */
#define IOPF_SIM_OP_STOP_MARKER		6	/* send a stop marker for @pasid */
#define IOPF_SIM_OP_REQUEST		7	/* send page requests, move nothing */

/* Order of the accesses. Access i, 0 <= i < count, is at iova + offset(i). */
#define IOPF_SIM_ORDER_SEQUENTIAL	0	/* offset = i * size */
#define IOPF_SIM_ORDER_STRIDED		1	/* offset = i * stride */
#define IOPF_SIM_ORDER_RANDOM		2	/* offset = stride * iopf_sim_slot() */

/*
 * Flags
 *   RETRY_NEVER  fail (IOPF_SIM_ST_RETRIES) when an access misses again after its response
 *   READ_FIRST   request read permission even for a write; the write then faults again
 *   NO_FAULT     never send a page request: a missing translation is
 *                IOPF_SIM_ST_UNTRANSLATED
 */
#define IOPF_SIM_F_RETRY_NEVER		(1u << 0)
#define IOPF_SIM_F_READ_FIRST		(1u << 1)
#define IOPF_SIM_F_NO_FAULT		(1u << 2)

/**
 * struct iopf_sim_cmd - one command, 128 bytes
 * @opcode: IOPF_SIM_OP_*
 * @order: IOPF_SIM_ORDER_*
 * @flags: IOPF_SIM_F_*
 * @cookie: returned in the completion
 * @iova: base of the accesses
 * @src: COPY: base of the accesses read, same offsets as @iova
 * @origin: address at which the data pattern starts (see iopf_sim_word())
 * @count: number of accesses
 * @stride: STRIDED, RANDOM: distance between slots, in bytes, multiple of 8
 * @slots: RANDOM: number of slots to choose from
 * @seed: seed of the data pattern
 * @order_seed: RANDOM: seed of the order
 * @size: bytes per access, multiple of 8, at most IOPF_SIM_MAX_ACCESS. An access may cross
 *        pages.
 * @prg_pages: page requests per group, 1..512 (0 means 1): at a missing translation the
 *             device also asks, in the same group, for the following missing ones
 * @prg_depth: groups the command may have outstanding, 1..32 (0 means 1)
 * @pasid: STOP_MARKER: the pasid
 * @reserved: zero, or the command is refused with IOPF_SIM_ST_BAD_COMMAND
 *
 * @iova, @src, and @origin are multiples of 8.
 */
struct iopf_sim_cmd {
	__u16 opcode;
	__u16 order;
	__u32 flags;
	__aligned_u64 cookie;
	__aligned_u64 iova;
	__aligned_u64 src;
	__aligned_u64 origin;
	__aligned_u64 count;
	__aligned_u64 stride;
	__aligned_u64 slots;
	__aligned_u64 seed;
	__aligned_u64 order_seed;
	__u32 size;
	__u16 prg_pages;
	__u16 prg_depth;
	__u32 pasid;
	__u32 reserved[9];
};

#define IOPF_SIM_MAX_ACCESS		(1u << 20)
#define IOPF_SIM_MAX_PRG		32
#define IOPF_SIM_MAX_PRG_PAGES		512

/*
 * Completion status. UNTRANSLATED: no translation and no way to ask for one, or bus
 * mastering is off. STALE: the device would have used a translation that was not valid
 * any more, or memory that was freed: an invalidation was missing; no data was moved.
 */
#define IOPF_SIM_ST_OK			0
#define IOPF_SIM_ST_BAD_COMMAND		1	/* a field makes no sense */
#define IOPF_SIM_ST_UNTRANSLATED	2
#define IOPF_SIM_ST_INVALID		3	/* page request answered "invalid request" */
#define IOPF_SIM_ST_FAILURE		4	/* page request answered "response failure" */
#define IOPF_SIM_ST_MISMATCH		5	/* VERIFY found other data */
#define IOPF_SIM_ST_RETRIES		6	/* gave up after too many retries of one access */
#define IOPF_SIM_ST_ABORTED		7	/* FLR, disable or removal */
#define IOPF_SIM_ST_STALE		8

/**
 * struct iopf_sim_cpl - one completion record, 128 bytes
 * @cookie: of the command
 * @result: CHECKSUM: the sum; otherwise the address of the first failing access
 * @bytes: bytes moved
 * @faults: page request groups sent
 * @pages: page requests sent
 * @retries: accesses that missed again after a positive response, not counting the
 *           second fault of IOPF_SIM_F_READ_FIRST
 * @mismatches: VERIFY: words that differed
 * @ns: from fetch to completion
 * @fault_ns: time from report to response, summed over the groups
 * @fault_ns_max: the longest of them
 * @wait_ns: time the command stood still for want of a translation
 * @reserved: zero
 * @status: IOPF_SIM_ST_*
 * @engine: which engine did it
 * @phase: see above
 */
struct iopf_sim_cpl {
	__aligned_u64 cookie;
	__aligned_u64 result;
	__aligned_u64 bytes;
	__aligned_u64 faults;
	__aligned_u64 pages;
	__aligned_u64 retries;
	__aligned_u64 mismatches;
	__aligned_u64 ns;
	__aligned_u64 fault_ns;
	__aligned_u64 fault_ns_max;
	__aligned_u64 wait_ns;
	__aligned_u64 reserved[4];
	__u16 status;
	__u16 engine;
	__u32 phase;
};

/**
 * iopf_sim_mix() - the 64-bit finalizer of SplitMix64
 * @x: any value
 *
 * Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014.
 */
static inline __u64 iopf_sim_mix(__u64 x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/**
 * iopf_sim_word() - the data pattern: the 64-bit word at @offset bytes after the origin
 * @seed: the command's seed
 * @offset: address - origin, multiple of 8
 */
static inline __u64 iopf_sim_word(__u64 seed, __u64 offset)
{
	return iopf_sim_mix(seed * 0x9e3779b97f4a7c15ULL + offset);
}

/**
 * iopf_sim_slot() - which slot access @i of a RANDOM command uses
 * @order_seed: the command's order seed
 * @i: number of the access
 * @slots: how many slots there are
 */
static inline __u64 iopf_sim_slot(__u64 order_seed, __u64 i, __u64 slots)
{
	return iopf_sim_mix(order_seed + i * 0x9e3779b97f4a7c15ULL) % slots;
}

#endif /* _UAPI_LINUX_IOPF_SIM_H */
