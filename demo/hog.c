// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hog: see hog.h. The program calls itself with "hog MIB"; two pipes are its stdin and stdout.
 */
#include "hog.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"
#include "tap.h"

extern char **environ;

void hog_start(struct hog *h, size_t mib)
{
	char arg[24];
	char * const argv[] = { "hog", "hog", arg, NULL };
	posix_spawn_file_actions_t fa;
	int in[2], out[2];

	snprintf(arg, sizeof(arg), "%zu", mib);
	must_sys(pipe2(in, O_CLOEXEC));
	must_sys(pipe2(out, O_CLOEXEC));
	must(-posix_spawn_file_actions_init(&fa));
	must(-posix_spawn_file_actions_adddup2(&fa, in[0], STDIN_FILENO));
	must(-posix_spawn_file_actions_adddup2(&fa, out[1], STDOUT_FILENO));
	must(-posix_spawn(&h->pid, "/proc/self/exe", &fa, NULL, argv, environ));
	posix_spawn_file_actions_destroy(&fa);
	close(in[0]);
	close(out[1]);
	h->in = in[1];
	h->out = out[0];
}

bool hog_grow(struct hog *h)
{
	char byte;

	return read(h->out, &byte, 1) == 1 && byte == '+';
}

bool hog_end(struct hog *h)
{
	int status;

	close(h->in);
	close(h->out);
	must_sys(waitpid(h->pid, &status, 0));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Something in each page: the kernel does not write zeros to the swap disk. */
static void hog_use(char *p, size_t value)
{
	for (size_t off = 0; off < MiB; off += MEM_PAGE)
		*(size_t *)(p + off) = value + off + 1;
}

int hog_main(size_t mib)
{
	char byte, *all;

	if (mem_write_file("/proc/self/oom_score_adj", "1000"))
		return 1;
	all = mmap(NULL, mib * MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		return 1;
	for (size_t m = 0; m < hog_writes(mib); m++) {
		hog_use(all + m % mib * MiB, m);
		if (write(STDOUT_FILENO, "+", 1) != 1)
			return 1;
	}
	/* Done: say so, and sit on it until stdin is closed. */
	if (write(STDOUT_FILENO, ".", 1) != 1)
		return 1;
	return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1;
}
