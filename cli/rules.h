/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device table as a whole: the parameter "ids", the administrator's rules, those that come with
 * the module. As it is in force, where the module is loaded; as it would be, where it is not.
 *
 * What is in force is a text, too (kmod/iopf/table.c): a line for each rule, with who says it and
 * the line of his text before it. A device's file "rule" has one such line.
 */
#ifndef CLI_RULES_H
#define CLI_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "../core/devtable.h"

/**
 * struct rules - all rules
 * @in_force: they are the module's; otherwise the administrator's are from the file
 * @ids: the parameter, or ""
 * @admin: the administrator's
 * @admin_text: what they were parsed from
 * @builtin: those that come with the module
 * @builtin_text: what they were parsed from; NULL: what is compiled in
 */
struct rules {
	bool in_force;
	char ids[4096 + 1];
	struct iopf_devtable *admin;
	char *admin_text;
	struct iopf_devtable *builtin;
	char *builtin_text;
};

int rules_load(struct rules *rules);
void rules_free(struct rules *rules);
enum iopf_origin rules_split(char *line, unsigned int *number, char **rest);
int rules_parse(struct iopf_devtable **table, const char *text, size_t len,
		struct iopf_devtable_error *err);
char *rules_error_text(const char *file, const struct iopf_devtable_error *err);

#endif /* CLI_RULES_H */
