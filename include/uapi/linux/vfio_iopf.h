/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Programming interface of vfio-iopf, beyond that of VFIO type1: telling the kernel which memory
 * devices are about to use, carrying what they use from one run to the next, and saying which
 * memory may be faulted in and which has to be pinned.
 *
 * These are ioctls on a VFIO container (/dev/vfio/vfio) that has an IOMMU type. Where another
 * backend serves the container, they fail with ENOTTY, and VFIO_CHECK_EXTENSION answers 0. Asked
 * of a container without a type, VFIO_CHECK_EXTENSION answers for all backends that are loaded; so
 * ask after VFIO_SET_IOMMU.
 *
 * Structures begin as VFIO's do: @argsz is the size of what the caller passes, at least that of the
 * structure as it is here; @flags has no bits set but those described. Addresses and sizes
 * are in bytes.
 *
 * Hints and working sets pin no memory and make no device wait. They are safe to leave out: what
 * is not there when a device uses it is faulted in. Policies and locks pin what they say, charged
 * to the RLIMIT_MEMLOCK of whoever mapped it.
 */
#ifndef _UAPI_LINUX_VFIO_IOPF_H
#define _UAPI_LINUX_VFIO_IOPF_H

#include <linux/types.h>
#include <linux/vfio.h>

/*
 * VFIO_CHECK_EXTENSION: the ioctls below. Far from VFIO's own small numbers: the letters "iopf",
 * and "iopg" for policies and locks.
 */
#define VFIO_IOPF_PREFAULT_EXT		0x696f7066
#define VFIO_IOPF_POLICY_EXT		0x696f7067

/*
 * VFIO's type, ';'. VFIO numbers its ioctls from 100, iommufd those of the same type from 128, both
 * upwards; these are at the far end.
 */
#define VFIO_IOPF_BASE			240

/* The most there can be: ranges in a request, requests under way, bytes of a working set. */
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
 * struct vfio_iopf_prefault - VFIO_IOPF_PREFAULT: have memory ready before a device uses it
 * @argsz: size of this structure
 * @flags: READ, WRITE or both: what devices will do; EVENTFD: @eventfd counts
 * @eventfd: signalled once, when the request has come to its end, whatever end
 * @nr_ranges: how many, 1 to VFIO_IOPF_RANGES_MAX
 * @ranges: address of an array of struct vfio_iopf_range, in any order; they may overlap
 * @id: out: the request's number, not 0, and never used again by this container
 *
 * Everything is checked before anything is done. Then the call returns, and a kernel thread goes
 * through the ranges: memory that the CPU does not have is populated (as by an access of the CPU:
 * zero-filled, read from a file, swapped in, asked of a userfaultfd; for WRITE copies are made),
 * and mapped for the devices. It works in pieces of at most 2 MiB, on one request
 * of a container at a time, in the order they came. So one that waits for user space (userfaultfd)
 * keeps those after it waiting until it is cancelled.
 *
 * What is mapped so is like what a device has faulted in: it goes when the host wants it back,
 * before or after it has been used. While writes are tracked (VFIO_IOMMU_DIRTY_PAGES), pages are
 * populated for writing but mapped for reading, and nothing counts as dirty. Where everything is
 * pinned there is nothing to do. Memory whose address is invalid (VFIO_DMA_UNMAP_FLAG_VADDR) is
 * left out, as is what is unmapped meanwhile.
 *
 * The request ends with ENOMEM when memory gets short: before each step the kernel sees
 * whether it can be had, from the memory cgroup of whom it belongs to, without
 * killing anybody. Somebody else may take it in between, so the last bit of memory is still
 * better not asked for.
 *
 * Errors: EINVAL: flags, argsz, no range, a range of size 0 or beyond the end of the address
 * space, no device in the container (one that emulated devices alone share has none);
 * E2BIG: too many ranges; EFAULT; ENOENT: not all of a range is mapped (VFIO_IOMMU_MAP_DMA);
 * EPERM: mapped, but not for what @flags say; EBADF: @eventfd is none; EBUSY:
 * VFIO_IOPF_REQUESTS_MAX are under way; EINTR; ENOMEM.
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
 * struct vfio_iopf_prefault_status - how far a request is
 * @argsz: size of this structure
 * @flags: 0
 * @id: in: the request
 * @state: out: VFIO_IOPF_PREFAULT_STATE_*
 * @error: out: FAILED: what from, a positive error number; otherwise 0
 * @pages: out: pages of 4 KiB the request is about; what ranges share counts each time
 * @already_mapped: out: of those, pages that were mapped already
 * @mapped: out: pages that have been mapped since the request came to them
 * @failed: out: pages that could not be: nothing mapped there (any more), no memory behind it
 *
 * When it is DONE, @already_mapped, @mapped and @failed add up to @pages.
 *
 * VFIO_IOPF_PREFAULT_QUERY asks. VFIO_IOPF_PREFAULT_CANCEL ends the request, unless it has ended
 * already, and says what had become of it. When that returns nothing more is mapped, and nothing
 * populated, except for one page (of whatever size) if the kernel waits for user space or a disk
 * to have it. What has been mapped stays. Such a waiting thread still counts as
 * a request under way (VFIO_IOPF_REQUESTS_MAX).
 *
 * The last 48 requests that have ended can be asked about. The end of the container
 * cancels its requests.
 *
 * Errors: EINVAL: flags or argsz; EFAULT; ENOENT: no such request, or forgotten.
 */
struct vfio_iopf_prefault_status {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 id;
	__u32 state;
#define VFIO_IOPF_PREFAULT_STATE_WAITING	0	/* for those before it */
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
 * struct vfio_iopf_working_set - VFIO_IOPF_WORKING_SET_SAVE: what is mapped now, and how hot it is
 * @argsz: size of this structure
 * @flags: AGE: afterwards, halve what is known of each part's heat, so that a later answer tells
 *         more of what happens from now on
 * @data: address of a buffer
 * @size: in: its size; out: size of the working set
 *
 * For ENOSPC, too, @size says how much it takes; a @size of 0 asks for just that. As
 * devices go on meanwhile, it may be more the next time.
 *
 * The working set is an opaque string of bytes that can be stored, and given back to this or
 * a later version of the backend on another machine, with VFIO_IOPF_WORKING_SET_RESTORE. It names
 * I/O virtual addresses, nothing of the memory's content. A part of 2 MiB takes 2 to 70 bytes (72
 * after a gap of 64 PiB), 2 when all of it is mapped and its neighbours are in use.
 *
 * Heat: 0 to 15, of each 2 MiB. A device says nothing of how often it uses what is mapped,
 * but what the host has taken away (to see whether it is used, or because it wanted the memory)
 * and the device has missed is used for sure: heat counts how often that happened. What nobody ever
 * took away may be used all the time or may have been used once: it has heat 0, is in the working
 * set, and comes after what is known to be used.
 *
 * The container is locked meanwhile: mapping and unmapping wait. Faults do not.
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
 * @flags: EVENTFD: @eventfd counts
 * @eventfd: as of struct vfio_iopf_prefault
 * @reserved: 0
 * @data: address of a working set
 * @size: its size, exactly
 * @id: out: number of the request, as of VFIO_IOPF_PREFAULT
 *
 * As VFIO_IOPF_PREFAULT for all of it, the hottest first, by address where heat is the same; for
 * writing where devices could write and still may. Pages where nothing is mapped now are skipped
 * and count as failed.
 *
 * Errors: EINVAL: flags, argsz, @reserved, not a working set or a damaged one, no device in the
 * container; E2BIG: larger than VFIO_IOPF_WORKING_SET_MAX; EFAULT; EBADF; EBUSY; EINTR; ENOMEM.
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
 * Policies: what is done about the memory of a range. DEFAULT: what the container's is, which is
 * the administrator's to say, or depends on the devices. FAULT: devices fault it in when they use
 * it, and the host takes it back when it likes. PREFAULT: the same, but a request to have it ready
 * is made at once. PIN: it is resident and pinned as under other backends.
 */
#define VFIO_IOPF_POLICY_DEFAULT	0
#define VFIO_IOPF_POLICY_FAULT		1
#define VFIO_IOPF_POLICY_PREFAULT	2
#define VFIO_IOPF_POLICY_PIN		3

/**
 * struct vfio_iopf_policy - VFIO_IOPF_POLICY: the policy of a range
 * @argsz: size of this structure
 * @flags: 0; GET: say what it is at @iova
 * @iova: first address, rounded down to a page
 * @size: bytes, not 0; the end is rounded up to a page. GET: out: as far as it is the same, at most
 *        to the end of what has been mapped by one call
 * @policy: VFIO_IOPF_POLICY_*; GET: out: the range's own
 * @effective: GET: out: what holds there, never DEFAULT; otherwise 0
 * @id: out: PREFAULT: the number of the request, as of VFIO_IOPF_PREFAULT; 0: there is none, since
 *      no device is there to have it ready for
 *
 * All of the range has to be mapped; it may be part of what has been mapped by one call, or
 * go over several. Devices go on meanwhile. When the call returns, what has become PIN is
 * resident, pinned, and charged to RLIMIT_MEMLOCK, a page at a time, and what is no longer to be
 * pinned is not. It stays pinned where something else demands it: a lock, a device that can't
 * fault; and so does the rest of a huge page that was pinned at a time. What is unmapped has no
 * policy any more.
 *
 * PREFAULT is about the time of the call, and makes a request like VFIO_IOPF_PREFAULT, which can be
 * asked about and cancelled; it does not count for VFIO_IOPF_REQUESTS_MAX.
 *
 * Errors: EINVAL: flags, argsz, @policy, a size of 0, beyond the end of the address space;
 * ENOENT: not all of it is mapped; EBUSY: an address of it is invalid
 * (VFIO_DMA_UNMAP_FLAG_VADDR), a thread unmaps it and gets the last report of dirty pages, or
 * 1024 requests to prefault are under way; ENOSPC: more policies than the module's parameter
 * policy_entry_limit says, by default 262144; EFAULT: no memory, or not to be pinned for this;
 * ENOMEM: RLIMIT_MEMLOCK, or out of memory; ESRCH: its process is gone; EINTR. On error nothing has
 * changed.
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
 * struct vfio_iopf_map_dma - VFIO_IOPF_MAP_DMA: map a range that has a policy
 * @argsz: size of this structure
 * @flags: VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE
 * @vaddr: as of VFIO_IOMMU_MAP_DMA
 * @iova: as of VFIO_IOMMU_MAP_DMA
 * @size: as of VFIO_IOMMU_MAP_DMA
 * @policy: VFIO_IOPF_POLICY_*
 * @reserved: 0
 *
 * VFIO_IOMMU_MAP_DMA and VFIO_IOPF_POLICY in one, so that there is no moment with the one and
 * without the other.
 *
 * Errors: those of the two; EINVAL: @reserved. On error nothing is mapped.
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

/* Locks a container may have, each for a part of it that has been mapped by one call. */
#define VFIO_IOPF_LOCKS_MAX		4096

/**
 * struct vfio_iopf_lock - VFIO_IOPF_LOCK: a range in which devices can't fault, such as a ring
 * @argsz: size of this structure
 * @flags: COMPLETE: with this, all is locked that the container's selective devices can't fault in
 * @iova: first address, rounded down to a page
 * @size: bytes, the end is rounded up to a page; not 0, but with COMPLETE: nothing more to lock
 * @id: out: number of the lock, never used again by this container; 0: there is none
 *
 * When the call returns the range is resident, pinned, and charged to RLIMIT_MEMLOCK, a page at a
 * time, once. It stays so until it is unlocked or unmapped; locks may overlap. Lock memory before a
 * device knows of it: a fault in it is answered, but brings nothing in, and counts as an error.
 *
 * A device that the administrator has declared to be selective, since it faults in some of its
 * accesses only, has all memory pinned for it until somebody says where it can't fault: a
 * kernel driver, the administrator (a window), or user space by COMPLETE. That holds for all
 * devices of the container, also for those that come, until VFIO_IOPF_UNLOCK_INCOMPLETE.
 *
 * Errors: EINVAL: flags, argsz, the range, no device in the container; ENOENT: not all of it is
 * mapped; ENOSPC: VFIO_IOPF_LOCKS_MAX; EBUSY: as of VFIO_IOPF_POLICY, but for requests;
 * EFAULT, ENOMEM, ESRCH, EINTR: as of VFIO_IOPF_POLICY. On error nothing has changed.
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
 * struct vfio_iopf_unlock - VFIO_IOPF_UNLOCK
 * @argsz: size of this structure
 * @flags: 0; INCOMPLETE: take back what VFIO_IOPF_LOCK_COMPLETE has said
 * @id: the lock; with INCOMPLETE: 0
 *
 * What is no longer locked is faulted in from now on, unless something else demands that it be
 * pinned, as for VFIO_IOPF_POLICY. A lock of which all has been unmapped is gone.
 *
 * With INCOMPLETE everything is pinned for selective devices when the call returns.
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
