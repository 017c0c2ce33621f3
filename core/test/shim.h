/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User-space replacements for the kernel names that core/ uses, so that the same files compile into
 * the native tests.
 *
 * Each name must mean the same as in the kernel, also in corner cases: a search from beyond the end
 * returns the size; nothing is read after the last bit; ctype knows Latin-1. t_shim.c checks that.
 * Bitmaps are arrays of long words, but are handled bit by bit: simplicity matters more than
 * speed here.
 *
 * Some names are stricter than in the kernel. min() and max() refuse operands of different
 * signedness even if one is a constant. WARN_ON() aborts. The bitmap calls check their bounds
 * against the bitmap, which sanitizers cannot do for one member of a struct.
 *
 * Add only names that core/ uses.
 */
#ifndef IOPF_CORE_TEST_SHIM_H
#define IOPF_CORE_TEST_SHIM_H

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The kernel's types. u64 is long long in the kernel on every architecture. */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;

#define U8_MAX		((u8)~0U)
#define U16_MAX		((u16)~0U)
#define U32_MAX		((u32)~0U)
#define U64_MAX		((u64)~0ULL)

#define BIT(nr)		(1UL << (nr))

#define PAGE_SHIFT	12
#define PAGE_SIZE	BIT(PAGE_SHIFT)

/* Compilers that support the attribute check accesses against it. */
/* Newer <linux/stddef.h> defines it already. */
#undef __counted_by
#if __has_attribute(__counted_by__)
#define __counted_by(member)	__attribute__((__counted_by__(member)))
#else
#define __counted_by(...)
#endif

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static inline void shim_complain(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

#define WARN_ON(cond) ({						\
	bool warn_on_ = !!(cond);					\
	if (warn_on_)							\
		shim_complain("WARN_ON(" #cond ")", __FILE__, __LINE__);\
	warn_on_;							\
})
#define WARN_ON_ONCE(cond)	WARN_ON(cond)

/* Comparisons */

#define shim_is_signed(x)	((__typeof__((x) + 0))(-1) < 1)

#define shim_pick(a, op, b) ({						\
	__auto_type pick_a_ = (a);					\
	__auto_type pick_b_ = (b);					\
	static_assert(shim_is_signed(pick_a_) == shim_is_signed(pick_b_), \
		      "operands differ in signedness");			\
	pick_a_ op pick_b_ ? pick_a_ : pick_b_;				\
})

#define min(a, b)		shim_pick(a, <, b)
#define max(a, b)		shim_pick(a, >, b)
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define max_t(type, a, b)	max((type)(a), (type)(b))
#define clamp(val, lo, hi)	min(max(val, lo), hi)
#define clamp_t(type, val, lo, hi) clamp((type)(val), (type)(lo), (type)(hi))

/* Powers of two: @y is one; the result has the type of @x. */

#define round_down(x, y)	((x) & ~((__typeof__(x))((y) - 1)))
#define round_up(x, y)		((((x) - 1) | ((__typeof__(x))((y) - 1))) + 1)

static inline unsigned long rounddown_pow_of_two(unsigned long n)
{
	unsigned long p = 1;

	if (WARN_ON(!n))
		return 0;
	while (n >>= 1)
		p <<= 1;
	return p;
}

/* Returns the number of the highest set bit, from 1; 0 if there is none. */
static inline int fls64(u64 x)
{
	int bit = 0;

	for (; x; x >>= 1)
		bit++;
	return bit;
}

/* There is only one thread. */
#define READ_ONCE(x)	(*(const volatile __typeof__(x) *)&(x))

/* Lists */

struct list_head {
	struct list_head *next, *prev;
};

static inline void INIT_LIST_HEAD(struct list_head *list)
{
	list->next = list;
	list->prev = list;
}

static inline int list_empty(const struct list_head *list)
{
	return list->next == list;
}

/* Inserts after @at. */
static inline void list_add(struct list_head *entry, struct list_head *at)
{
	entry->next = at->next;
	entry->prev = at;
	at->next->prev = entry;
	at->next = entry;
}

static inline void list_del_init(struct list_head *entry)
{
	/* Tells an entry that is in no list from an empty list. */
	WARN_ON(!entry->next || !entry->prev);
	entry->next->prev = entry->prev;
	entry->prev->next = entry->next;
	INIT_LIST_HEAD(entry);
}

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))
#define list_last_entry(list, type, member)	container_of((list)->prev, type, member)

/* Bitmaps */

#define BITS_PER_LONG		(CHAR_BIT * (int)sizeof(long))
#define BITS_TO_LONGS(bits)	(((bits) + BITS_PER_LONG - 1) / BITS_PER_LONG)
#define DECLARE_BITMAP(name, bits) unsigned long name[BITS_TO_LONGS(bits)]

static inline bool shim_get(const unsigned long *map, unsigned long bit)
{
	return map[bit / BITS_PER_LONG] >> (bit % BITS_PER_LONG) & 1;
}

static inline void shim_put(unsigned long *map, unsigned long bit, bool val)
{
	unsigned long mask = 1UL << (bit % BITS_PER_LONG);

	if (val)
		map[bit / BITS_PER_LONG] |= mask;
	else
		map[bit / BITS_PER_LONG] &= ~mask;
}

static inline void shim_fill(unsigned long *map, unsigned long start, unsigned long nbits, bool val)
{
	for (unsigned long i = 0; i < nbits; i++)
		shim_put(map, start + i, val);
}

static inline void shim_combine(unsigned long *dst, const unsigned long *a, const unsigned long *b,
				unsigned long nbits, bool both)
{
	for (unsigned long i = 0; i < nbits; i++)
		shim_put(dst, i, both ? shim_get(a, i) && shim_get(b, i)
				      : shim_get(a, i) || shim_get(b, i));
}

static inline unsigned long shim_weight(const unsigned long *map, unsigned long nbits)
{
	unsigned long weight = 0;

	for (unsigned long i = 0; i < nbits; i++)
		weight += shim_get(map, i);
	return weight;
}

/* Returns the first bit from @start that is @a_val in @a and, if @b is not NULL, @b_val in @b. */
static inline unsigned long shim_find(const unsigned long *a, bool a_val, const unsigned long *b,
				      bool b_val, unsigned long size, unsigned long start)
{
	for (unsigned long i = start; i < size; i++)
		if (shim_get(a, i) == a_val && (!b || shim_get(b, i) == b_val))
			return i;
	return size;
}

/*
 * Returns @map after a check that it has @nbits bits. The size of an array that is a member of a
 * struct is known even if the size of the struct is not.
 */
#define shim_bits(map, nbits) ({					\
	__auto_type bits_map_ = (map);					\
	size_t bits_room_ = __builtin_object_size(map, 1);		\
	if (bits_room_ != (size_t)-1)					\
		WARN_ON((nbits) > bits_room_ * CHAR_BIT);		\
	bits_map_;							\
})

/*
 * Writes the whole last word, as in the kernel. The name does not promise this, so no test may
 * depend on it.
 */
#define bitmap_zero(map, nbits) ({					\
	size_t zero_n_ = (nbits);					\
	memset(shim_bits(map, zero_n_), 0, BITS_TO_LONGS(zero_n_) * sizeof(long)); \
})
#define bitmap_set(map, start, nbits) ({				\
	size_t set_start_ = (start), set_n_ = (nbits);			\
	shim_fill(shim_bits(map, set_start_ + set_n_), set_start_, set_n_, true); \
})
#define bitmap_clear(map, start, nbits) ({				\
	size_t clear_start_ = (start), clear_n_ = (nbits);		\
	shim_fill(shim_bits(map, clear_start_ + clear_n_), clear_start_, clear_n_, false); \
})
#define bitmap_copy(dst, src, nbits) ({					\
	size_t copy_n_ = (nbits);					\
	const unsigned long *copy_src_ = shim_bits(src, copy_n_);	\
	shim_combine(shim_bits(dst, copy_n_), copy_src_, copy_src_, copy_n_, false); \
})
#define bitmap_or(dst, a, b, nbits) ({					\
	size_t or_n_ = (nbits);						\
	shim_combine(shim_bits(dst, or_n_), shim_bits(a, or_n_), shim_bits(b, or_n_), \
		     or_n_, false);					\
})
#define bitmap_and(dst, a, b, nbits) ({					\
	size_t and_n_ = (nbits);					\
	shim_combine(shim_bits(dst, and_n_), shim_bits(a, and_n_), shim_bits(b, and_n_), \
		     and_n_, true);					\
})
#define bitmap_weight(map, nbits) ({					\
	size_t weight_n_ = (nbits);					\
	(unsigned int)shim_weight(shim_bits(map, weight_n_), weight_n_); \
})
#define bitmap_empty(map, nbits) ({					\
	size_t empty_n_ = (nbits);					\
	!shim_weight(shim_bits(map, empty_n_), empty_n_);		\
})
#define bitmap_full(map, nbits) ({					\
	size_t full_n_ = (nbits);					\
	shim_weight(shim_bits(map, full_n_), full_n_) == full_n_;	\
})

#define test_bit(bit, map) ({						\
	size_t test_bit_ = (bit);					\
	shim_get(shim_bits(map, test_bit_ + 1), test_bit_);		\
})

#define find_next_bit(map, size, start) ({				\
	size_t find_n_ = (size);					\
	shim_find(shim_bits(map, find_n_), true, NULL, false, find_n_, start); \
})
#define find_next_zero_bit(map, size, start) ({				\
	size_t find_n_ = (size);					\
	shim_find(shim_bits(map, find_n_), false, NULL, false, find_n_, start); \
})
#define find_next_andnot_bit(map, other, size, start) ({		\
	size_t find_n_ = (size);					\
	shim_find(shim_bits(map, find_n_), true, shim_bits(other, find_n_), false, \
		  find_n_, start);					\
})

/* No other task waits for the processor. */
static inline void cond_resched(void)
{
}

/* No task is ever killed. */
static inline bool iopf_core_killed(void)
{
	return false;
}

/* Characters */

/* The kernel's ctype is not that of the C locale: 0xc0 to 0xff are letters of Latin-1. */
static inline int shim_isalnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c >= 0xc0 && c != 0xd7 && c != 0xf7);
}

#define isalnum(c)	shim_isalnum(c)
#define isascii(c)	((unsigned char)(c) <= 0x7f)

static inline int hex_to_bin(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

#endif /* IOPF_CORE_TEST_SHIM_H */
