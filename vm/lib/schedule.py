# SPDX-License-Identifier: GPL-2.0-only
"""The division of tests into boots, and the order of machines. All processors should be busy until the end.

The time of a test is an estimate: the processor time of the last run here, or the value in the file of weights, or
a guess. A wrong estimate only costs time.
"""

import json
import os
import threading

from paths import BUILD, TOP

WEIGHTS = os.path.join(TOP, "tests", "weights")
# Seconds of one processor: an unknown test, and a boot.
UNKNOWN = 3.0
BOOT = 5.0
# Largest share of all work for one machine. With more, the run would end with only this machine at work.
SHARE = 0.08
SHORTEST = 40.0


class Weights:
    """The processor time of tests, by their names in a machine (suite.Group.name)."""

    def __init__(self, kver):
        self.file = os.path.join(BUILD, "vm", f"times.{kver}")
        self.known = {}
        self.last = {}
        with open(WEIGHTS, encoding="ascii") as f:
            for line in f:
                if line.strip() and not line.startswith("#"):
                    seconds, name = line.split(None, 1)
                    self.known[name.strip()] = float(seconds)
        try:
            with open(self.file, encoding="ascii") as f:
                self.last = json.load(f)
        except (OSError, ValueError):
            pass

    def given(self, name):
        """The value in the file of weights, which is the same on every machine."""
        return self.known.get(name) or self.known.get(name.split(" ")[0]) or UNKNOWN

    def __call__(self, name):
        return self.last.get(name) or self.given(name)

    def learn(self, used):
        """Save the times of tests for the next run."""
        self.last.update({name: round(cpu, 1) for name, (cpu, _) in used.items()})
        os.makedirs(os.path.dirname(self.file), exist_ok=True)
        with open(f"{self.file}.{os.getpid()}", "w", encoding="ascii") as f:
            json.dump(self.last, f, indent=0, sort_keys=True)
        os.replace(f"{self.file}.{os.getpid()}", self.file)


def deal(items, weight, hands):
    """Divide items among a number of hands. Each item, the heaviest first, goes to the hand with the least weight."""
    dealt = [[] for _ in range(hands)]
    sums = [0.0] * hands
    for item in sorted(items, key=weight, reverse=True):
        least = sums.index(min(sums))
        dealt[least].append(item)
        sums[least] += weight(item)
    return [hand for hand in dealt if hand]


def shard(groups, weights, which, of):
    """Part "which" of "of" parts of all tests. It must be the same everywhere, so it ignores times of this machine."""
    names = sorted(((g, t) for g in groups for t in g.tests), key=lambda x: (x[0].title(), x[0].name(x[1][0])))
    mine = deal(names, lambda x: weights.given(x[0].name(x[1][0])), of)[which - 1:which]
    keep = {(id(g), t) for hand in mine for g, t in hand}
    for g in groups:
        g.tests = [t for t in g.tests if (id(g), t) in keep]
    return [g for g in groups if g.tests]


def machines(groups, weights, jobs):
    """The groups, the longest first. Long groups are divided into parts."""
    def weight(g):
        return BOOT + sum(weights(name) for name in g.names())

    total = sum(weight(g) for g in groups)
    limit = max(total * SHARE, SHORTEST)
    parts = []
    for g in groups:
        hands = 1 if jobs == 1 else min(len(g.tests), -(-int(weight(g)) // int(limit)))
        for hand in deal(g.tests, lambda t, g=g: weights(g.name(t[0])), hands):
            # Keep the order of the group.
            parts.append(g.part([t for t in g.tests if t in hand]))
    return sorted(parts, key=weight, reverse=True), total


class Pool:
    """Runs units of work. Each needs a number of processors. The first unit with enough free processors starts."""

    def __init__(self, processors):
        self.free = self.processors = max(processors, 1)
        self.changed = threading.Condition()
        self.failure = None

    def run(self, units):
        """units: (processors, function). Raises the first exception of a function."""
        todo = list(units)
        threads = []
        with self.changed:
            while todo and not self.failure:
                for unit in todo:
                    if min(unit[0], self.processors) <= self.free:
                        break
                else:
                    self.changed.wait()
                    continue
                todo.remove(unit)
                self.free -= min(unit[0], self.processors)
                threads.append(threading.Thread(target=self._one, args=unit))
                threads[-1].start()
        for thread in threads:
            thread.join()
        if self.failure:
            raise self.failure

    def _one(self, processors, function):
        try:
            function()
        except BaseException as e:      # pylint: disable=broad-except
            self.failure = self.failure or e
        with self.changed:
            self.free += min(processors, self.processors)
            self.changed.notify_all()
