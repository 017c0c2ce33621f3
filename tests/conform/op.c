// SPDX-License-Identifier: GPL-2.0-only
/*
 * Steps of conformance sequences: see op.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "mem.h"
#include "op.h"
#include "place.h"

struct conform_op op_simple(enum conform_kind kind, uint64_t value)
{
	return (struct conform_op){ .kind = kind, .value = value };
}

struct conform_op op_group(enum conform_kind kind, unsigned int group)
{
	return (struct conform_op){ .kind = kind, .group = (uint8_t)group };
}

struct conform_op op_info(uint32_t argsz)
{
	return (struct conform_op){ .kind = OP_INFO, .argsz = argsz };
}

struct conform_op op_map(uint32_t flags, uint64_t iova, uint64_t size, uint64_t va)
{
	return (struct conform_op){
		.kind = OP_MAP,
		.argsz = MAP_ARGSZ,
		.flags = flags,
		.iova = iova,
		.size = size,
		.va = va,
	};
}

uint64_t op_bm_bytes(uint64_t size)
{
	return (size / MEM_PAGE + 63) / 64 * 8;
}

struct conform_op op_unmap(uint32_t flags, uint64_t iova, uint64_t size)
{
	return (struct conform_op){
		.kind = OP_UNMAP,
		.argsz = flags & UNMAP_BITMAP ? UNMAP_BM_ARGSZ : UNMAP_ARGSZ,
		.flags = flags,
		.iova = iova,
		.size = size,
		.bm_size = op_bm_bytes(size),
		.pgsize = MEM_PAGE,
	};
}

struct conform_op op_unmap_all(uint32_t more_flags)
{
	return op_unmap(UNMAP_ALL | more_flags, 0, 0);
}

struct conform_op op_dirty(uint32_t flags)
{
	return (struct conform_op){ .kind = OP_DIRTY, .argsz = DIRTY_ARGSZ, .flags = flags };
}

struct conform_op op_get(uint64_t iova, uint64_t size)
{
	return (struct conform_op){
		.kind = OP_DIRTY,
		.argsz = GET_ARGSZ,
		.flags = DIRTY_GET,
		.iova = iova,
		.size = size,
		.bm_size = op_bm_bytes(size),
		.pgsize = MEM_PAGE,
	};
}

struct conform_op op_write(unsigned int group, uint64_t iova, uint64_t size, uint64_t seed)
{
	return (struct conform_op){
		.kind = OP_WRITE,
		.group = (uint8_t)group,
		.iova = iova,
		.size = size,
		.value = seed,
	};
}

struct conform_op op_read(unsigned int group, uint64_t iova, uint64_t size)
{
	struct conform_op op = op_write(group, iova, size, 0);

	op.kind = OP_READ;
	return op;
}

struct conform_op op_memory(enum conform_kind kind, uint64_t va, uint64_t size)
{
	return (struct conform_op){ .kind = kind, .va = va, .size = size };
}

struct conform_op with_argsz(struct conform_op op, uint32_t argsz)
{
	op.argsz = argsz;
	return op;
}

struct conform_op with_at(struct conform_op op, enum conform_where at, uint32_t edge)
{
	op.at = at;
	op.edge = edge;
	return op;
}

struct conform_op with_bm(struct conform_op op, enum conform_where at, uint32_t edge)
{
	op.bm_at = at;
	op.bm_edge = edge;
	return op;
}

struct conform_op with_bm_size(struct conform_op op, uint64_t bm_size)
{
	op.bm_size = bm_size;
	return op;
}

struct conform_op with_pgsize(struct conform_op op, uint64_t pgsize)
{
	op.pgsize = pgsize;
	return op;
}

struct conform_op with_fill(struct conform_op op, enum conform_fill fill)
{
	op.fill = fill;
	return op;
}

struct conform_op with_child(struct conform_op op)
{
	op.child = true;
	return op;
}

bool op_has_bitmap(const struct conform_op *op)
{
	return (op->kind == OP_UNMAP && op->flags & UNMAP_BITMAP) ||
	       (op->kind == OP_DIRTY && op->flags & DIRTY_GET);
}

bool op_is_device(const struct conform_op *op)
{
	return op->kind == OP_WRITE || op->kind == OP_READ;
}

/* Printing */

struct op_text {
	char *at;
	size_t len;
};

static void say(struct op_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct op_text *t, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(t->at, t->len, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n >= t->len)
		n = t->len ? (int)t->len - 1 : 0;
	t->at += n;
	t->len -= (size_t)n;
}

/* Flags by name, the rest as a number. */
static void say_flags(struct op_text *t, uint32_t flags, const char *const *names)
{
	const char *between = "";
	unsigned int i;

	say(t, " flags=");
	for (i = 0; names[i]; i++) {
		if (!(flags & 1u << i))
			continue;
		say(t, "%s%s", between, names[i]);
		between = "|";
		flags &= ~(1u << i);
	}
	if (flags || !*between)
		say(t, "%s0x%x", between, flags);
}

static void say_at(struct op_text *t, const char *what, unsigned int at, uint32_t edge)
{
	static const char *const names[AT_WHERES] = {
		[AT_READ_ONLY] = "in read-only memory",
		[AT_HOLE] = "where nothing is mapped",
		[AT_NULL] = "at NULL",
		[AT_LOW] = "at address 8",
		[AT_KERNEL] = "at a kernel address",
	};

	if (at == AT_EDGE)
		say(t, ", %s %u bytes before a hole", what, edge);
	else if (at < AT_WHERES && names[at])
		say(t, ", %s %s", what, names[at]);
}

static void say_range(struct op_text *t, const struct conform_op *op)
{
	say(t, " iova=0x%llx size=0x%llx", (unsigned long long)op->iova,
	    (unsigned long long)op->size);
}

static void say_va(struct op_text *t, uint64_t va)
{
	char name[64];

	place_print(name, sizeof(name), va);
	say(t, " va=%s", name);
}

static void say_argsz(struct op_text *t, const struct conform_op *op, size_t usual)
{
	if (op->argsz != usual)
		say(t, " argsz=%u", op->argsz);
}

static void say_bitmap(struct op_text *t, const struct conform_op *op)
{
	static const char *const fills[FILL_KINDS] = { "pattern", "zeros", "ones" };

	say(t, " bitmap: size=0x%llx pgsize=0x%llx over %s", (unsigned long long)op->bm_size,
	    (unsigned long long)op->pgsize, fills[op->fill % FILL_KINDS]);
	say_at(t, "bitmap", op->bm_at, op->bm_edge);
}

static void say_map(struct op_text *t, const struct conform_op *op)
{
	static const char *const names[] = { "READ", "WRITE", "VADDR", NULL };

	say(t, "MAP_DMA");
	say_flags(t, op->flags, names);
	say_range(t, op);
	say_va(t, op->va);
	say_argsz(t, op, MAP_ARGSZ);
}

static void say_unmap(struct op_text *t, const struct conform_op *op)
{
	static const char *const names[] = { "GET_DIRTY_BITMAP", "ALL", "VADDR", NULL };

	say(t, "UNMAP_DMA");
	say_flags(t, op->flags, names);
	say_range(t, op);
	say_argsz(t, op, op->flags & UNMAP_BITMAP ? UNMAP_BM_ARGSZ : UNMAP_ARGSZ);
	if (op->flags & UNMAP_BITMAP)
		say_bitmap(t, op);
}

static void say_dirty(struct op_text *t, const struct conform_op *op)
{
	static const char *const names[] = { "START", "STOP", "GET_BITMAP", NULL };

	say(t, "DIRTY_PAGES");
	say_flags(t, op->flags, names);
	say_argsz(t, op, op->flags & DIRTY_GET ? GET_ARGSZ : DIRTY_ARGSZ);
	if (!(op->flags & DIRTY_GET))
		return;
	say_range(t, op);
	say_bitmap(t, op);
}

static void say_value(struct op_text *t, const char *what, uint64_t value)
{
	if (value == CONFORM_ALWAYS)
		say(t, "%s as it was", what);
	else
		say(t, "%s %llu", what, (unsigned long long)value);
}

static void say_memory(struct op_text *t, const char *what, const struct conform_op *op)
{
	say(t, "%s", what);
	say_va(t, op->va);
	say(t, " size=0x%llx", (unsigned long long)op->size);
}

static void say_device(struct op_text *t, const struct conform_op *op)
{
	say(t, "device %u %s", op->group, op->kind == OP_WRITE ? "writes" : "reads");
	say_range(t, op);
}

/* Steps that are a word and a value. */
static const struct {
	const char *what;
	bool group;
} values[OP_KINDS] = {
	[OP_SET] = { "SET_IOMMU", false },
	[OP_JOIN] = { "GROUP_SET_CONTAINER group", true },
	[OP_LEAVE] = { "GROUP_UNSET_CONTAINER group", true },
	[OP_EXTENSION] = { "CHECK_EXTENSION", false },
	[OP_LIMIT] = { "parameter dma_entry_limit", false },
	[OP_MEMLOCK] = { "no CAP_IPC_LOCK, RLIMIT_MEMLOCK", false },
	[OP_DEVICE] = { "open device", true },
};

static void say_step(struct op_text *t, const struct conform_op *op)
{
	switch ((enum conform_kind)op->kind) {
	case OP_IOCTL:
		say(t, "ioctl 0x%llx argument 0x%llx", (unsigned long long)op->value,
		    (unsigned long long)op->va);
		break;
	case OP_INFO:
		say(t, "GET_INFO argsz=%u", op->argsz);
		break;
	case OP_AVAIL:
		say(t, "GET_INFO: dma_avail");
		break;
	case OP_MAP:
		say_map(t, op);
		break;
	case OP_UNMAP:
		say_unmap(t, op);
		break;
	case OP_DIRTY:
		say_dirty(t, op);
		break;
	case OP_WRITE:
	case OP_READ:
		say_device(t, op);
		break;
	case OP_DROP:
		say_memory(t, "MADV_DONTNEED", op);
		break;
	case OP_MUNMAP:
		say_memory(t, "munmap", op);
		break;
	default:
		break;
	}
}

void op_print(char *text, size_t len, const struct conform_op *op)
{
	struct op_text t = { text, len };

	text[0] = 0;
	if (op->kind < OP_KINDS && values[op->kind].what)
		say_value(&t, values[op->kind].what,
			  values[op->kind].group ? op->group : op->value);
	else
		say_step(&t, op);
	say_at(&t, "argument", op->at, op->edge);
	if (op->child)
		say(&t, ", by a child");
}
