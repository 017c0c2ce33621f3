/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A container whose devices are behind IOMMUs of two kinds, and join and leave it. A test repeats
 * the same checks in several rounds: with stock type1, with the backend, with devices that fault,
 * with some that cannot, and with all memory pinned.
 *
 * Device 0 is behind the first kind, device 1 behind the second. The round decides about device 2.
 */
#ifndef TESTS_LIB_MIXED_H
#define TESTS_LIB_MIXED_H

#include "rig.h"

#define MIXED_DEVICES		3

/* Parameters of the simulator: the devices behind the second kind, and its properties. */
#define MIXED_ONE		"devices=3 iommu.second=0x2"
#define MIXED_TWO		"devices=3 iommu.second=0x6"
#define MIXED_NO_FAULTS	" iommu.second_iopf=0"
#define MIXED_SMALL		" iommu.second_pgsizes=0x1000"
#define MIXED_NARROW \
	MIXED_SMALL " iommu.second_coherent=0" \
	" iommu.second_first=0x100000 iommu.second_last=0x7fffffffff" \
	" iommu.second_resv=0x10000000,0x100fffff,0x20000000,0x2000ffff"
#define MIXED_SW_MSI		" iommu.second_sw_msi=0x8000000"
#define MIXED_LARGE		" iommu.second_pgsizes=0x210000"

/* Parameters of the backend: no device faults. */
#define MIXED_PINNED		"ids= serve_pinned=1"

/**
 * struct mixed - the state of a round
 * @r: container and devices
 * @joined: whether each device is in the container
 * @second: mask of the devices behind the second kind
 * @stock: stock type1 serves
 * @pinned: no device faults
 * @second_faults: devices behind the second kind can fault
 * @second_large: the second kind has no pages of 4 KiB
 * @left: the backend has left the container to stock type1, because of its first device
 */
struct mixed {
	struct rig r;
	bool joined[MIXED_DEVICES];
	unsigned int second;
	bool stock;
	bool pinned;
	bool second_faults;
	bool second_large;
	bool left;
};

/**
 * struct mixed_round - a round
 * @check: the check
 * @what: its name
 * @sim: parameters of the simulator
 * @backend: parameters of the backend; NULL: stock type1 serves
 */
struct mixed_round {
	void (*check)(struct mixed *m);
	const char *what;
	const char *sim;
	const char *backend;
};

/** mixed_run() - run the rounds; with NOBACKEND=1 only those of stock type1 */
void mixed_run(const struct mixed_round *rounds, unsigned int n);

/** mixed_open() - open a container without devices */
void mixed_open(struct mixed *m);

/** mixed_try_join() - put the group of device @i into the container; 0 or a negative errno */
int mixed_try_join(struct mixed *m, unsigned int i);

/** mixed_join() - put device @i into the container, and start it */
void mixed_join(struct mixed *m, unsigned int i);

/** mixed_leave() - remove device @i from the container */
void mixed_leave(struct mixed *m, unsigned int i);

/**
 * struct mixed_step - a device joins or leaves
 * @device: the device
 * @leaves: it leaves; otherwise it joins
 * @info: what mixed_info_is() expects afterwards
 * @what: text of the point
 */
struct mixed_step {
	unsigned int device;
	bool leaves;
	const char *info;
	const char *what;
};

/** mixed_steps() - execute steps, with mixed_info_is() after each */
void mixed_steps(struct mixed *m, const struct mixed_step *steps, unsigned int n);

/** mixed_close() - close the container, and decide points: no page table and no charge remains */
void mixed_close(struct mixed *m, const char *what);

/** mixed_holds() - whether all mapped memory is pinned now */
bool mixed_holds(const struct mixed *m);

/** mixed_info_is() - decide points: page sizes, ranges of addresses and coherency, as a text */
void mixed_info_is(struct mixed *m, const char *want, const char *what);

/** mixed_charged() - decide a point: @mapped bytes are charged if mixed_holds(), otherwise none */
void mixed_charged(struct mixed *m, size_t mapped, const char *what);

/** mixed_agree() - decide points: rig_both_ways() for each device; all devices see its data */
void mixed_agree(struct mixed *m, const struct simbuf *b, uint64_t seed, const char *what);

/** mixed_none_reach() - decide points: no device can access the first page of @b */
void mixed_none_reach(struct mixed *m, const struct simbuf *b, const char *what);

#endif /* TESTS_LIB_MIXED_H */
