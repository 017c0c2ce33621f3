/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_TREE_H
#define IOPF_TREE_H

#include <linux/types.h>

struct maple_tree;

int iopf_tree_store(struct maple_tree *tree, unsigned long first, unsigned long last, void *entry,
		    bool must);

#endif /* IOPF_TREE_H */
