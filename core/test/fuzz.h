/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every fuzz target includes first. A target is one function under
 * libFuzzer's name and contract; clang's libFuzzer or our own driver
 * (fuzz_main.c) calls it.
 */
#ifndef IOPF_CORE_TEST_FUZZ_H
#define IOPF_CORE_TEST_FUZZ_H

#include "shim.h"

/* For the models: here a broken promise ends the process, as fuzzers want it. */
#define CHECK(cond) do {						\
	if (!(cond)) {							\
		fprintf(stderr, "%s:%d: CHECK(%s)\n", __FILE__, __LINE__, #cond); \
		abort();						\
	}								\
} while (0)

/* Inputs that fuzz-smoke makes: what takes a second or two. Each target defines it. */
extern const unsigned int fuzz_smoke_runs;

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#endif /* IOPF_CORE_TEST_FUZZ_H */
