/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fleet: all devices of the rig at work on one buffer, each on a share of its own.
 */
#ifndef DEMO_FLEET_H
#define DEMO_FLEET_H

#include <stddef.h>
#include <stdint.h>

#include "rig.h"

/**
 * struct fleet_work - what is to be done and what came of it
 * @what: for the progress line
 * @opcode: IOPF_SIM_OP_WRITE or IOPF_SIM_OP_VERIFY
 * @off: first byte of the buffer
 * @len: bytes
 * @seed: of the pattern
 * @ns: out: how long it took
 * @wrong: out: words the devices found to be different from the pattern
 * @faults: out: page request groups
 * @fault_ns: out: time from report to response, summed
 * @fault_ns_max: out: the longest
 */
struct fleet_work {
	const char *what;
	unsigned int opcode;
	size_t off;
	size_t len;
	uint64_t seed;
	uint64_t ns;
	uint64_t wrong;
	uint64_t faults;
	uint64_t fault_ns;
	uint64_t fault_ns_max;
};

/** fleet_run() - do it; bails out when a device reports an error */
void fleet_run(struct rig *r, const struct simbuf *b, struct fleet_work *w);

#endif /* DEMO_FLEET_H */
