/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device table: which devices may fault, and how. Rules are text, one a line:
 *
 *	MATCH... MODE [SETTING]...	# where this is from
 *
 *	MATCH	pci VENDOR:DEVICE	1 to 4 hexadecimal digits each, or VENDOR:*, or *:*
 *		subsystem VENDOR:DEVICE	likewise
 *		class CC[SS[PP]]	class, subclass, interface: 2 hexadecimal digits each
 *		address NAME		name on its bus; a * at its end is for any rest
 *	MODE	arbitrary | selective | none
 *	SETTING	policy=POLICY		fault, prefault or pin; not with none
 *		window=0xFIRST-0xLAST	I/O virtual addresses; with selective only, at most 8
 *
 * Words are separated by blanks (spaces and tabs). Each kind of match may be there once,
 * at least one has to be, and all have to agree. The first rule that matches a device is
 * the one that counts. "#" starts a comment, at the start of a line or after a blank; a
 * comment after a rule is its source. Empty lines count for nothing but their number.
 *
 * Text is taken with its length and may be anything: hostile text costs time linear in
 * its size and is refused with line, column and word.
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
 * @line: its line in the text, from 1
 * @text: the rule as written, in the table's text: from its first word to the end of its last
 * @len: its length
 * @source: its comment, in the table's text, without "#" and blanks around it
 * @source_len: its length; 0: no comment
 * @address: name of devices, in the table's text
 * @address_len: its length, without a "*"
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
 * @by_pci: "pci", "subsystem" or "class" is in it, so it is for PCI devices only
 * @by_address: "address" is in it
 * @address_prefix: any name that begins with @address, not only @address itself
 * @mode: how the device may fault
 * @policy: of the device; IOPF_POLICY_DEFAULT: the rule has none
 * @nr_windows: how many windows
 * @window: what a selective device does not fault in
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
 * struct iopf_devtable - rules, the first that matches counts
 * @nr: how many
 * @max: room for how many
 * @rule: the rules; they point into the text they were parsed from, which has to stay
 */
struct iopf_devtable {
	unsigned int nr;
	unsigned int max;
	struct iopf_rule rule[] __counted_by(max);
};

/**
 * struct iopf_devtable_error - what is wrong with a text
 * @line: the line, from 1
 * @column: the byte in it, from 1
 * @word: the word that is wrong, in the text; printable ASCII
 * @len: its length, at most IOPF_DEVTABLE_MAX_LINE; 0: no word is, something is missing there
 * @why: what is wrong or was expected; a constant
 *
 * To be said as "line L, column C: 'WORD': WHY", without the word if there is none.
 */
struct iopf_devtable_error {
	unsigned int line;
	unsigned int column;
	const char *word;
	size_t len;
	const char *why;
};

/**
 * enum iopf_origin - who said how a device may fault, weakest first
 * @IOPF_ORIGIN_DEFAULT: nobody: it may not
 * @IOPF_ORIGIN_BUILTIN: a rule that comes with the module
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
 * struct iopf_verdict - what the tables say of a device
 * @origin: who says it
 * @rule: by which rule; NULL of IOPF_ORIGIN_DEFAULT and IOPF_ORIGIN_IDS
 * @mode: how it may fault
 */
struct iopf_verdict {
	enum iopf_origin origin;
	const struct iopf_rule *rule;
	enum iopf_mode mode;
};

/* Rules that come with the module, as text; iopf_devtable_builtin_len bytes and a NUL. */
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
