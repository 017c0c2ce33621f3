/* SPDX-License-Identifier: GPL-2.0-only */
/* A file of rules that a command applies or changes: the device table, or the limits. */
#ifndef CLI_RULEFILE_H
#define CLI_RULEFILE_H

struct conf;

int rulefile_give(const struct conf *conf, const char *path);
int rulefile_done(const char *what, const char *file, const char *rule, unsigned int nr);

#endif /* CLI_RULEFILE_H */
