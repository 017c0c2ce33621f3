// SPDX-License-Identifier: GPL-2.0-only
/*
 * Usable addresses: every sequence of a few holes and apertures against the bitmap model, then long
 * random programs.
 */
#include "unit.h"

#include "model_iovas.h"
#include "rng.h"

#define PAIRS (CELLS * CELLS)

static void contain_every_set(void **state)
{
	(void)state;
	for (u32 mask = 0; mask < 1U << CELLS; mask += 7) {
		struct iopf_iovas *v = iovas_new(cells_runs(mask) ?: 1);

		v->nr = 0;
		for (unsigned int i = 0; i < CELLS; i++) {
			unsigned int first = i;

			if (!(mask >> i & 1))
				continue;
			while (mask >> (i + 1) & 1)
				i++;
			v->range[v->nr++] = cells_range(first, i);
		}
		iovas_compare(v, mask);
		for (unsigned int k = 0; k < PAIRS; k++)
			if (k / CELLS <= k % CELLS)
				iovas_check_contain(v, mask, k / CELLS, k % CELLS);
		free(v);
	}
}

/* Every two holes, or an aperture and a hole, with too little, just enough and much room. */
static void every_two_operations(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < PAIRS * PAIRS; i++) {
		unsigned int a = i / PAIRS % CELLS, b = i / PAIRS / CELLS;
		unsigned int c = i % PAIRS % CELLS, d = i % PAIRS / CELLS;

		if (a > b || c > d)
			continue;
		for (unsigned int max = 1; max <= 4; max++) {
			for (unsigned int limit = 0; limit < 4; limit++) {
				struct iopf_iovas *v = iovas_new(max);
				u32 mask = cells_mask(0, CELLS - 1);

				(limit & 1 ? iovas_do_limit : iovas_do_exclude)(v, &mask, a, b);
				(limit & 2 ? iovas_do_limit : iovas_do_exclude)(v, &mask, c, d);
				free(v);
			}
		}
	}
}

/* As on a PC: the aperture of the IOMMU without the MSI window. */
static void aperture_and_msi(void **state)
{
	const struct iopf_range aperture = { .first = 0, .last = (1ULL << 39) - 1 };
	const struct iopf_range msi = { .first = 0xfee00000, .last = 0xfeefffff };
	const struct iopf_range below = { .first = 0xfedff000, .last = 0xfedfffff };
	const struct iopf_range into = { .first = 0xfedff000, .last = 0xfee00fff };
	const struct iopf_range across = { .first = 0, .last = 1ULL << 32 };
	const struct iopf_range top = { .first = (1ULL << 39) - 0x1000, .last = (1ULL << 39) - 1 };
	const struct iopf_range beyond = { .first = (1ULL << 39) - 0x1000, .last = 1ULL << 39 };
	struct iopf_iovas *v = iovas_new(2);

	(void)state;
	iopf_iovas_limit(v, &aperture);
	assert_int_equal(iopf_iovas_exclude(v, &msi), 0);
	assert_int_equal(v->nr, 2);
	assert_true(iopf_iovas_contain(v, &below));
	assert_false(iopf_iovas_contain(v, &msi));
	assert_false(iopf_iovas_contain(v, &into));
	assert_false(iopf_iovas_contain(v, &across));
	assert_true(iopf_iovas_contain(v, &top));
	assert_false(iopf_iovas_contain(v, &beyond));
	free(v);
}

static void random_programs(void **state)
{
	u8 program[256];

	(void)state;
	for (u64 seed = 1; seed <= 20000; seed++) {
		u64 rng = seed;

		rng_fill(&rng, program, sizeof(program));
		iovas_run(program, 1 + rng_below(&rng, sizeof(program)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contain_every_set),
		cmocka_unit_test(every_two_operations),
		cmocka_unit_test(aperture_and_msi),
		cmocka_unit_test(random_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
