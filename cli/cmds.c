// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of commands. A new one: a file of its own, its function in cmd.h, an entry here, a
 * section in iopfctl.8, a line in the completion.
 */
#include <stddef.h>

#include "cmd.h"

const struct cmd cmds[] = {
	{
		.name = "probe",
		.args = "[DEVICE...]",
		.summary = "Say which PCI devices can take page faults, and if not, why",
		.help = "  -a, --all          bridges, too\n",
		.run = cmd_probe,
	},
	{
		.name = "device",
		.args = "[list | add | remove | check | apply | mode] [ARGUMENT...]",
		.summary = "Show and change the device table: which devices may fault, and how",
		.help =
			"  list               the rules in force, in order of precedence (the default)\n"
			"  add RULE...        add a rule to the administrator's file\n"
			"  remove RULE...     remove it; its match alone will do\n"
			"  check [FILE]       whether a file can be understood\n"
			"  apply              give the administrator's file to the module\n"
			"  mode DEVICE MODE   switch a device, live, until it goes; see set --device\n\n"
			"RULE is as in the file, words: pci 8086:0b25 arbitrary; see iopfctl(8).\n\n"
			"  -a, --apply        with add, remove: apply the result\n"
			"  -c, --comment TEXT with add: where the rule is from\n"
			"  -f, --first        with add: before all others; the first that matches counts\n",
		.run = cmd_device,
	},
	{
		.name = "list",
		.args = "[CONTAINER...]",
		.summary = "Show containers: whose they are, their devices, memory, faults",
		.help =
			"  -i, --interval S   seconds between the readings of the fault rate; 0: no rate\n"
			"  -n, --count N      with --watch: end after N\n"
			"  -w, --watch        again and again, until interrupted\n",
		.run = cmd_list,
	},
	{
		.name = "set",
		.args = "CONTAINER KEY=VALUE... | --device DEVICE KEY=VALUE...",
		.summary = "Change budgets, quotas and policy of a container or device, live",
		.help = "CONTAINER is a number as list shows it; its keys:\n"
			"  resident_high, resident_max, pinned_high, pinned_max, hot_max\n"
			"                     bytes, with K, M, G or T times 1024 and so on, or max\n"
			"  policy             fault, prefault, pin or device\n"
			"  faults_max, ahead_max\n"
			"                     faults waiting, pages ahead; a number or max\n"
			"  expire             seconds until what is not used goes, or max: never\n"
			"  min_residency      microseconds that a page may stay in any case\n"
			"Keys of a device:\n"
			"  mode               arbitrary, selective or none\n"
			"  policy             fault, prefault, pin or default\n"
			"  enabled            1 or 0\n\n"
			"All are checked before the first is written; if one is refused, those before\n"
			"it are put back.\n\n"
			"  -d, --device       it is about a device\n",
		.run = cmd_set,
	},
	{
		.name = "limits",
		.args = "[list | check [FILE] | apply [FILE] | forget KEY]",
		.summary = "Show and set what containers may have from their start",
		.help = "  list               the rules in force, and live limits that are kept\n"
			"  check [FILE]       whether a file can be understood\n"
			"  apply [FILE]       give a file to the module\n"
			"  forget KEY         forget what is kept: address NAME, user UID, cgroup PATH,\n"
			"                     process PID, as list shows it; or all\n\n"
			"FILE is /etc/vfio-iopf/limits.conf unless said otherwise; see iopfctl(8).\n\n",
		.run = cmd_limits,
	},
	{
		.name = "advise",
		.args = "[--seconds S] [--slowdown PERCENT] [--apply] CONTAINER",
		.summary = "Say how much memory a container needs, from what its devices use",
		.help = "  -a, --apply        set resident_max to what is recommended\n"
			"  -d, --slowdown P   percent that the devices may be slowed down (5)\n"
			"  -i, --interval MS  how long memory is left alone between two looks (100)\n"
			"  -m, --max N        chunks of 2 MiB that are watched at most (1024)\n"
			"  -n, --steps N      limits in the table (12)\n"
			"  -s, --seconds S    how long to sample (30); less when interrupted\n"
			"      --sizes LIST   limits in the table: 64M,128M,1G\n",
		.run = cmd_advise,
	},
	{ }
};
