/* SPDX-License-Identifier: GPL-2.0-only */
/* The verdict on a device: can it take page faults, and if not, why, and what would change that. */
#ifndef CLI_VERDICT_H
#define CLI_VERDICT_H

#include "facts.h"

#define VERDICT_NEEDS	8

/**
 * enum verdict_kind - can it
 * @VERDICT_FAULTS: it does, or has done since it was bound
 * @VERDICT_COULD: it would, if something were changed
 * @VERDICT_CANNOT: nothing here would change that it can't
 * @VERDICT_UNKNOWN: this user may not know
 */
enum verdict_kind {
	VERDICT_FAULTS,
	VERDICT_COULD,
	VERDICT_CANNOT,
	VERDICT_UNKNOWN,
};

/**
 * struct verdict - the verdict
 * @kind: can it
 * @why: of all but VERDICT_COULD: why; half a sentence
 * @nr_needs: of VERDICT_COULD: how many
 * @needs: what would have to be; half sentences
 */
struct verdict {
	enum verdict_kind kind;
	char why[FACTS_TEXT];
	unsigned int nr_needs;
	char needs[VERDICT_NEEDS][2 * FACTS_TEXT];
};

void verdict_judge(struct verdict *v, const struct facts *f);
const char *verdict_word(enum verdict_kind kind);
void verdict_text(const struct verdict *v, char *buf, size_t size);

#endif /* CLI_VERDICT_H */
