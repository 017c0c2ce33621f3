/* SPDX-License-Identifier: GPL-2.0-only */
/* The verdict on a device: whether it can take page faults; why not; what would change that. */
#ifndef CLI_VERDICT_H
#define CLI_VERDICT_H

#include "../sys/facts.h"

#define VERDICT_NEEDS	8

/**
 * enum verdict_kind - whether the device can take page faults
 * @VERDICT_ENABLED: it takes page faults, or has done so since a VFIO driver was bound to it
 * @VERDICT_POSSIBLE: it can after a change
 * @VERDICT_UNSUPPORTED: it cannot, and no change helps
 * @VERDICT_UNKNOWN: this user may not read its capabilities
 */
enum verdict_kind {
	VERDICT_ENABLED,
	VERDICT_POSSIBLE,
	VERDICT_UNSUPPORTED,
	VERDICT_UNKNOWN,
};

/**
 * struct verdict - the verdict
 * @kind: whether the device can take page faults
 * @why: the reason, half a sentence; "" for VERDICT_POSSIBLE
 * @nr_needs: number of conditions, for VERDICT_POSSIBLE
 * @needs: the conditions, half sentences
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
