/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packs runs of bits into 64-bit words without gaps.
 *
 * User space gets bitmaps as arrays of 64-bit words, lowest bit first. The bits of an area may
 * start and end anywhere in a word.
 */
#ifndef IOPF_CORE_BITPACK_H
#define IOPF_CORE_BITPACK_H

#include "shim.h"

/**
 * struct iopf_bitpack - the word that is being filled
 * @word: the bits of the word so far
 * @fill: number of these bits; less than 64
 */
struct iopf_bitpack {
	u64 word;
	unsigned int fill;
};

/* The most words that iopf_bitpack_add() completes with @n bits. */
#define IOPF_BITPACK_WORDS(n) (((n) + 63) / 64)

/**
 * iopf_bitpack_init() - start inside a word
 * @p: the packer
 * @word: present value of the word. Bits from @fill on are dropped.
 * @fill: number of bits to keep; less than 64
 */
static inline void iopf_bitpack_init(struct iopf_bitpack *p, u64 word, unsigned int fill)
{
	p->word = word & ((1ULL << fill) - 1);
	p->fill = fill;
}

/**
 * iopf_bitpack_add() - append bits
 * @p: the packer
 * @bits: a bitmap
 * @first: first bit of @bits to append
 * @n: number of bits
 * @out: completed words; room for IOPF_BITPACK_WORDS(@n)
 *
 * Return: the number of words completed.
 */
static inline unsigned int iopf_bitpack_add(struct iopf_bitpack *p, const unsigned long *bits,
					    unsigned int first, unsigned int n, u64 *out)
{
	unsigned int words = 0;

	while (n) {
		unsigned int skip = first % BITS_PER_LONG;
		unsigned int take = min(n, min(BITS_PER_LONG - skip, 64 - p->fill));
		u64 part = bits[first / BITS_PER_LONG] >> skip;

		if (take < 64)
			part &= (1ULL << take) - 1;
		p->word |= part << p->fill;
		p->fill += take;
		first += take;
		n -= take;
		if (p->fill == 64) {
			out[words++] = p->word;
			p->word = 0;
			p->fill = 0;
		}
	}
	return words;
}

#endif /* IOPF_CORE_BITPACK_H */
