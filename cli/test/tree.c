// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trees for tests of iopfctl: see tree.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "tree.h"

#define ARGS_MAX	24
#define OUT_MAX		(1024 * 1024)

/* The tree of the last run. */
static struct tree *last;

int tree_up(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	/* For check_visible(). */
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	snprintf(t->dir, sizeof(t->dir), "/tmp/iopfctl.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	assert_return_code(chmod(t->dir, 0755), errno);
	snprintf(t->config, sizeof(t->config), "%s/etc/devices.conf", t->dir);
	tree_dir(t, "etc");
	*state = t;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void forget(struct tree *t)
{
	free(t->out);
	free(t->err);
	json_object_put(t->json);
	t->out = NULL;
	t->err = NULL;
	t->json = NULL;
}

int tree_down(void **state)
{
	struct tree *t = *state;

	nftw(t->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	forget(t);
	free(t);
	return 0;
}

static void full_path(struct tree *t, const char *path, char buf[PATH_MAX])
{
	assert_true(snprintf(buf, PATH_MAX, "%s/%s", t->dir, path) < PATH_MAX);
}

/* Make the parent directories of @full. */
static void make_parents(char *full)
{
	for (char *p = strchr(full + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		assert_true(!mkdir(full, 0755) || errno == EEXIST);
		*p = '/';
	}
}

void tree_dir(struct tree *t, const char *path)
{
	char full[PATH_MAX];

	full_path(t, path, full);
	make_parents(full);
	assert_true(!mkdir(full, 0755) || errno == EEXIST);
}

/* Make or replace a file. The replacement is atomic: a reader sees the old text or the new one. */
void tree_bytes(struct tree *t, const char *path, const void *bytes, size_t len)
{
	char full[PATH_MAX], temp[PATH_MAX + 8];
	FILE *f;

	full_path(t, path, full);
	make_parents(full);
	snprintf(temp, sizeof(temp), "%s/.new", t->dir);
	f = fopen(temp, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_return_code(chmod(temp, 0644), errno);
	assert_return_code(rename(temp, full), errno);
}

void tree_file(struct tree *t, const char *path, const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	assert_true(vasprintf(&text, fmt, args) >= 0);
	va_end(args);
	tree_bytes(t, path, text, strlen(text));
	free(text);
}

void tree_link(struct tree *t, const char *path, const char *target)
{
	char full[PATH_MAX];

	full_path(t, path, full);
	make_parents(full);
	unlink(full);
	assert_return_code(symlink(target, full), errno);
}

void tree_remove(struct tree *t, const char *path)
{
	char full[PATH_MAX];

	full_path(t, path, full);
	assert_return_code(nftw(full, remove_one, 16, FTW_DEPTH | FTW_PHYS), errno);
}

/* Read a file. The text is valid until the next call. */
const char *tree_read(struct tree *t, const char *path)
{
	static char text[65536];
	char full[PATH_MAX];
	size_t n;
	FILE *f;

	full_path(t, path, full);
	f = fopen(full, "r");
	if (!f)
		fail_msg("there is no %s", full);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	fclose(f);
	return text;
}

/* Make the module's directory, without containers and devices. */
void tree_module(struct tree *t)
{
	tree_dir(t, "kernel/vfio_iopf/containers");
	tree_dir(t, "kernel/vfio_iopf/devices");
	tree_dir(t, "bus/pci/devices");
	tree_file(t, "module/vfio_iommu_iopf/parameters/ids", "\n");
}

/* Make a container, without limits. */
void tree_container(struct tree *t, unsigned int id, const char *comm)
{
	static const char * const zeros[] = {
		"evicted", "aged", "refaults", "thrashing", "thrash_events", "prefault_requests",
		"prefault_pages", "min_residency", "hot_pinned", "hot_pinned_max",
	};
	static const char * const maxes[] = {
		"resident_high", "resident_max", "pinned_high", "pinned_max", "fault_workers_max",
		"prefetch_max", "aging_interval",
	};
	char path[128];

#define FILE_OF(name, ...) \
	do { \
		snprintf(path, sizeof(path), "kernel/vfio_iopf/containers/%u/%s", id, name); \
		tree_file(t, path, __VA_ARGS__); \
	} while (0)
	FILE_OF("pid", "%u\n", 1000 + id);
	FILE_OF("comm", "%s\n", comm);
	FILE_OF("areas", "2\n");
	FILE_OF("mapped", "%llu\n", 4ull << 30);
	FILE_OF("resident", "%u\n", 3 << 20);
	FILE_OF("pinned", "%u\n", 8192);
	FILE_OF("policy", "device\n");
	for (unsigned int i = 0; i < ARRAY_SIZE(zeros); i++)
		FILE_OF(zeros[i], "0\n");
	for (unsigned int i = 0; i < ARRAY_SIZE(maxes); i++)
		FILE_OF(maxes[i], "max\n");
#undef FILE_OF
}

/* Make a device. It is enabled. If it is in a container, the module serves it. */
void tree_device(struct tree *t, const char *name, const char *container, unsigned int faults)
{
	char path[128];

#define FILE_OF(file, ...) \
	do { \
		snprintf(path, sizeof(path), "kernel/vfio_iopf/devices/%s/" file, name); \
		tree_file(t, path, __VA_ARGS__); \
	} while (0)
	FILE_OF("container", "%s\n", container);
	FILE_OF("faults", "%u\n", faults);
	FILE_OF("enabled", "1\n");
	FILE_OF("mode", "arbitrary\n");
	FILE_OF("policy", "default\n");
	FILE_OF("reason", "\n");
	FILE_OF("backend", "%s\n", strcmp(container, "none") ? "vfio_iommu_iopf" : "none");
#undef FILE_OF
}

static const char * const locale_names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

/* In the child: execute iopfctl. The child opens the program before it drops its privileges. */
static void become(struct tree *t, char **argv)
{
	int fd = open(IOPFCTL, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		_exit(126);
	setenv("IOPFCTL_SYSFS", t->dir, 1);
	setenv("IOPFCTL_CONFIG", t->config, 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(locale_names); i++)
		unsetenv(locale_names[i]);
	if (!t->locale || *t->locale)
		setenv("LC_ALL", t->locale ? t->locale : "C", 1);
	if (t->locales)
		setenv("LOCPATH", t->locales, 1);
	unsetenv("COLUMNS");
	if (t->columns)
		setenv("COLUMNS", t->columns, 1);
	if (t->out_file)
		dup2(open(t->out_file, O_WRONLY), STDOUT_FILENO);
	if (t->no_stdout)
		close(STDOUT_FILENO);
	if (t->file_limit) {
		struct rlimit limit = { t->file_limit, t->file_limit };

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
	}
	if (t->as_nobody) {
		/* The leak checker is a debugger, which this user may not be. */
		setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
		if (!geteuid() && (setresgid(TREE_NOBODY, TREE_NOBODY, TREE_NOBODY) ||
				   setresuid(TREE_NOBODY, TREE_NOBODY, TREE_NOBODY)))
			_exit(125);
	}
	fexecve(fd, argv, environ);
	_exit(127);
}

static void collect_args(char **argv, va_list args)
{
	unsigned int n = 0;

	argv[n++] = "iopfctl";
	do {
		assert_true(n < ARGS_MAX);
		argv[n] = va_arg(args, char *);
	} while (argv[n++]);
}

/* Read the output of a run from a pipe or terminal. */
static char *slurp(int fd)
{
	char *text = calloc(1, OUT_MAX + 1);
	size_t len = 0;
	ssize_t n;

	assert_non_null(text);
	while ((n = read(fd, text + len, OUT_MAX - len)) > 0)
		len += n;
	/* EIO: the last process has closed the terminal. */
	assert_true(!n || errno == EIO);
	close(fd);
	return text;
}

/* Make a pipe with room for the whole output of a run. */
static void make_pipe(int fds[2])
{
	assert_return_code(pipe2(fds, O_CLOEXEC), errno);
	assert_true(fcntl(fds[1], F_SETPIPE_SZ, OUT_MAX) >= OUT_MAX);
}

/* Make a terminal that does not change its input. */
static void make_terminal(int fds[2], unsigned int columns)
{
	struct winsize size = { .ws_row = 24, .ws_col = columns };
	struct termios mode;

	fds[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_return_code(fds[0], errno);
	assert_return_code(grantpt(fds[0]), errno);
	assert_return_code(unlockpt(fds[0]), errno);
	fds[1] = open(ptsname(fds[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_return_code(fds[1], errno);
	assert_return_code(tcgetattr(fds[1], &mode), errno);
	cfmakeraw(&mode);
	assert_return_code(tcsetattr(fds[1], TCSANOW, &mode), errno);
	assert_return_code(ioctl(fds[1], TIOCSWINSZ, &size), errno);
}

/*
 * All output is visible UTF-8, for any input. A test with another charset checks its output itself.
 */
static void check_visible(const char *text)
{
	mbstate_t state = { 0 };
	wchar_t c;
	size_t n;

	for (const char *p = text; *p; p += n) {
		n = mbrtowc(&c, p, strlen(p), &state);
		if (n > MB_LEN_MAX || (c < 0x20 && c != '\n') || (c >= 0x7f && c < 0xa0) ||
		    (c >= 0x200b && c < 0x2010) || (c >= 0x2028 && c < 0x202f) ||
		    (c >= 0x2060 && c < 0x2070) || c == 0xfeff)
			fail_msg("byte %zd of '%s' is no visible character", p - text, text);
	}
}

/* Each line on stderr begins with the name of the program. */
static void check_messages(const char *text)
{
	for (const char *p = text; *p; p += strcspn(p, "\n") + 1)
		if (strncmp(p, "iopfctl: ", 9))
			fail_msg("no message of iopfctl: '%s'", p);
}

static void check_printed(const struct tree *t)
{
	if (!t->other_charset) {
		check_visible(t->out);
		check_visible(t->err);
	}
	check_messages(t->err);
}

/* Run iopfctl. Returns its exit status, or 128 + the signal. */
int tree_run(struct tree *t, ...)
{
	int out[2], err[2], status;
	char *argv[ARGS_MAX];
	va_list args;
	pid_t pid;

	va_start(args, t);
	collect_args(argv, args);
	va_end(args);
	forget(t);
	if (t->terminal)
		make_terminal(out, t->terminal);
	else
		make_pipe(out);
	make_pipe(err);
	pid = fork();
	assert_return_code(pid, errno);
	if (!pid) {
		dup2(out[1], STDOUT_FILENO);
		dup2(err[1], STDERR_FILENO);
		become(t, argv);
	}
	close(out[1]);
	close(err[1]);
	t->out = slurp(out[0]);
	t->err = slurp(err[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	last = t;
	t->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	check_printed(t);
	t->json = *t->out == '{' ? json_tokener_parse(t->out) : NULL;
	return t->status;
}

/* Continue the child to its next system call or its end. Returns whether it has not ended. */
static bool next_call(pid_t pid, struct __ptrace_syscall_info *call, int *status)
{
	int sig = 0;

	for (;;) {
		assert_return_code(ptrace(PTRACE_SYSCALL, pid, NULL, (long)sig), errno);
		assert_int_equal(waitpid(pid, status, 0), pid);
		if (!WIFSTOPPED(*status))
			return false;
		sig = WSTOPSIG(*status);
		if (sig == (SIGTRAP | 0x80))
			break;
		/* execve() sends SIGTRAP to the tracer, not to the child. */
		if (sig == SIGTRAP)
			sig = 0;
	}
	assert_true(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(*call), call) > 0);
	return true;
}

/*
 * Run iopfctl, which must succeed, and count the files that it opens. The number of files measures
 * its work, and does not depend on the machine.
 */
unsigned int tree_opens(struct tree *t, ...)
{
	struct __ptrace_syscall_info call;
	unsigned int opens = 0;
	char *argv[ARGS_MAX];
	va_list args;
	int status;
	pid_t pid;

	va_start(args, t);
	collect_args(argv, args);
	va_end(args);
	pid = fork();
	assert_return_code(pid, errno);
	if (!pid) {
		dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
		/* The leak checker is a debugger. A process can have only one. */
		setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		become(t, argv);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	assert_return_code(ptrace(PTRACE_SETOPTIONS, pid, NULL,
				  PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), errno);
	while (next_call(pid, &call, &status))
		opens += call.op == PTRACE_SYSCALL_INFO_ENTRY && call.entry.nr == SYS_openat;
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
	return opens;
}

/* Start iopfctl. Returns a file to read its output from. */
FILE *tree_start(struct tree *t, pid_t *pid, ...)
{
	char *argv[ARGS_MAX];
	int out[2];
	va_list args;

	va_start(args, pid);
	collect_args(argv, args);
	va_end(args);
	assert_return_code(pipe2(out, O_CLOEXEC), errno);
	*pid = fork();
	assert_return_code(*pid, errno);
	if (!*pid) {
		dup2(out[1], STDOUT_FILENO);
		become(t, argv);
	}
	close(out[1]);
	return fdopen(out[0], "r");
}

static int at(struct tree *t, const char *pointer, struct json_object **value)
{
	if (!t->json)
		fail_msg("no JSON: %s", t->out);
	return json_pointer_get(t->json, pointer, value);
}

/* The value at a JSON pointer. It must exist, and not be null. */
struct json_object *tree_json(struct tree *t, const char *pointer)
{
	struct json_object *value = NULL;

	if (at(t, pointer, &value) || !value)
		fail_msg("no %s in %s", pointer, t->out);
	return value;
}

/* Whether the value at a JSON pointer is null. It must exist. */
bool tree_json_null(struct tree *t, const char *pointer)
{
	struct json_object *value = NULL;

	if (at(t, pointer, &value))
		fail_msg("no %s in %s", pointer, t->out);
	return !value;
}

static void failed(const char *file, int line)
{
	print_error("%s:%d\n", file, line);
	fail();
}

/* Check that the status @got of the last run is @want. */
void tree_want(int got, int want, const char *file, int line)
{
	if (got == want)
		return;
	print_error("status %d, want %d\nerr: %s\nout: %s\n", got, want, last->err, last->out);
	failed(file, line);
}

/* Check that @text contains @part, or, if not @want, does not. */
void tree_says(const char *text, const char *part, bool want, const char *file, int line)
{
	if (!strstr(text, part) == !want)
		return;
	print_error("'%s' is %sin '%s'\n", part, want ? "not " : "", text);
	failed(file, line);
}

/* Check type and value at a JSON pointer. */
void tree_is(struct tree *t, const char *pointer, enum json_type type, int64_t want,
	     const char *file, int line)
{
	struct json_object *value = tree_json(t, pointer);

	if (json_object_is_type(value, type) && json_object_get_int64(value) == want)
		return;
	print_error("%s is %s, want %lld\n", pointer, json_object_get_string(value),
		    (long long)want);
	failed(file, line);
}

/* Check that no line of @text is wider than @columns. */
void tree_fits(const char *text, unsigned int columns)
{
	for (const char *p = text, *end; *p; p = end + 1) {
		end = p + strcspn(p, "\n");
		if ((unsigned int)(end - p) > columns)
			fail_msg("wider than %u columns: '%.*s'", columns, (int)(end - p), p);
		assert_true(*end);
	}
}

/* Check that @text contains all of the words, in that order. */
void tree_has_words(const char *text, const char *words)
{
	const char *at = text;

	for (size_t len; *words; words += strspn(words, " ")) {
		len = strcspn(words, " ");
		for (;; at += strcspn(at, "\n ")) {
			at += strspn(at, "\n ");
			if (!*at)
				fail_msg("no word '%.*s' in its place in '%s'", (int)len, words,
					 text);
			if (strcspn(at, "\n ") == len && !memcmp(at, words, len))
				break;
		}
		at += len;
		words += len;
	}
}
