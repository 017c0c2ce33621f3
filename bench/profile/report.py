#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Instructions by function, from the counts of bench/profile/run.

usage: report.py DIRECTORY [--top N] [--annotate FUNCTION]

For each phase: per unit (a fault, an access), less the phase it is compared with, which did the same with
everything mapped. --annotate shows the instructions of one function of a module instead, with how
often each was executed per unit; the module is the one that is built.
"""

import argparse
import bisect
import glob
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "demo"))

import figures  # noqa: E402  (the path above is where it is)

KERNEL = 0xffff800000000000     # begin of the kernel's half of the address space
USER = "(user space)"


class Symbols:
    """Addresses to functions. A function of a module is named "function [module]", as by the kernel."""

    def __init__(self, path):
        found = {}
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                words = line.split()
                if words[1] in "tTwW":
                    # An address may have several names. Take the first one.
                    found.setdefault(int(words[0], 16), " ".join(words[2:]))
        if not any(found):
            figures.die(f"{path} shows no addresses")
        self.first = sorted(found)
        self.names = [found[address] for address in self.first]

    def of(self, address):
        if address < KERNEL:
            return USER
        index = bisect.bisect_right(self.first, address) - 1
        return self.names[index] if index >= 0 else "?"

    def start(self, function):
        for address, name in zip(self.first, self.names):
            if name.split()[0] == function:
                return address, name
        return figures.die(f"the kernel has no function '{function}'")


def phases(path):
    """[[name, base, count, unit], ...] in the order of their numbers, from 1 on."""
    lines = figures.read(path).get("profile", {}).get("phase", [])
    found = []
    for line in lines:
        name, base, count, unit = line.split()
        found.append((name, base, int(count), unit))
    if not found:
        figures.die("the part has no phases: there is nothing to show")
    return found


def counts(path, names):
    """{name of a phase: {address: count}}; phases with the same name are added up."""
    found = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            address, phase, count = line.split()
            mine = found.setdefault(names[int(phase) - 1], {})
            mine[int(address, 16)] = mine.get(int(address, 16), 0) + int(count)
    return found


def show(per_function, count, unit, top):
    ranked = sorted(per_function.items(), key=lambda item: -abs(item[1]))
    total = sum(per_function.values())
    print(f"{total / count:10.1f}  100.0 %  all, per {unit}")
    for name, value in ranked[:top]:
        print(f"{value / count:10.1f}  {100 * value / total if total else 0:5.1f} %  {name}")
    rest = total - sum(value for _, value in ranked[:top])
    if len(ranked) > top:
        print(f"{rest / count:10.1f}  {100 * rest / total if total else 0:5.1f} %  "
              f"({len(ranked) - top} more functions)")


def disassembly(symbol):
    """(offset in the function, text) of each instruction of a module's function."""
    function, _, module = symbol.partition(" ")
    if not module:
        figures.die(f"'{function}' is the kernel's own: only modules are built here")
    built = os.path.join(os.environ.get("IOPF_BUILD", os.path.join(TOP, "build")), "*", "prod", "kmod", "**",
                         module.strip("[]") + ".ko")
    files = sorted(glob.glob(built, recursive=True), key=os.path.getmtime)
    if not files:
        figures.die(f"{built} is not there: make modules")
    text = subprocess.run(["objdump", "-dr", "--no-show-raw-insn", f"--disassemble={function}", files[-1]],
                          check=True, capture_output=True, text=True).stdout
    start = None
    for line in text.splitlines():
        head, _, body = line.partition(":")
        if line.endswith(f"<{function}>:"):
            start = int(line.split()[0], 16)
        elif start is not None and body.startswith("\t") and "R_X86" not in line:
            yield int(head, 16) - start, body.strip()


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("directory")
    p.add_argument("--top", type=int, default=40)
    p.add_argument("--annotate")
    args = p.parse_args()
    symbols = Symbols(os.path.join(args.directory, "kallsyms"))
    names = phases(os.path.join(args.directory, "figures.txt"))
    by_phase = counts(os.path.join(args.directory, "counts"), [name for name, *_ in names])
    times = {}
    for name, _, count, _ in names:
        times[name] = times.get(name, 0) + count
    code = None
    if args.annotate:
        address, symbol = symbols.start(args.annotate)
        code = list(disassembly(symbol))
    for name, (base, unit) in {name: (base, unit) for name, base, _, unit in names}.items():
        count = times[name]
        mine = dict(by_phase.get(name, {}))
        for where, value in by_phase.get(base, {}).items():
            mine[where] = mine.get(where, 0) - value * count / times[base]
        print(f"\n{name}: {count} times" + (f", less {base}" if base in times else ""))
        if code is not None:
            for offset, text in code:
                if mine.get(address + offset):
                    print(f"{mine[address + offset] / count:10.2f}  {offset:5x}  {text}")
            continue
        per_function = {}
        for where, value in mine.items():
            function = symbols.of(where)
            per_function[function] = per_function.get(function, 0) + value
        show({function: value for function, value in per_function.items() if value}, count, unit, args.top)


if __name__ == "__main__":
    main()
