// SPDX-License-Identifier: GPL-2.0-only
/*
 * The judge: see judge.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "image.h"
#include "judge.h"
#include "simdev.h"
#include "tap.h"

#define OURS	(1u << SIDE_FAULTING | 1u << SIDE_PINNED)

const struct intended intended[INTENDED_COUNT] = {
	[INTENDED_DIRTY_EXACT] = { "dirty-exact", 1u << SIDE_FAULTING,
		"dirty bitmaps: the pages the device wrote, where stock reports all" },
	[INTENDED_DIRTY_READ_ONLY] = { "dirty-read-only", 1u << SIDE_PINNED,
		"dirty bitmaps: a pinned range that can't be written is clean" },
	[INTENDED_DIRTY_STALE] = { "dirty-stale", OURS,
		"dirty bitmaps: no bits of pages that no mapping has" },
	[INTENDED_MEMORY_LATER] = { "memory-later", 1u << SIDE_FAULTING,
		"MAP_DMA of memory that can't be pinned, or not yet, succeeds" },
	[INTENDED_MEMORY_FOLLOWS] = { "memory-follows", 1u << SIDE_FAULTING,
		"the device loses what the process drops or unmaps" },
	[INTENDED_MEMLOCK] = { "memlock", 1u << SIDE_FAULTING,
		"nothing is charged to RLIMIT_MEMLOCK" },
	[INTENDED_END_OF_SPACE] = { "end-of-space", OURS,
		"UNMAP_DMA of a range that ends at 2^64 unmaps it" },
	[INTENDED_REPORT_WHOLE] = { "report-whole", OURS,
		"a bitmap that can't be written to its end: nothing has happened" },
};

struct hearing {
	struct verdict *v;
	enum side_kind kind;
	const struct model *m;
	const struct conform_op *op;
	const struct conform_result *a;
	const struct conform_result *b;
};

static void differs(struct hearing *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The first difference is the one that is told. */
static void differs(struct hearing *h, const char *fmt, ...)
{
	va_list args;

	if (h->v->differs)
		return;
	h->v->differs = true;
	va_start(args, fmt);
	vsnprintf(h->v->text, sizeof(h->v->text), fmt, args);
	va_end(args);
}

static void seen(struct hearing *h, enum intended_id id)
{
	h->v->seen |= 1u << id;
}

static void diverged(struct hearing *h, enum intended_id id)
{
	seen(h, id);
	h->v->diverged = true;
}

static bool faulting(const struct hearing *h)
{
	return h->kind == SIDE_FAULTING && !(h->m->groups & 1u << MODEL_PINNER);
}

const char *judge_result(const struct conform_op *op, const struct conform_result *r)
{
	static char text[2][64];
	static unsigned int turn;
	char *t = text[turn++ % 2];
	const char *name;

	if (r->skipped)
		return "skipped";
	if (!r->ret)
		return "success";
	if (op_is_device(op)) {
		snprintf(t, sizeof(text[0]), "%s", sim_status_name((unsigned int)r->ret));
	} else if (r->ret < 0) {
		name = strerrorname_np((int)-r->ret);
		snprintf(t, sizeof(text[0]), "-%s", name ? name : "?");
	} else {
		snprintf(t, sizeof(text[0]), "%ld", r->ret);
	}
	return t;
}

/* Results */

static bool to_end(const struct conform_op *op)
{
	return op->kind == OP_UNMAP && !(op->flags & UNMAP_ALL) && op->size &&
	       op->iova + op->size == 0;
}

/* There is no common language for why an access failed. Whether it failed is compared. */
static bool device_intended(struct hearing *h)
{
	const struct conform_op *op = h->op;
	long a = h->a->ret, b = h->b->ret;

	if (!!a == !!b)
		return true;
	if (a || !faulting(h) || !model_gone(h->m, op->iova, op->size))
		return false;
	seen(h, INTENDED_MEMORY_FOLLOWS);
	return true;
}

static bool map_intended(struct hearing *h)
{
	const struct conform_op *op = h->op;
	long a = h->a->ret, b = h->b->ret;

	if (!b && a == place_pinning(op->va) && place_later(op->va, op->size, op->flags & MAP_W)) {
		diverged(h, INTENDED_MEMORY_LATER);
		return true;
	}
	if (a != -ENOMEM || !h->m->limited || (b && b != -EFAULT))
		return false;
	if (!b)
		diverged(h, INTENDED_MEMLOCK);
	else
		/* Stock meets the limit before it meets the memory that is bad. */
		seen(h, INTENDED_MEMLOCK);
	return true;
}

static bool join_intended(struct hearing *h)
{
	long a = h->a->ret, b = h->b->ret;

	if (h->op->group != MODEL_PINNER || a || (b != -EFAULT && b != -ESRCH) ||
	    !model_lost(h->m))
		return false;
	diverged(h, INTENDED_MEMORY_FOLLOWS);
	return true;
}

static bool result_intended(struct hearing *h)
{
	if (op_is_device(h->op))
		return device_intended(h);
	if (!faulting(h))
		return false;
	if (h->op->kind == OP_MAP)
		return map_intended(h);
	return h->op->kind == OP_JOIN && join_intended(h);
}

static void judge_ret(struct hearing *h)
{
	if (h->a->skipped != h->b->skipped) {
		differs(h, "one side could not do it: %s, %s", judge_result(h->op, h->a),
			judge_result(h->op, h->b));
		return;
	}
	if (h->a->ret == h->b->ret || result_intended(h))
		return;
	differs(h, "result");
}

/* Bytes of the structure */

static uint64_t word_at(const uint8_t *at, unsigned int len)
{
	uint64_t word = 0;

	memcpy(&word, at, len);
	return word;
}

static uint64_t unmapped(const struct conform_result *r)
{
	return word_at(r->arg + offsetof(struct vfio_iommu_type1_dma_unmap, size), 8);
}

static const void *info_cap(const struct conform_result *r, unsigned int id)
{
	struct vfio_iommu_type1_info info;
	struct vfio_info_cap_header head;
	uint32_t off;

	memcpy(&info, r->arg, sizeof(info));
	if (!(info.flags & VFIO_IOMMU_INFO_CAPS))
		return NULL;
	for (off = info.cap_offset; off && off + sizeof(head) <= r->arg_len; off = head.next) {
		memcpy(&head, r->arg + off, sizeof(head));
		if (head.id == id)
			return r->arg + off;
		if (head.next <= off)
			break;
	}
	return NULL;
}

/* GET_INFO has much to say: name what is not there on one side, before counting bytes. */
static void judge_caps(struct hearing *h)
{
	static const char *const names[] = { NULL, "IOVA_RANGE", "MIGRATION", "DMA_AVAIL" };
	unsigned int id;

	if (h->a->ret || h->op->argsz < INFO_ARGSZ)
		return;
	for (id = 1; id < ARRAY_SIZE(names); id++)
		if (!info_cap(h->a, id) != !info_cap(h->b, id))
			differs(h, "capability %s only on one side", names[id]);
}

static void judge_arg(struct hearing *h)
{
	unsigned int i, len = h->a->arg_len;
	const struct conform_op *op = h->op;

	if (!memcmp(h->a->arg, h->b->arg, len))
		return;
	if (op->kind == OP_INFO)
		judge_caps(h);
	if (to_end(op) && (h->kind == SIDE_FAULTING || h->kind == SIDE_PINNED) &&
	    (int64_t)unmapped(h->b) == model_unmap_to_end(h->m, op->iova)) {
		diverged(h, INTENDED_END_OF_SPACE);
		return;
	}
	if (op->kind == OP_UNMAP && unmapped(h->a) != unmapped(h->b)) {
		differs(h, "size unmapped: 0x%llx with stock, 0x%llx here",
			(unsigned long long)unmapped(h->a), (unsigned long long)unmapped(h->b));
		return;
	}
	for (i = 0; h->a->arg[i] == h->b->arg[i]; i++)
		;
	i &= ~3u;
	differs(h, "byte %u of the argument: 0x%08llx with stock, 0x%08llx here", i,
		(unsigned long long)word_at(h->a->arg + i, 4),
		(unsigned long long)word_at(h->b->arg + i, 4));
}

/* Bitmaps */

static bool bit_of(const struct conform_result *r, unsigned int i)
{
	return r->bm[i / 8] >> (i % 8) & 1;
}

/* What stock has there: 0, 1, or -1: either. */
static int stock_bit(enum image_bit bit)
{
	switch (bit) {
	case BIT_ZERO:
		return 0;
	case BIT_STALE:
	case BIT_UNKNOWN:
		return -1;
	default:
		return 1;
	}
}

/* What the backend is to have there. */
static int our_bit(const struct hearing *h, enum image_bit bit)
{
	switch (bit) {
	case BIT_ZERO:
	case BIT_STALE:
		return 0;
	case BIT_ONE:
	case BIT_DIRTY:
		return 1;
	case BIT_CLEAN_RO:
		return 0;
	case BIT_CLEAN:
		if (h->kind == SIDE_PINNED)
			return 1;
		/* What was pinned in between counts as written. */
		return h->m->pinner ? -1 : 0;
	case BIT_MAYBE:
		return h->kind == SIDE_PINNED ? 1 : -1;
	case BIT_UNKNOWN:
		break;
	}
	return -1;
}

static void bit_differs(struct hearing *h, const char *who, unsigned int i, int want)
{
	static const char *const of[] = {
		[BIT_ZERO] = "not a mapping's",
		[BIT_ONE] = "not a mapping's",
		[BIT_STALE] = "after the end of a mapping",
		[BIT_CLEAN] = "a page that was not written",
		[BIT_CLEAN_RO] = "a page that can't be written",
		[BIT_DIRTY] = "a page the device wrote",
		[BIT_MAYBE] = "a page the device may have written",
		[BIT_UNKNOWN] = "",
	};
	static struct image im;
	unsigned int rel = i - h->a->bm_off * 8;

	image_make(&im, h->m, h->op, h->a);
	differs(h, "bitmap, %s: bit %u (iova 0x%llx, %s) is %d, should be %d", who, rel,
		(unsigned long long)(h->op->iova + (uint64_t)rel * 4096), of[im.bit[i]], !want,
		want);
}

static void judge_bitmap(struct hearing *h)
{
	bool ours = h->kind != SIDE_STOCK;
	static struct image im;
	unsigned int i;

	if (!h->a->has_bm)
		return;
	image_make(&im, h->m, h->op, h->a);
	for (i = 0; i < IMAGE_BITS; i++) {
		enum image_bit bit = im.bit[i];
		bool a = bit_of(h->a, i), b = bit_of(h->b, i);
		int want_a = stock_bit(bit), want_b = ours ? our_bit(h, bit) : want_a;

		if (want_a >= 0 && a != want_a)
			bit_differs(h, "stock (so the model is wrong)", i, want_a);
		if (want_b >= 0 && b != want_b)
			bit_differs(h, "here", i, want_b);
		/* Counted with stock on both sides too: it shows that the model knows stock. */
		if (bit == BIT_STALE && a)
			seen(h, INTENDED_DIRTY_STALE);
		if (a == b || bit == BIT_STALE || bit == BIT_UNKNOWN)
			continue;
		seen(h, h->kind == SIDE_PINNED ? INTENDED_DIRTY_READ_ONLY : INTENDED_DIRTY_EXACT);
	}
}

/* Charges and data */

static void judge_charge(struct hearing *h)
{
	long a = h->a->locked_kb, b = h->b->locked_kb;

	if (h->v->diverged)
		return;
	if (faulting(h) && (a || b)) {
		/* The step that makes the group join or leave changes what is to be charged. */
		if (!b)
			seen(h, INTENDED_MEMLOCK);
		else if (h->op->kind != OP_JOIN || a != b)
			differs(h, "VmLck: %ld KiB, should be 0", b);
		return;
	}
	if (h->kind == SIDE_FAULTING && h->op->kind == OP_LEAVE)
		return;
	if (a != b)
		differs(h, "VmLck: %ld KiB with stock, %ld KiB here", a, b);
	if (h->a->pinned_kb != h->b->pinned_kb)
		differs(h, "VmPin: %ld KiB with stock, %ld KiB here", h->a->pinned_kb,
			h->b->pinned_kb);
}

static void judge_data(struct hearing *h)
{
	if (h->a->sum == h->b->sum || h->a->skipped || h->a->ret)
		return;
	differs(h, "the memory the device has been to: checksum 0x%llx with stock, 0x%llx here",
		(unsigned long long)h->a->sum, (unsigned long long)h->b->sum);
}

/* Stock is done with the mappings before the one whose bits it could not write. */
static void judge_half_report(struct hearing *h)
{
	static struct image im;

	if (!(OURS & 1u << h->kind) || !op_has_bitmap(h->op) || h->a->ret != -EFAULT)
		return;
	image_make(&im, h->m, h->op, h->a);
	if (im.delivered)
		diverged(h, INTENDED_REPORT_WHOLE);
}

void judge(struct verdict *v, enum side_kind kind, const struct model *m,
	   const struct conform_op *op, const struct conform_result *a,
	   const struct conform_result *b)
{
	struct hearing h = { v, kind, m, op, a, b };

	v->differs = false;
	v->diverged = false;
	v->seen = 0;
	judge_ret(&h);
	if (!v->differs)
		judge_half_report(&h);
	if (v->differs || v->diverged)
		return;
	judge_arg(&h);
	if (v->diverged)
		return;
	judge_bitmap(&h);
	judge_charge(&h);
	judge_data(&h);
}
