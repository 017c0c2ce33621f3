/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory policies: the kernel counts their references, but does not export the end of it. */
#ifndef IOPF_COMPAT_MEMPOLICY_H
#define IOPF_COMPAT_MEMPOLICY_H

#include <linux/mempolicy.h>
#include <linux/slab.h>

#ifdef CONFIG_NUMA
/* As __mpol_put() of 6.12. kfree() frees what any slab cache has allocated. */
static inline void iopf_mpol_put(struct mempolicy *policy)
{
	if (policy && atomic_dec_and_test(&policy->refcnt))
		kfree(policy);
}

/* Exchange the caller's own memory policy. Returns what it was, with its reference. */
static inline struct mempolicy *iopf_mpol_exchange(struct mempolicy *policy)
{
	task_lock(current);
	swap(current->mempolicy, policy);
	task_unlock(current);
	return policy;
}
#else
static inline void iopf_mpol_put(struct mempolicy *policy) { }

static inline struct mempolicy *iopf_mpol_exchange(struct mempolicy *policy)
{
	return NULL;
}
#endif

#endif /* IOPF_COMPAT_MEMPOLICY_H */
