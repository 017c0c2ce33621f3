// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stores into maple trees whose nodes are charged to the memory cgroup of the calling process.
 *
 * mtree_store_range() and its like first try to allocate nodes without waiting and without
 * __GFP_ACCOUNT, and use the caller's flags only if that fails. So user space could make the kernel
 * allocate any number of uncharged nodes. Here the nodes are allocated, and charged, before the
 * store. A store also replaces nodes, and the new nodes are charged too. So erasing uses the same
 * function.
 *
 * Locking: the tree's own lock, under which no allocation waits. The caller's lock excludes other
 * writers.
 */
#include <linux/gfp.h>
#include <linux/maple_tree.h>
#include <linux/mm.h>

#include "tree.h"

/* Number of attempts, with a reclaim after each one, before a store fails. */
#define STORE_ATTEMPTS 16

static int tree_store(struct maple_tree *tree, unsigned long first, unsigned long last,
		      void *entry)
{
	MA_STATE(mas, tree, first, last);
	int ret;

	mtree_lock(tree);
	ret = mas_preallocate(&mas, entry, GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT);
	if (!ret)
		mas_store_prealloc(&mas, entry);
	mtree_unlock(tree);
	return ret;
}

/**
 * iopf_tree_store() - store an entry in a range
 * @tree: the tree; nobody else writes to it meanwhile
 * @first: first index
 * @last: last index
 * @entry: the entry, or NULL to erase the range
 * @must: the store must not fail, even if the memory cgroup has no room for the nodes
 *
 * Context: process context; may wait for memory.
 * Return: 0 or -ENOMEM.
 */
int iopf_tree_store(struct maple_tree *tree, unsigned long first, unsigned long last, void *entry,
		    bool must)
{
	for (unsigned int attempt = 0; attempt < STORE_ATTEMPTS; attempt++) {
		unsigned long page;

		if (!tree_store(tree, first, last, entry))
			return 0;
		/* This allocation makes the kernel reclaim for the cgroup and for the machine. */
		page = __get_free_page(GFP_KERNEL_ACCOUNT);
		if (!page)
			break;
		free_page(page);
	}
	return must ? mtree_store_range(tree, first, last, entry, GFP_KERNEL | __GFP_NOFAIL)
		    : -ENOMEM;
}
