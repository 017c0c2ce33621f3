/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Address translation cache. See atc.c.
 */
#ifndef IOPF_SIM_ATC_H
#define IOPF_SIM_ATC_H

#include "endpoint.h"
#include "pagetable.h"

bool iopf_sim_atc_lookup(struct iopf_sim_bank *bank, u64 iova, struct iopf_sim_leaf *leaf);
void iopf_sim_atc_fill(struct iopf_sim_bank *bank, u64 iova, const struct iopf_sim_leaf *leaf);
void iopf_sim_atc_invalidate(struct iopf_sim_bank *bank, u64 iova, u64 last);
void iopf_sim_atc_flush(struct iopf_sim_bank *bank);
struct iopf_sim_atc_entry *iopf_sim_atc_alloc(u32 entries);

#endif /* IOPF_SIM_ATC_H */
