/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every fuzz target includes this first. A target is one function with the name and the contract of
 * libFuzzer. clang's libFuzzer or the driver in fuzz_main.c calls it.
 */
#ifndef IOPF_CORE_TEST_FUZZ_H
#define IOPF_CORE_TEST_FUZZ_H

#include "shim.h"

/* For the models. A failed check ends the process, which a fuzzer notices. */
#define CHECK(cond) do {						\
	if (!(cond)) {							\
		fprintf(stderr, "%s:%d: CHECK(%s)\n", __FILE__, __LINE__, #cond); \
		abort();						\
	}								\
} while (0)

/* Number of inputs that fuzz-smoke makes, in a second or two. Each target defines it. */
extern const unsigned int fuzz_smoke_runs;

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#endif /* IOPF_CORE_TEST_FUZZ_H */
