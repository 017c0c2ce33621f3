/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_OWNER_H
#define IOPF_OWNER_H

#include <linux/types.h>
#include <linux/uidgid_types.h>

struct cgroup;
struct pid;
struct seq_buf;

/**
 * struct iopf_owner - the owner of a container; does not change
 * @uid: the user
 * @cgroup: the cgroup (v2), referenced
 * @process: the process, referenced
 */
struct iopf_owner {
	kuid_t uid;
	struct cgroup *cgroup;
	struct pid *process;
};

void iopf_owner_init(struct iopf_owner *o);
void iopf_owner_end(struct iopf_owner *o);
void iopf_owner_copy(struct iopf_owner *to, const struct iopf_owner *o);
bool iopf_owner_covers(const struct iopf_owner *o, const struct iopf_owner *other);
bool iopf_owner_gone(const struct iopf_owner *o);
bool iopf_owner_equal(const struct iopf_owner *a, const struct iopf_owner *b);
void iopf_owner_print(struct seq_buf *s, const struct iopf_owner *o, char *path);

#endif /* IOPF_OWNER_H */
