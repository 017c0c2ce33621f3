/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory policies have a reference count, but the kernel does not export __mpol_put(). */
#ifndef IOPF_COMPAT_MEMPOLICY_H
#define IOPF_COMPAT_MEMPOLICY_H

#include <linux/mempolicy.h>
#include <linux/slab.h>

#ifdef CONFIG_NUMA
/* Does the same as __mpol_put() of Linux 6.12. kfree() can free an object of any slab cache. */
static inline void iopf_mpol_put(struct mempolicy *policy)
{
	if (policy && atomic_dec_and_test(&policy->refcnt))
		kfree(policy);
}

/* Set the memory policy of the calling thread. Returns the old one, with its reference. */
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
