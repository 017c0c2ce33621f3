# SPDX-License-Identifier: GPL-2.0-only
"""Tests in virtual machines: which machine each needs, one boot for those that need the same.

A test is run by vm/guest/run-tests, which puts marks into its output: a line of "@@", a word and the
test's name. What comes between BEGIN and END is the test's own.

When a guest dies or a test cannot be ended, that test has failed, and the tests that had not begun
get a new boot. So each test runs exactly once.

Except where hangs are to be retried: then a test that hangs has no verdict, and gets a new boot too, so
many times; after the last one it has failed.
"""

import re
import shlex
import time

import complaints
import machine
import options
import rundir
import tap

MARK = "@@ "
OPTIONS = re.compile(r"\bvm:[ \t]*(--.*?)\s*(?:\*/)?$", re.M)
# The host's grace on top of a test's own limit, which the guest keeps: stacks are printed then.
GRACE = 120


def read_options(source):
    """The machine options in the "vm:" lines of a test's source."""
    with open(source, encoding="utf-8") as f:
        text = f.read(16384)
    words = [w for found in OPTIONS.findall(text) for w in shlex.split(found)]
    return options.test_parser(source).parse_args(words)


class Group:
    """Tests that share a boot."""

    def __init__(self, args):
        self.args = args
        self.tests = []             # (file, seconds)

    def title(self):
        given = vars(self.args)
        default = vars(options.test_parser().parse_args([]))
        words = []
        for key, value in sorted(given.items()):
            if value != default[key] and key != "test_timeout":
                for one in value if isinstance(value, list) else [value]:
                    words.append(f"--{key.replace('_', '-')}" + (f" {one}" if one is not True else ""))
        return " ".join(words) or "default machine"

    def split(self, parts):
        """The same as several groups of about equal size, for machines side by side."""
        size = -(-len(self.tests) // parts)
        result = []
        for i in range(0, len(self.tests), size):
            part = Group(self.args)
            part.tests = self.tests[i:i + size]
            result.append(part)
        return result


def group(tests, scale):
    """Group (file to run, source with the options) pairs; limits of time are scaled."""
    groups = {}
    for path, source in tests:
        args = read_options(source)
        seconds = args.test_timeout * scale
        key = repr(sorted((k, v) for k, v in vars(args).items() if k != "test_timeout"))
        groups.setdefault(key, Group(args)).tests.append((path, seconds))
    return list(groups.values())


def base(path):
    return path.rsplit("/", 1)[-1]


class Boot:
    """One boot for some tests: follows the marks, feeds each test's lines to its stream."""

    def __init__(self, report, tests, retry=False):
        self.report = report
        self.retry = retry
        self.hung = []              # names
        self.seconds = {base(p): s for p, s in tests}
        self.begun = set()
        self.current = None
        self.tail = ""
        self.machine = None

    def text(self, data):
        lines = (self.tail + data).split("\n")
        self.tail = lines.pop()
        for line in lines:
            line = line.rstrip("\r")
            if line.startswith(MARK):
                self._mark(line.split()[1:])
            elif self.current:
                self.current.line(line)
            elif line.strip():
                self.report.diag(line)

    def _mark(self, words):
        word, name = words[0], words[1]
        if word == "BEGIN":
            self.begun.add(name)
            self.current = tap.Test(self.report, name, hold=self.retry)
            if self.retry:
                self.report.diag(f"{name} is running")
        elif not self.current:
            return
        elif word == "TIMEOUT":
            self.current.hang(f"did not end within {self.seconds[name]} s")
        elif word == "LEFTOVER":
            self.current.fail("the modules could not be unloaded after it")
        elif word == "COMPLAINT":
            if not self.machine.job.expect_complaint:
                self.current.complain()
        elif word == "STUCK":
            self.current.hang("could not be killed")
            self.finish(None)
        elif word == "END":
            self.finish(int(words[2]))

    def finish(self, status):
        """The current test is over: with a status, without one (it has failed), or it hung."""
        if self.current.hung:
            self.current.forget()
            self.hung.append(self.current.name)
        elif status is not None:
            self.current.end(status)
        else:
            self.current.release()
        self.current = None

    def event(self, words):
        """On the verdict channel: the host's own limit follows the test."""
        if words[0] == "BEGIN":
            self.machine.extend(self.seconds[words[1]] + GRACE)
        elif words[0] in ("END", "BOOT"):
            self.machine.extend(GRACE * 4)


def run_group(report, kernel, grp, accel, retries=0):
    """Run a group's tests. Returns the number of boots, of those that were repeated, and of hangs that
    were retried, each test so many times at most."""
    todo = list(grp.tests)
    boots = repeated = retried = 0
    hangs = {}
    while todo:
        job = options.make_job(grp.args)
        job.mode, job.tests, job.accel, job.timeout = "tests", todo, accel, GRACE * 4
        boot = Boot(report, todo, retries > 0)
        start = time.monotonic()

        def started(vm, boot=boot):
            boot.machine = vm

        with rundir.RunDir() as directory:
            status, vm, failed = machine.run(kernel, job, directory.path, boot.text,
                                             on_event=boot.event, on_start=started)
            boots += 1 + failed
            repeated += failed
            report.diag(f"boot for {len(todo)} tests, {grp.title()}: up after "
                        f"{vm.booted or 0:.1f} s, ended after {time.monotonic() - start:.0f} s")
            directory.keep = status not in (machine.OK, machine.SKIPPED)
            todo = after(report, job, boot, vm, status)
            if directory.keep:
                report.diag(f"console of this boot: {directory.path}/console")
                directory.quiet = True
        for test in [t for t in job.tests if base(t[0]) in boot.hung]:
            name = base(test[0])
            hangs[name] = hangs.get(name, 0) + 1
            if hangs[name] > retries:
                report.point(False, f"{name}: hung {hangs[name]} times")
            else:
                report.diag(f"{name} hung, which is no verdict: again")
                todo.append(test)
                retried += 1
    return boots, repeated, retried


def after(report, job, boot, vm, status):
    """Account for how the boot ended. Returns the tests that need another one."""
    todo = job.tests
    left = [t for t in todo if base(t[0]) not in boot.begun]
    if vm.booted is None:
        report.point(False, "the guest did not come up, twice: " +
                     ", ".join(base(t[0]) for t in left))
        return []
    if "kmemleak" in vm.complained:
        report.point(False, "kmemleak found leaks after " +
                     ", ".join(base(t[0]) for t in todo if t not in left))
    found = complaints.excerpts(vm.console()) if not vm.complained else []
    if found and not job.expect_complaint:
        report.diag("\n".join(found))
    if boot.current:
        if vm.timed_out and not found:
            boot.current.hang("the guest hung")
        else:
            boot.current.fail("the kernel complained and the guest died" if found else
                              "the guest died")
        boot.finish(None)
        if not found:
            report.diag("\n".join(vm.console().splitlines()[-30:]))
    elif found and not job.expect_complaint:
        report.point(False, "the kernel complained outside any test")
    elif vm.exit is None and not vm.stuck:
        report.point(False, "the guest hung after the tests" if vm.timed_out else
                     "the guest ended without a verdict")
    elif vm.exit is not None and left:
        report.point(False, f"the guest ran only {len(boot.begun)} of {len(todo)} tests")
        return []
    if len(left) == len(todo):
        # Nothing has begun: another boot would do no better.
        if status == machine.OK:
            report.point(False, "the guest ran no test")
        return []
    return left
