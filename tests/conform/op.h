/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One step of a conformance sequence, as data: so that it can be applied to several containers,
 * generated, simplified and printed.
 *
 * Addresses of memory are those of place.h, the same in every side's process.
 *
 * Vocabulary: a "sequence" is a list of steps, applied to a fresh container; a "side" is who
 * serves the container.
 */
#ifndef TESTS_CONFORM_OP_H
#define TESTS_CONFORM_OP_H

#include <linux/vfio.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFORM_GROUPS	3	/* groups of each side */
#define CONFORM_OPS	32	/* steps a sequence may have */
#define CONFORM_ALWAYS	(~0ull)	/* OP_MEMLOCK, OP_LIMIT: as it was */

/* Bytes from the start of each ioctl's structure to the end of what every caller has. */
#define MAP_ARGSZ	sizeof(struct vfio_iommu_type1_dma_map)
#define UNMAP_ARGSZ	sizeof(struct vfio_iommu_type1_dma_unmap)
#define UNMAP_BM_ARGSZ	(UNMAP_ARGSZ + sizeof(struct vfio_bitmap))
#define DIRTY_ARGSZ	sizeof(struct vfio_iommu_type1_dirty_bitmap)
#define GET_ARGSZ	(DIRTY_ARGSZ + sizeof(struct vfio_iommu_type1_dirty_bitmap_get))
#define INFO_ARGSZ	sizeof(struct vfio_iommu_type1_info)

#define MAP_R		VFIO_DMA_MAP_FLAG_READ
#define MAP_W		VFIO_DMA_MAP_FLAG_WRITE
#define MAP_RW		(MAP_R | MAP_W)
#define MAP_VADDR	VFIO_DMA_MAP_FLAG_VADDR
#define UNMAP_BITMAP	VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP
#define UNMAP_ALL	VFIO_DMA_UNMAP_FLAG_ALL
#define UNMAP_VADDR	VFIO_DMA_UNMAP_FLAG_VADDR
#define DIRTY_START	VFIO_IOMMU_DIRTY_PAGES_FLAG_START
#define DIRTY_STOP	VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP
#define DIRTY_GET	VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP

enum conform_kind {
	OP_END,
	OP_SET,			/* VFIO_SET_IOMMU @value */
	OP_JOIN,		/* @group into the container */
	OP_LEAVE,		/* @group out of it */
	OP_EXTENSION,		/* VFIO_CHECK_EXTENSION @value */
	OP_IOCTL,		/* ioctl @value of the container with the plain argument @va */
	OP_INFO,
	OP_AVAIL,		/* GET_INFO, of which only dma_avail is looked at */
	OP_MAP,
	OP_UNMAP,
	OP_DIRTY,
	OP_LIMIT,		/* dma_entry_limit of both modules, for new containers */
	OP_MEMLOCK,		/* RLIMIT_MEMLOCK is @value bytes, without CAP_IPC_LOCK */
	OP_DEVICE,		/* open the device of @group; its BAR 0 is at VA_BAR then */
	OP_WRITE,		/* the device of @group writes pattern @value at @iova */
	OP_READ,		/* it reads */
	OP_DROP,		/* MADV_DONTNEED of @va */
	OP_MUNMAP,		/* munmap of @va */
	OP_LAYOUT,		/* stands for three mappings, see run_try() */
	OP_KINDS,
};

/* Where an ioctl's structure, or a bitmap, lies. */
enum conform_where {
	AT_GOOD,
	AT_EDGE,		/* only so many bytes are there, then nothing */
	AT_READ_ONLY,
	AT_HOLE,
	AT_NULL,
	AT_LOW,			/* address 8 */
	AT_KERNEL,
	AT_WHERES,
};

/* What a bitmap holds before the call. */
enum conform_fill {
	FILL_PATTERN,
	FILL_ZEROS,
	FILL_ONES,
	FILL_KINDS,
};

/**
 * struct conform_op - a step
 * @kind: what
 * @child: done by a forked child, which exits then
 * @at: where the ioctl's structure is
 * @bm_at: where the bitmap is
 * @fill: what the bitmap holds
 * @group: which of the side's groups
 * @edge: AT_EDGE: bytes of the structure that are there
 * @bm_edge: AT_EDGE: bytes of the bitmap that are there
 * @argsz: as the ioctl's
 * @flags: as the ioctl's
 * @va: address of memory
 * @iova: as the ioctl's
 * @size: as the ioctl's
 * @bm_size: size of the bitmap as told to the kernel
 * @pgsize: of the bitmap
 * @value: see enum conform_kind
 */
struct conform_op {
	uint8_t kind;
	uint8_t child;
	uint8_t at;
	uint8_t bm_at;
	uint8_t fill;
	uint8_t group;
	uint32_t edge;
	uint32_t bm_edge;
	uint32_t argsz;
	uint32_t flags;
	uint64_t va;
	uint64_t iova;
	uint64_t size;
	uint64_t bm_size;
	uint64_t pgsize;
	uint64_t value;
};

/**
 * struct conform_seq - a sequence
 * @type: the container is made with this VFIO_SET_IOMMU type and group 0; 0: it is only opened
 * @n: steps
 * @op: the steps
 */
struct conform_seq {
	unsigned int type;
	unsigned int n;
	struct conform_op op[CONFORM_OPS];
};

/* A list of steps for the functions that take one. */
#define OPS(...)	((const struct conform_op[]){ __VA_ARGS__, { .kind = OP_END } })

/* Steps in the ordinary form; the with_ functions change one thing about a step. */
struct conform_op op_simple(enum conform_kind kind, uint64_t value);
struct conform_op op_group(enum conform_kind kind, unsigned int group);
struct conform_op op_info(uint32_t argsz);
struct conform_op op_map(uint32_t flags, uint64_t iova, uint64_t size, uint64_t va);
struct conform_op op_unmap(uint32_t flags, uint64_t iova, uint64_t size);
struct conform_op op_unmap_all(uint32_t more_flags);
struct conform_op op_dirty(uint32_t flags);
/** op_get() - GET_BITMAP with a bitmap that is just large enough */
struct conform_op op_get(uint64_t iova, uint64_t size);
struct conform_op op_write(unsigned int group, uint64_t iova, uint64_t size, uint64_t seed);
struct conform_op op_read(unsigned int group, uint64_t iova, uint64_t size);
struct conform_op op_memory(enum conform_kind kind, uint64_t va, uint64_t size);

struct conform_op with_argsz(struct conform_op op, uint32_t argsz);
struct conform_op with_at(struct conform_op op, enum conform_where at, uint32_t edge);
struct conform_op with_bm(struct conform_op op, enum conform_where at, uint32_t edge);
struct conform_op with_bm_size(struct conform_op op, uint64_t bm_size);
struct conform_op with_pgsize(struct conform_op op, uint64_t pgsize);
struct conform_op with_fill(struct conform_op op, enum conform_fill fill);
struct conform_op with_child(struct conform_op op);

/** op_bm_bytes() - bytes of a bitmap for @size bytes of 4 KiB pages */
uint64_t op_bm_bytes(uint64_t size);

/** op_has_bitmap() - whether the kernel is to fill in a bitmap */
bool op_has_bitmap(const struct conform_op *op);

/** op_is_device() - whether the device does it, not an ioctl */
bool op_is_device(const struct conform_op *op);

/**
 * op_print() - one line of text
 * @text: out
 * @len: room
 * @op: the step
 */
void op_print(char *text, size_t len, const struct conform_op *op);

#endif /* TESTS_CONFORM_OP_H */
