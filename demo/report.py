#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The demo's report: figures of the guest to a table, to JSON and to a chart.

usage: report.py [--json] FIGURES ACCELERATOR OUT-DIRECTORY

Writes OUT/demo.json and OUT/demo.svg, prints the table (or the JSON). Exit status 1 when data were
wrong where they must not be.
"""

import json
import os
import sys

import figures
from figures import size, time

SIDES = ("type1", "iopf")
HERE = os.path.dirname(os.path.abspath(__file__))


def timeline(side):
    """Samples and phases of a side: [{"name", "start_ns", "end_ns", "held": [[ns, bytes], ...]}]."""
    samples = [tuple(map(int, sample.split())) for sample in side["sample"]]
    marks = [(int(mark.split(" ", 1)[0]), mark.split(" ", 1)[1]) for mark in side["phase"]]
    return [{
        "name": name,
        "start_ns": start,
        "end_ns": end,
        "held": [list(sample) for sample in samples if start <= sample[0] <= end],
    } for (start, name), (end, _) in zip(marks, marks[1:])]


def collect(path, accelerator):
    raw = figures.read(path)
    for side in SIDES:
        if side not in raw or not any(mark.endswith(" end") for mark in raw[side].get("phase", [])):
            figures.die(f"the run of {side} broke off; see guest.log beside {path}")
    run = {"accelerator": accelerator, **figures.scalars(raw["run"])}
    return {
        "schema": 1,
        "run": run,
        **{side: {**figures.scalars(raw[side]), "timeline": timeline(raw[side])} for side in SIDES},
    }


def compare(stock, ours):
    """How much less time ours takes than stock."""
    if not stock or not ours:
        return ""
    if max(stock, ours) / min(stock, ours) < 1.005:
        return "same"
    ratio = max(stock, ours) / min(stock, ours)
    shown = figures.grouped(round(ratio)) if ratio >= 10 else f"{ratio:.2f}"
    return f"{shown} x {'faster' if ours < stock else 'slower'}"


def rows(result):
    run, stock, ours = result["run"], result["type1"], result["iopf"]

    def timed(label, key, *more):
        a, b = (sum(side[k] for k in (key, *more)) for side in (stock, ours))
        return (label, time(a), time(b), compare(a, b))

    def sized(label, key, words=""):
        return (label, size(stock[key]), size(ours[key]), words)

    def back(side, before, after):
        return max(0, side[before] - side[after])

    def wrong(label, when, words=""):
        a, b = (side[f"wrong_device_{when}"] + side[f"wrong_cpu_{when}"] for side in (stock, ours))
        return (label, size(a), size(b), words if a else "")

    dropped = size(ours["dropped"])
    squeezed = [back(side, "held_after_drop", "held_after_pressure") for side in (stock, ours)]
    return [
        "Start",
        timed(f"MAP_DMA of {size(run['size'])}", "map_ns"),
        sized("memory held after it", "held_after_map"),
        sized("  of it pinned", "pinned_after_map"),
        timed("MAP_DMA and first DMA done", "first_dma_ns"),
        f"Whole buffer, {run['devices']} devices",
        timed("cold pass", "cold_ns"),
        timed("MAP_DMA and cold pass", "map_ns", "cold_ns"),
        timed("hot pass, best of 3", "hot_ns"),
        wrong("wrong bytes", "before"),
        "What pinning cannot do",
        (f"freed by dropping {dropped}", size(max(0, stock["freed_by_drop"])),
         size(ours["freed_by_drop"]), "stock: stays pinned"),
        (f"freed for a program wanting {size(run_hog(result))}", size(squeezed[0]), size(squeezed[1]),
         "stock: stays pinned"),
        timed("  until it has written them", "pressure_ns"),
        sized("  swapped out of that program instead", "hog_swapped"),
        sized("  written to the swap disk meanwhile", "swap_written"),
        timed("devices work on, memory still short", "work_on_ns"),
        sized("  read back from the swap disk", "swap_read"),
        wrong("wrong bytes", "after", "stock: CPU and device see different memory"),
        timed("UNMAP_DMA", "unmap_ns"),
    ]


def run_hog(result):
    return result["iopf"]["hog"]


def verdict(result):
    stock, ours = result["type1"], result["iopf"]
    total = ours["freed_by_drop"] + ours["held_after_drop"] - ours["held_after_pressure"]
    lines = [
        f"Linux {result['run']['kernel']}, {result['run']['accelerator']}, one CPU; the same simulated devices on "
        "both sides.",
    ]
    if result["run"]["accelerator"] == "tcg":
        lines.append("The CPU is emulated and the times are the host's: compare the columns, on a quiet machine, or use "
                     "--clock exact.")
    elif result["run"]["accelerator"].startswith("tcg"):
        lines.append("A nanosecond is an instruction; waiting for the disk counts for nothing.")
    if result["run"]["right"]:
        lines.append(f"Every byte right with vfio-iopf; {size(total)} of {size(result['run']['size'])} came back.")
    else:
        lines.append("DATA WERE WRONG. This is a bug: please report it with guest.log and demo.json.")
    lost = stock["wrong_cpu_after"] + stock["wrong_device_after"]
    if lost:
        lines.append(f"With stock the {size(lost)} dropped are lost: the devices go on with the old pages, which "
                     "nobody else sees.")
    return "\n".join(lines)


def write_timeline(result, out):
    """For gnuplot: x counts phases, each as wide as the others, whatever time it took."""
    for side in SIDES:
        with open(os.path.join(out, f"held-{side}.dat"), "w", encoding="utf-8") as dat:
            for i, phase in enumerate(result[side]["timeline"]):
                span = max(1, phase["end_ns"] - phase["start_ns"])
                for at, held in phase["held"]:
                    print(f"{i + (at - phase['start_ns']) / span:.4f} {held / (1 << 20):.3f}", file=dat)
    with open(os.path.join(out, "phases.dat"), "w", encoding="utf-8") as dat:
        for i, phase in enumerate(result["iopf"]["timeline"]):
            print(f'{i} "{phase["name"]}"', file=dat)


def write_bars(result, out):
    with open(os.path.join(out, "start.dat"), "w", encoding="utf-8") as dat:
        for label, key in (("MAP\\\\_DMA", "map_ns"), ("first DMA", "first_dma_ns")):
            a, b = result["type1"][key], result["iopf"][key]
            print(f'"{label}" {a / 1e6} {b / 1e6} "{time(a)}" "{time(b)}"', file=dat)


def main():
    args = sys.argv[1:]
    as_json = args[:1] == ["--json"]
    args = args[as_json:]
    if len(args) != 3:
        figures.die(__doc__)
    source, accelerator, out = args
    result = collect(source, accelerator)
    with open(os.path.join(out, "demo.json"), "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
        file.write("\n")
    write_timeline(result, out)
    write_bars(result, out)
    figures.gnuplot(os.path.join(HERE, "chart.gp"), dir=out, buffer=result["run"]["size"] >> 20,
                    devices=result["run"]["devices"], phases=len(result["iopf"]["timeline"]))
    if as_json:
        json.dump(result, sys.stdout, indent=1)
        print()
    else:
        print(figures.table(rows(result), ("", "stock type1", "vfio-iopf", "ours")))
        print(verdict(result))
    return 0 if result["run"]["right"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
