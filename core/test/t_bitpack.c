// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packing bits into words, compared with setting them one by one.
 */
#include "unit.h"

#include "../bitpack.h"
#include "rng.h"

#define BITS	(4 * 64)
#define WORDS	(BITS / 64)

static bool bit_of(const u64 *words, unsigned int bit)
{
	return words[bit / 64] >> (bit % 64) & 1;
}

/* Every start in the word, every start in the bitmap, and lengths around every word edge. */
static void every_offset(void **state)
{
	DECLARE_BITMAP(bits, BITS);
	u64 rng = 1;

	(void)state;
	rng_fill(&rng, (u8 *)bits, sizeof(bits));
	for (unsigned int fill = 0; fill < 64; fill++) {
		for (unsigned int first = 0; first < BITS; first += 7) {
			for (unsigned int n = 0; n <= BITS - first; n++) {
				u64 words[WORDS + 2] = { }, before = ~0ULL / 3;
				struct iopf_bitpack p;
				unsigned int nr;

				iopf_bitpack_init(&p, before, fill);
				nr = iopf_bitpack_add(&p, bits, first, n, words);
				assert_true(nr <= IOPF_BITPACK_WORDS(n));
				assert_int_equal(nr, (fill + n) / 64);
				assert_int_equal(p.fill, (fill + n) % 64);
				words[nr] = p.word;
				for (unsigned int i = 0; i < (nr + 1) * 64; i++) {
					bool want = false;

					if (i < fill)
						want = before >> i & 1;
					else if (i < fill + n)
						want = test_bit(first + i - fill, bits);
					assert_int_equal(bit_of(words, i), want);
				}
			}
		}
	}
}

/* Several calls give the same result as one. */
static void in_parts(void **state)
{
	DECLARE_BITMAP(bits, BITS);
	u64 rng = 2;

	(void)state;
	rng_fill(&rng, (u8 *)bits, sizeof(bits));
	for (unsigned int step = 1; step <= BITS; step++) {
		u64 words[WORDS + 1] = { };
		struct iopf_bitpack p;
		unsigned int nr = 0;

		iopf_bitpack_init(&p, 0, 0);
		for (unsigned int at = 0; at < BITS; at += step)
			nr += iopf_bitpack_add(&p, bits, at, min(step, BITS - at), words + nr);
		assert_int_equal(nr, WORDS);
		assert_int_equal(p.fill, 0);
		assert_memory_equal(words, bits, sizeof(bits));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_offset),
		cmocka_unit_test(in_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
