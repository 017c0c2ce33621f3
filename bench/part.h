/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parts of the benchmark, by name: all of them, or those the command line names. A name is "part"
 * or "part:case", where a part has cases.
 */
#ifndef BENCH_PART_H
#define BENCH_PART_H

#include <stdbool.h>

/** part_choose() - take these and no others; none means all */
void part_choose(char **names, int n);

/** part_wanted() - is the part, or any case of it, to be measured */
bool part_wanted(const char *part);

/** part_case_wanted() - is this case of the part to be measured */
bool part_case_wanted(const char *part, const char *name);

/** part_unknown() - a name that nobody has asked for; NULL when there is none */
const char *part_unknown(void);

#endif /* BENCH_PART_H */
