/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device table: which devices may fault, and how. Rules are text, one rule a line:
 *
 *	MATCH... MODE [SETTING]...	# source of this rule
 *
 *	MATCH	pci VENDOR:DEVICE	1 to 4 hexadecimal digits each, or VENDOR:*, or *:*
 *		subsystem VENDOR:DEVICE	likewise
 *		class CC[SS[PP]]	class, subclass, interface: 2 hexadecimal digits each
 *		address NAME		name on its bus; * at its end stands for any characters
 *	MODE	arbitrary | selective | none
 *	SETTING	policy=POLICY		fault, prefault or pin; not with none
 *		window=0xFIRST-0xLAST	I/O virtual addresses; with selective only, at most 8
 *
 * Words are separated by blanks (spaces and tabs). A rule needs at least one match, and at most one
 * of each kind. A device must agree with all matches of the rule. The first rule that matches a
 * device applies. "#" starts a comment, at the start of a line or after a blank. A comment after a
 * rule is its source. Empty lines are ignored, but are counted in line numbers.
 *
 * The parser gets the text with its length. The text may contain any bytes. Hostile text costs time
 * linear in its size, and is refused with line, column and word.
 */
#ifndef IOPF_CORE_DEVTABLE_H
#define IOPF_CORE_DEVTABLE_H

#include "ids.h"
#include "mode.h"
#include "range.h"

#define IOPF_DEVTABLE_MAX_TEXT	65536	/* bytes */
#define IOPF_DEVTABLE_MAX_LINE	512	/* bytes, without the newline */
#define IOPF_DEVTABLE_MAX_RULES	1024
#define IOPF_RULE_MAX_WINDOWS	8

/**
 * struct iopf_rule - a rule
 * @line: number of its line in the text, from 1
 * @text: the rule as written, in the table's text: from its first word to the end of its last word
 * @len: length of @text
 * @source: its comment, in the table's text, without "#" and the blanks around it
 * @source_len: length of @source; 0: no comment
 * @address: name of a device, in the table's text
 * @address_len: length of @address, without a "*"
 * @vendor: PCI vendor id, if @vendor_mask
 * @device: PCI device id, if @device_mask
 * @subvendor: PCI subsystem's vendor id, if @subvendor_mask
 * @subdevice: PCI subsystem's device id, if @subdevice_mask
 * @vendor_mask: bits of @vendor that count: all or none
 * @device_mask: likewise
 * @subvendor_mask: likewise
 * @subdevice_mask: likewise
 * @class: PCI class, subclass, interface
 * @class_mask: bits of @class that count
 * @by_pci: the rule has "pci", "subsystem" or "class", so it matches only PCI devices
 * @by_address: the rule has "address"
 * @address_prefix: any name that begins with @address matches, not only @address itself
 * @mode: how the device may fault
 * @policy: policy of the device; IOPF_POLICY_DEFAULT: the rule has none
 * @nr_windows: number of windows
 * @window: addresses at which a selective device does not fault
 */
struct iopf_rule {
	unsigned int line;
	const char *text;
	size_t len;
	const char *source;
	size_t source_len;
	const char *address;
	size_t address_len;
	u16 vendor;
	u16 device;
	u16 subvendor;
	u16 subdevice;
	u16 vendor_mask;
	u16 device_mask;
	u16 subvendor_mask;
	u16 subdevice_mask;
	u32 class;
	u32 class_mask;
	bool by_pci;
	bool by_address;
	bool address_prefix;
	enum iopf_mode mode;
	enum iopf_policy policy;
	unsigned int nr_windows;
	struct iopf_range window[IOPF_RULE_MAX_WINDOWS];
};

/**
 * struct iopf_devtable - rules; the first one that matches applies
 * @nr: number of rules
 * @max: room for this number of rules
 * @rule: the rules. They point into the parsed text, which must stay.
 */
struct iopf_devtable {
	unsigned int nr;
	unsigned int max;
	struct iopf_rule rule[] __counted_by(max);
};

/**
 * struct iopf_devtable_error - what is wrong with a text
 * @line: number of the line, from 1
 * @column: number of the byte in the line, from 1
 * @word: the wrong word, in the text; printable ASCII
 * @len: length of @word, at most IOPF_DEVTABLE_MAX_LINE; 0: there is no word to show
 * @why: the error, or the expected word; a constant
 *
 * The message is "line L, column C: 'WORD': WHY", without the word if there is none.
 */
struct iopf_devtable_error {
	unsigned int line;
	unsigned int column;
	const char *word;
	size_t len;
	const char *why;
};

/**
 * enum iopf_origin - source of the decision how a device may fault, weakest first
 * @IOPF_ORIGIN_DEFAULT: no source; the device may not fault
 * @IOPF_ORIGIN_BUILTIN: a rule that the module contains
 * @IOPF_ORIGIN_ADMIN: a rule of the administrator
 * @IOPF_ORIGIN_IDS: the module parameter "ids"
 */
enum iopf_origin {
	IOPF_ORIGIN_DEFAULT,
	IOPF_ORIGIN_BUILTIN,
	IOPF_ORIGIN_ADMIN,
	IOPF_ORIGIN_IDS,
};

/**
 * struct iopf_verdict - the decision for a device
 * @origin: source of the decision
 * @rule: the rule that applies; NULL for IOPF_ORIGIN_DEFAULT and IOPF_ORIGIN_IDS
 * @mode: how the device may fault
 */
struct iopf_verdict {
	enum iopf_origin origin;
	const struct iopf_rule *rule;
	enum iopf_mode mode;
};

/* Text of the rules that the module contains: iopf_devtable_builtin_len bytes and a NUL. */
extern const char iopf_devtable_builtin[];
extern const size_t iopf_devtable_builtin_len;

unsigned int iopf_devtable_room(const char *text, size_t len);
int iopf_devtable_parse(struct iopf_devtable *t, const char *text, size_t len,
			struct iopf_devtable_error *err);
const struct iopf_rule *iopf_devtable_match(const struct iopf_devtable *t,
					    const struct iopf_id *id);
struct iopf_verdict iopf_devtable_judge(const char *ids, const struct iopf_devtable *admin,
					const struct iopf_devtable *builtin,
					const struct iopf_id *id);

static inline const char *iopf_origin_name(enum iopf_origin origin)
{
	switch (origin) {
	case IOPF_ORIGIN_IDS:
		return "ids";
	case IOPF_ORIGIN_ADMIN:
		return "admin";
	case IOPF_ORIGIN_BUILTIN:
		return "builtin";
	default:
		return "default";
	}
}

#endif /* IOPF_CORE_DEVTABLE_H */
