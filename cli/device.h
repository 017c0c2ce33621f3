/* SPDX-License-Identifier: GPL-2.0-only */
/* iopfctl device: what its files share. */
#ifndef CLI_DEVICE_H
#define CLI_DEVICE_H

#include <stdbool.h>

#include "../core/devtable.h"
#include "conf.h"

/**
 * struct device - what is asked for
 * @apply: give the changed file to the module
 * @first: put the rule before all others
 * @comment: where it is from, or NULL
 * @nr: how many words
 * @words: what follows the verb
 */
struct device {
	bool apply;
	bool first;
	const char *comment;
	int nr;
	char **words;
};

int device_add(const struct device *device);
int device_remove(const struct device *device);

int device_parse(struct iopf_devtable **table, const struct conf *conf);
int device_give(const struct conf *conf);
int device_say_done(const char *what, const char *rule, unsigned int nr);

#endif /* CLI_DEVICE_H */
