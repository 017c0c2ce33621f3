/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long faults took, as the backend counts it for a device or a container
 * (docs/guide/monitoring.md): the directory "latency" in sysfs, which has a file for each phase
 * and one for the total.
 */
#ifndef TESTS_LIB_LATENCY_H
#define TESTS_LIB_LATENCY_H

/**
 * struct latency_summary - a line
 * @count: faults
 * @sum: of their durations
 * @p: the 50th, 90th, 99th, 99.9th percentile, the maximum
 */
struct latency_summary {
	unsigned long long count;
	unsigned long long sum;
	unsigned long long p[5];
};

/** latency_device() - the directory of device @n of the simulator; at most 4 of them */
const char *latency_device(unsigned int n);

/** latency_container() - that of the container that was made last; the last 4 results stay */
const char *latency_container(void);

/** latency_summary() - what a file says */
struct latency_summary latency_summary(const char *dir, const char *phase);

/** latency_count() - how many faults a file is about */
unsigned long long latency_count(const char *dir, const char *phase);

/**
 * latency_counted() - wait until so many faults have their total: that is after the device has had
 * its answer
 * @dir: of the device or container
 * @faults: how many
 *
 * Return: how many have
 */
unsigned long long latency_counted(const char *dir, unsigned long long faults);

/** latency_reset() - begin anew; 0 or a negative errno */
int latency_reset(const char *dir);

#endif /* TESTS_LIB_LATENCY_H */
