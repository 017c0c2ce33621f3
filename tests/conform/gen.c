// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random sequences: see gen.h.
 *
 * Not generated, because stock type1 shifts by an undefined amount there and the debug kernel says
 * so: a bitmap's pgsize of 0, DIRTY_PAGES without any flag.
 */
#include <string.h>

#include "gen.h"
#include "mem.h"
#include "place.h"
#include "rig.h"

#define MIN_STEPS	5
#define MAX_STEPS	28
#define MADE		16
#define TYPE_RUN	32

struct made {
	uint64_t iova;
	uint64_t size;
	uint64_t va;
};

/**
 * struct gen - a sequence in the making
 * @rng: state
 * @n: ranges that have been mapped, probably
 * @made: the last of them
 */
struct gen {
	uint64_t rng;
	unsigned int n;
	struct made made[MADE];
};

/* splitmix64 */
static uint64_t draw(struct gen *g)
{
	uint64_t z = g->rng += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static uint64_t below(struct gen *g, uint64_t n)
{
	return draw(g) % n;
}

static bool percent(struct gen *g, unsigned int p)
{
	return below(g, 100) < p;
}

static const struct made *some_made(struct gen *g)
{
	return g->n ? &g->made[below(g, g->n < MADE ? g->n : MADE)] : NULL;
}

static uint64_t some_iova(struct gen *g)
{
	switch (below(g, 20)) {
	case 0:
		return RIG_IOVA + below(g, 24) * MEM_PAGE + 0x800;
	case 1:
		return 0xfee00000ull - 2 * MEM_PAGE + below(g, 4) * MEM_PAGE;
	case 2:
		return 0xfef00000ull - 2 * MEM_PAGE + below(g, 4) * MEM_PAGE;
	case 3:
		return (1ull << 48) - (1 + below(g, 4)) * MEM_PAGE;
	case 4:
		return below(g, 4) * MEM_PAGE;
	case 5:
		return RIG_IOVA + below(g, 4) * MEM_HUGE;
	case 6:
		return percent(g, 30) ? -(1 + below(g, 4)) * MEM_PAGE : RIG_IOVA;
	}
	return RIG_IOVA + below(g, 24) * MEM_PAGE;
}

static uint64_t some_size(struct gen *g)
{
	switch (below(g, 32)) {
	case 0:
		return 0;
	case 1:
		return MEM_PAGE * (1 + below(g, 3)) - 8;
	case 2:
		return MEM_HUGE;
	case 3:
		return percent(g, 50) ? 1ull << 40 : -(1 + below(g, 3)) * MEM_PAGE;
	case 4:
	case 5:
	case 6:
		return MEM_PAGE * (5 + below(g, 70));
	}
	return MEM_PAGE * (1 + below(g, 4));
}

static uint64_t some_va(struct gen *g)
{
	switch (below(g, 16)) {
	case 0:
		return VA_FILE + below(g, 8) * MEM_PAGE;
	case 1:
		return VA_MIX + below(g, 16) * MEM_PAGE;
	case 2:
		return VA_RO + below(g, 8) * MEM_PAGE;
	case 3:
		return percent(g, 50) ? VA_HOLE : VA_NONE;
	case 4:
		return VA_RAM + 8 * below(g, 64);
	case 5:
		return percent(g, 50) ? 0 : 0xffff888000000000ull;
	}
	return VA_RAM + below(g, 1024) * MEM_PAGE;
}

static uint32_t some_map_flags(struct gen *g)
{
	switch (below(g, 32)) {
	case 0:
		return 0;
	case 1:
		return MAP_RW | 1u << (3 + below(g, 29));
	case 2:
		return MAP_RW | MAP_VADDR;
	case 3:
	case 4:
	case 5:
		return MAP_R;
	case 6:
	case 7:
		return MAP_W;
	}
	return MAP_RW;
}

/* A range: of a mapping, around one, of many, or any. */
static void some_range(struct gen *g, uint64_t *iova, uint64_t *size)
{
	const struct made *made = some_made(g);

	/* Nearly all there is, with nothing cut. */
	if (percent(g, 20)) {
		*iova = RIG_IOVA - below(g, 70) * MEM_PAGE;
		*size = (160 + below(g, 70)) * MEM_PAGE;
		return;
	}
	*iova = some_iova(g);
	*size = some_size(g);
	if (!made || percent(g, 20))
		return;
	*iova = made->iova;
	*size = made->size;
	if (percent(g, 20))
		*iova -= MEM_PAGE * below(g, 3);
	if (percent(g, 30))
		*size += MEM_PAGE * (below(g, 5) - 1);
}

static void spoil_arg(struct gen *g, struct conform_op *op)
{
	if (percent(g, 97))
		return;
	op->at = (uint8_t)below(g, AT_WHERES);
	op->edge = (uint32_t)below(g, 64);
	if (op->at == AT_GOOD)
		op->argsz = (uint32_t)below(g, 64);
}

static void spoil_bitmap(struct gen *g, struct conform_op *op)
{
	op->fill = (uint8_t)below(g, FILL_KINDS);
	switch (below(g, 24)) {
	case 0:
		op->bm_at = (uint8_t)below(g, AT_WHERES);
		op->bm_edge = (uint32_t)(8 * (1 + below(g, 4)));
		break;
	case 1:
		op->bm_size = below(g, 24);
		break;
	case 2:
		op->bm_size += 8 * below(g, 8);
		break;
	case 3:
		op->pgsize = percent(g, 50) ? MEM_HUGE : 1ull << below(g, 20);
		break;
	case 4:
		op->bm_at = AT_EDGE;
		op->bm_edge = (uint32_t)(op->bm_size > 256 ? 256 : op->bm_size);
		break;
	}
}

static struct conform_op gen_map(struct gen *g)
{
	const struct made *made = some_made(g);
	struct conform_op op = op_map(some_map_flags(g), some_iova(g), some_size(g), some_va(g));

	if (made && percent(g, 30)) {
		/* Right behind one that is there: bitmaps club them. */
		op.iova = made->iova + made->size;
	}
	/* Stock pins until it meets an end: do not let it find many pages. */
	if (op.size > MEM_HUGE)
		op.va = VA_MIX;
	spoil_arg(g, &op);
	op.child = percent(g, 3);
	g->made[g->n++ % MADE] = (struct made){ op.iova, op.size, op.va };
	return op;
}

static struct conform_op gen_map_vaddr(struct gen *g)
{
	const struct made *made = some_made(g);
	struct conform_op op;

	if (!made)
		return gen_map(g);
	/* The same memory, which may have another address by now. */
	op = op_map(MAP_VADDR, made->iova, made->size, made->va);
	if (made->va >= VA_FILE && made->va < VA_FILE + PART_LEN && percent(g, 50))
		op.va += VA_ALIAS - VA_FILE;
	if (percent(g, 10))
		op.size += MEM_PAGE;
	return op;
}

static struct conform_op gen_unmap(struct gen *g)
{
	struct conform_op op;
	uint64_t iova, size;
	uint32_t flags = 0;

	if (percent(g, 6))
		return op_unmap_all(percent(g, 30) ? UNMAP_VADDR : 0);
	some_range(g, &iova, &size);
	if (percent(g, 20))
		flags = UNMAP_BITMAP;
	else if (percent(g, 15))
		flags = UNMAP_VADDR;
	if (percent(g, 3))
		flags |= 1u << below(g, 32);
	op = op_unmap(flags, iova, size);
	if (flags & UNMAP_BITMAP)
		spoil_bitmap(g, &op);
	spoil_arg(g, &op);
	op.child = percent(g, 3);
	return op;
}

static struct conform_op gen_get(struct gen *g)
{
	struct conform_op op;
	uint64_t iova, size;

	if (percent(g, 50)) {
		iova = RIG_IOVA + below(g, 4) * MEM_PAGE;
		size = (16 + below(g, 120)) * MEM_PAGE;
	} else {
		some_range(g, &iova, &size);
	}
	op = op_get(iova, size);
	spoil_bitmap(g, &op);
	spoil_arg(g, &op);
	return op;
}

static struct conform_op gen_device(struct gen *g)
{
	const struct made *made = some_made(g);
	uint64_t iova = RIG_IOVA + below(g, 24) * MEM_PAGE, size = MEM_PAGE * (1 + below(g, 3));

	if (made && percent(g, 85)) {
		uint64_t pages = made->size / MEM_PAGE;

		pages = below(g, pages < 64 ? pages + 1 : 64);
		iova = (made->iova & ~(MEM_PAGE - 1)) + pages * MEM_PAGE;
		if (percent(g, 60))
			size = MEM_PAGE;
	}
	if (percent(g, 25))
		return op_read(0, iova, size);
	return op_write(0, iova, size, draw(g));
}

static struct conform_op gen_other(struct gen *g)
{
	static const unsigned int numbers[] = { 0, 1, 4, 11, 13, 17, 18, 19, 20, 99, 155 };
	unsigned int number;

	switch (below(g, 8)) {
	case 0:
		return op_group(percent(g, 60) ? OP_JOIN : OP_LEAVE,
				(unsigned int)below(g, CONFORM_GROUPS));
	case 2:
		return op_simple(OP_EXTENSION, below(g, 24));
	case 3:
		number = numbers[below(g, ARRAY_SIZE(numbers))];
		return op_simple(OP_IOCTL, _IO(VFIO_TYPE, VFIO_BASE + number));
	case 4:
		return op_simple(OP_SET, 1 + below(g, 10));
	}
	return op_info((uint32_t)below(g, 200));
}

static struct conform_op gen_op(struct gen *g)
{
	unsigned int r = (unsigned int)below(g, 100);

	if (r < 33)
		return gen_map(g);
	if (r < 53)
		return gen_unmap(g);
	if (r < 58)
		return gen_map_vaddr(g);
	if (r < 63)
		return op_dirty(DIRTY_START);
	if (r < 65)
		return op_dirty(percent(g, 70) ? DIRTY_STOP : DIRTY_START | DIRTY_STOP);
	if (r < 77)
		return gen_get(g);
	if (r < 93)
		return gen_device(g);
	return gen_other(g);
}

void gen_sequence(struct conform_seq *seq, uint64_t seed)
{
	struct gen g = { .rng = seed };
	unsigned int i;

	memset(seq, 0, sizeof(*seq));
	/*
	 * Most of what can be got wrong is in the newer type. In runs, because changing the type
	 * means opening everything anew.
	 */
	seq->type = seed / TYPE_RUN % 4 == 3 ? VFIO_TYPE1_IOMMU : VFIO_TYPE1v2_IOMMU;
	seq->n = MIN_STEPS + (unsigned int)below(&g, MAX_STEPS - MIN_STEPS + 1);
	for (i = 0; i < seq->n; i++)
		seq->op[i] = gen_op(&g);
}
