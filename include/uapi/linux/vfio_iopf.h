/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Programming interface of vfio-iopf, in addition to that of VFIO type1. User space can
 *  - tell the kernel which memory devices are about to use;
 *  - save the working set of the devices, and restore it in a later run;
 *  - set which memory may be faulted in and which must be pinned.
 *
 * These are ioctls on a VFIO container (/dev/vfio/vfio) that has an IOMMU type. If another backend
 * serves the container, they fail with ENOTTY, and VFIO_CHECK_EXTENSION returns 0. For a container
 * without a type, VFIO_CHECK_EXTENSION answers for all backends that are loaded. So call it after
 * VFIO_SET_IOMMU.
 *
 * Structures begin as those of VFIO: @argsz is the size of the structure that the caller passes,
 * at least the size of the structure below. @flags has only bits set that are described below.
 * Addresses and sizes are in bytes.
 *
 * Prefault requests and working sets pin no memory, and no device waits for them. A program may do
 * without: memory that is not mapped when a device uses it is faulted in. Policies and locks may
 * pin memory. It is charged to the RLIMIT_MEMLOCK of the process that mapped it.
 */
#ifndef _UAPI_LINUX_VFIO_IOPF_H
#define _UAPI_LINUX_VFIO_IOPF_H

#include <linux/types.h>
#include <linux/vfio.h>

/*
 * Arguments of VFIO_CHECK_EXTENSION for the ioctls below. They are the letters "iopf", and "iopg"
 * for policies and locks, far from the small numbers of VFIO.
 */
#define VFIO_IOPF_PREFAULT_EXT		0x696f7066
#define VFIO_IOPF_POLICY_EXT		0x696f7067

/*
 * The ioctls have the type of VFIO, ';'. VFIO numbers its ioctls from 100 upwards, iommufd from 128
 * upwards with the same type. The numbers here are at the far end.
 */
#define VFIO_IOPF_BASE			240

/* Limits: ranges in a request, requests in progress, bytes of a working set. */
#define VFIO_IOPF_RANGES_MAX		4096
#define VFIO_IOPF_REQUESTS_MAX		16
#define VFIO_IOPF_WORKING_SET_MAX	(64 << 20)

/**
 * struct vfio_iopf_range - I/O virtual addresses
 * @iova: first address; rounded down to a page
 * @size: bytes, not 0; the end is rounded up to a page
 */
struct vfio_iopf_range {
	__aligned_u64 iova;
	__aligned_u64 size;
};

/**
 * struct vfio_iopf_prefault - VFIO_IOPF_PREFAULT: populate and map memory before a device uses it
 * @argsz: size of this structure
 * @flags: READ, WRITE or both: the accesses that devices will make; EVENTFD: use @eventfd
 * @eventfd: with EVENTFD: signalled once, when the request ends in any way
 * @nr_ranges: number of ranges, 1 to VFIO_IOPF_RANGES_MAX
 * @ranges: address of an array of struct vfio_iopf_range, in any order; they may overlap
 * @id: out: the request's number, not 0, and never used again by this container
 *
 * First the kernel checks all arguments. Then the call returns, and a kernel thread handles the
 * ranges. It populates memory that the CPU does not have, like an access of the CPU (zero-fill,
 * read from a file, swap in, ask a userfaultfd; for WRITE break copy-on-write), and maps it for the
 * devices. It works in pieces of at most 2 MiB, on one request of a container at a time, in the
 * order in which the requests came. So a request that waits for user space (userfaultfd) delays
 * the requests after it until it is cancelled.
 *
 * The host can reclaim this memory like memory that a device has faulted in, before or after its
 * use. While writes are tracked (VFIO_IOMMU_DIRTY_PAGES), pages are populated for writing but
 * mapped for reading, and no page becomes dirty. In a container that pins everything a request has
 * nothing to do. A request skips memory whose CPU address is invalid (VFIO_DMA_UNMAP_FLAG_VADDR),
 * and ranges that are unmapped meanwhile.
 *
 * The request ends with ENOMEM when memory is short. Before each step the kernel checks that the
 * memory can be charged to the memory cgroup of the process that the memory belongs to, without an
 * OOM kill. Another task may take the memory between the check and the step. So don't request the
 * last free memory.
 *
 * Errors: EINVAL: flags, argsz, no range, a range of size 0 or beyond the end of the address
 * space, no device in the container that does DMA (emulated devices do none);
 * E2BIG: too many ranges; EFAULT; ENOENT: not all of a range is mapped (VFIO_IOMMU_MAP_DMA);
 * EPERM: mapped, but not for the access in @flags; EBADF: @eventfd is not an eventfd; EBUSY:
 * VFIO_IOPF_REQUESTS_MAX requests are in progress; EINTR; ENOMEM.
 */
struct vfio_iopf_prefault {
	__u32 argsz;
	__u32 flags;
#define VFIO_IOPF_PREFAULT_READ		(1 << 0)
#define VFIO_IOPF_PREFAULT_WRITE	(1 << 1)
#define VFIO_IOPF_PREFAULT_EVENTFD	(1 << 2)
	__s32 eventfd;
	__u32 nr_ranges;
	__aligned_u64 ranges;
	__aligned_u64 id;
};

#define VFIO_IOPF_PREFAULT		_IO(VFIO_TYPE, VFIO_IOPF_BASE + 0)

/**
 * struct vfio_iopf_prefault_status - the progress of a request
 * @argsz: size of this structure
 * @flags: 0
 * @id: in: the request
 * @state: out: VFIO_IOPF_PREFAULT_STATE_*
 * @error: out: for FAILED the cause, a positive error number; otherwise 0
 * @pages: out: pages of 4 KiB in the request; a page in two ranges counts twice
 * @already_mapped: out: pages that were mapped before the request came to them
 * @mapped: out: pages that have been mapped since the request came to them
 * @failed: out: pages that could not be mapped: no MAP_DMA range (any more), or no memory behind it
 *
 * For DONE, @already_mapped, @mapped and @failed add up to @pages.
 *
 * VFIO_IOPF_PREFAULT_QUERY reads the progress. VFIO_IOPF_PREFAULT_CANCEL ends the request, unless
 * it has ended already, and returns its last progress. When that call returns, the request maps and
 * populates nothing more, with one exception: if its thread waits for user space or a disk, one
 * page (of any size) may still be populated. Memory that has been mapped stays mapped. While such a
 * thread waits, it still counts as a request in progress (VFIO_IOPF_REQUESTS_MAX).
 *
 * The container remembers the last 48 requests that have ended. Releasing the container cancels its
 * requests.
 *
 * Errors: EINVAL: flags or argsz; EFAULT; ENOENT: no such request, or no longer remembered.
 */
struct vfio_iopf_prefault_status {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 id;
	__u32 state;
#define VFIO_IOPF_PREFAULT_STATE_WAITING	0	/* for earlier requests */
#define VFIO_IOPF_PREFAULT_STATE_RUNNING	1
#define VFIO_IOPF_PREFAULT_STATE_DONE		2
#define VFIO_IOPF_PREFAULT_STATE_FAILED		3
#define VFIO_IOPF_PREFAULT_STATE_CANCELLED	4
	__u32 error;
	__aligned_u64 pages;
	__aligned_u64 already_mapped;
	__aligned_u64 mapped;
	__aligned_u64 failed;
};

#define VFIO_IOPF_PREFAULT_QUERY	_IO(VFIO_TYPE, VFIO_IOPF_BASE + 1)
#define VFIO_IOPF_PREFAULT_CANCEL	_IO(VFIO_TYPE, VFIO_IOPF_BASE + 2)

/**
 * struct vfio_iopf_working_set - VFIO_IOPF_WORKING_SET_SAVE: save which pages are mapped, and heat
 * @argsz: size of this structure
 * @flags: AGE: halve all heat afterwards, so that a later call gives more weight to accesses from
 *         now on
 * @data: address of a buffer
 * @size: in: size of the buffer; out: size of the working set
 *
 * @size is set for ENOSPC, too. A @size of 0 asks for the size only. The devices continue
 * meanwhile, so the next call may need a larger buffer.
 *
 * The working set is an opaque string of bytes. It can be stored, and restored with
 * VFIO_IOPF_WORKING_SET_RESTORE by this or a later version of the backend, also on another machine.
 * It contains I/O virtual addresses, and no content of memory. A part of 2 MiB takes 2 to 70 bytes
 * (72 after a gap of 64 PiB). It takes 2 bytes when all of it is mapped and its neighbours are in
 * use.
 *
 * Heat: 0 to 15, for each 2 MiB. A device does not report how often it uses pages that are mapped.
 * But when the host has unmapped a page (to see whether it is used, or to reclaim it) and the
 * device then faults on it, the page is in use. Heat counts these events. A page that the host has
 * never unmapped may be used all the time or may have been used once. It has heat 0, is in the
 * working set, and comes after pages that are known to be used.
 *
 * The call holds the container's lock: mapping and unmapping wait, faults do not.
 *
 * Errors: EINVAL: flags or argsz; ENOSPC; EFAULT; EINTR; E2BIG: more than
 * VFIO_IOPF_WORKING_SET_MAX.
 */
struct vfio_iopf_working_set {
	__u32 argsz;
	__u32 flags;
#define VFIO_IOPF_WORKING_SET_AGE	(1 << 0)
	__aligned_u64 data;
	__aligned_u64 size;
};

#define VFIO_IOPF_WORKING_SET_SAVE	_IO(VFIO_TYPE, VFIO_IOPF_BASE + 3)

/**
 * struct vfio_iopf_working_set_restore - VFIO_IOPF_WORKING_SET_RESTORE: map a working set again
 * @argsz: size of this structure
 * @flags: EVENTFD: use @eventfd
 * @eventfd: as of struct vfio_iopf_prefault
 * @reserved: 0
 * @data: address of a working set
 * @size: exact size of the working set
 * @id: out: number of the request, as of VFIO_IOPF_PREFAULT
 *
 * The call makes a request like VFIO_IOPF_PREFAULT for all pages of the working set. The hottest
 * pages come first. Pages of the same heat come in the order of their addresses. A part of 2 MiB is
 * requested for writing if devices could write any page of it when it was saved, and its range
 * still permits writing. Pages without a MAP_DMA range are skipped and count as failed.
 *
 * Errors: EINVAL: flags, argsz, @reserved, not a working set or a damaged one, no device in the
 * container that does DMA; E2BIG: larger than VFIO_IOPF_WORKING_SET_MAX; EFAULT; EBADF; EBUSY;
 * EINTR; ENOMEM.
 */
struct vfio_iopf_working_set_restore {
	__u32 argsz;
	__u32 flags;
#define VFIO_IOPF_WORKING_SET_EVENTFD	(1 << 0)
	__s32 eventfd;
	__u32 reserved;
	__aligned_u64 data;
	__aligned_u64 size;
	__aligned_u64 id;
};

#define VFIO_IOPF_WORKING_SET_RESTORE	_IO(VFIO_TYPE, VFIO_IOPF_BASE + 4)

/*
 * Policies: how the memory of a range is handled.
 *  - DEFAULT: the policy of the container, which the administrator sets, or else the devices.
 *  - FAULT: devices fault the memory in when they use it, and the host can reclaim it at any time.
 *  - PREFAULT: like FAULT, but the kernel makes a request to prefault the range at once.
 *  - PIN: the memory is resident and pinned, as under other backends.
 */
#define VFIO_IOPF_POLICY_DEFAULT	0
#define VFIO_IOPF_POLICY_FAULT		1
#define VFIO_IOPF_POLICY_PREFAULT	2
#define VFIO_IOPF_POLICY_PIN		3

/**
 * struct vfio_iopf_policy - VFIO_IOPF_POLICY: the policy of a range
 * @argsz: size of this structure
 * @flags: 0; GET: read the policy at @iova
 * @iova: first address, rounded down to a page
 * @size: bytes, not 0; the end is rounded up to a page. GET: out: bytes from @iova on that have the
 *        same policy, at most to the end of the range that one call has mapped
 * @policy: VFIO_IOPF_POLICY_*; GET: out: the range's own policy
 * @effective: GET: out: the policy that applies there, never DEFAULT; otherwise 0
 * @id: out: PREFAULT: the number of the request, as of VFIO_IOPF_PREFAULT; 0: no request was made,
 *      since no device needs the memory
 *
 * All of the range must be mapped. It may be a part of a range that one call has mapped, or cover
 * several such ranges. Devices continue meanwhile. When the call returns, memory with policy PIN is
 * resident, pinned, and charged to RLIMIT_MEMLOCK page by page. Memory without it is unpinned,
 * unless there is another reason to pin it: a lock, or a device that can't fault. If a huge page
 * was pinned as a whole, the rest of it stays pinned, too. Unmapping a range removes its policy.
 *
 * PREFAULT acts once, at the time of the call. It makes a request like VFIO_IOPF_PREFAULT, which
 * can be queried and cancelled, and does not count for VFIO_IOPF_REQUESTS_MAX.
 *
 * Errors: EINVAL: flags, argsz, @policy, a size of 0, beyond the end of the address space;
 * ENOENT: not all of the range is mapped; EBUSY: a CPU address of the range is invalid
 * (VFIO_DMA_UNMAP_FLAG_VADDR), a thread unmaps it and gets the last report of dirty pages, or
 * 1024 requests to prefault are in progress; ENOSPC: more policies than the module parameter
 * policy_entry_limit permits, by default 262144; EFAULT: no memory, or memory that can't be pinned
 * for this access; ENOMEM: RLIMIT_MEMLOCK, or out of memory; ESRCH: the process of the memory is
 * gone; EINTR. On error nothing has changed.
 */
struct vfio_iopf_policy {
	__u32 argsz;
	__u32 flags;
#define VFIO_IOPF_POLICY_GET		(1 << 0)
	__aligned_u64 iova;
	__aligned_u64 size;
	__u32 policy;
	__u32 effective;
	__aligned_u64 id;
};

#define VFIO_IOPF_POLICY		_IO(VFIO_TYPE, VFIO_IOPF_BASE + 5)

/**
 * struct vfio_iopf_map_dma - VFIO_IOPF_MAP_DMA: map a range and set its policy
 * @argsz: size of this structure
 * @flags: VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE
 * @vaddr: as of VFIO_IOMMU_MAP_DMA
 * @iova: as of VFIO_IOMMU_MAP_DMA
 * @size: as of VFIO_IOMMU_MAP_DMA
 * @policy: VFIO_IOPF_POLICY_*
 * @reserved: 0
 *
 * This combines VFIO_IOMMU_MAP_DMA and VFIO_IOPF_POLICY, so the range is never mapped without its
 * policy.
 *
 * Errors: those of both; EINVAL: @reserved. On error nothing is mapped.
 */
struct vfio_iopf_map_dma {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 vaddr;
	__aligned_u64 iova;
	__aligned_u64 size;
	__u32 policy;
	__u32 reserved;
};

#define VFIO_IOPF_MAP_DMA		_IO(VFIO_TYPE, VFIO_IOPF_BASE + 6)

/* The most locks of a container. A lock counts once for each MAP_DMA range that it covers. */
#define VFIO_IOPF_LOCKS_MAX		4096

/**
 * struct vfio_iopf_lock - VFIO_IOPF_LOCK: a range in which devices can't fault, such as a ring
 * @argsz: size of this structure
 * @flags: COMPLETE: with this call, user space has locked all memory in which the container's
 *         selective devices can't fault
 * @iova: first address, rounded down to a page
 * @size: bytes; the end is rounded up to a page. 0 is allowed with COMPLETE only: lock nothing more
 * @id: out: number of the lock, never used again by this container; 0: no lock was made
 *
 * When the call returns, the range is resident and pinned. Each page is charged to RLIMIT_MEMLOCK
 * once. The range stays pinned until it is unlocked or unmapped. Locks may overlap. Lock memory
 * before a device is told of it: a fault in locked memory is answered, but maps nothing, and counts
 * as an error.
 *
 * The administrator declares a device selective if it can fault in some of its accesses only. For
 * such a device all memory is pinned, until it is declared where the device can't fault: by a
 * kernel driver, by the administrator (a window), or by user space with COMPLETE. COMPLETE applies
 * to all devices of the container, also to those that join later, until
 * VFIO_IOPF_UNLOCK_INCOMPLETE.
 *
 * Errors: EINVAL: flags, argsz, the range, no device in the container that does DMA; ENOENT: not
 * all of the range is mapped; ENOSPC: VFIO_IOPF_LOCKS_MAX; EBUSY: as of VFIO_IOPF_POLICY, except
 * for requests; EFAULT, ENOMEM, ESRCH, EINTR: as of VFIO_IOPF_POLICY. On error nothing has changed.
 */
struct vfio_iopf_lock {
	__u32 argsz;
	__u32 flags;
#define VFIO_IOPF_LOCK_COMPLETE		(1 << 0)
	__aligned_u64 iova;
	__aligned_u64 size;
	__aligned_u64 id;
};

#define VFIO_IOPF_LOCK			_IO(VFIO_TYPE, VFIO_IOPF_BASE + 7)

/**
 * struct vfio_iopf_unlock - VFIO_IOPF_UNLOCK: end a lock
 * @argsz: size of this structure
 * @flags: 0; INCOMPLETE: take back VFIO_IOPF_LOCK_COMPLETE
 * @id: the lock; with INCOMPLETE: 0
 *
 * Memory that is no longer locked is faulted in from now on, unless there is another reason to pin
 * it, as for VFIO_IOPF_POLICY. Unmapping all of a lock's range ends the lock.
 *
 * With INCOMPLETE, everything is pinned for selective devices when the call returns, unless a
 * kernel driver or the administrator declares where they can't fault.
 *
 * Errors: EINVAL: flags, argsz, @id; ENOENT: no such lock; INCOMPLETE: EFAULT, ENOMEM, ESRCH,
 * EINTR, EBUSY as of VFIO_IOPF_POLICY. On error nothing has changed.
 */
struct vfio_iopf_unlock {
	__u32 argsz;
	__u32 flags;
#define VFIO_IOPF_UNLOCK_INCOMPLETE	(1 << 0)
	__aligned_u64 id;
};

#define VFIO_IOPF_UNLOCK		_IO(VFIO_TYPE, VFIO_IOPF_BASE + 8)

#endif /* _UAPI_LINUX_VFIO_IOPF_H */
