/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_POLICY_H
#define IOPF_POLICY_H

#include <linux/types.h>

#include "../../../core/mode.h"

struct iopf_area;
struct iopf_space;
struct iopf_range;

enum iopf_policy iopf_policy_own(struct iopf_space *space, u64 iova, u64 *last);
enum iopf_policy iopf_policy_at(struct iopf_space *space, u64 iova, u64 *last);
int iopf_policy_store(struct iopf_space *space, const struct iopf_range *range,
		      enum iopf_policy policy);
void iopf_policy_forget(struct iopf_space *space, const struct iopf_range *range);

bool iopf_policy_next_default(struct iopf_space *space, u64 at, struct iopf_range *range);

#endif /* IOPF_POLICY_H */
