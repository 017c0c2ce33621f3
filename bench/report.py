#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The benchmark's report: figures of the guest to a table, to JSON and to a chart.

usage: report.py [--json] [--check] FIGURES OUT-DIRECTORY

Writes OUT/bench.json and OUT/bench.svg, prints the table (or the JSON). Nothing printed or written
depends on the clock on the wall. Exit status 1 with --check when a goal is missed.
"""

import json
import math
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "demo"))

import figures  # noqa: E402  (the path above is where it is)
from figures import grouped  # noqa: E402

GOAL_SINGLE_U = 10
GOAL_HOT_RATIO = 1.02
GOAL_MAP_SPREAD = 1.10

FIRST_TOUCH = (
    ("sequential, present, private", "seq_present_anon"),
    ("sequential, present, memfd", "seq_present_memfd"),
    ("sequential, present, huge pages", "seq_present_thp"),
    ("random, present, private", "random_present_anon"),
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
    ("64 MiB, present", "64m_present"),
    ("512 MiB, present", "512m_present"),
    ("64 MiB, present in huge pages", "64m_thp"),
)
SINGLE = (
    ("write, first of its 2 MiB", "write_first", "minor_write"),
    ("write, another of the same 2 MiB", "write_second", "minor_write"),
    ("read, first of its 2 MiB", "read_first", "minor_read"),
    ("read, another of the same 2 MiB", "read_second", "minor_read"),
)


def rough(value, digits=3):
    """Three significant digits: what a run can not keep to the last instruction, see docs/performance.md."""
    if not value:
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))


def collect(path):
    raw = figures.read(path)
    if "complete" not in raw.get("run", {}):
        figures.die(f"the run broke off; see guest.log beside {path}")
    return {name: figures.scalars(side) for name, side in raw.items()}


def first_touch(side, case):
    """MAP_DMA and the cold pass, less the device's own work: per page that was touched."""
    cold = max(0, side[f"{case}_cold_busy"] - side[f"{case}_hot_busy"])
    return (side[f"{case}_map"] + cold) / side[f"{case}_pages"]


def hot(side, case):
    return side[f"{case}_hot_device"] / side[f"{case}_pages"]


def derive(raw):
    """What the table, the goals and the chart are about."""
    cpu, stock, ours = raw["cpu"], raw["type1"], raw["iopf"]
    zero = cpu["zero_fill"]

    def single(case, unit):
        host = ours[f"single_{case}_host"] - ours[f"single_{case.split('_')[0]}_hot_host"]
        return {"instructions": ours[f"single_{case}"], "host_instructions": rough(host),
                "u": rough(ours[f"single_{case}"] / cpu[unit]), "host_u": rough(host / cpu[unit])}

    def touched(case):
        a, b = first_touch(stock, case), first_touch(ours, case)
        return {"type1": rough(a), "iopf": rough(b), "ratio": rough(b / a), "u": rough(b / cpu["minor_write"]),
                "z": rough(b / zero), "groups": ours[f"{case}_cold_groups"], "pages": ours[f"{case}_pages"]}

    def pair(a, b):
        return {"type1": rough(a), "iopf": rough(b), "ratio": round(b / a, 3) if a and b / a >= 0.0995 else
                rough(b / a) if a else None}

    return {
        "cpu": {"minor_write": cpu["minor_write"], "minor_read": cpu["minor_read"], "zero_fill": zero},
        "single_fault": {case: single(case, unit) for _, case, unit in SINGLE},
        "first_touch": {case: touched(case) for _, case in FIRST_TOUCH},
        "hot": {case: pair(hot(stock, case), hot(ours, case)) for _, case in HOT},
        "map": {case: pair(stock.get(f"map_{case}"), ours[f"map_{case}"]) for _, case in MAPS},
        "unmap": {case: pair(stock.get(f"unmap_{case}"), ours[f"unmap_{case}"]) for _, case in MAPS},
        "unmap_used": {case: pair(stock[f"{case}_unmap"], ours[f"{case}_unmap"]) for _, case in FIRST_TOUCH},
    }


def goals(result):
    """Name, what was measured, what is allowed, reached."""
    single = max(entry["u"] for entry in result["single_fault"].values())
    hottest = max(entry["ratio"] for entry in result["hot"].values())
    maps = [entry["iopf"] for entry in result["map"].values()]
    spread = max(maps) / min(maps)
    return [
        {"goal": "MAP_DMA costs the same whatever the size (largest / smallest)", "measured": round(spread, 3),
         "allowed": GOAL_MAP_SPREAD, "reached": spread <= GOAL_MAP_SPREAD},
        {"goal": "hot pass against stock type1 (worst)", "measured": round(hottest, 3), "allowed": GOAL_HOT_RATIO,
         "reached": hottest <= GOAL_HOT_RATIO},
        {"goal": "single fault, report to response (worst), in U", "measured": round(single, 2),
         "allowed": GOAL_SINGLE_U, "reached": single <= GOAL_SINGLE_U},
    ]


def shown(value):
    return "-" if value is None else grouped(round(value))


def against(entry):
    ratio = entry["ratio"]
    if ratio is None:
        return "stock can not: more than the memory there is"
    return f"{ratio:.3g} of stock" if ratio >= 0.0995 else f"1/{grouped(round(rough(1 / ratio)))} of stock"


def rows(result):
    cpu = result["cpu"]
    out = ["The CPU's own page faults",
           ("minor fault, write (U of writes)", "", shown(cpu["minor_write"]), ""),
           ("minor fault, read (U of reads)", "", shown(cpu["minor_read"]), ""),
           ("zero-fill (Z)", "", shown(cpu["zero_fill"]), ""),
           "One fault on one present page, report to response"]
    for label, case, _ in SINGLE:
        entry = result["single_fault"][case]
        out.append((label, "", shown(entry["instructions"]),
                    f"{entry['u']:.2f} U; all in all {shown(entry['host_instructions'])}, {entry['host_u']:.2f} U"))
    out.append("First touch, per page: MAP_DMA, then the cold pass less the hot one")
    for label, case in FIRST_TOUCH:
        entry = result["first_touch"][case]
        unit = f"{entry['z']:.2f} Z" if "absent" in case else f"{entry['u']:.2f} U"
        out.append((label, shown(entry["type1"]), shown(entry["iopf"]), f"{unit}; {against(entry)}"))
    out.append("Hot pass, per page")
    for label, case in HOT:
        entry = result["hot"][case]
        out.append((label, shown(entry["type1"]), shown(entry["iopf"]), f"{entry['ratio']:.3f} of stock"))
    for name, call in (("map", "MAP_DMA"), ("unmap", "UNMAP_DMA, untouched by the device")):
        out.append(call)
        for label, case in MAPS:
            entry = result[name][case]
            out.append((label, shown(entry["type1"]), shown(entry["iopf"]), against(entry)))
    out.append("UNMAP_DMA of 16 MiB, used by the device")
    for label, case in FIRST_TOUCH:
        if "prg32" not in case:
            entry = result["unmap_used"][case]
            out.append((label, shown(entry["type1"]), shown(entry["iopf"]), against(entry)))
    out.append("Goals")
    for goal in result["goals"]:
        out.append((goal["goal"], f"<= {goal['allowed']}", str(goal["measured"]),
                    "reached" if goal["reached"] else "NOT REACHED"))
    return out


def chart(result, out):
    with open(os.path.join(out, "touch.dat"), "w", encoding="utf-8") as dat:
        for label, case in FIRST_TOUCH:
            if "prg32" not in case:
                entry = result["first_touch"][case]
                print(f'"{label.replace(", ", chr(92) + "n")}" {entry["type1"]:.0f} {entry["iopf"]:.0f}', file=dat)
    for side in ("type1", "iopf"):
        with open(os.path.join(out, f"map-{side}.dat"), "w", encoding="utf-8") as dat:
            for mib, case in ((64, "64m_absent"), (512, "512m_absent"), (8192, "8g_absent")):
                if result["map"][case][side] is not None:
                    print(mib, result["map"][case][side], file=dat)
    with open(os.path.join(out, "single.dat"), "w", encoding="utf-8") as dat:
        for label, case, _ in SINGLE:
            entry = result["single_fault"][case]
            print(f'"{label.split(",")[0]}\\n{"first" if "first" in case else "next"}" {entry["u"]:.3f} '
                  f'{entry["host_u"]:.3f}', file=dat)
    figures.gnuplot(os.path.join(HERE, "chart.gp"), dir=out, goal=GOAL_SINGLE_U,
                    minor=result["cpu"]["minor_write"], zero=result["cpu"]["zero_fill"])


def main():
    args = sys.argv[1:]
    options = {arg for arg in args if arg.startswith("--")}
    args = [arg for arg in args if arg not in options]
    if len(args) != 2 or options - {"--json", "--check"}:
        figures.die(__doc__)
    source, out = args
    raw = collect(source)
    result = {"schema": 1, "kernel": raw["run"]["kernel"], "unit": "instructions of the guest", **derive(raw)}
    result["goals"] = goals(result)
    text = json.dumps(result, indent=1)
    with open(os.path.join(out, "bench.json"), "w", encoding="utf-8") as file:
        print(text, file=file)
    chart(result, out)
    if "--json" in options:
        print(text)
    else:
        print(f"Instructions of the guest, Linux {result['kernel']}, one CPU, deterministic clock")
        print(figures.table(rows(result), ("", "stock type1", "vfio-iopf", "")))
    return 1 if "--check" in options and not all(goal["reached"] for goal in result["goals"]) else 0


if __name__ == "__main__":
    raise SystemExit(main())
