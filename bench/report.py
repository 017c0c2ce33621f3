#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The benchmark's report: figures of the guest to a table, to JSON and to a chart.

usage: report.py [--json] [--check] FIGURES OUT-DIRECTORY
       report.py --smp SMP-FIGURES OUT-DIRECTORY

Writes OUT/bench.json and OUT/bench.svg, and prints the table (or the JSON). Only the figures of two devices at
once depend on the wall clock. They are read from OUT/smp.txt if it exists. Exit status with --check: 1 if a goal
is missed that does not depend on the wall clock.
"""

import math
import os
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "demo"))

import figures  # noqa: E402  (the path above is where it is)
from figures import dat, grouped  # noqa: E402

# The goals. U: a minor fault of the CPU, Z: a zero-fill; docs/internals/performance.md defines them.
GOAL_SINGLE_U = 0.9
GOAL_CONTIGUOUS_U = 0.05
GOAL_SCATTERED_U = 0.15
GOAL_HUGE_U = 1.0
GOAL_ABSENT_Z = 1.05
GOAL_RANDOM_U = 0.1
GOAL_JOB_1M = 2
GOAL_JOB_10M = 4
GOAL_STREAM_MIB = 16
GOAL_HOT_RATIO = 1.005
GOAL_MAP_64G_U = 20
GOAL_DROP_RATIO = 1.0
GOAL_TWO_DEVICES = 1.8
GOAL_TAIL_RATIO = 8
GOAL_UNTOUCHED_BYTES = 0
GOAL_TOUCHED_KIB = 1
GOAL_SCHED_LATENCY = 1_000_000

MIB = 1 << 20

PASSES = (
    ("sequential, present, contiguous", "seq_present_contiguous"),
    ("sequential, present, memfd", "seq_present_memfd"),
    ("sequential, present, private", "seq_present_anon"),
    ("sequential, present, scattered", "seq_present_scattered"),
    ("sequential, present, huge pages", "seq_present_thp"),
    ("sequential, present, hugetlb", "seq_present_hugetlb"),
    ("random, present, private", "random_present_anon"),
    ("random, present, scattered", "random_present_scattered"),
    ("sequential, absent, private", "seq_absent_anon"),
    ("  32 page requests a group", "seq_absent_anon_prg32"),
    ("sequential, absent, memfd", "seq_absent_memfd"),
    ("random, absent, private", "random_absent_anon"),
)
HOT = (
    ("8 bytes a page, sequential", "seq_present_anon"),
    ("8 bytes a page, huge pages", "seq_present_thp"),
    ("8 bytes a page, random", "random_present_anon"),
    ("whole pages, sequential", "whole_present_anon"),
)
MAPS = (
    ("64 MiB, absent", "64m_absent"),
    ("512 MiB, absent", "512m_absent"),
    ("8 GiB, absent", "8g_absent"),
    ("64 GiB, absent", "64g_absent"),
    ("64 MiB, present", "64m_present"),
    ("512 MiB, present", "512m_present"),
    ("64 MiB, present in huge pages", "64m_thp"),
)
DROPS = (
    ("private", "anon"),
    ("scattered", "scattered"),
    ("huge pages", "thp"),
)
JOBS = (
    ("1 MiB, from the start of a block", "1m"),
    ("1 MiB, within a block", "1m_within"),
    ("10 MiB, from the start of a block", "10m"),
    ("10 MiB, within a block", "10m_within"),
)
SINGLE = (
    ("write, first of its 2 MiB", "write_first", "minor_write"),
    ("write, another of the same 2 MiB", "write_second", "minor_write"),
    ("read, first of its 2 MiB", "read_first", "minor_read"),
    ("read, another of the same 2 MiB", "read_second", "minor_read"),
    ("write, absent, first of its 2 MiB", "write_absent", "minor_write"),
)
PERCENTILES = (5000, 7500, 9000, 9500, 9900, 9950, 9990, 10000)


def rough(value, digits=3):
    """Three significant digits: a run does not repeat these to the last instruction (docs/internals/performance.md)."""
    if not value:
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))


def collect(path):
    raw = figures.read(path)
    if "complete" not in raw.get("run", {}):
        figures.die(f"the run broke off; see guest.log beside {path}")
    return raw


def cold(side, case):
    """Busy time of the whole machine in the cold pass, minus that of a hot one."""
    return max(0, side[f"{case}_cold_busy"] - side[f"{case}_hot_busy"])


def first_touch(side, case):
    """Cost of MAP_DMA and the cold pass, per touched page."""
    return (side[f"{case}_map"] + cold(side, case)) / side[f"{case}_pages"]


def hot(side, case):
    return side[f"{case}_hot_device"] / side[f"{case}_accesses"]


def latency(side, key):
    """Percentiles of one kind of faults: {"name", "faults", "p50", ...}, or None."""
    if f"{key}_faults" not in side:
        return None
    out = {"name": side[f"{key}_name"], "faults": side[f"{key}_faults"]}
    out.update({f"p{at / 100:g}": side[f"{key}_p{at}"] for at in PERCENTILES})
    return out


def sched_latencies(side):
    """Cases of scheduling latency: [{"name", "longest", "control", "own", "took"}, ...]. "control" is the same case
    without a device, or 0. "own" is the difference of "longest" and "control"."""
    cases = [{what: side[f"sched_latency{i}_{what}"] for what in ("name", "longest", "control", "took")}
             for i in range(100) if f"sched_latency{i}_longest" in side]
    return [{**entry, "own": max(0, entry["longest"] - entry["control"])} for entry in cases]


def drop(side, case):
    """The cost of the device's mappings when memory is unmapped, and when the host drops it."""
    unmap = side[f"drop_{case}_unmap"] - side[f"drop_{case}_nothing"]
    used = side.get(f"drop_{case}_used")
    return unmap, None if used is None else used - side[f"drop_{case}_plain"]


def turns_of(lines):
    """Median over the turns "one other both": throughput of both at once, divided by that of one."""
    turns = [[int(word) for word in line.split()] for line in lines]
    ratios = sorted(one / both + other / both for one, other, both in turns)
    return {"rounds": len(turns), "ratio": round(statistics.median(ratios), 2),
            "quartiles": [round(ratios[len(ratios) // 4], 2), round(ratios[3 * len(ratios) // 4], 2)],
            "one_ns": round(statistics.median([(one + other) / 2 for one, other, _ in turns])),
            "both_ns": round(statistics.median([both for _, _, both in turns]))}


def smp(path):
    """The speedup of two devices, and of two processes that share nothing: the best of the emulated machine."""
    if not os.path.exists(path):
        return None
    side = collect(path)["smp"]
    return {**turns_of(side["turn"]), "cpu": turns_of(side["cpu_turn"])}


def derive(raw):
    """Results for the table, the goals and the chart."""
    cpu, stock, ours = raw["cpu"], raw["type1"], raw["iopf"]
    # A pass is a sum, which includes rare events. So it is compared with a sum.
    zero, minor = cpu["zero_fill_mean"], cpu["minor_write"]

    def single(case, unit):
        host = ours[f"single_{case}_host"] - ours[f"single_{case.split('_')[0]}_hot_host"]
        return {"instructions": ours[f"single_{case}"], "host_instructions": rough(host),
                "u": rough(ours[f"single_{case}"] / cpu[unit]), "host_u": rough(host / cpu[unit])}

    def one_pass(case):
        a, b, cost = first_touch(stock, case), first_touch(ours, case), cold(ours, case)
        return {"type1": rough(a), "iopf": rough(b), "ratio": rough(b / a),
                "page_u": rough(cost / ours[f"{case}_pages"] / minor),
                "page_z": rough(cost / ours[f"{case}_pages"] / zero),
                "access_u": rough(cost / ours[f"{case}_accesses"] / minor),
                "block_u": rough(cost / ours[f"{case}_blocks"] / minor),
                "device_page_u": rough((ours[f"{case}_cold_device"] - ours[f"{case}_hot_device"]) /
                                       ours[f"{case}_pages"] / minor),
                "faults": ours[f"{case}_cold_groups"], "pages": ours[f"{case}_pages"],
                "runs": ours[f"{case}_runs"]}

    def pair(a, b):
        return {"type1": rough(a), "iopf": rough(b), "ratio": round(b / a, 4) if a and b / a >= 0.0995 else
                rough(b / a) if a else None}

    def dropped(case):
        (a, _), (b, c) = drop(stock, case), drop(ours, case)
        return {"type1_unmap": rough(a), "unmap": rough(b), "invalidate": rough(c), "unmap_ratio": rough(b / a),
                "invalidate_ratio": rough(c / a)}

    def sparse(name, what):
        return statistics.median([ours[f"sparse_{name}_{i}_{what}"] for i in range(9)])

    kernel = {what: ours[f"touched_1g_{what}"] for what in ("slab", "other", "caches", "tables")}
    return {
        "cpu": {"minor_write": minor, "minor_read": cpu["minor_read"], "zero_fill": zero,
                "zero_fill_median": cpu["zero_fill"], "zero_fill_first": cpu["zero_fill_first"]},
        "single_fault": {case: single(case, unit) for _, case, unit in SINGLE},
        "pass": {case: one_pass(case) for _, case in PASSES},
        "hot": {case: pair(hot(stock, case), hot(ours, case)) for _, case in HOT},
        "map": {case: pair(stock.get(f"map_{case}"), ours[f"map_{case}"]) for _, case in MAPS},
        "unmap": {case: pair(stock.get(f"unmap_{case}"), ours[f"unmap_{case}"]) for _, case in MAPS},
        "drop": {case: dropped(case) for _, case in DROPS},
        "job_faults": {case: ours[f"job_{case}_faults"] for _, case in JOBS},
        "stream": {"faults": ours["stream_faults"], "last_mib": ours["stream_last"] / MIB},
        "latency": {"all": latency(ours, "tail"), "crowd": latency(ours, "crowd"), "cleared": latency(ours, "cleared"),
                    "kinds": [kind for kind in (latency(ours, f"tail{i}") for i in range(16)) if kind]},
        "sched_latency": sched_latencies(ours),
        "memory": {"untouched_1t_bytes": sum(sparse("1t", what) - sparse("4k", what)
                                             for what in ("slab", "other", "tables")),
                   "touched_kib_per_mib": rough((kernel["slab"] + kernel["other"]) / MIB),
                   "touched_caches_kib_per_mib": rough(kernel["caches"] / MIB),
                   "touched_tables_kib_per_mib": rough(kernel["tables"] / MIB)},
    }


def goal(name, measured, allowed, unit="", least=False, wall=False):
    reached = measured >= allowed if least else measured <= allowed
    return {"goal": name, "measured": measured, "allowed": allowed, "unit": unit, "least": least, "wall": wall,
            "reached": reached}


def goals(result):
    passes, drops, jobs = result["pass"], result["drop"].values(), result["job_faults"]
    single = result["single_fault"]
    all_faults, memory = result["latency"]["all"], result["memory"]
    out = [
        goal("one fault on one present page", max(single["write_second"]["u"], single["read_second"]["u"]),
             GOAL_SINGLE_U, "U"),
        goal("cold sequential, contiguous frames, per page", passes["seq_present_contiguous"]["page_u"],
             GOAL_CONTIGUOUS_U, "U"),
        goal("cold sequential, scattered frames, per page", passes["seq_present_scattered"]["page_u"],
             GOAL_SCATTERED_U, "U"),
        goal("cold sequential, THP, per 2 MiB", passes["seq_present_thp"]["block_u"], GOAL_HUGE_U, "U"),
        goal("cold sequential, hugetlb, per 2 MiB", passes["seq_present_hugetlb"]["block_u"], GOAL_HUGE_U, "U"),
        goal("cold sequential, absent, per page", passes["seq_absent_anon"]["page_z"], GOAL_ABSENT_Z, "Z"),
        goal("cold random over 256 MiB, frames as they come, per access", passes["random_present_anon"]["access_u"],
             GOAL_RANDOM_U, "U"),
        goal("faults of a cold job of 1 MiB", max(jobs["1m"], jobs["1m_within"]), GOAL_JOB_1M),
        goal("faults of a cold job of 10 MiB", max(jobs["10m"], jobs["10m_within"]), GOAL_JOB_10M),
        goal("stream through 1 GiB: last fault before", result["stream"]["last_mib"], GOAL_STREAM_MIB, "MiB"),
        goal("hot pass against stock (worst)", max(entry["ratio"] for entry in result["hot"].values()),
             GOAL_HOT_RATIO),
        goal("MAP_DMA of 64 GiB", rough(result["map"]["64g_absent"]["iopf"] / result["cpu"]["minor_write"]),
             GOAL_MAP_64G_U, "U"),
        goal("unmap of 64 MiB against stock's (worst)", max(entry["unmap_ratio"] for entry in drops),
             GOAL_DROP_RATIO),
        goal("invalidation of 64 MiB against stock's unmap", max(entry["invalidate_ratio"] for entry in drops),
             GOAL_DROP_RATIO),
        goal("latency of faults, p99.9 / p50", rough(all_faults["p99.9"] / all_faults["p50"]), GOAL_TAIL_RATIO),
        goal("scheduling latency, beyond that of the host", max(entry["own"] for entry in result["sched_latency"]),
             GOAL_SCHED_LATENCY),
        goal("memory of 1 TiB untouched", memory["untouched_1t_bytes"], GOAL_UNTOUCHED_BYTES, "B"),
        goal("memory per touched MiB", memory["touched_kib_per_mib"], GOAL_TOUCHED_KIB, "KiB"),
    ]
    if result["two_devices"]:
        out.append(goal("two devices against one (clock on the wall)", result["two_devices"]["ratio"],
                        GOAL_TWO_DEVICES, least=True, wall=True))
    return out


def shown(value):
    return "-" if value is None else grouped(round(value))


def against(entry):
    ratio = entry["ratio"]
    if ratio is None:
        return "stock can not: more than the memory there is"
    return f"{ratio:.3g} of stock" if ratio >= 0.0995 else f"1/{grouped(round(rough(1 / ratio)))} of stock"


def quantity(value, unit):
    return f"{value:g} {unit}".strip()


def rows_of_units(result):
    cpu = result["cpu"]
    out = ["The CPU's own page faults",
           ("minor fault, write (U)", "", shown(cpu["minor_write"]), ""),
           ("minor fault, read (U of reads)", "", shown(cpu["minor_read"]), ""),
           ("zero-fill (Z)", "", shown(cpu["zero_fill"]), f"mean; median {shown(cpu['zero_fill_median'])}"),
           ("zero-fill, first of its 2 MiB", "", shown(cpu["zero_fill_first"]), ""),
           "One fault on one page, report to response"]
    for label, case, _ in SINGLE:
        entry = result["single_fault"][case]
        out.append((label, "", shown(entry["instructions"]),
                    f"{entry['u']:.2f} U; all in all {shown(entry['host_instructions'])}, {entry['host_u']:.2f} U"))
    return out


def rows_of_passes(result):
    out = ["First touch, per page: MAP_DMA, then the cold pass less the hot one"]
    for label, case in PASSES:
        entry = result["pass"][case]
        cost = f"{entry['page_z']:.3g} Z" if "absent" in case else \
            f"{entry['block_u']:.3g} U per 2 MiB" if case.endswith(("thp", "hugetlb")) else f"{entry['page_u']:.3g} U"
        out.append((label, shown(entry["type1"]), shown(entry["iopf"]),
                    f"{cost}; {grouped(entry['faults'])} faults, {grouped(entry['pages'])} pages in "
                    f"{grouped(entry['runs'])} runs of frames"))
    out.append("Hot pass, per access")
    for label, case in HOT:
        entry = result["hot"][case]
        out.append((label, shown(entry["type1"]), shown(entry["iopf"]), f"{entry['ratio']:.4f} of stock"))
    out.append("Faults of cold jobs and streams, populated")
    for label, case in JOBS:
        out.append((label, "", shown(result["job_faults"][case]), ""))
    out.append(("1 GiB in order", "", shown(result["stream"]["faults"]),
                f"the last before {result['stream']['last_mib']:g} MiB"))
    return out


def rows_of_maps(result):
    out = []
    for name, call in (("map", "MAP_DMA"), ("unmap", "UNMAP_DMA, untouched by the device")):
        out.append(call)
        for label, case in MAPS:
            entry = result[name][case]
            out.append((label, shown(entry["type1"]), shown(entry["iopf"]), against(entry)))
    out.append("64 MiB that the device has used: unmapped; dropped by the host, less the same unmapped")
    for label, case in DROPS:
        entry = result["drop"][case]
        out.append((f"UNMAP_DMA, {label}", shown(entry["type1_unmap"]), shown(entry["unmap"]),
                    f"{entry['unmap_ratio']:.3g} of stock"))
        out.append((f"MADV_DONTNEED, {label}", "", shown(entry["invalidate"]),
                    f"{entry['invalidate_ratio']:.3g} of stock's unmap"))
    return out


def rows_of_latency(result):
    entries = result["latency"]
    out = ["Latency of faults, report to response, mixed load: p50 on the left, p99.9 on the right"]
    for entry in [entries["all"], *entries["kinds"], entries["crowd"], entries["cleared"]]:
        apart = " (not part of the mix)" if entry is entries["cleared"] else ""
        out.append((entry["name"], shown(entry["p50"]), shown(entry["p99.9"]),
                    f"{entry['p99.9'] / entry['p50']:.3g}; {grouped(entry['faults'])} faults{apart}"))
    memory = result["memory"]
    out.append("Memory of the kernel, KiB per touched MiB")
    out.append(("all but the IOMMU's page tables", "", f"{memory['touched_kib_per_mib']:.3g}", ""))
    out.append(("of it the backend's own caches", "", f"{memory['touched_caches_kib_per_mib']:.3g}", ""))
    out.append(("the IOMMU's page tables", "", f"{memory['touched_tables_kib_per_mib']:.3g}",
                "the same as with stock"))
    return out


def rows_of_sched_latency(result):
    out = ["Scheduling latency: the whole case on the left, the longest wait for the processor on the right"]
    for entry in result["sched_latency"]:
        remark = [] if entry["own"] <= GOAL_SCHED_LATENCY else ["too long"]
        if entry["control"]:
            remark.append(f"without a device {shown(entry['control'])}")
        out.append((entry["name"], shown(entry["took"]), shown(entry["longest"]), "; ".join(remark)))
    return out


def rows_of_smp(entry):
    out = ["Two at once on two processors, by the wall clock: not repeatable"]
    for name, turns in (("two devices", entry), ("two processes, by the CPU's own faults", entry["cpu"])):
        out.append((f"{name}; ms", f"{turns['one_ns'] / 1e6:.0f}", f"{turns['both_ns'] / 1e6:.0f}",
                    f"{turns['ratio']:.2f} of one's throughput (median of {turns['rounds']} rounds; half are "
                    f"{turns['quartiles'][0]} to {turns['quartiles'][1]})"))
    return out


def rows_of_goals(entries):
    out = ["Goals (allowed, measured)"]
    for entry in entries:
        out.append((entry["goal"], f"{'>=' if entry['least'] else '<='} {quantity(entry['allowed'], entry['unit'])}",
                    quantity(entry["measured"], entry["unit"]), "reached" if entry["reached"] else "NOT REACHED"))
    return out


def rows(result):
    out = rows_of_units(result) + rows_of_passes(result) + rows_of_maps(result) + rows_of_latency(result) + \
        rows_of_sched_latency(result)
    if result["two_devices"]:
        out += rows_of_smp(result["two_devices"])
    return out + rows_of_goals(result["goals"])


def chart(result, out):
    least = 0.01    # begin of the axis
    found = result["goals"]
    bars = {True: [], False: []}
    for i, entry in enumerate(found):
        measured, allowed = entry["measured"], entry["allowed"]
        share = allowed / measured if entry["least"] else measured / allowed if allowed else 2 * (measured > 0)
        text = f"{quantity(measured, entry['unit'])} of {quantity(allowed, entry['unit'])}"
        bars[entry["reached"]].append(
            f'{len(found) - i} {max(share, least * 1.1):.4g} "{entry["goal"].replace("_", chr(92) * 2 + "_")}" "{text}"')
    dat(out, "goals-reached.dat", bars[True])
    dat(out, "goals-missed.dat", bars[False])
    touched = [(label, result["pass"][case]) for label, case in PASSES
               if "prg32" not in case and case not in ("random_present_scattered", "seq_present_memfd")]
    dat(out, "touch.dat", (f'"{label.replace(", ", chr(92) + "n")}" {entry["type1"]:.0f} {entry["iopf"]:.0f}'
                           for label, entry in touched))
    for side in ("type1", "iopf"):
        dat(out, f"map-{side}.dat", (f"{mib} {result['map'][case][side]}" for mib, case in
                                     ((64, "64m_absent"), (512, "512m_absent"), (8192, "8g_absent"),
                                      (65536, "64g_absent")) if result["map"][case][side] is not None))
    kinds = [result["latency"]["all"], *result["latency"]["kinds"]]
    dat(out, "latency.dat", (f'"{entry["name"].replace(", ", chr(92) + "n")}" {entry["p50"]} {entry["p99"]} '
                             f'{entry["p99.9"]} {entry["p100"]}' for entry in kinds))
    figures.gnuplot(os.path.join(HERE, "chart.gp"), dir=out, goals=len(found), missed=len(bars[False]),
                    least=least, minor=result["cpu"]["minor_write"], zero=result["cpu"]["zero_fill"],
                    kinds=len(kinds), touched=len(touched))


def main():
    options, source, out = figures.arguments(__doc__, {"--json", "--check", "--smp"})
    if "--smp" in options:
        entry = smp(source)
        if not entry:
            figures.die(f"{source} is missing")
        print(figures.table(rows_of_smp(entry), ("", "one", "both", "")))
        return 0
    raw = {name: figures.scalars(side) for name, side in collect(source).items()}
    result = {"schema": 2, "kernel": raw["run"]["kernel"], "unit": "instructions of the guest", **derive(raw),
              "two_devices": smp(os.path.join(out, "smp.txt"))}
    result["goals"] = goals(result)
    text = figures.publish(result, out, "bench")
    chart(result, out)
    if "--json" in options:
        print(text)
    else:
        print(f"Instructions of the guest, Linux {result['kernel']}, one CPU, deterministic clock")
        print(figures.table(rows(result), ("", "stock type1", "vfio-iopf", "")))
    decisive = (entry["reached"] for entry in result["goals"] if not entry["wall"])
    return 1 if "--check" in options and not all(decisive) else 0


if __name__ == "__main__":
    raise SystemExit(main())
