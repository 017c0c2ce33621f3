/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The simulated device (iopf_sim.ko): the types and functions that its files share.
 *
 * Vocabulary:
 *   epoch   a count of resets. Work for an earlier epoch has no effect any more.
 *   engine  a kthread that fetches and executes commands.
 *   poller  the engine that watches the doorbell. The others work or wait for their turn.
 *   group   a page request group that waits for its response. Its PRG index names it.
 *
 * Lock order: sq_lock or cq_lock of an engine's work, then device.lock, then bank.lock. See link.h
 * for the whole order.
 */
#ifndef IOPF_SIM_DEVICE_H
#define IOPF_SIM_DEVICE_H

#include <linux/bitmap.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include <linux/iopf_sim.h>

#include "../link.h"

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
	IOPF_SIM_GROUP_SENT,		/* waits for its response; its engine may wait too */
	IOPF_SIM_GROUP_ANSWERED,	/* its engine must take the response and free it */
	IOPF_SIM_GROUP_ORPHAN,		/* waits for its response; no engine waits */
};

/**
 * struct iopf_sim_group - the device's record of a page request group
 * @state: see above
 * @code: the response
 * @pages: page requests in the group
 * @tag: name of the group; never used twice
 * @task: the engine to wake
 * @answered: time of the response by local_clock(), which costs half as much as ktime_get()
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
 * @resp_delay_us: delay of each response
 * @resp_drop: number of responses to lose
 * @resp_dup: number of responses to take twice
 * @resp_reorder: number of responses to hold back until another one is taken
 * @bad_range: number of requests to send for a wrong, distant address
 * @bad_perm: number of requests to send with a permission that is not needed
 * @bad_group: number of malformed groups to send before regular ones
 * @extra_groups: number of groups to send in addition, without waiting for the responses
 * @extra_requests: number of requests to send in addition in the next group
 * @stop_marker: number of stop markers to send before regular requests
 * @resp_ignore: the device ignores all responses
 * @retry_limit: number of retries of one access
 * @slow_poll: an idle device polls its doorbell once a second only; a kick wakes it
 */
struct iopf_sim_knobs {
	u32 resp_delay_us;
	u32 resp_drop;
	u32 resp_dup;
	u32 resp_reorder;
	u32 bad_range;
	u32 bad_perm;
	u32 bad_group;
	u32 extra_groups;
	u32 extra_requests;
	u32 stop_marker;
	u32 resp_ignore;
	u32 retry_limit;
	u32 slow_poll;
};

/**
 * struct iopf_sim_counters - counters of a device
 * @requests: page requests sent
 * @groups: page request groups sent
 * @responses_success: responses "success"
 * @responses_invalid: responses "invalid request"
 * @responses_failure: responses "response failure"
 * @responses_unexpected: responses for which no group waits
 * @bytes_read: bytes read from memory
 * @bytes_written: bytes written to memory
 * @commands: commands executed
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
 * struct iopf_sim_bank_counter - a counter that each bank has
 * @ep: the endpoint with the banks
 * @offset: offset of the counter in the bank
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
 * @knobs: see struct iopf_sim_knobs; read and written without a lock
 * @counters: see struct iopf_sim_counters
 * @bank_counter: the bank counters that debugfs shows
 * @debugfs: debugfs directory of the device
 *
 * @lock: raw; protects the fields from here to @held, and the BAR's registers against resets
 * @cfg: configuration space
 * @writable: bits of @cfg that software can change
 * @bar: the BAR, NULL while memory decoding is off
 * @bar_phys: physical address that @bar has, or had last
 * @epoch: count of resets; each bank has a copy
 * @state: see above
 * @error: why the device is halted
 * @error_iova: address of the error
 * @sq_base: latched ring register
 * @cq_base: latched ring register
 * @sq_entries: latched ring register
 * @cq_entries: latched ring register
 * @sq_head: commands fetched
 * @cq_tail: completions written
 * @running: commands being executed
 * @poller: the engine that watches the doorbell, while it may be asleep
 * @kicked: the kick register was written
 * @group: page request groups by PRG index
 * @group_hint: PRG index at which the search for a free group starts
 * @requests_out: page requests that wait for a response
 * @tag: last tag used
 * @held: responses that knobs hold back, counted without @lock
 * @reordered: the response that waits for another one to overtake it
 *
 * @sq_lock: held by the poller, and while a command is fetched
 * @cq_lock: held while a completion is written
 * @dead: the device is being destroyed, and its engines will be stopped
 * @nr_engines: number of engines
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
 * struct iopf_sim_sent - a group that an engine has sent, and whose response it has not taken
 * @prg: PRG index
 * @tag: name of the group
 * @time: time of sending, by local_clock()
 * @nr: number of pages
 * @page: addresses of the pages
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
 * @bank: the engine's part of the ATC
 * @index: number of the engine
 * @task: the kthread
 * @epoch: epoch in which the engine fetched the current command
 * @started: time at which it fetched the current command, ns
 * @cmd: the current command
 * @cpl: the completion of @cmd
 * @nr_sent: groups that wait for a response
 * @sent: these groups
 * @list: pages of the next group
 * @req: page requests about to be sent
 * @bounce: data of a copy, between the read and the write
 * @sink: keeps the compiler from removing reads
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

/* regs.c: the registers in the BAR, and the state of the device */
u32 iopf_sim_reg_read(struct iopf_sim_device *dev, u32 reg);
void iopf_sim_reg_write(struct iopf_sim_device *dev, u32 reg, u32 val);
void iopf_sim_regs_decode(struct iopf_sim_device *dev);
void iopf_sim_regs_reset(struct iopf_sim_device *dev);
bool iopf_sim_regs_poll(struct iopf_sim_device *dev);
void iopf_sim_regs_halt(struct iopf_sim_engine *e, u32 error, u64 iova);

/* config.c: configuration space */
void iopf_sim_config_init(struct iopf_sim_device *dev);
void iopf_sim_config_reset(struct iopf_sim_device *dev);
u32 iopf_sim_config_read(struct iopf_sim_device *dev, int where, int size);
bool iopf_sim_config_pri(struct iopf_sim_device *dev);
u32 iopf_sim_config_pri_limit(struct iopf_sim_device *dev);
void iopf_sim_config_pri_status(struct iopf_sim_device *dev, u16 bits);

/* config_write.c: writes to configuration space, and their effects */
void iopf_sim_config_write(struct iopf_sim_device *dev, int where, int size, u32 val);

/* reset.c */
void iopf_sim_device_reset(struct iopf_sim_device *dev);

/* prg.c: page request groups */
int iopf_sim_prg_send(struct iopf_sim_engine *e, const u64 *page, u32 nr, u32 perm);
int iopf_sim_prg_wait(struct iopf_sim_engine *e, struct iopf_sim_sent *sent);
void iopf_sim_prg_reap(struct iopf_sim_engine *e);
void iopf_sim_prg_release(struct iopf_sim_engine *e);
u32 iopf_sim_prg_limit(struct iopf_sim_engine *e);
int iopf_sim_prg_back_off(struct iopf_sim_engine *e);
void iopf_sim_prg_forget(struct iopf_sim_device *dev);
int iopf_sim_prg_stop_marker(struct iopf_sim_engine *e, u32 pasid);
void iopf_sim_prg_answer(struct iopf_sim_device *dev, u32 prg, u64 tag, u32 code);

/* response.c: responses on their way from the IOMMU to prg.c */
void iopf_sim_response(struct iopf_sim_endpoint *ep, u32 prg, u64 tag,
		       enum iommu_page_response_code code);
void iopf_sim_response_drain(struct iopf_sim_device *dev);

/* ring.c: commands in, completions out */
int iopf_sim_ring_fetch(struct iopf_sim_engine *e);
void iopf_sim_ring_complete(struct iopf_sim_engine *e);

/* command.c */
void iopf_sim_command_run(struct iopf_sim_engine *e);

/* engine.c: kthreads */
struct iopf_sim_engine *iopf_sim_engine_create(struct iopf_sim_device *dev, u32 index);
void iopf_sim_engine_destroy(struct iopf_sim_engine *e);

/* create.c */
struct iopf_sim_device *iopf_sim_device_create(u32 index, u32 engines, bool stall, u16 segment,
					       u64 window, u64 window_size, void *window_va);
void iopf_sim_device_destroy(struct iopf_sim_device *dev);

/* knobs.c: debugfs */
void iopf_sim_knobs_create(struct iopf_sim_device *dev);
void iopf_sim_knobs_destroy(struct iopf_sim_device *dev);

/* Decrements a knob that counts down. Returns whether it was above zero. */
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
