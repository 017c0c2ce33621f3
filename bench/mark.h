/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Marks: where a phase of the benchmark begins and ends, for who counts instructions from outside
 * (bench/profile). A mark is a nop that nothing else uses, "nopl 0x10f5KK00(%rax)" of kind KK: it costs
 * one instruction, and means nothing to a processor.
 */
#ifndef BENCH_MARK_H
#define BENCH_MARK_H

#define MARK_NEXT	1	/* from here on it is the next phase; the first is phase 1 */
#define MARK_ON		2
#define MARK_OFF	3

#define MARK_LEN	7
#define MARK_BYTES_HEAD	0x0f, 0x1f, 0x80, 0x00
#define MARK_BYTES_TAIL	0xf5, 0x10

#define MARK_STRING(x)	#x
#define MARK_BYTE(kind)	MARK_STRING(kind)
#define MARK(kind)	asm volatile(".byte 0x0f, 0x1f, 0x80, 0x00, " MARK_BYTE(kind) ", 0xf5, 0x10" \
				     ::: "memory")

#endif /* BENCH_MARK_H */
