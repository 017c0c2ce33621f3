/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The words of policy in rules, sysfs files and commands: how a device may fault, and how the
 * memory of a range is handled. Both are ordered. If several apply, the smallest mode and the
 * greatest policy win.
 */
#ifndef IOPF_CORE_MODE_H
#define IOPF_CORE_MODE_H

#include "shim.h"
#include "word.h"

/**
 * enum iopf_mode - how a device may fault
 * @IOPF_MODE_NONE: not at all; its memory is pinned
 * @IOPF_MODE_SELECTIVE: on some accesses. User space must say which ranges cannot fault; until then
 *                       the mode is none.
 * @IOPF_MODE_ARBITRARY: on any access
 */
enum iopf_mode {
	IOPF_MODE_NONE,
	IOPF_MODE_SELECTIVE,
	IOPF_MODE_ARBITRARY,
};

/**
 * enum iopf_policy - how the memory of a range is handled
 * @IOPF_POLICY_DEFAULT: as the policy of the container, else of the device, else fault
 * @IOPF_POLICY_FAULT: faults populate it
 * @IOPF_POLICY_PREFAULT: populated soon, and may be reclaimed later
 * @IOPF_POLICY_PIN: populated and pinned
 */
enum iopf_policy {
	IOPF_POLICY_DEFAULT,
	IOPF_POLICY_FAULT,
	IOPF_POLICY_PREFAULT,
	IOPF_POLICY_PIN,
};

static inline const char *iopf_mode_name(enum iopf_mode mode)
{
	switch (mode) {
	case IOPF_MODE_ARBITRARY:
		return "arbitrary";
	case IOPF_MODE_SELECTIVE:
		return "selective";
	default:
		return "none";
	}
}

static inline const char *iopf_policy_name(enum iopf_policy policy)
{
	switch (policy) {
	case IOPF_POLICY_PIN:
		return "pin";
	case IOPF_POLICY_PREFAULT:
		return "prefault";
	case IOPF_POLICY_FAULT:
		return "fault";
	default:
		return "default";
	}
}

/**
 * iopf_mode_parse() - parse a mode
 * @s: the word
 * @len: its length
 *
 * Return: an enum iopf_mode, or -EINVAL.
 */
static inline int iopf_mode_parse(const char *s, size_t len)
{
	for (int mode = IOPF_MODE_NONE; mode <= IOPF_MODE_ARBITRARY; mode++)
		if (iopf_word_is(s, len, iopf_mode_name(mode)))
			return mode;
	return -EINVAL;
}

/**
 * iopf_policy_parse() - parse a policy
 * @s: the word
 * @len: its length
 *
 * Return: an enum iopf_policy, which may be IOPF_POLICY_DEFAULT, or -EINVAL.
 */
static inline int iopf_policy_parse(const char *s, size_t len)
{
	for (int policy = IOPF_POLICY_DEFAULT; policy <= IOPF_POLICY_PIN; policy++)
		if (iopf_word_is(s, len, iopf_policy_name(policy)))
			return policy;
	return -EINVAL;
}

#endif /* IOPF_CORE_MODE_H */
