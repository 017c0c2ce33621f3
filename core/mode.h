/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The words of policy, as rules, sysfs files and commands have them: how a device may
 * fault, and what is done about a range's memory. Both are in order of strength where
 * one of several has to be chosen: the least mode, the greatest policy.
 */
#ifndef IOPF_CORE_MODE_H
#define IOPF_CORE_MODE_H

#include "shim.h"
#include "word.h"

/**
 * enum iopf_mode - how a device may fault
 * @IOPF_MODE_NONE: not at all; memory is pinned for it
 * @IOPF_MODE_SELECTIVE: in part; somebody has to say where it may not, and until then it is none
 * @IOPF_MODE_ARBITRARY: on any access
 */
enum iopf_mode {
	IOPF_MODE_NONE,
	IOPF_MODE_SELECTIVE,
	IOPF_MODE_ARBITRARY,
};

/**
 * enum iopf_policy - what is done about the memory of a range
 * @IOPF_POLICY_DEFAULT: what the next greater thing says: container, then device, then fault
 * @IOPF_POLICY_FAULT: made resident by faults
 * @IOPF_POLICY_PREFAULT: made resident soon, and may be reclaimed later
 * @IOPF_POLICY_PIN: resident and pinned
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
 * iopf_mode_parse() - the mode that a word names
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
 * iopf_policy_parse() - the policy that a word names
 * @s: the word
 * @len: its length
 *
 * Return: an enum iopf_policy, IOPF_POLICY_DEFAULT included, or -EINVAL.
 */
static inline int iopf_policy_parse(const char *s, size_t len)
{
	for (int policy = IOPF_POLICY_DEFAULT; policy <= IOPF_POLICY_PIN; policy++)
		if (iopf_word_is(s, len, iopf_policy_name(policy)))
			return policy;
	return -EINVAL;
}

#endif /* IOPF_CORE_MODE_H */
