// SPDX-License-Identifier: GPL-2.0-only
/*
 * NUMA memory policy of a process whose memory is populated, and free memory of nodes.
 *
 * borrow vs set_mempolicy(): the borrower has a reference, and the last reference frees the policy.
 *   A copy has no reference count. So only kernel threads use one: a reader of /proc/TID/numa_maps
 *   takes references to the policy of a thread, but a kernel thread has no memory to read about.
 * free memory vs other allocations: the functions check before the caller allocates. Another task
 *   may take the memory after the check.
 *
 * Locking: task_lock(), for a few instructions; the lock of a file's policies, for reading.
 */
#include <linux/cleanup.h>
#include <linux/fs.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/shmem_fs.h>

#include "nodes.h"

#if defined(CONFIG_NUMA) && defined(CONFIG_MEMCG)
/* Give the calling thread, which has no memory policy, that of the process's main thread. */
struct mempolicy *iopf_mempolicy_borrow(struct mm_struct *mm)
{
	struct mempolicy *policy = NULL;
	struct task_struct *owner;

	if (nr_online_nodes == 1)
		return NULL;
	scoped_guard(rcu) {
		owner = rcu_dereference(mm->owner);
		if (owner) {
			task_lock(owner);
			policy = owner->mempolicy;
			mpol_get(policy);
			task_unlock(owner);
		}
	}
	if (policy)
		WARN_ON_ONCE(iopf_mpol_exchange(policy));
	return policy;
}

void iopf_mempolicy_return(struct mempolicy *policy)
{
	if (policy)
		iopf_mpol_put(iopf_mpol_exchange(NULL));
}

/* The slow path of iopf_mempolicy_copy(). */
bool iopf_mempolicy_copy_nodes(struct mm_struct *mm, struct mempolicy *copy)
{
	struct task_struct *owner;

	if (!(current->flags & PF_KTHREAD) || current->mempolicy)
		return false;
	guard(rcu)();
	owner = rcu_dereference(mm->owner);
	if (!owner || !nodes_subset(node_states[N_MEMORY], owner->mems_allowed))
		return false;
	if (READ_ONCE(owner->mempolicy)) {
		task_lock(owner);
		if (owner->mempolicy)
			*copy = *owner->mempolicy;
		task_unlock(owner);
	}
	return true;
}

/* Whether each of @nodes has room for @pages pages: see iopf_node_has_room(). */
bool iopf_nodes_have_room(const nodemask_t *nodes, unsigned int pages, bool huge)
{
	int node;

	for_each_node_mask(node, *nodes)
		if (!node_state(node, N_MEMORY) || !iopf_node_has_room(node, pages, huge))
			return false;
	return true;
}

/* Return the memory policy of page @index of shared memory, or NULL. */
static const struct mempolicy *shmem_policy(struct shared_policy *shared, pgoff_t index)
{
	struct rb_node *node = shared->root.rb_node;

	lockdep_assert_held(&shared->lock);

	while (node) {
		struct sp_node *part = rb_entry(node, struct sp_node, nd);

		if (index >= part->start && index < part->end)
			return part->policy;
		node = index < part->start ? node->rb_left : node->rb_right;
	}
	return NULL;
}

static bool shmem_has_room(struct inode *inode, pgoff_t index, unsigned int pages, bool huge)
{
	struct shared_policy *shared = &SHMEM_I(inode)->policy;
	const struct mempolicy *policy;
	bool room;

	if (!READ_ONCE(shared->root.rb_node))
		return true;
	read_lock(&shared->lock);
	policy = shmem_policy(shared, index);
	room = !policy || iopf_mempolicy_has_room(policy, pages, huge);
	read_unlock(&shared->lock);
	return room;
}

/* The slow path of iopf_vma_has_room(). */
bool iopf_vma_mempolicy_has_room(struct vm_area_struct *vma, unsigned long vaddr, bool huge)
{
	unsigned int pages = huge ? HPAGE_PMD_NR : 1;

	if (!vma_is_anonymous(vma))
		return shmem_has_room(file_inode(vma->vm_file), linear_page_index(vma, vaddr),
				      pages, huge);
	return !vma->vm_policy || iopf_mempolicy_has_room(vma->vm_policy, pages, huge);
}
#endif
