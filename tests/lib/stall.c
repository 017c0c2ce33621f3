// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses that are held: see stall.h.
 *
 * What an ioctl reads and writes lies in two pages: its structure is put across their boundary, so
 * that its parts are met one after the other, and behind it is its data. A page that is missing
 * holds whoever touches it first, one that is write-protected who writes to it first.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/userfaultfd.h>
#include <linux/vfio_iopf.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dirty.h"
#include "policy.h"
#include "prefault.h"
#include "stall.h"
#include "uffd.h"

/* In FUSE this error is about a request that the file system does not know. */
#define FUSE_MISSING 38

#define LEN		(2 * MiB)
#define OTHER_IOVA	(RIG_IOVA + 64 * MiB)	/* mapped to be unmapped */
#define FUSE_IOVA	(RIG_IOVA + 128 * MiB)	/* memory of the file system */
#define FUSE_LEN	(16 * MEM_PAGE)
#define FUSE_DIR	"/tmp/stall"

enum held {
	HEAD,		/* the structure's first part, by who reads it */
	TAIL,		/* its second part */
	OUT,		/* its first part, by who writes to it */
	OUT_TAIL,	/* its second part */
	DATA,		/* what it points to */
	PINNED,		/* memory of the file system, that gets pinned */
};

struct stall;

/**
 * struct access - an access
 * @what: its name
 * @cmd: the ioctl; 0: something else
 * @size: of the structure
 * @split: of its first part; 0: it is in one part
 * @held: what is held
 * @fill: the structure
 * @run: instead of the ioctl
 * @want: what it is to return
 * @reports: it makes a report
 */
struct access {
	const char *what;
	unsigned long cmd;
	size_t size;
	size_t split;
	enum held held;
	void (*fill)(struct stall *s, void *p);
	int (*run)(struct stall *s);
	int want;
	bool reports;
};

static size_t access_split(const struct access *a)
{
	return a->split ? a->split : a->size;
}

/**
 * struct stall - one that is held
 * @a: the access
 * @r: the owner's
 * @thread: makes it
 * @start: when it may
 * @page: two pages for the structure, two for data
 * @copy: what is in them
 * @held: the page that is held
 * @uffd: holds it
 * @mem: memory of the file system
 * @nr: number of the access
 * @released: it may go on
 * @over: it has ended
 * @result: of the ioctl
 * @id: of a request or lock that it needs
 */
struct stall {
	const struct access *a;
	struct rig *r;
	pthread_t thread;
	sem_t start;
	char *page;
	char *copy;
	char *held;
	int uffd;
	void *mem;
	unsigned int nr;
	bool released;
	bool over;
	int result;
	uint64_t id;
};

/* The owner's memory, and the file system. */
static struct simbuf own;
static struct simbuf other;
static pid_t fuse_pid;
static int fuse_reads, fuse_go;
static struct vfio_dev joiner;
static struct vfio_container joiner_container;

static char *data_of(struct stall *s)
{
	return s->page + 2 * MEM_PAGE;
}

static uint64_t fuse_iova(const struct stall *s)
{
	return FUSE_IOVA + s->nr * MiB;
}

/* The structures */

static void fill_info(struct stall *s, void *p)
{
	*(struct vfio_iommu_type1_info *)p = (struct vfio_iommu_type1_info){ .argsz = MEM_PAGE };
	(void)s;
}

static void fill_map(struct stall *s, void *p)
{
	*(struct vfio_iommu_type1_dma_map *)p = (struct vfio_iommu_type1_dma_map){
		.argsz = sizeof(struct vfio_iommu_type1_dma_map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)own.va,
		.iova = OTHER_IOVA + s->nr * LEN,
		.size = MEM_PAGE,
	};
}

static void fill_unmap(struct stall *s, void *p)
{
	struct vfio_iommu_type1_dma_unmap *u = p;
	uint64_t iova = OTHER_IOVA + s->nr * LEN;

	must(vfio_map(&s->r->c, other.va, iova, LEN));
	*u = (struct vfio_iommu_type1_dma_unmap){
		.argsz = sizeof(*u),
		.iova = iova,
		.size = LEN,
	};
}

static void fill_unmap_dirty(struct stall *s, void *p)
{
	struct vfio_iommu_type1_dma_unmap *u = p;
	struct vfio_bitmap bitmap = {
		.pgsize = MEM_PAGE,
		.size = LEN / MEM_PAGE / 8,
		.data = (void *)data_of(s),
	};

	fill_unmap(s, p);
	u->argsz += sizeof(bitmap);
	u->flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	memcpy(u->data, &bitmap, sizeof(bitmap));
}

static void fill_dirty(struct stall *s, void *p)
{
	struct vfio_iommu_type1_dirty_bitmap *d = p;
	struct vfio_iommu_type1_dirty_bitmap_get get = {
		.iova = own.iova,
		.size = own.len,
		.bitmap = {
			.pgsize = MEM_PAGE,
			.size = own.len / MEM_PAGE / 8,
			.data = (void *)data_of(s),
		},
	};

	*d = (struct vfio_iommu_type1_dirty_bitmap){
		.argsz = sizeof(*d) + sizeof(get),
		.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
	};
	memcpy(d->data, &get, sizeof(get));
}

/* The bitmap begins in the middle of a word, which is read. */
static void fill_dirty_word(struct stall *s, void *p)
{
	struct vfio_iommu_type1_dirty_bitmap_get get;
	struct vfio_iommu_type1_dirty_bitmap *d = p;

	fill_dirty(s, p);
	memcpy(&get, d->data, sizeof(get));
	get.iova -= 3 * MEM_PAGE;
	get.size += 3 * MEM_PAGE;
	get.bitmap.size += 8;
	memcpy(d->data, &get, sizeof(get));
}

static void fill_prefault(struct stall *s, void *p)
{
	*(struct vfio_iopf_range *)(s->copy + 2 * MEM_PAGE) =
		(struct vfio_iopf_range){ own.iova, MEM_PAGE };
	*(struct vfio_iopf_prefault *)p = (struct vfio_iopf_prefault){
		.argsz = sizeof(struct vfio_iopf_prefault),
		.flags = VFIO_IOPF_PREFAULT_READ,
		.nr_ranges = 1,
		.ranges = (uintptr_t)data_of(s),
	};
}

static void fill_status(struct stall *s, void *p)
{
	struct vfio_iopf_range range = { own.iova, MEM_PAGE };

	must(prefault_start(&s->r->c, &range, 1, PREFAULT_READ, -1, &s->id));
	*(struct vfio_iopf_prefault_status *)p = (struct vfio_iopf_prefault_status){
		.argsz = sizeof(struct vfio_iopf_prefault_status),
		.id = s->id,
	};
}

static void fill_get(struct stall *s, void *p)
{
	*(struct vfio_iopf_working_set *)p = (struct vfio_iopf_working_set){
		.argsz = sizeof(struct vfio_iopf_working_set),
		.data = (uintptr_t)data_of(s),
		.size = 2 * MEM_PAGE,
	};
}

static void fill_put(struct stall *s, void *p)
{
	size_t size;
	uint8_t *set = workset_get(&s->r->c, 0, &size);

	must_be(size <= MEM_PAGE);
	memcpy(s->copy + 2 * MEM_PAGE, set, size);
	free(set);
	*(struct vfio_iopf_working_set_restore *)p = (struct vfio_iopf_working_set_restore){
		.argsz = sizeof(struct vfio_iopf_working_set_restore),
		.eventfd = -1,
		.data = (uintptr_t)data_of(s),
		.size = size,
	};
}

static void policy_of(void *p, uint64_t iova, uint64_t size, uint32_t policy)
{
	*(struct vfio_iopf_policy *)p = (struct vfio_iopf_policy){
		.argsz = sizeof(struct vfio_iopf_policy),
		.iova = iova,
		.size = size,
		.policy = policy,
	};
}

static void fill_policy(struct stall *s, void *p)
{
	policy_of(p, own.iova, MEM_PAGE, VFIO_IOPF_POLICY_FAULT);
	(void)s;
}

static void fuse_map(struct stall *s)
{
	must(vfio_map(&s->r->c, s->mem, fuse_iova(s), FUSE_LEN));
}

static void fill_policy_pin(struct stall *s, void *p)
{
	fuse_map(s);
	policy_of(p, fuse_iova(s), FUSE_LEN, VFIO_IOPF_POLICY_PIN);
}

static void map_of(void *p, const void *va, uint64_t iova, uint64_t size, uint32_t policy)
{
	*(struct vfio_iopf_map_dma *)p = (struct vfio_iopf_map_dma){
		.argsz = sizeof(struct vfio_iopf_map_dma),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = size,
		.policy = policy,
	};
}

static void fill_map_policy(struct stall *s, void *p)
{
	map_of(p, own.va, OTHER_IOVA + s->nr * LEN, MEM_PAGE, VFIO_IOPF_POLICY_FAULT);
}

static void fill_map_pin(struct stall *s, void *p)
{
	map_of(p, s->mem, fuse_iova(s), FUSE_LEN, VFIO_IOPF_POLICY_PIN);
}

static void lock_of(void *p, uint64_t iova, uint64_t size)
{
	*(struct vfio_iopf_lock *)p = (struct vfio_iopf_lock){
		.argsz = sizeof(struct vfio_iopf_lock),
		.iova = iova,
		.size = size,
	};
}

static void fill_lock(struct stall *s, void *p)
{
	lock_of(p, own.iova, MEM_PAGE);
	(void)s;
}

static void fill_lock_pin(struct stall *s, void *p)
{
	fuse_map(s);
	lock_of(p, fuse_iova(s), FUSE_LEN);
}

static void fill_unlock(struct stall *s, void *p)
{
	must(policy_lock(&s->r->c, own.iova, MEM_PAGE, 0, &s->id));
	*(struct vfio_iopf_unlock *)p = (struct vfio_iopf_unlock){
		.argsz = sizeof(struct vfio_iopf_unlock),
		.id = s->id,
	};
}

/* What pins everything: a group that may not fault joins, an administrator switches faults off. */

static void fill_fuse(struct stall *s, void *p)
{
	fuse_map(s);
	(void)p;
}

static int run_join(struct stall *s)
{
	int ret;

	must(policy_mode(rig_bdf(3), "none"));
	joiner_container = s->r->c;
	ret = vfio_dev_attach(&joiner, &joiner_container, rig_bdf(3), VFIO_TYPE1v2_IOMMU);
	vfio_dev_close(&joiner);
	/* It may have been unbound. */
	(void)policy_mode(rig_bdf(3), "arbitrary");
	return ret;
}

static int run_disable(struct stall *s)
{
	int ret = iopf_enable(s->r->vfio[0].bdf, false);

	must(iopf_enable(s->r->vfio[0].bdf, true));
	return ret;
}

static int run_default(struct stall *s)
{
	int ret = policy_default(s->r->vfio[0].bdf, "pin");

	must(policy_default(s->r->vfio[0].bdf, "device"));
	return ret;
}

#define IN(_cmd, _type, _fill) \
	{ .what = #_cmd ": its structure", .cmd = _cmd, .size = sizeof(struct _type), \
	  .held = HEAD, .fill = _fill }
#define RETURNS(_cmd, _type, _fill) \
	{ .what = #_cmd ": its structure, written", .cmd = _cmd, .size = sizeof(struct _type), \
	  .held = OUT, .fill = _fill }
#define POINTS(_cmd, _type, _fill) \
	{ .what = #_cmd ": what it points to", .cmd = _cmd, .size = sizeof(struct _type), \
	  .held = DATA, .fill = _fill }
#define PINS(_cmd, _type, _fill) \
	{ .what = #_cmd ": memory to be pinned", .cmd = _cmd, .size = sizeof(struct _type), \
	  .held = PINNED, .fill = _fill }

#define DIRTY_SIZE	(8 + sizeof(struct vfio_iommu_type1_dirty_bitmap_get))
#define UNMAP_SIZE	(24 + sizeof(struct vfio_bitmap))

static const struct access accesses[] = {
	IN(VFIO_IOMMU_GET_INFO, vfio_iommu_type1_info, fill_info),
	RETURNS(VFIO_IOMMU_GET_INFO, vfio_iommu_type1_info, fill_info),
	{ .what = "VFIO_IOMMU_GET_INFO: capabilities", .cmd = VFIO_IOMMU_GET_INFO,
	  .size = MEM_PAGE, .split = sizeof(struct vfio_iommu_type1_info), .held = OUT_TAIL,
	  .fill = fill_info },
	IN(VFIO_IOMMU_MAP_DMA, vfio_iommu_type1_dma_map, fill_map),
	IN(VFIO_IOMMU_UNMAP_DMA, vfio_iommu_type1_dma_unmap, fill_unmap),
	RETURNS(VFIO_IOMMU_UNMAP_DMA, vfio_iommu_type1_dma_unmap, fill_unmap),
	{ .what = "VFIO_IOMMU_UNMAP_DMA: where the report goes", .cmd = VFIO_IOMMU_UNMAP_DMA,
	  .size = UNMAP_SIZE, .split = 24, .held = TAIL, .fill = fill_unmap_dirty },
	{ .what = "VFIO_IOMMU_UNMAP_DMA: the report", .cmd = VFIO_IOMMU_UNMAP_DMA,
	  .size = UNMAP_SIZE, .split = UNMAP_SIZE, .held = DATA, .fill = fill_unmap_dirty,
	  .reports = true },
	{ .what = "VFIO_IOMMU_DIRTY_PAGES: its structure", .cmd = VFIO_IOMMU_DIRTY_PAGES,
	  .size = DIRTY_SIZE, .split = DIRTY_SIZE, .held = HEAD, .fill = fill_dirty },
	{ .what = "VFIO_IOMMU_DIRTY_PAGES: where the report goes", .cmd = VFIO_IOMMU_DIRTY_PAGES,
	  .size = DIRTY_SIZE, .split = 8, .held = TAIL, .fill = fill_dirty },
	{ .what = "VFIO_IOMMU_DIRTY_PAGES: the report", .cmd = VFIO_IOMMU_DIRTY_PAGES,
	  .size = DIRTY_SIZE, .split = DIRTY_SIZE, .held = DATA, .fill = fill_dirty,
	  .reports = true },
	{ .what = "VFIO_IOMMU_DIRTY_PAGES: a word of the report that is read",
	  .cmd = VFIO_IOMMU_DIRTY_PAGES, .size = DIRTY_SIZE, .split = DIRTY_SIZE, .held = DATA,
	  .fill = fill_dirty_word, .reports = true },
	IN(VFIO_IOPF_PREFAULT, vfio_iopf_prefault, fill_prefault),
	POINTS(VFIO_IOPF_PREFAULT, vfio_iopf_prefault, fill_prefault),
	RETURNS(VFIO_IOPF_PREFAULT, vfio_iopf_prefault, fill_prefault),
	IN(VFIO_IOPF_PREFAULT_QUERY, vfio_iopf_prefault_status, fill_status),
	RETURNS(VFIO_IOPF_PREFAULT_QUERY, vfio_iopf_prefault_status, fill_status),
	IN(VFIO_IOPF_PREFAULT_CANCEL, vfio_iopf_prefault_status, fill_status),
	RETURNS(VFIO_IOPF_PREFAULT_CANCEL, vfio_iopf_prefault_status, fill_status),
	IN(VFIO_IOPF_WORKING_SET_SAVE, vfio_iopf_working_set, fill_get),
	POINTS(VFIO_IOPF_WORKING_SET_SAVE, vfio_iopf_working_set, fill_get),
	RETURNS(VFIO_IOPF_WORKING_SET_SAVE, vfio_iopf_working_set, fill_get),
	IN(VFIO_IOPF_WORKING_SET_RESTORE, vfio_iopf_working_set_restore, fill_put),
	POINTS(VFIO_IOPF_WORKING_SET_RESTORE, vfio_iopf_working_set_restore, fill_put),
	RETURNS(VFIO_IOPF_WORKING_SET_RESTORE, vfio_iopf_working_set_restore, fill_put),
	IN(VFIO_IOPF_POLICY, vfio_iopf_policy, fill_policy),
	RETURNS(VFIO_IOPF_POLICY, vfio_iopf_policy, fill_policy),
	PINS(VFIO_IOPF_POLICY, vfio_iopf_policy, fill_policy_pin),
	IN(VFIO_IOPF_MAP_DMA, vfio_iopf_map_dma, fill_map_policy),
	PINS(VFIO_IOPF_MAP_DMA, vfio_iopf_map_dma, fill_map_pin),
	IN(VFIO_IOPF_LOCK, vfio_iopf_lock, fill_lock),
	RETURNS(VFIO_IOPF_LOCK, vfio_iopf_lock, fill_lock),
	PINS(VFIO_IOPF_LOCK, vfio_iopf_lock, fill_lock_pin),
	IN(VFIO_IOPF_UNLOCK, vfio_iopf_unlock, fill_unlock),
	{ .what = "a group that joins: memory to be pinned", .held = PINNED, .fill = fill_fuse,
	  .run = run_join },
	{ .what = "the file enabled: memory to be pinned", .held = PINNED, .fill = fill_fuse,
	  .run = run_disable },
	{ .what = "the file policy: memory to be pinned", .held = PINNED, .fill = fill_fuse,
	  .run = run_default },
};

#define ACCESSES (sizeof(accesses) / sizeof(*accesses))

static struct stall stalls[ACCESSES];

unsigned int stall_count(void)
{
	return ACCESSES;
}

const char *stall_name(unsigned int i)
{
	return accesses[i].what;
}

int stall_want(unsigned int i)
{
	return accesses[i].want;
}

bool stall_reports(unsigned int i)
{
	return accesses[i].reports;
}

bool stall_alone(unsigned int i)
{
	return accesses[i].run;
}

bool stall_joins(unsigned int i)
{
	return accesses[i].run == run_join;
}

bool stall_known(unsigned long cmd)
{
	for (unsigned int i = 0; i < ACCESSES; i++)
		if (accesses[i].cmd == cmd)
			return true;
	return false;
}

/* The file system: one file, whose reads are told of and then wait. */

static void fuse_reply(int fd, uint64_t unique, int error, const void *data, size_t len)
{
	char buf[sizeof(struct fuse_out_header) + 65536];
	struct fuse_out_header head = {
		.len = (uint32_t)(sizeof(head) + len),
		.error = error,
		.unique = unique,
	};

	memcpy(buf, &head, sizeof(head));
	if (len)
		memcpy(buf + sizeof(head), data, len);
	if (write(fd, buf, head.len) < 0 && errno != ENOENT)
		_exit(3);
}

static struct fuse_attr fuse_attr(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node,
		.nlink = 1,
		.blksize = MEM_PAGE,
		.mode = node == 1 ? S_IFDIR | 0755 : S_IFREG | 0666,
		.size = node == 1 ? 0 : 8 * MiB,
	};
}

/* Reads that wait. */
static struct {
	uint64_t unique;
	uint32_t size;
} fuse_waits[64];
static unsigned int fuse_nr;
static bool fuse_hold;

static void fuse_read(int fd, uint64_t unique, uint32_t size)
{
	static const char zero[65536];

	fuse_reply(fd, unique, 0, zero, size);
}

static void fuse_answer(int fd, const struct fuse_in_header *in, int told)
{
	const struct fuse_read_in *rd = (const void *)(in + 1);
	struct fuse_init_out init = {
		.major = 7,
		.minor = 31,
		.max_write = MEM_PAGE,
		.max_background = 16,
		.congestion_threshold = 12,
	};
	struct fuse_entry_out entry = {
		.nodeid = 2,
		.attr_valid = 1000,
		.entry_valid = 1000,
		.attr = fuse_attr(2),
	};
	struct fuse_attr_out attr = { .attr_valid = 1000, .attr = fuse_attr(in->nodeid) };
	struct fuse_open_out opened = { .fh = 1 };
	char c = 0;

	switch (in->opcode) {
	case FUSE_INIT:
		fuse_reply(fd, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		fuse_reply(fd, in->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		fuse_reply(fd, in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		fuse_reply(fd, in->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		if (!fuse_hold) {
			fuse_read(fd, in->unique, rd->size);
			break;
		}
		if (fuse_nr == sizeof(fuse_waits) / sizeof(*fuse_waits) || write(told, &c, 1) != 1)
			_exit(2);
		fuse_waits[fuse_nr].unique = in->unique;
		fuse_waits[fuse_nr++].size = rd->size;
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		fuse_reply(fd, in->unique, -FUSE_MISSING, NULL, 0);
	}
}

/* 'h': hold reads from now on; anything else: let go what is held. */
static void fuse_command(int fd, int go)
{
	char c;

	if (read(go, &c, 1) != 1)
		_exit(0);
	fuse_hold = c == 'h';
	if (fuse_hold)
		return;
	while (fuse_nr) {
		fuse_nr--;
		fuse_read(fd, fuse_waits[fuse_nr].unique, fuse_waits[fuse_nr].size);
	}
}

static void fuse_serve(int fd, int told, int go)
{
	static char buf[1 << 17];
	struct pollfd fds[2] = { { .fd = go, .events = POLLIN }, { .fd = fd, .events = POLLIN } };

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents)
			fuse_command(fd, go);
		else if (read(fd, buf, sizeof(buf)) >= (ssize_t)sizeof(struct fuse_in_header))
			fuse_answer(fd, (void *)buf, told);
		else if (errno == ENODEV)
			_exit(0);
		else if (errno == EPERM)
			/* Not mounted yet. */
			usleep(1000);
	}
}

static void fuse_start(void)
{
	int told[2], go[2], fd;
	char options[128];

	fd = must_sys(open("/dev/fuse", O_RDWR));
	must_sys(pipe(told));
	must_sys(pipe(go));
	fuse_pid = must_sys(fork());
	if (!fuse_pid) {
		close(go[1]);
		close(told[0]);
		fuse_serve(fd, told[1], go[0]);
	}
	snprintf(options, sizeof(options), "fd=%d,rootmode=40755,user_id=0,group_id=0", fd);
	(void)mkdir(FUSE_DIR, 0755);
	must_sys(mount("stall", FUSE_DIR, "fuse", 0, options));
	close(fd);
	close(told[1]);
	close(go[0]);
	fuse_reads = told[0];
	fuse_go = go[1];
}

static void fuse_stop(void)
{
	must_sys(umount2(FUSE_DIR, MNT_DETACH));
	kill(fuse_pid, SIGKILL);
	waitpid(fuse_pid, NULL, 0);
	close(fuse_reads);
	close(fuse_go);
}

/* A private mapping of a file that has not been read: only pinning it reads it. */
static void *fuse_mem(unsigned int nr)
{
	off_t at = (off_t)nr * FUSE_LEN;
	void *mem;
	int fd;

	fd = must_sys(open(FUSE_DIR "/f", O_RDWR));
	mem = mmap(NULL, FUSE_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, at);
	must_be(mem != MAP_FAILED);
	must_be(!posix_fadvise(fd, at, FUSE_LEN, POSIX_FADV_DONTNEED));
	close(fd);
	return mem;
}

void stall_open(struct rig *r)
{
	own = (struct simbuf){ mem_anon(LEN), RIG_IOVA, LEN };
	other = (struct simbuf){ mem_anon(LEN), OTHER_IOVA, LEN };
	fuse_start();
	rig_open(r, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(r, &own);
	rig_both_ways(&r->sim[0], &own, 1, "the owner's device");
	must(dirty_track(&r->c, true));
	/* A working set that is not empty. */
	must_be(sim_read(&r->sim[0], &own, 0, own.len, NULL) == IOPF_SIM_ST_OK);
}

void stall_close(struct rig *r)
{
	must(dirty_track(&r->c, false));
	rig_clean(r);
	rig_unmap(r, &own);
	rig_close(r);
	fuse_stop();
	mem_unmap(own.va, LEN);
	mem_unmap(other.va, LEN);
}

/* The others */

static void read_all(const char *dir)
{
	struct dirent *entry;
	char path[512], buf[4096];
	DIR *d = opendir(dir);
	int fd;

	must_be(d);
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (entry->d_type == DT_DIR) {
			read_all(path);
			continue;
		}
		fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		(void)!read(fd, buf, sizeof(buf));
		close(fd);
	}
	closedir(d);
}

/* The owner's other threads, and an administrator who writes to its files. */
static void owner_others(struct rig *owner)
{
	struct vfio_iommu_type1_info *info = vfio_get_info(&owner->c);
	char path[128];
	uint64_t nr;

	must_be(info);
	free(info);
	must(knob_read_try(&nr, KNOB_IOPF_DIR "/devices/%s/container", owner->vfio[0].bdf));
	snprintf(path, sizeof(path), KNOB_IOPF_DIR "/containers/%u/prefetch_max", (unsigned int)nr);
	must(mem_write_file(path, "max"));
}

static void others(struct rig *owner)
{
	struct simbuf b = { mem_anon(MiB), RIG_IOVA, MiB };
	struct rig r;

	owner_others(owner);
	rig_open_at(&r, 1, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	must_be(rig_both_ways(&r.sim[0], &b, 1, "another device"));
	read_all(KNOB_IOPF_DIR);
	rig_unmap(&r, &b);
	rig_close(&r);
	must(mem_write_file("/sys/bus/pci/drivers/vfio-pci/unbind", "%s", rig_bdf(2)));
	must(rig_bind(rig_bdf(2)));
}

static pid_t others_pid;
static int others_go;

/* Another process that unbinds a device when it is told to; it is there before anything is held. */
static pid_t unbind_pid;
static int unbind_go;

void stall_unbind_prepare(const char *bdf)
{
	int go[2];
	char c;

	must_sys(pipe(go));
	unbind_pid = must_sys(fork());
	if (!unbind_pid) {
		close(go[1]);
		if (read(go[0], &c, 1) != 1)
			_exit(1);
		tap_forget();
		_exit(mem_write_file("/sys/bus/pci/drivers/vfio-pci/unbind", "%s", bdf) ? 1 : 0);
	}
	close(go[0]);
	unbind_go = go[1];
}

void stall_unbind(void)
{
	char c = 0;

	must_be(write(unbind_go, &c, 1) == 1);
	close(unbind_go);
}

/* How a process ends within some seconds: its status, or -1. */
static int ends(pid_t pid, unsigned int seconds)
{
	int status;

	for (unsigned int i = 0; i < seconds * 100; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		usleep(10000);
	}
	return -1;
}

bool stall_unbound(unsigned int seconds)
{
	return ends(unbind_pid, seconds) == 0;
}

bool stall_over(unsigned int i, unsigned int seconds)
{
	for (unsigned int n = 0; n < seconds * 100; n++) {
		if (__atomic_load_n(&stalls[i].over, __ATOMIC_ACQUIRE))
			return true;
		usleep(10000);
	}
	return false;
}

/* They are there before anything is held, and wait. */
static void others_fork(struct rig *owner)
{
	int go[2];
	char c;

	must_sys(pipe(go));
	others_pid = must_sys(fork());
	if (!others_pid) {
		close(go[1]);
		if (read(go[0], &c, 1) != 1)
			_exit(1);
		tap_forget();
		tap_quiet(true);
		others(owner);
		_exit(0);
	}
	close(go[0]);
	others_go = go[1];
}

static void *stall_run(void *arg)
{
	struct stall *s = arg;
	const struct access *a = s->a;

	while (sem_wait(&s->start))
		;
	if (a->run)
		s->result = a->run(s);
	else if (ioctl(s->r->c.fd, a->cmd, s->page + MEM_PAGE - access_split(a)) < 0)
		s->result = -errno;
	else
		s->result = 0;
	__atomic_store_n(&s->over, true, __ATOMIC_RELEASE);
	return NULL;
}

static void protect(int uffd, const void *page, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)page, MEM_PAGE },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	must_sys(ioctl(uffd, UFFDIO_WRITEPROTECT, &wp));
}

static bool writes(const struct access *a)
{
	return a->held == OUT || a->held == OUT_TAIL;
}

/* Have the page in which the access is held missing, or write-protected, and the others there. */
static void pages_prepare(struct stall *s)
{
	unsigned int held = s->a->held == DATA ? 2 :
			    s->a->held == TAIL || s->a->held == OUT_TAIL ? 1 : 0;

	s->uffd = -1;
	s->held = s->page + held * MEM_PAGE;
	for (unsigned int i = 0; i < 4; i++)
		if (i != held || writes(s->a) || s->a->held == PINNED)
			memcpy(s->page + i * MEM_PAGE, s->copy + i * MEM_PAGE, MEM_PAGE);
	if (s->a->held == PINNED)
		return;
	if (writes(s->a)) {
		s->uffd = uffd_open(s->held, MEM_PAGE, 0, UFFDIO_REGISTER_MODE_WP);
		protect(s->uffd, s->held, true);
	} else {
		s->uffd = uffd_missing(s->held, MEM_PAGE);
	}
}

/*
 * While memory is being pinned the address space is in use, so a process can neither map memory nor
 * fork: all of that is done before.
 */
void stall_prepare(struct rig *r, unsigned int i)
{
	const struct access *a = &accesses[i];
	struct stall *s = &stalls[i];

	if (!others_pid)
		others_fork(r);
	*s = (struct stall){ .a = a, .r = r, .nr = i };
	s->page = mem_anon(4 * MEM_PAGE);
	s->copy = mem_anon(4 * MEM_PAGE);
	if (a->held == PINNED)
		s->mem = fuse_mem(i);
	a->fill(s, s->copy + MEM_PAGE - access_split(a));
	pages_prepare(s);
	must_be(!sem_init(&s->start, 0, 0));
	must_be(!pthread_create(&s->thread, NULL, stall_run, s));
}

bool stall_begin(unsigned int i)
{
	struct stall *s = &stalls[i];
	char c = 'h';

	if (s->a->held == PINNED)
		must_be(write(fuse_go, &c, 1) == 1);
	must_be(!sem_post(&s->start));
	if (s->a->held == PINNED)
		return read(fuse_reads, &c, 1) == 1;
	return (uffd_asked(s->uffd) & ~(MEM_PAGE - 1)) == (uintptr_t)s->held;
}

void stall_release(unsigned int i)
{
	struct stall *s = &stalls[i];
	char c = 'g';

	if (s->released)
		return;
	s->released = true;
	if (s->a->held == PINNED)
		must_be(write(fuse_go, &c, 1) == 1);
	else if (writes(s->a))
		protect(s->uffd, s->held, false);
	else
		must(uffd_give(s->uffd, (uintptr_t)s->held, s->copy + (s->held - s->page),
			       MEM_PAGE));
}

int stall_end(unsigned int i)
{
	struct stall *s = &stalls[i];
	struct rig *r = s->r;

	stall_release(i);
	pthread_join(s->thread, NULL);
	sem_destroy(&s->start);
	if (s->uffd >= 0)
		close(s->uffd);
	if (s->mem) {
		vfio_unmap(&r->c, fuse_iova(s), FUSE_LEN);
		mem_unmap(s->mem, FUSE_LEN);
	}
	vfio_unmap(&r->c, OTHER_IOVA + s->nr * LEN, MEM_PAGE);
	mem_unmap(s->page, 4 * MEM_PAGE);
	mem_unmap(s->copy, 4 * MEM_PAGE);
	return s->result;
}

bool stall_others(struct rig *r, unsigned int seconds)
{
	int status;
	pid_t pid;
	char c = 0;

	if (!others_pid)
		others_fork(r);
	pid = others_pid;
	others_pid = 0;
	must_be(write(others_go, &c, 1) == 1);
	close(others_go);
	status = ends(pid, seconds);
	if (status < 0) {
		tap_diag("somebody waits");
		kill(pid, SIGKILL);
	}
	return !status;
}
