/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One container, and devices behind IOMMUs of two kinds that join and leave it. What is done with
 * it is done with stock type1 and with the backend, with devices that fault, with some that can't,
 * and with everything pinned; what is wanted is the same.
 *
 * Device 0 is always behind the first kind. Device 1 is behind the second; device 2 behind
 * either, as the round has it.
 */
#ifndef TESTS_LIB_MIXED_H
#define TESTS_LIB_MIXED_H

#include "rig.h"

#define MIXED_DEVICES		3

/* Parameters of the simulator: which devices are behind the second kind, and what that is like. */
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

/* Parameters of the backend: nobody faults. */
#define MIXED_PINNED		"ids= serve_pinned=1"

/**
 * struct mixed - one round: the modules loaded, a container, devices in it
 * @r: container and devices
 * @joined: which of the devices are in the container
 * @second: mask of the devices behind the second kind
 * @stock: served by stock type1
 * @pinned: nobody faults
 * @second_faults: devices behind the second kind can
 * @second_large: the second kind has no pages of 4 KiB
 * @left: the backend has left this container to stock type1, for its first device
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
 * @check: what is checked
 * @what: in words
 * @sim: parameters of the simulator
 * @backend: parameters of the backend; NULL: stock type1 serves
 */
struct mixed_round {
	void (*check)(struct mixed *m);
	const char *what;
	const char *sim;
	const char *backend;
};

/** mixed_run() - one round after the other; where only stock type1 is wanted, its rounds */
void mixed_run(const struct mixed_round *rounds, unsigned int n);

/** mixed_open() - a container without devices */
void mixed_open(struct mixed *m);

/** mixed_try_join() - the group of device @i into the container: 0 or a negative errno */
int mixed_try_join(struct mixed *m, unsigned int i);

/** mixed_join() - device @i joins, and is brought up */
void mixed_join(struct mixed *m, unsigned int i);

/** mixed_leave() - device @i leaves */
void mixed_leave(struct mixed *m, unsigned int i);

/**
 * struct mixed_step - a device joins or leaves, and what the container says of itself then
 * @device: the device
 * @leaves: it leaves; otherwise it joins
 * @info: as for mixed_info_is()
 * @what: the step in words
 */
struct mixed_step {
	unsigned int device;
	bool leaves;
	const char *info;
	const char *what;
};

/** mixed_steps() - go through steps, with mixed_info_is() after each */
void mixed_steps(struct mixed *m, const struct mixed_step *steps, unsigned int n);

/** mixed_close() - decide points: the container ends, and leaves nothing behind */
void mixed_close(struct mixed *m, const char *what);

/** mixed_holds() - is what is mapped pinned now */
bool mixed_holds(const struct mixed *m);

/** mixed_info_is() - decide points: page sizes, ranges of addresses, coherency, as a text */
void mixed_info_is(struct mixed *m, const char *want, const char *what);

/** mixed_charged() - decide a point: all that is mapped is charged, or nothing */
void mixed_charged(struct mixed *m, size_t mapped, const char *what);

/** mixed_agree() - decide points: data both ways by each device there, and from each to each */
void mixed_agree(struct mixed *m, const struct simbuf *b, uint64_t seed, const char *what);

/** mixed_none_reach() - decide points: no device reaches the first page of it */
void mixed_none_reach(struct mixed *m, const struct simbuf *b, const char *what);

#endif /* TESTS_LIB_MIXED_H */
