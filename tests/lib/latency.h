/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Latency of faults, as the backend measures it for a device or a container
 * (docs/guide/monitoring.md). The directory "latency" in sysfs has a file for each phase and one
 * for the total.
 */
#ifndef TESTS_LIB_LATENCY_H
#define TESTS_LIB_LATENCY_H

/**
 * struct latency_summary - the content of a file
 * @count: number of faults
 * @sum: sum of their latencies
 * @p: the 50th, 90th, 99th, 99.9th percentile, the maximum
 */
struct latency_summary {
	unsigned long long count;
	unsigned long long sum;
	unsigned long long p[5];
};

/** latency_device() - the directory of device @n of the simulator; at most 4 of them */
const char *latency_device(unsigned int n);

/** latency_container() - the directory of the newest container; the last 4 results stay valid */
const char *latency_container(void);

/** latency_summary() - read a file */
struct latency_summary latency_summary(const char *dir, const char *phase);

/** latency_count() - read the number of faults from a file */
unsigned long long latency_count(const char *dir, const char *phase);

/**
 * latency_counted() - wait until @faults faults are counted; they are counted after the response
 * @dir: directory of the device or container
 * @faults: the number to wait for
 *
 * Return: the number of faults that are counted
 */
unsigned long long latency_counted(const char *dir, unsigned long long faults);

/** latency_reset() - reset the figures; 0 or a negative errno */
int latency_reset(const char *dir);

#endif /* TESTS_LIB_LATENCY_H */
