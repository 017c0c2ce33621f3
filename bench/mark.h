/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Marks: the begin and end of a phase of the benchmark, for a profiler outside of the VM
 * (bench/profile) that counts instructions. A mark is a nop that nothing else uses,
 * "nopl 0x10f5KK00(%rax)" of kind KK. It costs one instruction and has no effect.
 */
#ifndef BENCH_MARK_H
#define BENCH_MARK_H

#define MARK_NEXT	1	/* the next phase begins; the first is phase 1 */
#define MARK_ON		2
#define MARK_OFF	3

/* The bytes of a mark, with the kind between head and tail. */
#define MARK_HEAD	"\x0f\x1f\x80\x00"
#define MARK_TAIL	"\xf5\x10"
#define MARK_LEN	7

#define mark(kind)								\
({										\
	asm volatile(".byte 0x0f, 0x1f, 0x80, 0x00, %c0, 0xf5, 0x10" :: "i"(kind) : "memory"); \
})

#endif /* BENCH_MARK_H */
