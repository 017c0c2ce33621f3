/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The whole device table: the parameter "ids", the administrator's rules, the module's built-in
 * rules. If the module is loaded, this is the table in force. Otherwise it is the table that the
 * module would have.
 *
 * The module shows the table in force as a text: a line for each rule, with its origin and its line
 * number before it. The file "rule" of a device contains one such line.
 */
#ifndef CLI_RULES_H
#define CLI_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "../../core/devtable.h"

/**
 * struct rules - all rules
 * @active: they come from the module; otherwise @admin comes from the file
 * @ids: the parameter, or ""
 * @admin: the administrator's rules
 * @admin_text: the text of @admin
 * @builtin: the module's built-in rules
 * @builtin_text: the text of @builtin; NULL: iopfctl's own copy
 */
struct rules {
	bool active;
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
