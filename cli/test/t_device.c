// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl device: it changes whole lines of the administrator's file; it never leaves the file
 * malformed; it reports errors with line, column and word; the module gets the file unchanged.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../print/exit.h"
#include "tree.h"

#define CONF	"etc/devices.conf"
#define TABLE	"kernel/vfio_iopf/device_table"

static const char commented[] =
	"# SPDX: none\n"
	"\n"
	"# The card in the lab\n"
	"pci 8086:0b25  arbitrary # tried in March\n"
	"\n"
	"  address 0000:01:00.*\tselective window=0x1000-0x1fff\n"
	"class 0108 none";

static void module(struct tree *t)
{
	tree_module(t);
	tree_file(t, TABLE, "%s", "");
}

static void add(void **state)
{
	struct tree *t = *state;

	RUN(t, CTL_OK, "device", "add", "pci", "8086:0b25", "arbitrary");
	assert_string_equal(tree_read(t, CONF), "pci 8086:0b25 arbitrary\n");
	RUN(t, CTL_OK, "device", "add", "class 0108", "none", "--comment", "no faults in NVMe");
	assert_string_equal(tree_read(t, CONF),
			    "pci 8086:0b25 arbitrary\nclass 0108 none # no faults in NVMe\n");
	RUN(t, CTL_OK, "device", "add", "--first", "--json", "address", "0000:01:00.0", "selective",
	    "window=0x0-0xfff", "policy=prefault");
	JSON_STRING(t, "/done", "added");
	JSON_INT(t, "/rules", 3);
	assert_string_equal(tree_read(t, CONF),
			    "address 0000:01:00.0 selective window=0x0-0xfff policy=prefault\n"
			    "pci 8086:0b25 arbitrary\nclass 0108 none # no faults in NVMe\n");
}

static void add_keeps(void **state)
{
	struct tree *t = *state;
	char want[1024], path[256];
	struct stat st;

	tree_file(t, CONF, "%s", commented);
	snprintf(path, sizeof(path), "%s/" CONF, t->dir);
	assert_return_code(chmod(path, 0640), errno);
	RUN(t, CTL_OK, "device", "add", "pci", "1:2", "none");
	snprintf(want, sizeof(want), "%s\npci 1:2 none\n", commented);
	assert_string_equal(tree_read(t, CONF), want);
	assert_return_code(stat(path, &st), errno);
	assert_int_equal(st.st_mode & 0777, 0640);
	/* The rule goes before the first rule and its comment. */
	tree_file(t, CONF, "%s", commented);
	RUN(t, CTL_OK, "device", "add", "--first", "pci", "1:2", "none");
	SAYS(tree_read(t, CONF), "none\n\npci 1:2 none\n# The card in the lab\npci 8086");
}

static void add_bad(void **state)
{
	struct tree *t = *state;

	tree_file(t, CONF, "%s", commented);
	RUN(t, CTL_USAGE, "device", "add", "pci", "8086:zz", "none");
	SAYS(t->err, "column 5: '8086:zz'");
	RUN(t, CTL_USAGE, "device", "add");
	RUN(t, CTL_USAGE, "device", "add", "pci 1:2 none\npci 1:3 none");
	RUN(t, CTL_USAGE, "device", "add", "pci", "1:2", "none", "#", "comment");
	RUN(t, CTL_USAGE, "device", "add", "pci", "1:2", "none", "--comment", "a\nb");
	RUN(t, CTL_USAGE, "device", "add", "pci", "1:2", "none", "window=0x0-0xfff");
	RUN(t, CTL_FAILED, "device", "add", "pci", "8086:b25", "none");
	SAYS(t->err, "line 4");
	SAYS(t->err, "remove that rule first");
	assert_string_equal(tree_read(t, CONF), commented);
	/* A malformed file stays unchanged. */
	tree_file(t, CONF, "nonsense\n");
	RUN(t, CTL_FAILED, "device", "add", "pci", "1:2", "none");
	SAYS(t->err, "line 1, column 1: 'nonsense'");
	SAYS(t->err, "nothing has changed");
	assert_string_equal(tree_read(t, CONF), "nonsense\n");
}

static void remove_rules(void **state)
{
	struct tree *t = *state;

	tree_file(t, CONF, "%s", commented);
	RUN(t, CTL_OK, "device", "remove", "pci", "8086:0B25");
	SAYS(t->out, "removed: pci 8086:0b25  arbitrary");
	assert_string_equal(tree_read(t, CONF),
			    "# SPDX: none\n\n# The card in the lab\n\n"
			    "  address 0000:01:00.*\tselective window=0x1000-0x1fff\n"
			    "class 0108 none");
	RUN(t, CTL_OK, "device", "remove", "class", "0108", "none", "--json");
	JSON_INT(t, "/rules", 1);
	RUN(t, CTL_NOT_FOUND, "device", "remove", "address", "0000:01:00.*", "arbitrary");
	RUN(t, CTL_NOT_FOUND, "device", "remove", "address", "0000:01:00.0");
	RUN(t, CTL_NOT_FOUND, "device", "remove", "address 0000:01:00.* selective");
	RUN(t, CTL_OK, "device", "remove",
	    "address 0000:01:00.* selective window=0x1000-0x1fff");
	assert_string_equal(tree_read(t, CONF), "# SPDX: none\n\n# The card in the lab\n\n");
	RUN(t, CTL_USAGE, "device", "remove");
	RUN(t, CTL_USAGE, "device", "remove", "nonsense");
	RUN(t, CTL_NOT_FOUND, "device", "remove", "pci", "19e5:a250");
	/* Two equal rules, made in an editor. */
	tree_file(t, CONF, "pci 1:2 none\npci 1:2 arbitrary\n");
	RUN(t, CTL_FAILED, "device", "remove", "pci", "1:2");
	SAYS(t->err, "lines 1 and 2");
	RUN(t, CTL_OK, "device", "remove", "pci", "1:2", "arbitrary");
	assert_string_equal(tree_read(t, CONF), "pci 1:2 none\n");
}

static void no_file(void **state)
{
	struct tree *t = *state;

	tree_remove(t, "etc");
	RUN(t, CTL_NOT_FOUND, "device", "remove", "pci", "1:2");
	RUN(t, CTL_NOT_FOUND, "device", "check");
	/* iopfctl makes the directory and the file. */
	tree_remove(t, "etc");
	RUN(t, CTL_OK, "device", "add", "pci", "1:2", "none");
	assert_string_equal(tree_read(t, CONF), "pci 1:2 none\n");
}

static void link_stays(void **state)
{
	struct tree *t = *state;
	struct stat st;
	char path[256];

	tree_file(t, "other/real", "pci 1:2 none\n");
	tree_link(t, CONF, "../other/real");
	RUN(t, CTL_OK, "device", "add", "pci", "1:3", "none");
	assert_string_equal(tree_read(t, "other/real"), "pci 1:2 none\npci 1:3 none\n");
	snprintf(path, sizeof(path), "%s/" CONF, t->dir);
	assert_return_code(lstat(path, &st), errno);
	assert_true(S_ISLNK(st.st_mode));
}

static bool is_link(struct tree *t, const char *name)
{
	struct stat st;
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	assert_return_code(lstat(path, &st), errno);
	return S_ISLNK(st.st_mode);
}

/* A dangling link stays, and iopfctl makes its target. */
static void link_dangles(void **state)
{
	struct tree *t = *state;

	tree_dir(t, "other");
	tree_link(t, CONF, "second");
	tree_link(t, "etc/second", "../other/real");
	RUN(t, CTL_OK, "device", "add", "pci", "1:2", "none");
	assert_string_equal(tree_read(t, "other/real"), "pci 1:2 none\n");
	assert_true(is_link(t, CONF));
	assert_true(is_link(t, "etc/second"));
	RUN(t, CTL_OK, "device", "add", "pci", "1:3", "none");
	assert_string_equal(tree_read(t, "other/real"), "pci 1:2 none\npci 1:3 none\n");
	/* If the directory of the target does not exist, iopfctl fails. */
	tree_link(t, CONF, "../gone/real");
	RUN(t, CTL_FAILED, "device", "add", "pci", "1:2", "none");
	SAYS(t->err, "is a symbolic link to ");
	SAYS(t->err, "gone/real, whose directory does not exist");
	assert_true(is_link(t, CONF));
	tree_link(t, CONF, "devices.conf");
	RUN(t, CTL_FAILED, "device", "add", "pci", "1:2", "none");
	SAYS(t->err, "symbolic links");
	assert_true(is_link(t, CONF));
}

/* iopfctl does not replace anything but a regular file. */
static void no_regular(void **state)
{
	struct tree *t = *state;
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/" CONF, t->dir);
	assert_return_code(mkfifo(path, 0644), errno);
	RUN(t, CTL_FAILED, "device", "add", "pci", "1:2", "none");
	SAYS(t->err, "is no regular file");
	assert_return_code(lstat(path, &st), errno);
	assert_true(S_ISFIFO(st.st_mode));
	tree_link(t, CONF, "/dev/null");
	RUN(t, CTL_FAILED, "device", "add", "pci", "1:2", "none");
	assert_return_code(stat("/dev/null", &st), errno);
	assert_true(S_ISCHR(st.st_mode));
}

/* The number of entries in a directory. */
static unsigned int entries(struct tree *t, const char *name)
{
	char path[256];
	unsigned int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

/* In the child: take locks of all kinds on a file or directory, then write to @ready. */
static void hold(const char *path, int how, int ready)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, how | O_CLOEXEC);

	if (fd >= 0) {
		flock(fd, LOCK_EX);
		fcntl(fd, F_SETLK, &lock);
	}
	if (write(ready, "", 1) == 1)
		pause();
	_exit(0);
}

/* Start a process that holds locks on a file until it is killed. */
static pid_t holder(struct tree *t, const char *name, int how, bool nobody)
{
	char path[256], byte;
	int ready[2];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	assert_return_code(pipe(ready), errno);
	pid = fork();
	assert_return_code(pid, errno);
	if (!pid) {
		if (nobody && !geteuid() && setresuid(TREE_NOBODY, TREE_NOBODY, TREE_NOBODY))
			_exit(1);
		hold(path, how, ready[1]);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/*
 * Other users may lock files that they can open: iopfctl does not wait for these locks. It waits
 * for its own lock, for a limited time.
 */
static void locked(void **state)
{
	static const char lock[] = "etc/.devices.conf.lock";
	struct tree *t = *state;
	pid_t dir, file, own;
	char path[256];
	struct stat st;

	tree_file(t, CONF, "pci 1:2 none\n");
	dir = holder(t, "etc", O_RDONLY | O_DIRECTORY, true);
	file = holder(t, CONF, O_RDONLY, true);
	RUN(t, CTL_OK, "device", "add", "pci", "1:3", "none");
	snprintf(path, sizeof(path), "%s/%s", t->dir, lock);
	assert_return_code(stat(path, &st), errno);
	assert_int_equal(st.st_mode & 07777, 0600);
	if (!geteuid()) {
		/* A user who cannot open the file cannot lock it. */
		own = holder(t, lock, O_RDWR, true);
		RUN(t, CTL_OK, "device", "add", "pci", "1:4", "none");
		end(own);
	}
	own = holder(t, lock, O_RDWR, false);
	RUN(t, CTL_FAILED, "device", "add", "pci", "1:5", "none");
	snprintf(path, sizeof(path), "process %d (t_device) is changing ", (int)own);
	SAYS(t->err, path);
	SAYS(t->err, "try again");
	SAYS_NOT(tree_read(t, CONF), "1:5");
	end(own);
	RUN(t, CTL_OK, "device", "add", "pci", "1:5", "none");
	end(dir);
	end(file);
	/* Only the file and the lock remain. */
	assert_int_equal(entries(t, "etc"), 2);
}

/* iopfctl does not follow a symbolic link in place of the lock. */
static void lock_is_link(void **state)
{
	struct tree *t = *state;

	tree_file(t, CONF, "pci 1:2 none\n");
	tree_file(t, "other", "as it was\n");
	tree_link(t, "etc/.devices.conf.lock", "../other");
	RUN(t, CTL_FAILED, "device", "add", "pci", "1:3", "none");
	SAYS(t->err, ".devices.conf.lock");
	assert_string_equal(tree_read(t, CONF), "pci 1:2 none\n");
	assert_string_equal(tree_read(t, "other"), "as it was\n");
}

/* No room for the new file: only the old one remains. */
static void full(void **state)
{
	struct tree *t = *state;

	tree_file(t, CONF, "%s", commented);
	t->file_limit = strlen(commented);
	RUN(t, CTL_FAILED, "device", "add", "pci", "1:3", "none");
	SAYS(t->err, "writing ");
	assert_string_equal(tree_read(t, CONF), commented);
	assert_int_equal(entries(t, "etc"), 2);
}

/* No file that iopfctl opens becomes its stdout. */
static void no_stdout(void **state)
{
	struct tree *t = *state;

	tree_file(t, CONF, "pci 1:2 none\n");
	t->no_stdout = true;
	RUN(t, CTL_FAILED, "device", "add", "pci", "1:3", "none");
	SAYS(t->err, "writing the result");
	assert_string_equal(tree_read(t, CONF), "pci 1:2 none\npci 1:3 none\n");
	assert_string_equal(tree_read(t, "etc/.devices.conf.lock"), "");
}

static void denied(void **state)
{
	struct tree *t = *state;

	tree_file(t, CONF, "pci 1:2 none\n");
	t->as_nobody = true;
	RUN(t, CTL_DENIED, "device", "add", "pci", "1:3", "none");
	SAYS(t->err, "root");
	assert_string_equal(tree_read(t, CONF), "pci 1:2 none\n");
	RUN(t, CTL_OK, "device", "check");
}

static void check(void **state)
{
	struct tree *t = *state;
	char path[256];

	tree_file(t, CONF, "%s", commented);
	RUN(t, CTL_OK, "device", "check");
	SAYS(t->out, "valid, 3 rules");
	tree_file(t, "other", "\n\npci 1:2 sometimes\n");
	snprintf(path, sizeof(path), "%s/other", t->dir);
	RUN(t, CTL_FAILED, "device", "check", path);
	SAYS(t->err, "line 3, column 9: 'sometimes': expected");
	RUN(t, CTL_FAILED, "device", "check", path, "--json");
	JSON_BOOL(t, "/valid", false);
	JSON_INT(t, "/error/line", 3);
	JSON_INT(t, "/error/column", 9);
	JSON_STRING(t, "/error/word", "sometimes");
	JSON_NULL(t, "/rules");
	RUN(t, CTL_OK, "device", "check", "--json");
	JSON_BOOL(t, "/valid", true);
	JSON_INT(t, "/rules", 3);
	JSON_NULL(t, "/error");
	RUN(t, CTL_NOT_FOUND, "device", "check", "/nowhere/at/all");
	RUN(t, CTL_USAGE, "device", "check", path, path);
	RUN(t, CTL_FAILED, "device", "check", t->dir);
}

static void too_long(void **state)
{
	static char text[70000];
	struct tree *t = *state;

	memset(text, '\n', sizeof(text) - 1);
	tree_file(t, CONF, "%s", text);
	RUN(t, CTL_FAILED, "device", "check");
	RUN(t, CTL_FAILED, "device", "add", "pci", "1:2", "none");
	/* The new rule makes the file too long. */
	text[65536] = 0;
	tree_file(t, CONF, "%s", text);
	RUN(t, CTL_OK, "device", "check");
	RUN(t, CTL_FAILED, "device", "add", "pci", "1:2", "none");
	assert_int_equal(strlen(tree_read(t, CONF)), 65535);
}

static void apply(void **state)
{
	struct tree *t = *state;

	module(t);
	tree_file(t, CONF, "%s", commented);
	RUN(t, CTL_OK, "device", "apply");
	SAYS(t->out, "applied: 3 rules");
	assert_string_equal(tree_read(t, TABLE), commented);
	RUN(t, CTL_OK, "device", "add", "--apply", "pci", "1:2", "none", "--json");
	assert_non_null(strstr(tree_read(t, TABLE), "pci 1:2 none\n"));
	RUN(t, CTL_OK, "device", "remove", "-a", "pci", "1:2");
	assert_null(strstr(tree_read(t, TABLE), "pci 1:2 none\n"));

	tree_file(t, CONF, "nonsense\n");
	tree_file(t, TABLE, "as it was\n");
	RUN(t, CTL_FAILED, "device", "apply");
	assert_string_equal(tree_read(t, TABLE), "as it was\n");
	/* Without a file there are no rules. */
	tree_remove(t, CONF);
	RUN(t, CTL_OK, "device", "apply");
	SAYS(t->err, "there is no");
	assert_string_equal(tree_read(t, TABLE), "\n");
	/* A module that rejects the rules, and one without a table. */
	tree_file(t, CONF, "pci 1:2 none\n");
	tree_link(t, TABLE, "/proc/self/oom_score_adj");
	RUN(t, CTL_FAILED, "device", "apply");
	SAYS(t->err, "dmesg");
	tree_remove(t, TABLE);
	RUN(t, CTL_FAILED, "device", "apply");
	SAYS(t->err, "it is older than iopfctl");
	RUN(t, CTL_USAGE, "device", "apply", "this");
}

/* For the module, a write of a whole page is a part of a longer text. */
static void apply_pages(void **state)
{
	static char text[3 * 4096 + 1];
	struct tree *t = *state;

	module(t);
	memset(text, '\n', sizeof(text) - 1);
	tree_file(t, CONF, "%s", text);
	RUN(t, CTL_OK, "device", "apply");
	assert_int_equal(strlen(tree_read(t, TABLE)), 3 * 4096 - 1);
	text[sizeof(text) - 2] = ' ';
	tree_file(t, CONF, "%s", text);
	RUN(t, CTL_OK, "device", "apply");
	assert_int_equal(strlen(tree_read(t, TABLE)), 3 * 4096 + 1);
	text[sizeof(text) - 2] = 0;
	tree_file(t, CONF, "%s", text);
	RUN(t, CTL_OK, "device", "apply");
	assert_int_equal(strlen(tree_read(t, TABLE)), 3 * 4096 - 1);
}

static int find_rule(struct tree *t, const char *match)
{
	struct json_object *rules = tree_json(t, "/rules");

	for (size_t i = 0; i < json_object_array_length(rules); i++) {
		struct json_object *row = json_object_array_get_idx(rules, i);

		if (!strcmp(json_object_get_string(json_object_object_get(row, "match")), match))
			return i;
	}
	fail_msg("no rule for '%s'", match);
	return -1;
}

static void list_offline(void **state)
{
	struct tree *t = *state;

	tree_file(t, CONF, "%s", commented);
	RUN(t, CTL_OK, "device", "--json");
	SAYS(t->err, "not loaded");
	JSON_STRING(t, "/rules/0/origin", "admin");
	JSON_BOOL(t, "/rules/0/active", false);
	JSON_INT(t, "/rules/0/line", 4);
	JSON_STRING(t, "/rules/0/match", "pci 8086:0b25");
	JSON_STRING(t, "/rules/0/mode", "arbitrary");
	JSON_NULL(t, "/rules/0/policy");
	JSON_STRING(t, "/rules/0/source", "tried in March");
	JSON_STRING(t, "/rules/1/match", "address 0000:01:00.*");
	JSON_LENGTH(t, "/rules/1/windows", 1);
	JSON_STRING(t, "/rules/1/windows/0", "0x1000-0x1fff");
	JSON_STRING(t, "/rules/2/match", "class 0108");
	JSON_STRING(t, "/rules/3/origin", "builtin");
	assert_true(find_rule(t, "pci 19e5:a250") > 2);
	RUN(t, CTL_OK, "device", "list");
	SAYS(t->out, "0x1000-0x1fff");
	SAYS(t->out, "quirk_huawei_pcie_sva");
	RUN(t, CTL_USAGE, "device", "list", "this");
	RUN(t, CTL_USAGE, "device", "lost");
}

static void list_in_force(void **state)
{
	struct tree *t = *state;

	module(t);
	tree_file(t, CONF, "not what is in force\n");
	tree_file(t, "module/vfio_iommu_iopf/parameters/ids", "8086:*,0000:01:00.0\n");
	tree_file(t, TABLE,
		  "ids - 8086:*,0000:01:00.0\n"
		  "admin 3 class 0108 none\n"
		  "admin 17 address x* selective window=0x0-0xfff window=0x2000-0x2fff # lab\n"
		  "builtin 1 pci 1:2 arbitrary # a source\n"
		  "default - address * none\n");
	RUN(t, CTL_OK, "device", "list", "--json");
	assert_string_equal(t->err, "");
	JSON_LENGTH(t, "/rules", 5);
	JSON_STRING(t, "/rules/0/origin", "ids");
	JSON_STRING(t, "/rules/0/match", "8086:*");
	JSON_STRING(t, "/rules/1/match", "0000:01:00.0");
	JSON_STRING(t, "/rules/2/origin", "admin");
	JSON_BOOL(t, "/rules/2/active", true);
	JSON_INT(t, "/rules/2/line", 3);
	JSON_STRING(t, "/rules/2/match", "class 0108");
	JSON_NULL(t, "/rules/2/source");
	JSON_INT(t, "/rules/3/line", 17);
	JSON_LENGTH(t, "/rules/3/windows", 2);
	JSON_STRING(t, "/rules/3/source", "lab");
	JSON_STRING(t, "/rules/4/origin", "builtin");
	JSON_STRING(t, "/rules/4/source", "a source");
	/* A table with unknown words. */
	tree_file(t, TABLE, "admin 1 pci 1:2 sometimes\n");
	RUN(t, CTL_FAILED, "device", "list");
	SAYS(t->err, "'sometimes'");
}

/* iopfctl does not cut long rules and comments. */
static void widths(void **state)
{
	static const unsigned int columns[] = { 60, 80, 120 };
	static const char source[] =
		"a comment that has more to say than there is room for in a line, and says it";
	struct tree *t = *state;

	tree_file(t, CONF,
		  "pci 8086:0b25 subsystem 8086:* class 0b40 address 0000:01:00.* selective window=0xfee00000-0xfeefffff window=0x0-0xffffffffffff policy=prefault # %s\n",
		  source);
	for (unsigned int i = 0; i < ARRAY_SIZE(columns); i++) {
		t->terminal = columns[i];
		RUN(t, CTL_OK, "device");
		tree_fits(t->out, columns[i]);
		tree_has_words(t->out,
			       "pci 8086:0b25 subsystem 8086:* class 0b40 address 0000:01:00.*");
		tree_has_words(t->out, "0xfee00000-0xfeefffff, 0x0-0xffffffffffff");
		tree_has_words(t->out, source);
	}
	/* The match identifies a rule, not the origin. */
	t->terminal = 60;
	RUN(t, CTL_OK, "device");
	SAYS(t->out, "ORIGIN  MATCH ");
	SAYS(t->out, "\n\nMATCH ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(add),
		TEST(add_keeps),
		TEST(add_bad),
		TEST(remove_rules),
		TEST(no_file),
		TEST(link_stays),
		TEST(link_dangles),
		TEST(no_regular),
		TEST(locked),
		TEST(lock_is_link),
		TEST(full),
		TEST(no_stdout),
		TEST(denied),
		TEST(check),
		TEST(too_long),
		TEST(apply),
		TEST(apply_pages),
		TEST(list_offline),
		TEST(list_in_force),
		TEST(widths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
