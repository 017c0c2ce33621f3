# SPDX-License-Identifier: GPL-2.0-only
"""The tests that have passed, so that a long run can be interrupted and continued.

An entry is valid only for the same file of the test, the same modules and the same kernel.
"""

import hashlib
import json
import os
import threading


class State:
    """A file, one test a line."""

    def __init__(self, path, kernel):
        self.path, self.kernel = path, kernel
        self.lock = threading.Lock()
        self.passed = {}
        self.hashes = {}
        try:
            with open(path, encoding="ascii") as f:
                for line in f:
                    entry = json.loads(line)
                    self.passed[entry["key"]] = entry
        except OSError:
            pass

    def _hash(self, path):
        if path not in self.hashes:
            with open(path, "rb") as f:
                self.hashes[path] = hashlib.sha256(f.read()).hexdigest()
        return self.hashes[path]

    def key(self, grp, test):
        """The key of a test (file, seconds) of a group."""
        files = [test[0], self.kernel.image] + sorted(self.kernel.our_modules(grp.args.variant).values())
        text = " ".join([grp.name(test[0])] + [self._hash(f) for f in files])
        return hashlib.sha256(text.encode()).hexdigest()

    def split(self, groups):
        """Remove passed tests from the groups. Returns the remaining groups, and the entries of the passed tests."""
        had = []
        for g in groups:
            left = []
            for test in g.tests:
                entry = self.passed.get(self.key(g, test))
                if entry:
                    had.append(entry)
                else:
                    left.append(test)
            g.tests = left
        return [g for g in groups if g.tests], had

    def done(self, grp, test, result):
        """Add a passed test. result is its tap.Test."""
        entry = {"key": self.key(grp, test), "name": grp.name(test[0]),
                 "passed": max(result.points - result.skipped, 0), "skipped": result.skipped}
        with self.lock, open(self.path, "a", encoding="ascii") as f:
            f.write(json.dumps(entry) + "\n")
            f.flush()
            os.fsync(f.fileno())
