/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The environment that core/ needs: the kernel's own headers in the module, and a small user-space
 * replacement with the same names in the native tests.
 */
#ifndef IOPF_CORE_SHIM_H
#define IOPF_CORE_SHIM_H

#ifdef __KERNEL__
#include <linux/align.h>
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/ctype.h>
#include <linux/errno.h>
#include <linux/hex.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/types.h>

/* Returns whether the calling task was killed, so that it need not finish its work. */
static inline bool iopf_core_killed(void)
{
	return fatal_signal_pending(current);
}
#else
#include "test/shim.h"
#endif

#endif /* IOPF_CORE_SHIM_H */
