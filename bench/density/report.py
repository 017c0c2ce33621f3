#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The density experiment's report: figures of the guest to a table, to JSON and to a chart.

usage: report.py [--json] [--check | --smoke] FIGURES OUT-DIRECTORY

Writes OUT/density.json and OUT/density.svg, prints the table (or the JSON). With --smoke it decides whether
the experiment works, however well, and prints TAP only. Exit status 1 when data were wrong or a point
failed, and with --check when the goal is missed.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)), "demo"))

import figures  # noqa: E402  (the path above is where it is)
from figures import dat, grouped, size, time  # noqa: E402

SIDES = ("type1", "iopf")
PAGE = 4096

# The goal: the number of guests as a multiple of pinned guests, and the rate of each as a share of a pinned guest's.
GOAL_GUESTS = 4
GOAL_SHARE = 0.9


def steps_of(side):
    """Lines "step <guests> <key> <value>" to a list of steps in the order of guests."""
    steps = {}
    for line in side.get("step", []):
        guests, key, value = line.split()
        steps.setdefault(int(guests), {})[key] = int(value)
    return [{"guests": guests, **steps[guests]} for guests in sorted(steps)]


def derive_step(step):
    seconds = step["ns"] / 1e9
    return {
        **step,
        "rate": round(step["jobs"] / seconds, 1),
        "guest_rate": round(step["jobs"] / seconds / step["guests"], 2),
        "least_rate": round(step["least_jobs"] / seconds, 2),
        "busy": round(step["busy_ns"] / step["ns"], 3),
        "latency_mean": round(step["latency_sum"] / max(step["jobs"], 1)),
        "hot_faulted_share": round(step["hot_faulted"] / max(step["jobs"] - step["tail_jobs"], 1), 4),
        "tail_faulted_share": round(step["tail_faulted"] / max(step["tail_jobs"], 1), 4),
        "swap_in_rate": round(step["swapped_in"] * PAGE / seconds),
        "swap_out_rate": round(step["swapped_out"] * PAGE / seconds),
    }


def collect(path):
    raw = figures.read(path)
    for side in SIDES:
        if "left_mapped" not in raw.get(side, {}):
            figures.die(f"the run of {side} broke off; see guest.log beside {path}")
    return {"schema": 1, "run": figures.scalars(raw["run"]),
            **{side: {**{key: value for key, value in figures.scalars(raw[side]).items() if key != "step"},
                      "steps": [derive_step(step) for step in steps_of(raw[side])]} for side in SIDES}}


def curve(steps, reference):
    """Properties of the curve of a side. reference: a pinned guest's rate."""
    good = []
    for step in steps:
        step["share"] = round(step["guest_rate"] / reference, 4)
        step["least_share"] = round(step["least_rate"] / reference, 4)
    for step in steps:
        if step["share"] < GOAL_SHARE:
            break
        good.append(step)
    # Least squares through the origin: without guests there is no throughput.
    slope = sum(s["guests"] * s["rate"] for s in good) / sum(s["guests"] ** 2 for s in good) if good else None
    best = max(steps, key=lambda s: s["rate"])
    return {
        "good_guests": good[-1]["guests"] if good else 0,
        "slope": round(slope, 2) if slope else None,
        "plateau": best["rate"],
        "plateau_guests": best["guests"],
        "inflection": round(best["rate"] / slope, 1) if slope else None,
        "last_guests": steps[-1]["guests"],
        "last_of_plateau": round(steps[-1]["rate"] / best["rate"], 3),
    }


def derive(result):
    reference = result["type1"]["steps"][-1]["guest_rate"]
    result["reference_rate"] = reference
    for side in SIDES:
        result[side]["curve"] = curve(result[side]["steps"], reference)
    pinned, good = result["type1"]["held"], result["iopf"]["curve"]["good_guests"]
    result["goal"] = {
        "guests": GOAL_GUESTS, "share": GOAL_SHARE, "pinned_guests": pinned, "iopf_guests": good,
        "ratio": round(good / pinned, 2), "reached": good >= GOAL_GUESTS * pinned,
        # If pinning held all guests of the last step, more guests were not tried.
        "decided": "refused" in result["type1"],
    }
    return result


def percent(value):
    return f"{100 * value:.1f} %"


def row(step, stock):
    return (str(step["guests"]), grouped(round(stock["rate"])) if stock else "-", grouped(round(step["rate"])),
            percent(step["share"]), percent(step["least_share"]), time(step["latency_mean"]),
            time(step["latency_p99"]), percent(step["hot_faulted_share"]), f"{step['swap_in_rate'] / 1e6:.1f}",
            percent(step["busy"]), "")


def rows(result):
    run, stock, ours = result["run"], result["type1"], result["iopf"]
    pinned = {step["guests"]: step for step in stock["steps"]}
    out = [f"Guests of {run['size_mib']} MiB, working sets of {run['hot_percent']} %, {run['tail_permille'] / 10:g} % "
           f"of the jobs elsewhere; a host with {size(run['available'])} for them, and swap"]
    return out + [row(step, pinned.get(step["guests"])) for step in ours["steps"]]


def summary(result):
    goal, run, stock, ours = result["goal"], result["run"], result["type1"], result["iopf"]
    shape = ours["curve"]
    how = f"the next one: {stock['refused']}" if goal["decided"] else "no more were tried"
    out = [
        f"pinned guests            {goal['pinned_guests']} ({how}), {result['reference_rate']:.1f} jobs/s each",
        f"guests at {100 * goal['share']:g} % and more    {goal['iopf_guests']}: {goal['ratio']:g} times as many, "
        f"{goal['iopf_guests'] * run['size_mib'] / (run['available'] / (1 << 20)):.1f} times the host's memory",
        f"slope until there        {shape['slope']} jobs/s for each guest",
        f"plateau                  {grouped(round(shape['plateau']))} jobs/s, with {shape['plateau_guests']} guests",
        f"inflection               {shape['inflection']} guests (where the slope meets the plateau)",
        f"beyond                   {100 * shape['last_of_plateau']:.0f} % of the plateau with {shape['last_guests']} "
        "guests",
        f"start of a guest         {time(stock['start_ns'])} pinned, {time(ours['start_ns'])} (mean; MAP_DMA, and "
        "filling its memory)",
        f"data                     {stock['wrong'] + ours['wrong']} wrong words; "
        f"{size(stock['checked'] + ours['checked'])} compared by the CPU at the end",
        f"goal                     {goal['guests']} times the guests: "
        f"{'reached' if goal['reached'] else 'NOT REACHED'}",
    ]
    return "\n".join(out)


def data_right(result):
    return not any(result[side][key] for side in SIDES for key in ("wrong", "misuse", "left_mapped"))


def smoke(result):
    """TAP: whether the experiment works."""
    stock, ours = result["type1"], result["iopf"]
    last = ours["steps"][-1]
    points = [
        ("every word is right, on both sides", not stock["wrong"] and not ours["wrong"]),
        ("memory was compared by the CPU at the end", stock["checked"] and ours["checked"]),
        ("no stale translation, no DMA to freed memory, nothing left mapped",
         not any(side[key] for side in (stock, ours) for key in ("misuse", "left_mapped"))),
        (f"pinning can't hold all guests ({stock['held']} of {last['guests']})",
         result["goal"]["decided"] and stock["held"] < last["guests"]),
        (f"the backend holds them ({ours['held']})", ours["held"] == last["guests"] and "refused" not in ours),
        ("each guest does jobs at each step",
         all(step["least_jobs"] for side in (stock, ours) for step in side["steps"])),
        ("memory was swapped out for it", last["swap_used"]),
        ("devices faulted, pinned ones never",
         sum(step["faults"] for step in ours["steps"]) and not sum(step["faults"] for step in stock["steps"])),
    ]
    print(f"1..{len(points)}")
    for i, (what, good) in enumerate(points, 1):
        print(f"{'ok' if good else 'not ok'} {i} - {what}")
    return 0 if all(good for _, good in points) else 1


def chart(result, out):
    for name in SIDES:
        dat(out, f"{name}.dat", (f"{s['guests']} {s['rate']} {100 * s['share']} {100 * s['least_share']} "
                                 f"{s['latency_p50'] / 1e3} {s['latency_mean'] / 1e3} {s['latency_p99'] / 1e3} "
                                 f"{s['swap_in_rate'] / 1e6} {100 * s['busy']}" for s in result[name]["steps"]))
    shape, goal = result["iopf"]["curve"], result["goal"]
    figures.gnuplot(os.path.join(HERE, "chart.gp"), dir=out, pinned=goal["pinned_guests"], good=goal["iopf_guests"],
                    slope=shape["slope"] or 0, inflection=shape["inflection"] or 0, plateau=shape["plateau"],
                    last=shape["last_guests"], ratio=goal["ratio"], hot=result["run"]["hot_percent"],
                    size=result["run"]["size_mib"], host=round(result["run"]["available"] / (1 << 20)))


def main():
    options, source, out = figures.arguments(__doc__, {"--json", "--check", "--smoke"})
    result = derive(collect(source))
    if "--smoke" in options:
        return smoke(result)
    text = figures.publish(result, out, "density")
    chart(result, out)
    if "--json" in options:
        print(text)
    else:
        print(f"Linux {result['run']['kernel']}, one CPU, deterministic clock; jobs of all guests a second")
        print(figures.table(rows(result), ("guests", "type1", "vfio-iopf", "a guest's", "the least's", "latency",
                                           "p99", "hot jobs that fault", "MB/s in", "CPU busy", "")))
        print(summary(result))
    if not data_right(result):
        print("density: data were wrong", file=sys.stderr)
        return 1
    return 1 if "--check" in options and not (result["goal"]["reached"] and result["goal"]["decided"]) else 0


if __name__ == "__main__":
    raise SystemExit(main())
