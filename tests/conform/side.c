// SPDX-License-Identifier: GPL-2.0-only
/*
 * A side: see side.h. The parent's half; worker.c is the process.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"
#include "side.h"
#include "tap.h"
#include "worker.h"

void side_start(struct side *s)
{
	int to[2], from[2];

	s->box = mem_shared_anon(sizeof(*s->box));
	must_sys(pipe(to));
	must_sys(pipe(from));
	s->pid = must_sys(fork());
	if (!s->pid) {
		close(to[1]);
		close(from[0]);
		side_work(s, to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	s->to = to[1];
	s->from = from[0];
}

static void ask(struct side *s, enum side_request request)
{
	char byte = 0;

	s->box->request = request;
	must_sys(write(s->to, &byte, 1));
	if (read(s->from, &byte, 1) != 1)
		tap_bail("%s went away", s->name);
}

void side_stop(struct side *s)
{
	int status;

	ask(s, SIDE_QUIT);
	close(s->to);
	must_sys(waitpid(s->pid, &status, 0));
	close(s->from);
	if (status)
		tap_bail("%s ended with status 0x%x", s->name, status);
	mem_unmap(s->box, sizeof(*s->box));
}

int side_fresh(struct side *s, unsigned int type, bool anew)
{
	s->box->type = type;
	s->box->anew = anew;
	ask(s, SIDE_FRESH);
	return (int)s->box->result.ret;
}

struct conform_result *side_apply(struct side *s, const struct conform_op *op)
{
	s->box->op = *op;
	ask(s, SIDE_APPLY);
	return &s->box->result;
}

bool side_there(struct side *s, uint64_t va)
{
	s->box->op.va = va;
	ask(s, SIDE_THERE);
	return s->box->result.ret;
}
