# SPDX-License-Identifier: GPL-2.0-only
"""Figures of a guest program (figures.h), and how numbers are shown to people.

Shared by the reports of demo/ and bench/.
"""

import json
import os
import subprocess
import sys


def die(message):
    """Say what is wrong and what to do, and end: exit status 2 is for the host's troubles."""
    print(f"{os.path.basename(sys.argv[0])}: {message}", file=sys.stderr)
    raise SystemExit(2)


def arguments(usage, allowed):
    """(options, figures, out) of the command line of a report."""
    options = {arg for arg in sys.argv[1:] if arg.startswith("--")}
    args = [arg for arg in sys.argv[1:] if arg not in options]
    if len(args) != 2 or options - set(allowed):
        die(usage)
    return options, *args


def number(text):
    try:
        return int(text)
    except ValueError:
        return text


def read(path):
    """Lines "<side> <key> <values>" to {side: {key: [values, ...]}}."""
    sides = {}
    try:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                side, key, rest = line.rstrip("\n").split(" ", 2)
                sides.setdefault(side, {}).setdefault(key, []).append(rest)
    except FileNotFoundError:
        die(f"{path} is missing: the guest program did not start; its output is in guest.log")
    return sides


def scalars(side):
    """The keys that came once, as numbers where they are numbers."""
    return {key: number(values[0]) for key, values in side.items() if len(values) == 1}


def time(ns):
    """A time of three significant digits."""
    for unit, scale in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= scale:
            return f"{ns / scale:.3g} {unit}" if ns < 1000 * scale else f"{ns / scale:.0f} {unit}"
    return f"{ns} ns"


def size(count):
    """Bytes, in MiB where that says enough."""
    if count == 0:
        return "0"
    if abs(count) < 1 << 20:
        return f"{count / 1024:.3g} KiB"
    return f"{count / (1 << 20):.0f} MiB" if abs(count) >= 10 << 20 else f"{count / (1 << 20):.1f} MiB"


def grouped(value):
    """An integer in groups of three digits, as the SI writes them."""
    return f"{value:,}".replace(",", " ")


def table(rows, heads):
    """Rows of strings as aligned columns; a row that is one string is a heading.

    The first column and the last, words, are aligned left, the numbers between them right.
    """
    body = [row for row in rows if not isinstance(row, str)]
    width = [max(len(row[i]) for row in [*body, heads]) for i in range(len(heads))]

    def line(row):
        cells = [row[0].ljust(width[0])]
        cells += [cell.rjust(width[i]) for i, cell in enumerate(row[1:-1], 1)]
        cells.append(row[-1])
        return "  ".join(cells).rstrip()

    rule = "-" * (sum(width) + 2 * (len(width) - 1))
    out = [line(heads), rule]
    for row in rows:
        out += ["", row] if isinstance(row, str) else [line(row)]
    out.append(rule)
    return "\n".join(out)


def publish(result, out, name):
    """Write OUT/NAME.json; the text of it."""
    text = json.dumps(result, indent=1)
    with open(os.path.join(out, f"{name}.json"), "w", encoding="utf-8") as file:
        print(text, file=file)
    return text


def dat(out, name, lines):
    """Write the lines of OUT/NAME, data for gnuplot."""
    with open(os.path.join(out, name), "w", encoding="utf-8") as file:
        for line in lines:
            print(line, file=file)


def gnuplot(script, **variables):
    """Run a gnuplot script with these variables set."""
    quoted = [f"{name}={value!r}" for name, value in variables.items()]
    try:
        done = subprocess.run(["gnuplot", "-e", "; ".join(quoted), script], check=False,
                              capture_output=True, text=True)
    except FileNotFoundError:
        die("gnuplot is missing: apt-get install gnuplot-nox, then run this again")
    if done.returncode:
        die(f"gnuplot {script} failed:\n{done.stderr}")
