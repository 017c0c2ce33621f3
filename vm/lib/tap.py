# SPDX-License-Identifier: GPL-2.0-only
"""TAP: joins the points of many tests into one stream, numbers them anew, and prints the count at the end.

A test passes if it prints as many points as it announced, all of them are ok, and its exit status is 0. A test
that ends early, prints no plan, or has another exit status counts as one more failed point. A skipped point or
test is counted, and its reason is shown.
"""

import re
import sys
import threading

POINT = re.compile(r"^(not )?ok\b(?:\s+\d+)?(?:\s+-)?\s*(.*?)\s*(?:#\s*(SKIP|TODO)\b\s*(.*))?$", re.I)
PLAN = re.compile(r"^1\.\.(\d+)\s*(?:#\s*SKIP\b\s*(.*))?$", re.I)
SKIP_STATUS = 77


class Report:
    """The output stream. Tests may run at the same time. A lock keeps their lines apart."""

    def __init__(self):
        self.number = self.passed = self.failed = self.skipped = 0
        self.failures = []
        self.lock = threading.RLock()

    def diag(self, text):
        with self.lock:
            for line in text.splitlines():
                print(line if line.startswith("#") else "# " + line)
            sys.stdout.flush()

    def point(self, good, what, skip=None):
        with self.lock:
            self.number += 1
            if skip is not None:
                self.skipped += 1
            elif good:
                self.passed += 1
            else:
                self.failed += 1
                self.failures.append(what)
            print(f"{'ok' if good else 'not ok'} {self.number} - {what}" +
                  (f" # SKIP {skip}" if skip is not None else ""), flush=True)

    def earlier(self, what, passed, skipped):
        """Add points of an earlier run to this one."""
        with self.lock:
            self.passed += passed
            self.skipped += skipped
            self.diag(f"{what} was run before: {passed} passed, {skipped} skipped")

    def finish(self):
        """Print the last lines. Returns the exit status."""
        print(f"1..{self.number}")
        for what in self.failures:
            print(f"# failed: {what}")
        print(f"{self.passed} passed, {self.failed} failed" +
              (f", {self.skipped} skipped" if self.skipped else ""), flush=True)
        return 1 if self.failed or not self.number else 0


class Test:
    """The stream of one test, line by line, and its end.

    With hold, its output is shown only at its end, since a test that hangs may have no verdict: see hang().
    """

    def __init__(self, report, name, hold=False):
        self.report, self.name = report, name
        self.held = [] if hold else None
        self.hung = None
        self.planned = None
        self.points = self.failed = self.skipped = 0
        self.skip_reason = None
        self.bailed = False

    def line(self, text):
        point, plan = POINT.match(text), PLAN.match(text)
        if point:
            self._point(*point.groups())
        elif plan:
            self.planned = int(plan.group(1))
            if self.planned == 0:
                self.skip_reason = plan.group(2) or "no reason given"
        elif text.startswith("Bail out!"):
            self.bailed = True
            self._show(self.report.diag, f"{self.name}: {text}")
        elif text.strip() and text != "TAP version 13" and text != "TAP version 14":
            self._show(self.report.diag, text)

    def _point(self, bad, what, directive, reason):
        self.points += 1
        what = f"{self.name}: {what}" if what else f"{self.name}: point {self.points}"
        if directive and directive.upper() == "SKIP":
            self.skipped += 1
            self._show(self.report.point, True, what, reason or "no reason given")
            return
        if bad:
            self.failed += 1
        self._show(self.report.point, not bad, what)

    def _show(self, how, *what):
        if self.held is None:
            how(*what)
        else:
            self.held.append((how, what))

    def fail(self, why):
        self.failed += 1
        self._show(self.report.point, False, f"{self.name}: {why}")

    def hang(self, why):
        """Note that the test hung. This is a failure, or, with hold, no verdict."""
        if self.held is None:
            self.fail(why)
        else:
            self.hung = why

    def complain(self):
        """Note that the kernel complained. This is a failure, also of a test that hung."""
        if self.hung:
            self.fail(self.hung)
            self.hung = None
        self.fail("the kernel complained")

    def forget(self):
        """Show the held output, with points as comments, since they do not count."""
        for how, what in self.held:
            if how == self.report.point:
                what = [f"before it hung: {'ok' if what[0] else 'not ok'} - {what[1]}"]
            self.report.diag(*what)
        self.report.diag(f"{self.name}: {self.hung}")

    def release(self):
        """Show the held output."""
        held, self.held = self.held, None
        for how, what in held or ():
            how(*what)

    def end(self, status):
        self.release()
        if status == SKIP_STATUS or (status == 0 and self.planned == 0):
            if not self.failed:
                self.skipped += 1
                self.report.point(True, self.name, self.skip_reason or "no reason given")
                return
        elif self.bailed:
            self.fail("bailed out")
        elif status != 0 and not self.failed:
            self.fail(f"ended with status {status}")
        elif self.planned is None:
            self.fail("printed no plan")
        if self.planned is not None and self.planned != self.points and not self.bailed:
            self.fail(f"announced {self.planned} points, printed {self.points}")
