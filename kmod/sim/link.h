/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The link between a simulated device (iopf_sim.ko) and the simulated IOMMU
 * (iopf_sim_iommu.ko). It stands for a PCIe link with ATS and PRI.
 *
 * The device owns struct iopf_sim_endpoint. It asks for translations and sends page requests. The
 * IOMMU attaches domains, invalidates, and delivers responses.
 *
 * Lock order, outermost first:
 *
 *   iommu group mutex, iommu_probe_device_lock		(IOMMU core)
 *     the list of endpoints	mutex, outside endpoint.reports
 *     endpoint.reports		rwsem: a report of a fault reads, an attach writes
 *       (the fault handler's own locks)
 *         iommu_fault_param.lock			(IOMMU core)
 *           device.lock	raw: the device's registers and page request groups
 *             bank.lock	raw: translations in use
 *   pt.lock			spin: changes of a page table
 *   domain.lock		raw: the list of attached endpoints
 *     bank.lock
 *
 * The raw locks are raw for two reasons. The PCI core accesses configuration space under
 * pci_lock, which is raw. Callers of map and unmap may hold any lock.
 */
#ifndef IOPF_SIM_LINK_H
#define IOPF_SIM_LINK_H

#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#define IOPF_SIM_MAX_BANKS	8
#define IOPF_SIM_MAX_ATC	4096

struct dentry;
struct iopf_sim_atc_entry;
struct iopf_sim_endpoint;
struct iopf_sim_kind;

/**
 * struct iopf_sim_bank - the part of a device's ATC that one engine uses
 * @lock: held while the engine uses a translation. A thread that takes it knows that the engine
 *        uses none.
 * @ep: the endpoint that the bank belongs to
 * @domain: the domain that translates, never NULL
 * @epoch: the device's epoch. An access made for another epoch is refused, since the device was
 *         reset after the access began.
 * @dma: the device may do DMA (bus master enable)
 * @ats: the engine may cache translations
 * @atc: direct-mapped cache, NULL if @atc_entries is 0
 * @atc_entries: size of @atc, a power of two
 * @atc_hits: translations that the cache had
 * @atc_misses: translations that the cache did not have
 * @atc_invalidations: entries dropped by invalidation
 * @stale_uses: uses of entries that should have been invalidated
 * @dma_to_free: accesses refused because the page was free memory
 *
 * @lock protects all fields but @ep.
 */
struct iopf_sim_bank {
	raw_spinlock_t lock;
	struct iopf_sim_endpoint *ep;
	struct iommu_domain *domain;
	u32 epoch;
	bool dma;
	bool ats;
	struct iopf_sim_atc_entry *atc;
	u32 atc_entries;
	u64 atc_hits;
	u64 atc_misses;
	u64 atc_invalidations;
	u64 stale_uses;
	u64 dma_to_free;
} ____cacheline_aligned_in_smp;

/**
 * struct iopf_sim_endpoint_ops - callbacks of the device, which the IOMMU calls
 * @response: deliver the response to a page request group. Atomic. The caller holds
 *            iommu_fault_param.lock, or is the thread that sent the request.
 */
struct iopf_sim_endpoint_ops {
	void (*response)(struct iopf_sim_endpoint *ep, u32 prg, u64 tag,
			 enum iommu_page_response_code code);
};

/**
 * struct iopf_sim_endpoint - a device as the IOMMU knows it
 * @ops: callbacks of the device
 * @segment: PCI domain
 * @devfn: device and function, on bus 0
 * @stall: the device faults by stalling, not by page requests
 * @nr_banks: banks in use
 * @bank: one bank for each engine
 * @window: physical address of the BARs, a target of peer-to-peer DMA
 * @window_size: bytes of @window
 * @window_va: the CPU's mapping of @window
 * @ignore_inv: negative control: the device ignores invalidations
 * @overflows: groups lost because the page request queue was full
 * @kind: the kind of the IOMMU in front of the device
 * @node: in the list of endpoints
 * @reports: held for reading while a fault is reported, see the lock order
 * @dev: the PCI device while the IOMMU core has it, protected by @reports
 * @domain: attached domain, protected by @reports
 * @attachment: in the list of @domain, protected by @reports
 * @iopf: the fault feature is enabled, protected by @reports
 */
struct iopf_sim_endpoint {
	const struct iopf_sim_endpoint_ops *ops;
	u16 segment;
	u8 devfn;
	bool stall;
	u32 nr_banks;
	struct iopf_sim_bank bank[IOPF_SIM_MAX_BANKS];
	u64 window;
	u64 window_size;
	void *window_va;
	bool ignore_inv;
	atomic64_t overflows;

	const struct iopf_sim_kind *kind;
	struct list_head node;
	struct rw_semaphore reports;
	struct device *dev;
	struct iommu_domain *domain;
	struct iopf_sim_attachment *attachment;
	bool iopf;
};

/**
 * struct iopf_sim_access - one use of a translation
 * @va: the CPU's address of the data, valid up to the end of the 4 KiB page
 * @irq: saved interrupt state
 */
struct iopf_sim_access {
	void *va;
	unsigned long irq;
};

/**
 * struct iopf_sim_request - a page request message
 * @ep: the device that sends it
 * @addr: page address
 * @tag: name that the device gives to the group. The response carries it back.
 * @prg: page request group index, or stall tag
 * @pasid: PASID of a stop marker
 * @perm: IOMMU_FAULT_PERM_*. A last request with 0 is a stop marker.
 * @last: last request of its group
 */
struct iopf_sim_request {
	struct iopf_sim_endpoint *ep;
	u64 addr;
	u64 tag;
	u32 prg;
	u32 pasid;
	u32 perm;
	bool last;
};

int iopf_sim_endpoint_register(struct iopf_sim_endpoint *ep);
void iopf_sim_endpoint_unregister(struct iopf_sim_endpoint *ep);
int iopf_sim_endpoint_set_atc(struct iopf_sim_endpoint *ep, u32 entries);
void iopf_sim_endpoint_set_dma(struct iopf_sim_endpoint *ep, bool dma, bool ats);
void iopf_sim_endpoint_reset(struct iopf_sim_endpoint *ep, u32 epoch);

int iopf_sim_access_begin(struct iopf_sim_bank *bank, u32 epoch, u64 iova, bool write,
			  struct iopf_sim_access *access);
void iopf_sim_access_end(struct iopf_sim_bank *bank, struct iopf_sim_access *access);
bool iopf_sim_translates(struct iopf_sim_bank *bank, u64 iova, bool write);

void iopf_sim_request_pages(struct iopf_sim_request *req, unsigned int nr);

struct dentry *iopf_sim_debugfs(void);

#endif /* IOPF_SIM_LINK_H */
