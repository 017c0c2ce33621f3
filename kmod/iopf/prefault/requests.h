/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_REQUESTS_H
#define IOPF_REQUESTS_H

#include <linux/types.h>

struct iopf_space;
struct iopf_prefault;
struct iopf_prefaults;
struct vfio_iopf_prefault_status;

struct iopf_prefaults *iopf_prefaults_create(struct iopf_space *space);
void iopf_prefaults_end(struct iopf_prefaults *ps);
void iopf_prefaults_put(struct iopf_prefaults *ps);
void iopf_prefaults_count(struct iopf_prefaults *ps, unsigned int *held, u64 *pages);

void iopf_prefaults_join(struct iopf_prefaults *ps, struct iopf_prefault *p);
int iopf_prefaults_start(struct iopf_prefault *p);
bool iopf_prefaults_policy_room(struct iopf_prefaults *ps);
u64 iopf_prefaults_start_policy(struct iopf_prefault *p);
int iopf_prefaults_query(struct iopf_space *space, struct vfio_iopf_prefault_status *status,
			 bool cancel);

/* Called by the worker of a request. */
bool iopf_prefaults_activate(struct iopf_prefault *p);
bool iopf_prefaults_doze(struct iopf_prefault *p);
void iopf_prefaults_account(struct iopf_prefault *p, u64 already_mapped, u64 mapped, u64 failed);

#endif /* IOPF_REQUESTS_H */
