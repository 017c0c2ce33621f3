// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits outlive a container. The values that an administrator has set hold for the next container
 * of the same device or owner, whoever opens it. Rules by device, user and cgroup hold from the
 * start, before the first fault and pin. If several groups join, the strictest value counts.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "budget.h"
#include "policy.h"

#define LEN	(4 * MiB)
#define NONE	UINT64_MAX
#define RULE	"address 10f5:00:00.0 resident_max=1M pinned_max=64K fault_workers_max=2 # tested"
#define LIMITS	KNOB_IOPF_DIR "/limits"
#define KEPT	KNOB_IOPF_DIR "/limits_sticky"
#define CGROUP	"/sys/fs/cgroup"
/* Number of owners whose limits are kept (docs/internals/bounds.md); number of the first. */
#define OWNERS	1024u
#define FIRST	2000u

/* Replace the rules; 0 or a negative errno. */
static int rules(const char *text)
{
	return mem_write_file(LIMITS, "%s", text);
}

static int forget(const char *key)
{
	return mem_write_file(KEPT, "%s", key);
}

static void forget_all(void)
{
	must(forget("*"));
}

/* All of a file. */
static const char *text_of(const char *path)
{
	static char text[16384];
	int fd = must_sys(open(path, O_RDONLY | O_CLOEXEC));
	ssize_t n, len = 0;

	while ((n = read(fd, text + len, sizeof(text) - 1 - (size_t)len)) > 0)
		len += n;
	must_be(!n);
	close(fd);
	text[len] = '\0';
	return text;
}

/* Attach device @n to a container of its own. */
static void attach(struct vfio_container *c, struct vfio_dev *d, unsigned int n)
{
	must(vfio_container_open(c));
	must(vfio_dev_attach(d, c, rig_bdf(n), VFIO_TYPE1v2_IOMMU));
}

static void leave(struct vfio_container *c, struct vfio_dev *d)
{
	vfio_dev_detach(d);
	vfio_dev_close(d);
	vfio_container_close(c);
}

/* Returns the value of a limit in a new container with device @n. */
static uint64_t fresh(unsigned int n, const char *name)
{
	struct vfio_container c;
	struct vfio_dev d;
	uint64_t value;

	attach(&c, &d, n);
	value = budget_get(rig_bdf(n), name);
	leave(&c, &d);
	return value;
}

static void set_all(const char *bdf)
{
	must(budget_write(bdf, "resident_max", "1M"));
	must(budget_write(bdf, "resident_high", "768K"));
	must(budget_write(bdf, "pinned_max", "512K"));
	must(budget_write(bdf, "pinned_high", "256K"));
	must(budget_write(bdf, "hot_pinned_max", "128K"));
	must(budget_write(bdf, "aging_interval", "100"));
	must(budget_write(bdf, "min_residency", "3000"));
	must(budget_write(bdf, "fault_workers_max", "4"));
	must(budget_write(bdf, "prefetch_max", "5"));
	must(budget_write(bdf, "policy", "fault"));
}

static bool has_all(const char *bdf)
{
	char policy[16];

	must(knob_read_text(policy, sizeof(policy), KNOB_IOPF_DIR "/containers/%llu/policy",
			    (unsigned long long)iopf_count(bdf, "container")));
	return budget_get(bdf, "resident_max") == MiB &&
	       budget_get(bdf, "resident_high") == 768 * 1024 &&
	       budget_get(bdf, "pinned_max") == 512 * 1024 &&
	       budget_get(bdf, "pinned_high") == 256 * 1024 &&
	       budget_get(bdf, "hot_pinned_max") == 128 * 1024 &&
	       budget_get(bdf, "aging_interval") == 100 &&
	       budget_get(bdf, "min_residency") == 3000 &&
	       budget_get(bdf, "fault_workers_max") == 4 && budget_get(bdf, "prefetch_max") == 5 &&
	       !strcmp(policy, "fault");
}

/* Run @fn in a child; @uid other than 0: as that user. Whether it returned true. */
static bool in_child(bool (*fn)(unsigned int n), unsigned int n, bool user)
{
	int group = vfio_group_id(rig_bdf(n)), status;
	pid_t pid = user ? rig_fork_user(group, 64 * MiB) : must_sys(fork());

	if (!pid) {
		if (!user)
			tap_forget();
		_exit(!fn(n));
	}
	must_sys(waitpid(pid, &status, 0));
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static bool child_has_all(unsigned int n)
{
	struct vfio_container c;
	struct vfio_dev d;
	bool good;

	attach(&c, &d, n);
	good = has_all(rig_bdf(n));
	leave(&c, &d);
	return good;
}

static bool child_has_none(unsigned int n)
{
	return fresh(n, "resident_max") == NONE && fresh(n, "fault_workers_max") == NONE;
}

/* An unprivileged user may write neither limits nor kept values. */
static bool child_is_refused(unsigned int n)
{
	struct vfio_container c;
	struct vfio_dev d;
	bool good;

	attach(&c, &d, n);
	good = budget_write(rig_bdf(n), "resident_max", "max") == -EACCES && rules("") == -EACCES &&
	       forget("*") == -EACCES;
	leave(&c, &d);
	return good;
}

#define KEPT_ALL                                                                          \
	"resident_high=786432 resident_max=1048576 pinned_high=262144 pinned_max=524288 " \
	"hot_pinned_max=131072 aging_interval=100 min_residency=3000 fault_workers_max=4 prefetch_max=5 policy=fault\n"

static void check_kept(void)
{
	struct vfio_container c;
	struct vfio_dev d;
	char key[64];

	attach(&c, &d, 0);
	set_all(rig_bdf(0));
	vfio_dev_detach(&d);
	/* Without a group it has no type any more. */
	c.type = 0;
	must(vfio_group_join(d.group_fd, &c, VFIO_TYPE1v2_IOMMU));
	tap_ok(has_all(rig_bdf(0)), "the same file, regrouped: all limits are there");
	leave(&c, &d);
	tap_ok(child_has_all(0), "another container: all limits are there");
	tap_ok(in_child(child_has_all, 0, false), "another process");
	tap_ok(in_child(child_has_all, 0, true), "another user");
	tap_ok(in_child(child_is_refused, 0, true), "an unprivileged user can't change them");
	tap_ok(child_has_all(1), "another device of the same process");
	tap_ok(in_child(child_has_none, 2, false), "somebody else's device has none");
	tap_ok(strstr(text_of(KEPT), "address 10f5:00:00.0 " KEPT_ALL), "kept values can be read");
	tap_ok(strstr(text_of(LIMITS), "sticky - address 10f5:00:00.0 resident_high=786432 "),
	       "beside the rules, too");
	if (!tap_ok(!strstr(text_of(KEPT), "00:01.0"), "only values that were set are kept"))
		tap_diag("%s", text_of(KEPT));

	/* Taken back: by a greater limit, by hand. */
	attach(&c, &d, 0);
	must(budget_write(rig_bdf(0), "resident_max", "max"));
	leave(&c, &d);
	tap_ok(fresh(0, "resident_max") == NONE && fresh(0, "fault_workers_max") == 4,
	       "one limit is taken back where it was set");
	tap_errno_is(forget("address 10f5:00:00.9"), -ENOENT, "an absent key can't be forgotten");
	tap_errno_is(forget("address 10f5:00:00"), -ENOENT, "nor can part of a name");
	tap_errno_is(forget("address 10f5:00:00.0"), 0, "the device's are forgotten");
	tap_ok(fresh(0, "fault_workers_max") == 4, "the owner's are not");
	snprintf(key, sizeof(key), "process %d\n", getpid());
	tap_errno_is(forget(key), 0, "the owner's are forgotten");
	tap_ok(fresh(0, "fault_workers_max") == NONE && fresh(0, "resident_high") == NONE,
	       "all are gone");
	tap_ok(!*text_of(KEPT), "nothing is kept");
}

static void check_unbind(void)
{
	struct vfio_container c;
	struct vfio_dev d;

	attach(&c, &d, 0);
	must(budget_write(rig_bdf(0), "fault_workers_max", "7"));
	leave(&c, &d);
	tap_ok(in_child(child_has_none, 1, false) && fresh(0, "fault_workers_max") == 7, "kept");
	must(mem_write_file("/sys/bus/pci/drivers/vfio-pci/unbind", "%s", rig_bdf(0)));
	tap_ok(!strstr(text_of(KEPT), "address"), "a device that leaves vfio-pci loses them");
	must(rig_bind(rig_bdf(0)));
	tap_ok(in_child(child_has_none, 0, false), "they do not come back with it");
	forget_all();
}

/* Owners that are told by user and by cgroup. */
static bool set_as_user(unsigned int n)
{
	struct vfio_container c;
	struct vfio_dev d;
	bool good;

	/* The parent is root and sets the limit. A byte asks for it, another byte answers. */
	attach(&c, &d, n);
	good = write(4, "", 1) == 1 && read(3, &(char){ 0 }, 1) == 1;
	leave(&c, &d);
	return good;
}

/* A container of a child, which is a user or in a cgroup, gets a limit from root. */
static void limit_child(unsigned int n, bool user, const char *cgroup)
{
	int to[2], from[2], group = vfio_group_id(rig_bdf(n)), status;
	pid_t pid;

	must_sys(pipe(to));
	must_sys(pipe(from));
	pid = user ? rig_fork_user(group, 64 * MiB) : must_sys(fork());
	if (!pid) {
		if (!user)
			tap_forget();
		if (cgroup)
			must(mem_write_file(cgroup, "0"));
		must_sys(dup2(to[0], 3));
		must_sys(dup2(from[1], 4));
		_exit(!set_as_user(n));
	}
	must_be(read(from[0], &(char){ 0 }, 1) == 1);
	must(budget_write(rig_bdf(n), "fault_workers_max", "3"));
	must_be(write(to[1], "", 1) == 1);
	must_sys(waitpid(pid, &status, 0));
	must_be(WIFEXITED(status) && !WEXITSTATUS(status));
	close(to[0]);
	close(to[1]);
	close(from[0]);
	close(from[1]);
}

static bool child_has_three(unsigned int n)
{
	return fresh(n, "fault_workers_max") == 3;
}

static bool child_enters(const char *cgroup, unsigned int n)
{
	must(mem_write_file(cgroup, "0"));
	return fresh(n, "fault_workers_max") == 3;
}

static bool child_in_vm(unsigned int n)
{
	return child_enters(CGROUP "/vm/cgroup.procs", n);
}

static bool child_below_vm(unsigned int n)
{
	return child_enters(CGROUP "/vm/sub/cgroup.procs", n);
}

static bool child_in_other(unsigned int n)
{
	return !child_enters(CGROUP "/vm2/cgroup.procs", n);
}

static void check_owners(void)
{
	limit_child(0, true, NULL);
	tap_ok(strstr(text_of(KEPT), "user 1000 fault_workers_max=3\n"), "kept for a user");
	tap_ok(in_child(child_has_three, 1, true), "another device of the user's");
	tap_ok(in_child(child_has_none, 1, false), "not of somebody else's");
	forget_all();

	must_be(!mkdir(CGROUP "/vm", 0755) && !mkdir(CGROUP "/vm/sub", 0755) &&
		!mkdir(CGROUP "/vm2", 0755));
	limit_child(0, false, CGROUP "/vm/cgroup.procs");
	tap_ok(strstr(text_of(KEPT), "cgroup /vm fault_workers_max=3\n"), "kept for a cgroup");
	tap_ok(in_child(child_in_vm, 1, false), "another device of the cgroup's");
	tap_ok(in_child(child_below_vm, 1, false), "of one below it");
	tap_ok(in_child(child_in_other, 1, false), "not of one beside it");
	tap_ok(in_child(child_has_none, 1, false), "not of the root");
	must_be(!rmdir(CGROUP "/vm/sub") && !rmdir(CGROUP "/vm"));
	tap_ok(!strstr(text_of(KEPT), "cgroup"), "it is forgotten with the cgroup");
	tap_ok(in_child(child_in_other, 1, false), "there is another one left");

	/* Rules. */
	forget_all();
	must(rules("cgroup /vm2 fault_workers_max=3\nuser 1000 fault_workers_max=3 # them\n"));
	tap_ok(!in_child(child_in_other, 1, false), "a rule for a cgroup");
	tap_ok(in_child(child_has_three, 1, true), "a rule for a user");
	tap_ok(in_child(child_has_none, 1, false), "neither");
	must(rules("\n"));
	must_be(!rmdir(CGROUP "/vm2"));
}

/* Sets a limit for a user that has device 0 and the rights of root. */
static void limit_user(unsigned int uid)
{
	struct vfio_container c;
	struct vfio_dev d;

	must_sys(setresuid(uid, 0, 0));
	attach(&c, &d, 0);
	must(budget_write(rig_bdf(0), "fault_workers_max", "3"));
	leave(&c, &d);
	must_sys(setresuid(0, 0, 0));
}

/* Returns the limit of the user's container of device 1, which has no kept value itself. */
static uint64_t user_has(unsigned int uid)
{
	uint64_t value;

	must_sys(setresuid(uid, 0, 0));
	value = fresh(1, "fault_workers_max");
	must_sys(setresuid(0, 0, 0));
	return value;
}

/* Users for whom something is kept. */
static unsigned int owners(void)
{
	FILE *f = fopen(KEPT, "r");
	unsigned int n = 0;
	char line[256];

	must_be(f);
	while (fgets(line, sizeof(line), f))
		n += !strncmp(line, "user ", 5);
	fclose(f);
	return n;
}

/* In a child, in the root cgroup: the maximum number of owners, and some more. */
static bool many_owners(unsigned int n)
{
	struct vfio_container c;
	struct vfio_dev d;
	unsigned int uid;
	bool good;

	must(mem_write_file(CGROUP "/cgroup.procs", "0"));
	/* Its threads exist as long as it has a container. */
	attach(&c, &d, n);
	for (uid = FIRST; uid < FIRST + OWNERS; uid++)
		limit_user(uid);
	good = owners() == OWNERS && user_has(FIRST) == 3;
	/* The first one is the youngest then. */
	limit_user(FIRST);
	limit_user(uid);
	good &= owners() == OWNERS && user_has(FIRST) == 3 && user_has(FIRST + 1) == NONE &&
		user_has(FIRST + 2) == 3 && user_has(uid) == 3;
	leave(&c, &d);
	return good;
}

static void check_many_owners(void)
{
	tap_ok(in_child(many_owners, 2, false), "kept for %u owners; then the oldest goes", OWNERS);
	tap_is(owners(), OWNERS, "none of them goes by itself");
	forget_all();
	tap_is(owners(), 0, "all are forgotten");
}

/* The limits are in force before the first fault and the first pin. */
static void check_rules(void)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct budget_watch w;
	struct rig r;

	must(rules("# nobody\npci 1234:10f6 resident_max=256K\n"
		   RULE "\n"
		   "address 10f5:00:* resident_max=2M\n"));
	tap_ok(strstr(text_of(LIMITS), "admin 3 " RULE "\n"), "rules are shown as written");
	budget_watch(&w);
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	tap_is(budget_get(rig_bdf(0), "resident_max"), MiB, "by a rule, the first that matches");
	tap_errno_is(policy_map(&r.c, &b, VFIO_IOPF_POLICY_PIN), -ENOMEM,
		     "a request beyond pinned_max fails at once");
	tap_is(mem_status_kb(0, "VmLck"), 0, "it pins nothing");
	rig_map(&r, &b);
	rig_both_ways(&r.sim[0], &b, 1, "within its maximum");
	tap_ok(budget_watch_end(&w) <= MiB, "no fault exceeded the limit, also not the first");
	rig_close(&r);
	tap_is(fresh(1, "resident_max"), 2 * MiB, "another device has another rule");
	tap_is(fresh(1, "fault_workers_max"), NONE, "with nothing from the one before");

	/* The administrator's last word on the device comes before rules. */
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	must(budget_write(rig_bdf(0), "resident_max", "3M"));
	rig_close(&r);
	tap_is(fresh(0, "resident_max"), 3 * MiB, "a kept value overrides the rule");
	tap_is(fresh(0, "fault_workers_max"), 2, "if there is a kept value");
	tap_is(fresh(1, "resident_max"), 2 * MiB, "another device's rule is not loosened by that");
	forget_all();
	must(rules("\n"));
	tap_is(fresh(0, "resident_max"), NONE, "no rules, no limits");
	mem_unmap(b.va, b.len);
}

static void check_join(void)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct vfio_dev second;
	struct rig r;

	must(rules("address 10f5:00:00.0 resident_max=3M fault_workers_max=2\n"
		   "address 10f5:00:01.0 resident_max=1M fault_workers_max=8 prefetch_max=9\n"
		   "address 10f5:00:02.0 pinned_max=1M\n"));
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	rig_both_ways(&r.sim[0], &b, 1, "alone");
	must(vfio_dev_open(&second, &r.c, rig_bdf(1), VFIO_TYPE1v2_IOMMU));
	tap_is(budget_get(rig_bdf(0), "resident_max"), MiB, "of two devices the stricter room");
	tap_is(budget_get(rig_bdf(0), "fault_workers_max"), 2, "fault_workers_max, too");
	tap_is(budget_get(rig_bdf(0), "prefetch_max"), 9, "a value that only one device has");
	while (budget_mapped() > MiB)
		usleep(1000);
	rig_both_ways(&r.sim[0], &b, 3, "within the stricter");
	tap_ok(budget_mapped() <= MiB, "the container obeys it");
	vfio_dev_close(&second);
	tap_is(budget_get(rig_bdf(0), "resident_max"), MiB, "a device that leaves changes nothing");

	/* More is pinned than the next may have. */
	must(budget_write(rig_bdf(0), "resident_max", "max"));
	must(policy_set(&r.c, b.iova, b.len, VFIO_IOPF_POLICY_PIN));
	tap_errno_is(vfio_dev_attach(&second, &r.c, rig_bdf(2), VFIO_TYPE1v2_IOMMU), -EBUSY,
		     "with more pinned than it may have it does not join");
	tap_ok(budget_get(rig_bdf(0), "pinned_max") == NONE, "nothing has changed");
	must(policy_set(&r.c, b.iova, b.len, VFIO_IOPF_POLICY_FAULT));
	tap_errno_is(vfio_dev_attach(&second, &r.c, rig_bdf(2), VFIO_TYPE1v2_IOMMU), 0,
		     "with less it does");
	tap_is(budget_get(rig_bdf(0), "pinned_max"), MiB, "its limit counts");
	vfio_dev_detach(&second);
	vfio_dev_close(&second);

	/* Refused for another reason: it leaves no limit behind. */
	must(rules("address 10f5:00:03.0 pinned_max=2M\n"));
	must(iopf_enable(rig_bdf(3), false));
	must(budget_write(rig_bdf(0), "pinned_max", "max"));
	tap_errno_is(vfio_dev_attach(&second, &r.c, rig_bdf(3), VFIO_TYPE1v2_IOMMU), -ENOMEM,
		     "a pinner that may not pin all does not join");
	tap_is(budget_get(rig_bdf(0), "pinned_max"), NONE, "nothing has changed");
	rig_both_ways(&r.sim[0], &b, 5, "after all that");
	must(iopf_enable(rig_bdf(3), true));
	rig_close(&r);
	forget_all();
	must(rules("\n"));
	mem_unmap(b.va, b.len);
}

/* A policy that groups bring: pinned from the first map on. */
static void check_policy(void)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct rig r;

	must(rules("address 10f5:00:00.0 policy=pin\n"
		   "address 10f5:00:01.0 policy=pin pinned_max=1M\n"));
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	tap_is(mem_status_kb(0, "VmLck"), LEN / 1024, "a rule's policy: pinned when it is mapped");
	rig_close(&r);
	rig_open_at(&r, 1, 1, VFIO_TYPE1v2_IOMMU);
	tap_errno_is(vfio_map(&r.c, b.va, b.iova, b.len), -ENOMEM, "no more than the maximum");
	rig_close(&r);
	rig_open_at(&r, 2, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	tap_errno_is(vfio_dev_attach(&r.vfio[1], &r.c, rig_bdf(1), VFIO_TYPE1v2_IOMMU), -ENOMEM,
		     "a device whose policy would fail does not join");
	tap_is(mem_status_kb(0, "VmLck"), 0, "nothing is pinned");
	rig_both_ways(&r.sim[0], &b, 1, "faults as before");
	rig_close(&r);
	must(rules("\n"));
	mem_unmap(b.va, b.len);
}

static const struct {
	const char *text;
	const char *message;
} bad[] = {
	{ "user 1 resident_max=1\n", "limits: line 1, column 8: 'resident_max=1': expected bytes" },
	{ "\nuser x aging_interval=1", "limits: line 2, column 6: 'x': expected a user's number" },
	{ "cgroup /\n", "limits: line 1, column 9: expected pci, subsystem, class, address, user" },
	{ "resident_max=1M\n", "limits: line 1, column 1: 'resident_max=1M': expected pci" },
};

static void check_bad(void)
{
	must(rules("user * fault_workers_max=6\n"));
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		kmsg_mark();
		tap_errno_is(rules(bad[i].text), -EINVAL, "iommu_refused: %s", bad[i].message);
		tap_is(kmsg_count(bad[i].message), 1, "the log says why");
	}
	tap_is(fresh(0, "fault_workers_max"), 6, "nothing has changed");
	must(rules("\n"));
}

static bool regroup_stop;

static void *regroup(void *unused)
{
	struct vfio_container c;
	struct vfio_dev d;

	(void)unused;
	while (!__atomic_load_n(&regroup_stop, __ATOMIC_RELAXED)) {
		attach(&c, &d, 0);
		leave(&c, &d);
	}
	return NULL;
}

/* Limits are set while the owner regroups: each write that succeeds is kept. */
static void check_race(void)
{
	unsigned int set = 0, lost = 0, spins = 0;
	pthread_t thread;

	must_be(!pthread_create(&thread, NULL, regroup, NULL));
	while (set < 50) {
		uint64_t id, value = 3 + set;
		char path[128], line[64];

		/* The device may be in no container, or in the next one: do not wait. */
		must_be(spins < 60000);
		sim_nap(&spins);
		if (knob_read_try(&id, KNOB_IOPF_DIR "/devices/%s/container", rig_bdf(0)))
			continue;
		snprintf(path, sizeof(path), KNOB_IOPF_DIR "/containers/%llu/fault_workers_max",
			 (unsigned long long)id);
		if (mem_write_file(path, "%llu", (unsigned long long)value))
			continue;
		set++;
		spins = 0;
		snprintf(line, sizeof(line), "address 10f5:00:00.0 fault_workers_max=%llu\n",
			 (unsigned long long)value);
		lost += !strstr(text_of(KEPT), line);
	}
	__atomic_store_n(&regroup_stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	tap_is(set, 50, "limits were set while the owner regrouped");
	tap_is(lost, 0, "each value was kept with the device");
	tap_is(fresh(0, "fault_workers_max"), 52, "the last one holds");
	forget_all();
}

int main(void)
{
	rig_backend_only();
	rig_load("devices=4", "");
	check_kept();
	check_unbind();
	check_owners();
	check_many_owners();
	check_rules();
	check_join();
	check_policy();
	check_bad();
	check_race();
	rig_balanced();
	tap_ok(fresh(0, "resident_max") == NONE, "nothing is left");
	tap_errno_is(rig_unload(), 0, "the modules can be unloaded");
	return tap_done();
}
