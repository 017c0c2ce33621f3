/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_WORKER_H
#define IOPF_WORKER_H

#include <linux/types.h>

struct iopf_job;
struct iopf_pool;

int iopf_workers_wq_init(void);
void iopf_workers_wq_exit(void);
void iopf_workers_init(struct iopf_pool *pool);
int iopf_workers_start(struct iopf_pool *pool);
void iopf_workers_wake(struct iopf_pool *pool);
void iopf_workers_wake_all(struct iopf_pool *pool, bool interrupt);
void iopf_workers_interrupt(struct iopf_pool *pool, const struct iopf_job *job);

/* Functions of pool.c for worker.c. */
bool iopf_pool_add(struct iopf_pool *pool);
void iopf_pool_remove(struct iopf_pool *pool);
bool iopf_pool_join_begin(struct iopf_pool *pool);
void iopf_pool_join_end(struct iopf_pool *pool);
void iopf_pool_attend(struct iopf_pool *pool);
void iopf_pool_die(struct iopf_pool *pool);

#endif /* IOPF_WORKER_H */
