/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inside of iopf_sim.ko: the simulated device and what its files share.
 *
 * Vocabulary:
 *   epoch   a count of resets. Work done for an earlier epoch has no effect any more.
 *   engine  a kthread that fetches commands and carries them out.
 *   poller  the one engine that watches the doorbell; the others work or wait for their turn.
 *   group   a page request group that waits for its response, named by its PRG index.
 *
 * Lock order: engine work: sq_lock, or cq_lock; then device.lock; then bank.lock (see
 * endpoint.h for the whole).
 */
#ifndef IOPF_SIM_DEVICE_H
#define IOPF_SIM_DEVICE_H

#include <linux/bitmap.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include <linux/iopf_sim.h>

#include "endpoint.h"

#define IOPF_SIM_MAX_DEVICES	64
#define IOPF_SIM_MAX_ENGINES	IOPF_SIM_MAX_BANKS
#define IOPF_SIM_CFG_SIZE	4096
#define IOPF_SIM_ATC_DEFAULT	64
#define IOPF_SIM_PRG_COUNT	512	/* the PRG index has 9 bits */
#define IOPF_SIM_PRG_NONE	IOPF_SIM_PRG_COUNT

enum iopf_sim_state {
	IOPF_SIM_OFF,
	IOPF_SIM_READY,
	IOPF_SIM_HALTED,
};

enum iopf_sim_group_state {
	IOPF_SIM_GROUP_FREE,
	IOPF_SIM_GROUP_SENT,		/* waits for its response, its engine may wait too */
	IOPF_SIM_GROUP_ANSWERED,	/* its engine has to take the answer and free it */
	IOPF_SIM_GROUP_ORPHAN,		/* waits for its response, nobody is interested */
};

/**
 * struct iopf_sim_group - a page request group as the device keeps it
 * @state: see above
 * @code: the answer
 * @pages: page requests in it
 * @tag: its name; never used twice
 * @task: the engine to wake
 * @answered: when it was answered, by local_clock(), which takes half as long as ktime_get()
 */
struct iopf_sim_group {
	enum iopf_sim_group_state state;
	u32 code;
	u32 pages;
	u64 tag;
	struct task_struct *task;
	u64 answered;
};

/**
 * struct iopf_sim_knobs - how the device misbehaves; all 0 by default but @retry_limit
 * @resp_delay_us: responses are noticed that much later
 * @resp_drop: responses to lose
 * @resp_dup: responses to take twice
 * @resp_reorder: responses to hold back until another one has been taken
 * @bad_range: requests to send for an address far from what was wanted
 * @bad_perm: requests to send with a permission nobody needs
 * @bad_group: malformed groups to send before regular ones
 * @flood: groups more to send, whose answers nobody waits for
 * @long_group: requests more to send in the next group
 * @stop_marker: stop markers to send before regular requests
 * @never_take: no response is taken
 * @retry_limit: how often one access is tried again
 * @kick_only: an idle device hardly looks at its doorbell, the kick has to tell it
 */
struct iopf_sim_knobs {
	u32 resp_delay_us;
	u32 resp_drop;
	u32 resp_dup;
	u32 resp_reorder;
	u32 bad_range;
	u32 bad_perm;
	u32 bad_group;
	u32 flood;
	u32 long_group;
	u32 stop_marker;
	u32 never_take;
	u32 retry_limit;
	u32 kick_only;
};

/**
 * struct iopf_sim_counters - what a device has done
 * @requests: page requests sent
 * @groups: page request groups sent
 * @responses_success: responses "success"
 * @responses_invalid: responses "invalid request"
 * @responses_failure: responses "response failure"
 * @responses_unexpected: responses to no group that waits
 * @bytes_read: bytes read from memory
 * @bytes_written: bytes written to memory
 * @commands: commands carried out
 * @flr: function level resets
 */
struct iopf_sim_counters {
	atomic64_t requests;
	atomic64_t groups;
	atomic64_t responses_success;
	atomic64_t responses_invalid;
	atomic64_t responses_failure;
	atomic64_t responses_unexpected;
	atomic64_t bytes_read;
	atomic64_t bytes_written;
	atomic64_t commands;
	atomic64_t flr;
};

#define IOPF_SIM_BANK_COUNTERS	5

/**
 * struct iopf_sim_bank_counter - a counter kept in the banks
 * @ep: whose banks
 * @offset: where in the bank
 */
struct iopf_sim_bank_counter {
	struct iopf_sim_endpoint *ep;
	size_t offset;
};

struct iopf_sim_engine;

/**
 * struct iopf_sim_device - one simulated PCI function
 * @ep: its link to the IOMMU
 * @name: PCI address
 * @index: number of the device
 * @knobs: see there; read and written without lock
 * @counters: see there
 * @bank_counter: what debugfs shows of the banks
 * @debugfs: its directory
 *
 * @lock: raw; protects the fields from here to @held, and the BAR's registers against resets
 * @cfg: configuration space
 * @writable: bits of it that software can change
 * @bar: the BAR, NULL while memory decoding is off
 * @bar_phys: address at which @bar was last seen
 * @epoch: count of resets; also in each bank
 * @state: see above
 * @error: why it is halted
 * @error_iova: where
 * @sq_base: latched ring register
 * @cq_base: latched ring register
 * @sq_entries: latched ring register
 * @cq_entries: latched ring register
 * @sq_head: commands fetched
 * @cq_tail: completions written
 * @running: commands under way
 * @poller: the engine that watches the doorbell, when it may be asleep
 * @kicked: look at the doorbell at once
 * @group: page request groups by PRG index
 * @group_hint: where to look for a free one first
 * @requests_out: page requests not yet answered
 * @tag: last tag given out
 * @held: responses held back by knobs, counted without @lock
 * @reordered: the response held back until another one comes
 *
 * @sq_lock: held by the poller, and while a command is fetched
 * @cq_lock: held while a completion is written
 * @dead: the engines are about to be stopped
 * @nr_engines: how many
 * @engine: the engines
 */
struct iopf_sim_device {
	struct iopf_sim_endpoint ep;
	char name[24];
	u32 index;
	struct iopf_sim_knobs knobs;
	struct iopf_sim_counters counters;
	struct iopf_sim_bank_counter bank_counter[IOPF_SIM_BANK_COUNTERS];
	struct dentry *debugfs;

	raw_spinlock_t lock;
	u8 cfg[IOPF_SIM_CFG_SIZE];
	u8 writable[IOPF_SIM_CFG_SIZE];
	void *bar;
	u64 bar_phys;
	u32 epoch;
	enum iopf_sim_state state;
	u32 error;
	u64 error_iova;
	u64 sq_base;
	u64 cq_base;
	u32 sq_entries;
	u32 cq_entries;
	u32 sq_head;
	u32 cq_tail;
	u32 running;
	struct task_struct *poller;
	bool kicked;
	struct iopf_sim_group group[IOPF_SIM_PRG_COUNT];
	u32 group_hint;
	u32 requests_out;
	u64 tag;
	atomic_t held;
	struct iopf_sim_held *reordered;

	struct mutex sq_lock;	/* the poller's */
	struct mutex cq_lock;	/* one completion at a time */
	bool dead;
	u32 nr_engines;
	struct iopf_sim_engine *engine[IOPF_SIM_MAX_ENGINES];
};

/**
 * struct iopf_sim_sent - a group an engine has sent and not yet taken back
 * @prg: its index
 * @tag: its name
 * @time: when it was sent, by local_clock()
 * @nr: pages in it
 * @page: their addresses
 */
struct iopf_sim_sent {
	u32 prg;
	u64 tag;
	u64 time;
	u32 nr;
	u64 page[IOPF_SIM_MAX_PRG_PAGES];
};

/**
 * struct iopf_sim_engine - a kthread of a device
 * @dev: the device
 * @bank: its part of the ATC
 * @index: number of the engine
 * @task: the kthread
 * @epoch: epoch in which the current command was fetched
 * @started: when that was, ns
 * @cmd: the current command
 * @cpl: its completion
 * @sent: groups under way, @nr_sent of them
 * @nr_sent: how many
 * @list: pages of the next group
 * @req: page requests about to be sent
 * @bounce: data of a copy on its way
 * @sink: keeps reads from being optimised away
 */
struct iopf_sim_engine {
	struct iopf_sim_device *dev;
	struct iopf_sim_bank *bank;
	u32 index;
	struct task_struct *task;
	u32 epoch;
	u64 started;
	struct iopf_sim_cmd cmd;
	struct iopf_sim_cpl cpl;
	u32 nr_sent;
	struct iopf_sim_sent sent[IOPF_SIM_MAX_PRG];
	u64 list[IOPF_SIM_MAX_PRG_PAGES];
	struct iopf_sim_request req[IOPF_SIM_MAX_PRG_PAGES];
	u64 bounce[PAGE_SIZE / sizeof(u64)];
	u64 sink;
};

static inline struct iopf_sim_device *to_sim_device(struct iopf_sim_endpoint *ep)
{
	return container_of(ep, struct iopf_sim_device, ep);
}

/* device.c */
struct iopf_sim_device *iopf_sim_device_create(u32 index, u32 engines, bool stall, u16 segment,
					       u64 window, u64 window_size, void *window_va);
void iopf_sim_device_destroy(struct iopf_sim_device *dev);
void iopf_sim_device_reset(struct iopf_sim_device *dev);
void iopf_sim_device_decode(struct iopf_sim_device *dev);
bool iopf_sim_device_poll(struct iopf_sim_device *dev);
void iopf_sim_device_halt(struct iopf_sim_engine *e, u32 error, u64 iova);
u32 iopf_sim_device_reg(struct iopf_sim_device *dev, u32 reg);
void iopf_sim_device_set_reg(struct iopf_sim_device *dev, u32 reg, u32 val);

/* config.c */
void iopf_sim_config_init(struct iopf_sim_device *dev);
void iopf_sim_config_reset(struct iopf_sim_device *dev);
u32 iopf_sim_config_read(struct iopf_sim_device *dev, int where, int size);
void iopf_sim_config_write(struct iopf_sim_device *dev, int where, int size, u32 val);
bool iopf_sim_config_pri(struct iopf_sim_device *dev);
u32 iopf_sim_config_pri_limit(struct iopf_sim_device *dev);
void iopf_sim_config_pri_status(struct iopf_sim_device *dev, u16 bits);

/* engine.c */
struct iopf_sim_engine *iopf_sim_engine_create(struct iopf_sim_device *dev, u32 index);
void iopf_sim_engine_destroy(struct iopf_sim_engine *e);

/* ring.c */
int iopf_sim_ring_fetch(struct iopf_sim_engine *e);
void iopf_sim_ring_complete(struct iopf_sim_engine *e);

/* command.c */
void iopf_sim_command_run(struct iopf_sim_engine *e);

/* prg.c */
int iopf_sim_prg_send(struct iopf_sim_engine *e, const u64 *page, u32 nr, u32 perm);
int iopf_sim_prg_wait(struct iopf_sim_engine *e, struct iopf_sim_sent *sent);
void iopf_sim_prg_reap(struct iopf_sim_engine *e);
void iopf_sim_prg_release(struct iopf_sim_engine *e);
u32 iopf_sim_prg_limit(struct iopf_sim_engine *e);
int iopf_sim_prg_back_off(struct iopf_sim_engine *e);
void iopf_sim_prg_forget(struct iopf_sim_device *dev);
int iopf_sim_prg_stop_marker(struct iopf_sim_engine *e, u32 pasid);
void iopf_sim_prg_answer(struct iopf_sim_device *dev, u32 prg, u64 tag, u32 code);
bool iopf_sim_engine_aborted(struct iopf_sim_engine *e);

/* response.c */
void iopf_sim_response(struct iopf_sim_endpoint *ep, u32 prg, u64 tag,
		       enum iommu_page_response_code code);
void iopf_sim_response_drain(struct iopf_sim_device *dev);

/* knobs.c */
void iopf_sim_knobs_create(struct iopf_sim_device *dev);
void iopf_sim_knobs_destroy(struct iopf_sim_device *dev);

/* A knob that counts down: whether it was above zero, one less then. */
static inline bool iopf_sim_knob_take(u32 *knob)
{
	u32 old = READ_ONCE(*knob);

	while (unlikely(old)) {
		if (try_cmpxchg(knob, &old, old - 1))
			return true;
	}
	return false;
}

#endif /* IOPF_SIM_DEVICE_H */
