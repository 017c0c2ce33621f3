// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device table: each kind of rule, precedence, the built-in rules, which devices get a new
 * table and when, and tables with errors, which change nothing. The test checks whether a device
 * faults by its page requests and by the pinned memory, not only by sysfs.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dma.h"
#include "inject.h"
#include "rig.h"

#define LEN	(2 * MiB)
#define TABLE	KNOB_IOPF_DIR "/device_table"
#define WINDOW	" window=0x0-0xffffffffffffffff"
#define UNKNOWN	"default - address * none"

/* Device 0 matches no built-in rule. The others have the IDs of built-in rules. */
#define MODELS	"devices=4 model=0,0x19e5a250,0x808611fb,0x10027310"

enum { PLAIN, STALLS, PARTLY, BROKEN };

/* Writes @len bytes to the table as programs do: the rest of a short write is written next. */
static int put_bytes(const char *text, size_t len)
{
	int fd = open(TABLE, O_WRONLY | O_CLOEXEC), err = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	for (size_t at = 0; at < len && !err; at += (size_t)n) {
		n = write(fd, text + at, len - at);
		if (n < 0)
			err = -errno;
	}
	close(fd);
	return err;
}

static int put(const char *text)
{
	return put_bytes(text, strlen(text));
}

/* All of the table, for the caller to free. */
static char *get(void)
{
	size_t size = 1 << 20, len = 0;
	char *text = malloc(size);
	int fd = open(TABLE, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	must_be(text && fd >= 0);
	while ((n = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	must_be(!n);
	close(fd);
	text[len] = '\0';
	return text;
}

static bool is(unsigned int n, const char *name, const char *want)
{
	return !strcmp(iopf_text(rig_bdf(n), name), want);
}

/* Decides one point: the files "mode" and "rule" of a device. */
static bool ruled(unsigned int n, const char *mode, const char *rule, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static bool ruled(unsigned int n, const char *mode, const char *rule, const char *fmt, ...)
{
	char what[160];
	va_list args;
	bool good;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	good = tap_ok(is(n, "mode", mode) && is(n, "enabled", strcmp(mode, "none") ? "1" : "0") &&
		      !strncmp(iopf_text(rig_bdf(n), "rule"), rule, strlen(rule)), "%s: %s by %s",
		      what, mode, rule);
	if (!good) {
		tap_diag("mode %s", iopf_text(rig_bdf(n), "mode"));
		tap_diag("enabled %s", iopf_text(rig_bdf(n), "enabled"));
		tap_diag("rule %s", iopf_text(rig_bdf(n), "rule"));
	}
	return good;
}

/* Two points: the device does DMA right, and it faults, or all is pinned for it. */
static void works(unsigned int n, bool faults, const char *by, const char *what)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	const char *bdf = rig_bdf(n);
	struct vfio_container c;
	struct vfio_dev d;
	struct simdev s;
	uint64_t requests = sim_count(bdf, "requests");
	size_t pinned;

	must(vfio_container_open(&c));
	must(vfio_dev_open(&d, &c, bdf, VFIO_TYPE1v2_IOMMU));
	must(sim_up(&s, &d, NULL));
	must(vfio_map(&c, b.va, b.iova, b.len));
	pinned = mem_status_kb(0, "VmLck");
	rig_both_ways(&s, &b, n, what);
	requests = sim_count(bdf, "requests") - requests;
	if (!tap_ok(strstr(iopf_text(bdf, "backend"), by) && !!requests == faults &&
		    pinned == (faults ? 0 : LEN / 1024), "%s: %s, served by %s", what,
		    faults ? "faults" : "pinned", by))
		tap_diag("%zu KiB pinned, %llu requests, served by %s", pinned,
			 (unsigned long long)requests, iopf_text(bdf, "backend"));
	vfio_dev_close(&d);
	vfio_container_close(&c);
	mem_unmap(b.va, b.len);
}

static void check_builtin(void)
{
	char *text = get();

	tap_ok(!strncmp(text, "builtin 1 pci 19e5:a250 arbitrary # Linux drivers/pci/quirks.c", 61),
	       "the table has the built-in rules with their sources");
	tap_ok(strstr(text, "\n" UNKNOWN "\n") == text + strlen(text) - strlen(UNKNOWN) - 2,
	       "the last rule is for unknown devices");
	free(text);
	ruled(PLAIN, "none", UNKNOWN, "unknown");
	ruled(STALLS, "arbitrary", "builtin 1 pci 19e5:a250 arbitrary # ", "built in");
	ruled(PARTLY, "selective", "builtin ", "built in");
	ruled(BROKEN, "none", "builtin ", "built in");
	works(PLAIN, false, "type1", "unknown");
	works(STALLS, true, "iopf", "arbitrary");
	works(PARTLY, false, "iopf", "selective without a window");
	works(BROKEN, false, "type1", "none");
}

static const struct {
	const char *rule;
	bool match;	/* device PLAIN, which is 1234:10f5 of class 088000 */
} kinds[] = {
	{ "pci 1234:10f5 arbitrary", true }, { "pci 1234:* arbitrary", true },
	{ "pci *:* arbitrary", true }, { "pci 1234:10f6 arbitrary", false },
	{ "pci 10f5:1234 arbitrary", false },
	{ "subsystem 1234:10f5 arbitrary", true }, { "subsystem 1234:10f4 arbitrary", false },
	{ "class 08 arbitrary", true }, { "class 0880 arbitrary", true },
	{ "class 088000 arbitrary", true }, { "class 0801 arbitrary", false },
	{ "class 80 arbitrary", false },
	{ "address 10f5:00:00.0 arbitrary", true }, { "address 10f5:00:00.* arbitrary", true },
	{ "address * arbitrary", true }, { "address 10f5:00:01.0 arbitrary", false },
	{ "address 00:00.0 arbitrary", false },
	{ "pci 1234:10f5 class 08 subsystem 1234:* address 10f5:* arbitrary", true },
	{ "pci 1234:10f5 class 09 subsystem 1234:* address 10f5:* arbitrary", false },
};

static void check_kinds(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++) {
		char rule[128], said[160];

		snprintf(rule, sizeof(rule), "\n%s # me\n", kinds[i].rule);
		snprintf(said, sizeof(said), "admin 2 %s # me", kinds[i].rule);
		must(put(rule));
		ruled(PLAIN, kinds[i].match ? "arbitrary" : "none",
		      kinds[i].match ? said : UNKNOWN, "%s", kinds[i].rule);
	}
}

static void check_settings(void)
{
	must(put("address 10f5:00:00.0 selective window=0x1000-0x1fff policy=pin" WINDOW "\n"));
	ruled(PLAIN, "selective", "admin 1 ", "settings");
	tap_ok(is(PLAIN, "policy", "pin"), "settings: policy");
	tap_ok(is(PLAIN, "windows", "0x1000-0x1fff"), "settings: windows");
	must(put("address 10f5:00:00.0 arbitrary"));
	tap_ok(is(PLAIN, "policy", "default") && is(PLAIN, "windows", ""),
	       "a table without settings has them gone");
}

static void check_precedence(void)
{
	char *text;

	must(put("# first\npci 1:1 none\naddress 10f5:00:00.* arbitrary\npci 1234:* none\n"
		 "pci 19e5:* none\npci 1002:* arbitrary\n"));
	ruled(PLAIN, "arbitrary", "admin 3 ", "the first that matches");
	ruled(STALLS, "none", "admin 5 ", "overrides the built-in rule");
	ruled(PARTLY, "selective", "builtin ", "not in the administrator's");
	ruled(BROKEN, "arbitrary", "admin 6 ", "overrides the built-in rule");
	works(PLAIN, true, "iopf", "arbitrary by the administrator");
	works(STALLS, false, "type1", "none by the administrator");
	text = get();
	tap_ok(!strncmp(text, "admin 2 pci 1:1 none\nadmin 3 ", 29) && strstr(text, "\nbuiltin 1 "),
	       "the administrator's come first");
	free(text);

	/* By hand: until there is another table. */
	must(mem_write_file(KNOB_IOPF_DIR "/devices/10f5:00:01.0/mode", "arbitrary"));
	works(STALLS, true, "iopf", "by hand");
	must(put("\n"));
	ruled(PLAIN, "none", UNKNOWN, "an empty table");
	ruled(STALLS, "arbitrary", "builtin 1 ", "an empty table");
	must(mem_write_file(KNOB_IOPF_DIR "/devices/10f5:00:01.0/mode", "none"));
	must(put("\n"));
	ruled(STALLS, "arbitrary", "builtin 1 ", "a table overrides a mode that was written");
}

/* The parameter is stronger than everything, for a device that turns up or a table that is new. */
static void check_ids(void)
{
	char *text;

	must(put("address * none\n"));
	must(mem_write_file("/sys/module/vfio_iommu_iopf/parameters/ids", "1234:*"));
	ruled(PLAIN, "none", "admin 1 ", "the parameter alone");
	must(put("address * none\n"));
	ruled(PLAIN, "arbitrary", "ids - 1234:*", "the parameter and a table");
	ruled(STALLS, "none", "admin 1 ", "the parameter does not name it");
	text = get();
	tap_ok(!strncmp(text, "ids - 1234:*\nadmin 1 address * none\n", 36),
	       "the parameter comes first");
	free(text);
	must(mem_write_file("/sys/module/vfio_iommu_iopf/parameters/ids", "\n"));
	must(put("\n"));
}

static const struct {
	const char *text;
	const char *message;
} bad[] = {
	{ "pci 1234:10f5 arbitrary\npci 1234 none\n",
	  "table: line 2, column 5: '1234': expected VENDOR:DEVICE" },
	{ "usb 1:1 none", "table: line 1, column 1: 'usb': expected pci, subsystem" },
	{ "\n\npci 1234:10f5 perhaps\n", "table: line 3, column 15: 'perhaps': expected pci" },
	{ "pci 1234:10f5\n", "table: line 1, column 14: expected pci" },
	{ "class 123 none\n", "table: line 1, column 7: '123': expected a class of 2, 4 or 6" },
	{ "address a/b none\n", "table: line 1, column 9: 'a/b': expected a device's name" },
	{ "pci 1:1 pci 1:1 none\n", "table: line 1, column 9: 'pci': is there twice" },
	{ "pci 1:1 none policy=pin\n", "line 1, column 14: 'policy=pin': a device that may not" },
	{ "pci 1:1 arbitrary policy=x\n", "line 1, column 19: 'policy=x': expected policy=fault" },
	{ "pci 1:1 arbitrary window=0x0-0x1\n", "column 19: 'window=0x0-0x1': only a selective" },
	{ "pci 1:1 selective window=0x2-0x1\n", "column 19: 'window=0x2-0x1': the window ends b" },
	{ "pci 1:1 selective window=0-1\n", "column 19: 'window=0-1': expected window=0xFIRST" },
	{ "pci 1:1 none\r\n", "table: line 1, column 13: neither printable ASCII nor a blank" },
	{ "pci 1:1 none # \033[2J\n", "table: line 1, column 16: a control character" },
};

static void refused(const char *text, size_t len, const char *message, const char *what)
{
	char *before = get(), *after;

	kmsg_mark();
	tap_errno_is(put_bytes(text, len), -EINVAL, "%s: refused", what);
	tap_is(kmsg_count(message), 1, "%s: the log says why", what);
	after = get();
	tap_ok(!strcmp(before, after) && is(PLAIN, "mode", "selective"),
	       "%s: nothing has changed", what);
	free(before);
	free(after);
}

static void check_bad(void)
{
	static char big[80 * 1024];

	must(put("address 10f5:00:00.0 selective window=0x0-0xfff\n"));
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		refused(bad[i].text, strlen(bad[i].text), bad[i].message, bad[i].message);

	refused("address * none\0\n", 16, "table: line 1, column 15: neither printable",
		"a byte 0");
	memset(big, ' ', sizeof(big));
	big[1024] = '\n';
	refused(big, 1025, "table: line 1, column 513: the line is longer", "a long line");
	memset(big, '\n', sizeof(big));
	refused(big, sizeof(big), "table: line 65537, column 1: the table is longer",
		"a long table");
	for (size_t i = 0; i + 13 <= 1025 * 13; i += 13)
		memcpy(big + i, "pci 1:1 none\n", 13);
	refused(big, 1025 * 13, "table: line 1025, column 1: 'pci': more than 1024 rules",
		"many rules");
}

/* Texts of more than a page: as cat writes them, and in wrong pieces. */
static void check_long(void)
{
	static char text[64 * 1024];
	size_t len = 0;
	char *all;
	int fd;

	for (unsigned int i = 0; i < 400; i++)
		len += (size_t)sprintf(text + len, "pci 1:%x none # the data sheet\n", i);
	len += (size_t)sprintf(text + len, "address 10f5:00:00.0 arbitrary\n");
	tap_errno_is(put_bytes(text, len), 0, "a table of %zu bytes", len);
	ruled(PLAIN, "arbitrary", "admin 401 ", "its last rule");
	all = get();
	tap_ok(strlen(all) > len && strstr(all, "\nadmin 400 pci 1:18f none # the data sheet\n"),
	       "all of it can be read");
	free(all);

	/* A full page could be the beginning of more. */
	memset(text, '\n', 2 * 4096);
	must(put_bytes(text, 4096));
	ruled(PLAIN, "arbitrary", "admin 401 ", "a full page is not the end");
	must(put_bytes(text, 4097));
	ruled(PLAIN, "none", UNKNOWN, "what is less is");

	must(put("address * arbitrary"));
	fd = must_sys(open(TABLE, O_WRONLY | O_CLOEXEC));
	kmsg_mark();
	tap_errno_is(pwrite(fd, "\n", 1, 4096) < 0 ? -errno : 0, -EINVAL,
		     "a text does not begin in the middle");
	must_sys(pwrite(fd, text, 4096, 0));
	tap_errno_is(pwrite(fd, "\n", 1, 4095) < 0 ? -errno : 0, -EINVAL,
		     "nor goes on before its end");
	tap_errno_is(put_bytes(text, 4095), 0, "another writer begins anew");
	ruled(PLAIN, "none", UNKNOWN, "and is taken");
	tap_errno_is(pwrite(fd, "\n", 1, 4096) < 0 ? -errno : 0, -EINVAL,
		     "whose text was dropped can't go on with it");
	tap_is(kmsg_count("table: a write has to begin at offset 0"), 3,
	       "the log says so each time");
	close(fd);
}

/* A device in use gets the rule of a new table when it is released, not before. */
static void check_in_use(void)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct dma dma;
	struct rig r;
	uint64_t requests;

	must(put("address 10f5:00:00.0 arbitrary # old\n"));
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	rig_both_ways(&r.sim[0], &b, 1, "in use");
	kmsg_mark();
	must(put("address 10f5:00:00.0 none # new\n"));
	tap_is(kmsg_count("is in use with mode arbitrary; mode none of the new device table"), 1,
	       "in use: the log says that it has to wait");
	ruled(PLAIN, "arbitrary", "admin 1 address 10f5:00:00.0 arbitrary # old", "in use");
	tap_is(mem_status_kb(0, "VmLck"), 0, "in use: nothing is pinned");
	requests = sim_count(rig_bdf(0), "requests");
	mem_drop(b.va, b.len);
	rig_both_ways(&r.sim[0], &b, 3, "in use");
	tap_ok(sim_count(rig_bdf(0), "requests") > requests, "in use: faults as before");

	/* A third table: the second never counts. */
	dma_start_both(&dma, &r.sim[0], &b, 5);
	dma_wait_rounds(&dma, 1);
	must(put("address 10f5:00:00.0 selective # newer\n"));
	ruled(PLAIN, "arbitrary", "admin 1 address 10f5:00:00.0 arbitrary # old", "in use still");
	/* The file "mode" can be written while DMA runs. */
	must(mem_write_file(KNOB_IOPF_DIR "/devices/10f5:00:00.0/mode", "none"));
	tap_is(mem_status_kb(0, "VmLck"), LEN / 1024, "in use: switched by hand, it is pinned");
	dma_wait_rounds(&dma, 1);
	tap_is(dma_stop(&dma), 0, "in use: DMA was not disturbed");
	rig_clean(&r);
	rig_close(&r);
	ruled(PLAIN, "selective", "admin 1 address 10f5:00:00.0 selective # newer", "released");
	works(PLAIN, false, "iopf", "released");

	/* A table that says the same has the new text at once. */
	must(put("address 10f5:00:00.0 arbitrary # old\n"));
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	kmsg_mark();
	must(put("\naddress 10f5:00:00.* arbitrary # same\n"));
	ruled(PLAIN, "arbitrary", "admin 2 address 10f5:00:00.* arbitrary # same", "the same");
	tap_is(kmsg_count("is in use with mode"), 0, "the same: no word of it");
	rig_close(&r);
	ruled(PLAIN, "arbitrary", "admin 2 address 10f5:00:00.* arbitrary # same", "the same");
	mem_unmap(b.va, b.len);
}

/* A device that is plugged in finds its rule, one of a table that came while it was away. */
static void check_hotplug(void)
{
	must(put("\n"));
	must(mem_write_file("/sys/bus/pci/devices/10f5:00:00.0/remove", "1"));
	tap_ok(access(KNOB_IOPF_DIR "/devices/10f5:00:00.0", F_OK), "unplugged");
	must(put("pci 1234:10f5 arbitrary # while away\n"));
	must(mem_write_file("/sys/bus/pci/rescan", "1"));
	must(rig_bind(rig_bdf(0)));
	ruled(PLAIN, "arbitrary", "admin 1 pci 1234:10f5 arbitrary # while away", "plugged in");
	works(PLAIN, true, "iopf", "plugged in");
}

/* The udev rule waits for this event: the kernel announces the module when it has a table. */
static void check_uevent(void)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	unsigned int seen = 0;
	char event[4096];
	ssize_t n;

	/* The debug kernel. */
	if (fd < 0 && access("/proc/net", F_OK)) {
		tap_skip("this kernel has no sockets", "the kernel tells of the module");
		return;
	}
	must_sys(fd);
	must_sys(bind(fd, (struct sockaddr *)&kernel, sizeof(kernel)));
	rig_load(MODELS, "ids=");
	/* Loading is over, so it has been sent. */
	while (poll(&ready, 1, 0) > 0 && (n = recv(fd, event, sizeof(event) - 1, 0)) > 0) {
		event[n] = '\0';
		seen += !strcmp(event, "add@/module/vfio_iommu_iopf");
	}
	tap_is(seen, 1, "the kernel tells of the module");
	tap_errno_is(put("pci 1234:10f5 arbitrary\n"), 0, "it has a table");
	ruled(PLAIN, "arbitrary", "admin 1 pci 1234:10f5 arbitrary", "it accepts rules");
	close(fd);
}

/* Any allocation fails: then the whole old table or the whole new table is in force. */
static void check_no_memory(void)
{
	static const char old[] =
		"address 10f5:00:00.0 selective window=0x0-0xfff policy=pin # old\n";
	static const char new[] = "address 10f5:00:00.* arbitrary # new\npci 1:1 none\n"
				  "address 10f5:00:01.* selective window=0x0-0xffff # new\n";
	unsigned int n, failed = 0, wrong = 0;
	char *before, *after;
	ssize_t done = 0;
	bool injected = true;
	int fd;

	if (!inject_begin()) {
		tap_skip("this kernel can't inject faults", "no memory for a new table");
		return;
	}
	must(put(old));
	before = get();
	fd = must_sys(open(TABLE, O_WRONLY | O_CLOEXEC));
	for (n = 1; injected && n < 1000; n++) {
		inject_nth(n);
		done = pwrite(fd, new, sizeof(new) - 1, 0);
		if (done < 0)
			done = -errno;
		injected = inject_end();
		if (!injected)
			break;
		if (done > 0) {
			/* One that can be done without. */
			must(put(old));
			continue;
		}
		failed++;
		after = get();
		if (done != -ENOMEM && done != -EFAULT)
			wrong++;
		if (strcmp(before, after) || !is(PLAIN, "mode", "selective") ||
		    !is(PLAIN, "policy", "pin") || !is(PLAIN, "windows", "0x0-0xfff") ||
		    !is(STALLS, "mode", "arbitrary"))
			wrong++;
		free(after);
	}
	tap_diag("%u allocations failed, each in its turn", failed);
	/*
	 * Allocations: the copied text, the table, its rules; for four devices the rule and its
	 * text, ...
	 */
	tap_ok(failed >= 3 + 4 * 2, "no memory: the table is refused");
	tap_is(wrong, 0, "no memory: with the right error, and nothing has changed");
	tap_ok(done == sizeof(new) - 1 && !injected, "with memory it is taken");
	ruled(PLAIN, "arbitrary", "admin 1 ", "with memory");
	ruled(STALLS, "selective", "admin 3 ", "with memory");
	close(fd);
	free(before);
	must(put("\n"));
}

static bool flip_stop;

static void *flip(void *unused)
{
	unsigned long failed = 0;

	(void)unused;
	/* Bounded: each is a line in the log. */
	for (unsigned int i = 0; i < 400 && !__atomic_load_n(&flip_stop, __ATOMIC_RELAXED); i++)
		failed += !!put(i & 1 ? "address * selective window=0x0-0xfff # odd\n"
				      : "pci 1234:10f5 arbitrary # even\n");
	return (void *)failed;
}

/* Tables come while devices are taken, used and released. */
static void check_race(void)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	pthread_t thread[2];
	unsigned int bad_rules = 0;
	void *failed;

	__atomic_store_n(&flip_stop, false, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < 2; i++)
		must_be(!pthread_create(&thread[i], NULL, flip, NULL));
	for (unsigned int i = 0; i < 20; i++) {
		struct vfio_container c;
		struct vfio_dev d;
		struct simdev s;
		char mode[32];

		must(vfio_container_open(&c));
		must(vfio_dev_open(&d, &c, rig_bdf(0), VFIO_TYPE1v2_IOMMU));
		must(sim_up(&s, &d, NULL));
		must(vfio_map(&c, b.va, b.iova, b.len));
		snprintf(mode, sizeof(mode), " %s ", iopf_text(rig_bdf(0), "mode"));
		bad_rules += !strstr(iopf_text(rig_bdf(0), "rule"), mode);
		if (!i)
			rig_both_ways(&s, &b, 9, "while tables come and go");
		bad_rules += !strstr(iopf_text(rig_bdf(0), "rule"), mode);
		vfio_dev_close(&d);
		vfio_container_close(&c);
		free(get());
	}
	__atomic_store_n(&flip_stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < 2; i++) {
		pthread_join(thread[i], &failed);
		tap_is((unsigned long)failed, 0, "each table was taken");
	}
	tap_is(bad_rules, 0, "a device in use kept mode and rule");
	mem_unmap(b.va, b.len);
}

int main(void)
{
	rig_backend_only();
	rig_load(MODELS, "ids=");
	check_builtin();
	check_kinds();
	check_settings();
	check_precedence();
	check_ids();
	check_bad();
	check_long();
	check_in_use();
	check_hotplug();
	check_no_memory();
	check_race();
	check_uevent();
	rig_balanced();
	tap_errno_is(rig_unload(), 0, "the modules can be unloaded");
	return tap_done();
}
