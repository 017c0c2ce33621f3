/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_DOMAIN_H
#define IOPF_DOMAIN_H

#include <linux/types.h>

struct iopf_attach;
struct iopf_container;
struct iopf_iovas;

u64 iopf_domain_pgsizes(struct iopf_container *c);
int iopf_domain_join(struct iopf_container *c, struct iopf_attach *at, struct iopf_iovas **iovas);
void iopf_domain_leave(struct iopf_container *c, struct iopf_attach *at);

#endif /* IOPF_DOMAIN_H */
