/* SPDX-License-Identifier: GPL-2.0-only */
/* iopfctl device add, remove: changes of the administrator's device table. */
#ifndef CLI_EDIT_H
#define CLI_EDIT_H

#include <stdbool.h>

#include "../sys/rules.h"

struct conf;

/**
 * struct edit_args - the arguments of a change
 * @apply: give the changed file to the module
 * @first: put the rule before all others
 * @comment: the comment of the rule, or NULL
 * @nr: number of words
 * @words: the words of the rule
 */
struct edit_args {
	bool apply;
	bool first;
	const char *comment;
	int nr;
	char **words;
};

int edit_add(const struct edit_args *args);
int edit_remove(const struct edit_args *args);
int edit_parse(struct iopf_devtable **table, const struct conf *conf);

#endif /* CLI_EDIT_H */
