/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A kprobe that diverts calls of the probed function to another function. Its pre-handler sets the
 * instruction pointer and returns 1.
 */
#ifndef IOPF_TEST_DIVERT_H
#define IOPF_TEST_DIVERT_H

#include <linux/kprobes.h>

/**
 * divert_after() - the post-handler of such a kprobe
 * @probe: the kprobe
 * @regs: registers
 * @flags: unused
 *
 * The post-handler does nothing. But a kprobe with a post-handler is never optimized. After some
 * time, the kernel replaces any other kprobe by a jump, unless it is at an ftrace location. An
 * optimized kprobe ignores the instruction pointer that the pre-handler sets.
 */
static void divert_after(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

#endif /* IOPF_TEST_DIVERT_H */
