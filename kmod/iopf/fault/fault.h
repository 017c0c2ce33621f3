/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_FAULT_H
#define IOPF_FAULT_H

struct iopf_attach;
struct iopf_group;

int iopf_fault_cache_init(void);
void iopf_fault_cache_exit(void);
int iopf_fault_reserve(struct iopf_attach *at);
void iopf_fault_room(struct iopf_attach *at);
int iopf_fault_handler(struct iopf_group *group);
void iopf_fault_more_workers(struct iopf_attach *at);
void iopf_fault_drain(struct iopf_attach *at);

#endif /* IOPF_FAULT_H */
