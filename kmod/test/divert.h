/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A kprobe that has another function called in place of the probed one: its pre-handler sets the
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
 * It does nothing. But a kprobe with a post-handler is never optimized. The kernel replaces others
 * by a jump after a moment, unless they are at a ftrace location. Then it calls the pre-handler and
 * ignores what that has set.
 */
static void divert_after(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

#endif /* IOPF_TEST_DIVERT_H */
