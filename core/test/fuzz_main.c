// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver for fuzz targets without libFuzzer. It runs every corpus file, then inputs made from a
 * seed: noise, and corpus files with random edits. A seed makes the same inputs on every machine.
 * Prints TAP.
 *
 *   fuzz_X [-n RUNS] [-s SEED] [-l MAX_LENGTH] [FILE|DIRECTORY]...
 *
 * If an input breaks the target, the driver leaves it in crash-X in the current directory. Give it
 * as FILE to repeat the failure.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "rng.h"

#define MAX_FILES 4096

struct sample {
	u8 *data;
	size_t size;
};

static struct sample corpus[MAX_FILES];
static size_t nr_corpus;

/* The present input, for the signal handler. */
static const u8 *current;
static size_t current_size;
static char crash_file[64];

/* Sanitizers end the process by a signal too, so the handler sees all failures. */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void)
{
	return "abort_on_error=1:handle_abort=0:detect_leaks=1";
}

const char *__ubsan_default_options(void)
{
	return "abort_on_error=1:print_stacktrace=1";
}

static void on_abort(int sig)
{
	static const char said[] = "input left in ";
	int fd = open(crash_file, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	/* If this fails, there is nothing to do: the signal ends the process. */
	if (current && fd >= 0 && write(fd, current, current_size) == (ssize_t)current_size &&
	    write(STDERR_FILENO, said, sizeof(said) - 1) > 0 &&
	    write(STDERR_FILENO, crash_file, strlen(crash_file)) > 0 &&
	    write(STDERR_FILENO, "\n", 1) > 0)
		close(fd);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void die(const char *what, const char *name)
{
	fprintf(stderr, "%s: %s: %s\n", what, name, strerror(errno));
	exit(2);
}

/* Runs on memory of the exact size, so that a sanitizer sees reads beyond the input. */
static void run_one(const u8 *data, size_t size)
{
	u8 *copy = malloc(size);

	if (size && !copy)
		die("malloc", "input");
	if (size)
		memcpy(copy, data, size);
	current_size = size;
	current = copy;
	LLVMFuzzerTestOneInput(copy, size);
	current = NULL;
	free(copy);
}

static void load_file(const char *name, size_t size)
{
	FILE *f = fopen(name, "rb");
	struct sample *s = &corpus[nr_corpus];

	if (nr_corpus == MAX_FILES) {
		errno = E2BIG;
		die("corpus", name);
	}
	if (!f)
		die("open", name);
	s->data = malloc(size + 1);
	if (!s->data)
		die("malloc", name);
	s->size = fread(s->data, 1, size, f);
	fclose(f);
	nr_corpus++;
}

static void load(const char *name)
{
	struct dirent **entry;
	struct stat st;
	int n;

	if (stat(name, &st))
		die("stat", name);
	if (!S_ISDIR(st.st_mode)) {
		load_file(name, st.st_size);
		return;
	}
	/* Sorted, since the order of a directory differs between machines. */
	n = scandir(name, &entry, NULL, alphasort);
	if (n < 0)
		die("scandir", name);
	for (int i = 0; i < n; i++) {
		char path[4096];

		if (entry[i]->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", name, entry[i]->d_name);
			load(path);
		}
		free(entry[i]);
	}
	free(entry);
}

/* Makes one random edit in place: changes, inserts or removes a byte, or copies a piece. */
static size_t edit(u64 *rng, u8 *buf, size_t size, size_t max)
{
	size_t at = rng_below(rng, size + 1), from, n;

	switch (rng_below(rng, 5)) {
	case 0:
		if (at < size)
			buf[at] = rng_next(rng);
		return size;
	case 1:
		if (at < size)
			buf[at] ^= 1 << rng_below(rng, 8);
		return size;
	case 2:
		if (size == max)
			return size;
		memmove(buf + at + 1, buf + at, size - at);
		buf[at] = size ? buf[rng_below(rng, size)] : rng_next(rng);
		return size + 1;
	case 3:
		if (at == size)
			return size;
		memmove(buf + at, buf + at + 1, size - at - 1);
		return size - 1;
	default:
		from = rng_below(rng, size + 1);
		n = rng_below(rng, size - max(at, from) + 1);
		memmove(buf + at, buf + from, n);
		return size;
	}
}

static size_t make_input(u64 *rng, u8 *buf, size_t max)
{
	const struct sample *s;
	size_t size, edits;

	if (!nr_corpus || !rng_below(rng, 4)) {
		size = rng_below(rng, max + 1);
		rng_fill(rng, buf, size);
		return size;
	}
	s = &corpus[rng_below(rng, nr_corpus)];
	size = min(s->size, max);
	memcpy(buf, s->data, size);
	for (edits = 1 + rng_below(rng, 8); edits; edits--)
		size = edit(rng, buf, size, max);
	return size;
}

int main(int argc, char **argv)
{
	unsigned long runs = fuzz_smoke_runs, max = 512;
	u64 seed = 1, rng;
	const char *name = strrchr(argv[0], '/');
	u8 *buf;
	int opt;

	while ((opt = getopt(argc, argv, "n:s:l:")) != -1) {
		if (opt == 'n')
			runs = strtoul(optarg, NULL, 0);
		else if (opt == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (opt == 'l')
			max = strtoul(optarg, NULL, 0);
		else
			return 2;
	}
	name = name ? name + 1 : argv[0];
	snprintf(crash_file, sizeof(crash_file), "crash-%s", name);
	signal(SIGABRT, on_abort);
	signal(SIGSEGV, on_abort);

	while (optind < argc)
		load(argv[optind++]);
	buf = malloc(max + 1);
	if (!buf)
		die("malloc", "buffer");

	printf("1..2\n");
	for (size_t i = 0; i < nr_corpus; i++)
		run_one(corpus[i].data, corpus[i].size);
	printf("ok 1 - corpus, %zu files\n", nr_corpus);
	fflush(stdout);

	rng = seed;
	for (unsigned long i = 0; i < runs; i++)
		run_one(buf, make_input(&rng, buf, max));
	printf("ok 2 - %lu inputs from seed %llu\n", runs, seed);

	for (size_t i = 0; i < nr_corpus; i++)
		free(corpus[i].data);
	free(buf);
	return 0;
}
