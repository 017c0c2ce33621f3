/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The simulated IOMMU (iopf_sim_iommu.ko): the types and functions that its files share.
 */
#ifndef IOPF_SIM_IOMMU_H
#define IOPF_SIM_IOMMU_H

#include <linux/atomic.h>
#include <linux/iommu.h>
#include <linux/percpu.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "../link.h"

/* stat.c: counters */

/**
 * enum iopf_sim_stat - counters shown in debugfs, iopf_sim/iommu/
 * @IOPF_SIM_STAT_MAPS: map requests
 * @IOPF_SIM_STAT_UNMAPS: unmap requests
 * @IOPF_SIM_STAT_UNMAP_HOLES: unmap requests that met a hole
 * @IOPF_SIM_STAT_UNMAP_SPLITS: unmap requests that would have to split a leaf
 * @IOPF_SIM_STAT_MAP_COLLISIONS: map requests that met a mapping
 * @IOPF_SIM_STAT_SYNCS: invalidation requests
 * @IOPF_SIM_STAT_STOP_MARKERS: stop markers received and discarded
 * @IOPF_SIM_STAT_REFUSED: requests that the IOMMU answers itself, since there is no handler
 * @IOPF_SIM_STAT_TABLES: tables allocated now
 * @IOPF_SIM_STAT_LEAVES_4K: 4 KiB leaves mapped now
 * @IOPF_SIM_STAT_LEAVES_2M: 2 MiB leaves mapped now
 * @IOPF_SIM_STAT_LEAVES_1G: 1 GiB leaves mapped now
 * @IOPF_SIM_STAT_NR: number of counters
 */
enum iopf_sim_stat {
	IOPF_SIM_STAT_MAPS,
	IOPF_SIM_STAT_UNMAPS,
	IOPF_SIM_STAT_UNMAP_HOLES,
	IOPF_SIM_STAT_UNMAP_SPLITS,
	IOPF_SIM_STAT_MAP_COLLISIONS,
	IOPF_SIM_STAT_SYNCS,
	IOPF_SIM_STAT_STOP_MARKERS,
	IOPF_SIM_STAT_REFUSED,
	IOPF_SIM_STAT_TABLES,
	/* In the order of the table levels. */
	IOPF_SIM_STAT_LEAVES_4K,
	IOPF_SIM_STAT_LEAVES_2M,
	IOPF_SIM_STAT_LEAVES_1G,
	IOPF_SIM_STAT_NR,
};

/**
 * struct iopf_sim_stats - the counts of one CPU, see stats_sum()
 * @count: one for each counter. For a gauge: increments minus decrements on this CPU.
 */
struct iopf_sim_stats {
	s64 count[IOPF_SIM_STAT_NR];
};

DECLARE_PER_CPU(struct iopf_sim_stats, iopf_sim_stats);

static inline void iopf_sim_count(enum iopf_sim_stat stat, s64 n)
{
	this_cpu_add(iopf_sim_stats.count[stat], n);
}

void iopf_sim_stat_create(struct dentry *dir);

/* kind.c: what the IOMMU in front of a device can do */

#define IOPF_SIM_MAX_RESV	4
#define IOPF_SIM_MSI_SIZE	SZ_1M

/**
 * struct iopf_sim_kind - one kind of IOMMU
 * @pgsizes: page sizes, one bit each
 * @first: first address that the IOMMU can translate
 * @last: last address that the IOMMU can translate
 * @coherent: the IOMMU can make all DMA snoop the CPU's caches
 * @iopf: devices behind it can fault
 * @sw_msi: start of the window for MSI doorbells. 0: MSIs bypass translation at the usual address.
 * @nr_resv: reserved regions, without that of MSIs
 * @resv: first and last address of each reserved region
 *
 * Constant from load to unload.
 */
struct iopf_sim_kind {
	u64 pgsizes;
	u64 first;
	u64 last;
	bool coherent;
	bool iopf;
	u64 sw_msi;
	unsigned int nr_resv;
	struct {
		u64 first;
		u64 last;
	} resv[IOPF_SIM_MAX_RESV];
};

int iopf_sim_kind_init(void);
const struct iopf_sim_kind *iopf_sim_kind_of(u8 devfn);

/* The smallest page. The size of every map and unmap is a multiple of it. */
static inline u64 iopf_sim_kind_page(const struct iopf_sim_kind *kind)
{
	return kind->pgsizes & -kind->pgsizes;
}

/* pagetable.c: 48 bits of IOVA in four levels of 512 entries */

#define IOPF_SIM_IOVA_BITS	48
#define IOPF_SIM_PGSIZES	(SZ_4K | SZ_2M | SZ_1G)

/**
 * struct iopf_sim_pt - one page table
 * @kind: page sizes and aperture
 * @small_first: first address for a 4 KiB leaf
 * @small_last: last address for a 4 KiB leaf; less than @small_first if @kind has no such leaves
 * @lock: serialises unmaps, and the linking and unlinking of tables. Neither the device's walk nor
 *        a map into an existing table takes it.
 * @root: the top table, which lives as long as the page table
 * @idle: IOVA of the one empty level 0 table that stays linked, or %IOPF_SIM_PT_NONE
 *
 * A map sets leaves without @lock, see pagetable.c. All other changes are made under @lock.
 * iopf_sim_pt_lookup() reads in an RCU read-side section without @lock, as a device walks tables
 * in memory.
 */
struct iopf_sim_pt {
	const struct iopf_sim_kind *kind;
	u64 small_first;
	u64 small_last;
	spinlock_t lock;	/* tables, and removal of leaves */
	u64 *root;
	u64 idle;
};

#define IOPF_SIM_PT_NONE	(~0ULL)

/**
 * struct iopf_sim_leaf - the result of a walk
 * @phys: start of the leaf
 * @shift: log2 of the leaf's size
 * @read: reads are allowed
 * @write: writes are allowed
 */
struct iopf_sim_leaf {
	u64 phys;
	u8 shift;
	bool read;
	bool write;
};

int iopf_sim_pt_init(struct iopf_sim_pt *pt, const struct iopf_sim_kind *kind, gfp_t gfp);
void iopf_sim_pt_destroy(struct iopf_sim_pt *pt);
size_t iopf_sim_pt_unmap(struct iopf_sim_pt *pt, u64 iova, size_t size);
bool iopf_sim_pt_lookup(const struct iopf_sim_pt *pt, u64 iova, struct iopf_sim_leaf *leaf);

/* domain.c, attach.c: domains, and the endpoints attached to them */

/**
 * struct iopf_sim_domain - a paging domain
 * @domain: the core's part
 * @pt: the page table, which knows the kind of IOMMU
 * @unsynced: unmaps that wait for their invalidation. If there are any, the device may use an
 *            unmapped page from its ATC.
 * @lock: protects @attachments
 * @attachments: struct iopf_sim_attachment of each attached endpoint
 */
struct iopf_sim_domain {
	struct iommu_domain domain;
	struct iopf_sim_pt pt;
	atomic_t unsynced;
	raw_spinlock_t lock;
	struct list_head attachments;
};

/**
 * struct iopf_sim_attachment - an endpoint uses a domain
 * @node: in iopf_sim_domain.attachments
 * @ep: the endpoint
 */
struct iopf_sim_attachment {
	struct list_head node;
	struct iopf_sim_endpoint *ep;
};

static inline struct iopf_sim_domain *to_sim_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct iopf_sim_domain, domain);
}

extern struct iommu_domain iopf_sim_identity_domain;
extern struct iommu_domain iopf_sim_blocked_domain;

extern const struct iommu_domain_ops iopf_sim_paging_ops;

struct iommu_domain *iopf_sim_domain_alloc_paging(struct device *dev);
int iopf_sim_attach_dev(struct iommu_domain *domain, struct device *dev);

int iopf_sim_map_pages(struct iommu_domain *domain, unsigned long iova, phys_addr_t phys,
		       size_t pgsize, size_t count, int prot, gfp_t gfp, size_t *mapped);

/* endpoint.c: the devices behind the IOMMU */

struct iopf_sim_endpoint *iopf_sim_endpoint_find(struct device *dev);
void *iopf_sim_endpoints_any(void *(*ask)(struct iopf_sim_endpoint *ep, void *arg), void *arg);

/* atc.c: the translation cache of one bank */
bool iopf_sim_atc_lookup(struct iopf_sim_bank *bank, u64 iova, struct iopf_sim_leaf *leaf);
void iopf_sim_atc_fill(struct iopf_sim_bank *bank, u64 iova, const struct iopf_sim_leaf *leaf);
void iopf_sim_atc_invalidate(struct iopf_sim_bank *bank, u64 iova, u64 last);
void iopf_sim_atc_flush(struct iopf_sim_bank *bank);
struct iopf_sim_atc_entry *iopf_sim_atc_alloc(u32 entries);

/* prq.c: the page request queue */
int iopf_sim_prq_init(struct dentry *dir);
void iopf_sim_prq_exit(void);
void iopf_sim_prq_flush(struct iopf_sim_endpoint *ep);
struct iopf_queue *iopf_sim_prq_queue(void);

/* feature.c: page faults on and off */
int iopf_sim_enable_feat(struct device *dev, enum iommu_dev_features feat);
int iopf_sim_disable_feat(struct device *dev, enum iommu_dev_features feat);
void iopf_sim_feature_release(struct iopf_sim_endpoint *ep);
void iopf_sim_page_response(struct device *dev, struct iopf_fault *evt,
			    struct iommu_page_response *msg);

/* group.c: IOMMU groups */
int iopf_sim_group_init(void);
struct iommu_group *iopf_sim_group_of(struct device *dev);

#endif /* IOPF_SIM_IOMMU_H */
