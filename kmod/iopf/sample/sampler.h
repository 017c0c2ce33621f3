/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_SAMPLER_H
#define IOPF_SAMPLER_H

#include <linux/types.h>

struct iopf_sampler;
struct iopf_space;

struct iopf_sampler *iopf_sampler_create(struct iopf_space *space);
void iopf_sampler_end(struct iopf_sampler *sampler);
void iopf_sampler_free(struct iopf_sampler *sampler);

unsigned int iopf_sampler_interval(struct iopf_sampler *sampler);
int iopf_sampler_set_interval(struct iopf_sampler *sampler, unsigned int ms);
unsigned int iopf_sampler_max(const struct iopf_sampler *sampler);
int iopf_sampler_set_max(struct iopf_sampler *sampler, unsigned int max);
u64 iopf_sampler_cost(struct iopf_sampler *sampler);
ssize_t iopf_sampler_log(struct iopf_sampler *sampler, char *buf, loff_t off, size_t count);

#endif /* IOPF_SAMPLER_H */
