// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stores into maple trees, at the expense of the calling process.
 *
 * mtree_store_range() and its like allocate nodes without waiting first, and that without
 * __GFP_ACCOUNT, whatever they are told; the caller's flags count only when this has failed. So
 * user space could have any number of nodes that nobody is charged for. Here the nodes are
 * allocated before the store, and charged. A node that is replaced by another one is
 * charged anew, so that holds for erasing, too.
 *
 * Locking: the tree's own lock, in which no memory is waited for. The caller's lock keeps out other
 * writers.
 */
#include <linux/gfp.h>
#include <linux/maple_tree.h>
#include <linux/mm.h>

#include "tree.h"

/* How often reclaim is asked for room, before a store fails. */
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
 * @entry: the entry, or NULL: the range is erased
 * @must: it can't fail, even if there is no room for it in the memory cgroup
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
		/* Have the cgroup's limit, and the machine's, reclaimed for. */
		page = __get_free_page(GFP_KERNEL_ACCOUNT);
		if (!page)
			break;
		free_page(page);
	}
	return must ? mtree_store_range(tree, first, last, entry, GFP_KERNEL | __GFP_NOFAIL)
		    : -ENOMEM;
}
