// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hints: see hint.h.
 */
#include "hint.h"

struct iopf_hints __percpu *iopf_hints;
atomic64_t iopf_hint_generations;

int iopf_hints_init(void)
{
	iopf_hints = alloc_percpu(struct iopf_hints);
	return iopf_hints ? 0 : -ENOMEM;
}

void iopf_hints_exit(void)
{
	free_percpu(iopf_hints);
}
