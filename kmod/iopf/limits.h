/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_LIMITS_H
#define IOPF_LIMITS_H

struct iopf_container;

int iopf_limits_add_files(struct iopf_container *c);

#endif /* IOPF_LIMITS_H */
