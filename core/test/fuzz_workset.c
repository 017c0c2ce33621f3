// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzz target for working sets, which come from user space. It reads the bytes as they are, and as
 * the contents after a valid header, so that random bytes get past the header.
 */
#include "fuzz.h"

#include "model_workset.h"

const unsigned int fuzz_smoke_runs = 20000;

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u8 *set;

	workset_compare(data, size);
	if (!size)
		return 0;
	/* The first byte is the number of records. The size is exact, so overruns show. */
	set = malloc(IOPF_WORKSET_HEADER + size - 1);
	CHECK(set);
	iopf_workset_put_header(set, data[0], size - 1);
	memcpy(set + IOPF_WORKSET_HEADER, data + 1, size - 1);
	workset_compare(set, IOPF_WORKSET_HEADER + size - 1);
	free(set);
	return 0;
}
