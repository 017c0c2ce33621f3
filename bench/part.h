/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parts of the benchmark: all of them, or those that the command line names. A name is "part", or
 * "part:case" if the part has cases.
 */
#ifndef BENCH_PART_H
#define BENCH_PART_H

#include <stdbool.h>

/** part_choose() - select parts by name; no name selects all */
void part_choose(char **names, int n);

/** part_wanted() - whether to measure the part, or any case of it */
bool part_wanted(const char *part);

/** part_case_wanted() - whether to measure this case of the part */
bool part_case_wanted(const char *part, const char *name);

/** part_unknown() - a selected name that no caller has asked about; NULL: there is none */
const char *part_unknown(void);

#endif /* BENCH_PART_H */
