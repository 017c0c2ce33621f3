# SPDX-License-Identifier: GPL-2.0-only
"""One run of one virtual machine: start, stream, watch, end.

QEMU writes four files into the directory of the run, and this process follows them: console (the
kernel's serial console, where complaints are looked for), out (what the job prints), verdict (one
event a line, written by vm/guest), files (a tar archive of the guest's /out). These are files and not
pipes, so that a slow reader never slows the guest, and everything is kept after a failure.

Only the EXIT event in verdict says that a run was good: a guest that ends without it has failed.
Time limits only detect hangs. They are never verdicts on speed.
"""

import os
import shlex
import shutil
import subprocess
import tarfile
import time

import accel
import complaints
import guest
from paths import die, say

OK, FAILED, ERROR, COMPLAINT, TIMEOUT, SKIPPED = 0, 1, 2, 3, 4, 77

# memmap that reserves memory for the simulator's BARs. The guest always has memory at this address.
BAR_RESERVE = "memmap=2M$0x10000000"
MIN_MEM = 512
# The firmware keeps tables at the end of memory. Persistent memory lies before them.
FIRMWARE_MIB = 2
POLL = 0.03


class Job:
    """A command or tests to run, and the properties of the machine. vm/run and scripts/check fill it in."""

    def __init__(self):
        self.mode = "command"       # or tests, shell
        self.command = []
        self.tests = []             # (name or file, seconds)
        self.mem = 1024
        self.cpus = 1
        self.icount = False
        self.timeout = 300
        self.swap = 0
        self.disk = 0
        self.pmem = 0
        self.nvme = 0
        self.image = None           # file of the host
        self.devices = []           # further arguments of QEMU, as pairs or single words
        self.add = []               # (host path, guest path)
        self.modules = []
        self.append = []
        self.boot = None            # see boots.py
        self.without = []           # words that are left out of the command line
        self.variant = "prod"
        self.machine = "pc"
        self.accel = "auto"
        self.out = None
        self.expect_complaint = False


def host_tsc_khz():
    """The approximate rate of this host's TSC, which the guest uses too."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("cpu MHz"):
                return int(float(line.split(":")[1]) * 1000)
    return 1000000


def ended(qemu):
    """Whether a child has ended. The child stays a zombie, for a later wait."""
    return os.waitid(os.P_PID, qemu.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


class Machine:
    """A run. Callbacks: on_text(str) gets the output of the job, on_event(list of words) gets the events."""

    def __init__(self, kernel, job, directory, on_text, on_event=None, on_console=None,
                 on_start=None):
        self.kernel, self.job, self.dir = kernel, job, directory
        if on_start:
            on_start(self)
        self.on_text, self.on_event, self.on_console = on_text, on_event, on_console
        self.accel = accel.pick("tcg" if job.icount else job.accel, kernel, job.icount)
        self.booted = None          # seconds from start to the BOOT event
        self.exit = None            # status in the EXIT event
        self.complained = []        # names in COMPLAINT events
        self.timed_out = False
        self.stuck = False
        self.unused = False         # see boots.py
        self.deadline = None
        self.buffers = {}
        self.pid = None             # of QEMU
        self.used = 0.0             # processor time of the run, in seconds, set at its end
        # TCG is 10 to 50 times slower than hardware. The debug kernel is several times slower than the stock one.
        self.boot_limit = (30 if self.accel == "kvm" else 90) * (4 if kernel.debug else 1) * \
            (3 if job.icount else 1)

    def path(self, name):
        return os.path.join(self.dir, name)

    # Arguments of QEMU.

    def _cpu_args(self):
        job = self.job
        smp = ["-smp", str(job.cpus)]
        if self.kernel.debug:
            # This kernel runs without ACPI and reads the firmware's MP table, which lists sockets but no
            # cores. Other kernels get cores, since they do not trust the TSC of several sockets.
            smp = ["-smp", f"{job.cpus},sockets={job.cpus},cores=1,threads=1"]
        if self.accel == "kvm":
            return ["-accel", "kvm", "-cpu", "host"] + smp
        if job.icount:
            # Deterministic: no random numbers, no clock of the host, 1 ns is 1 instruction.
            return ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off",
                    "-cpu", "max,-rdrand,-rdseed", "-seed", "1",
                    "-rtc", "base=2026-01-01,clock=vm"] + smp
        # cmpxchg16b of QEMU 7.2 sometimes returns garbage. It is suspected to cause rare crashes with several CPUs.
        return ["-accel", "tcg,thread=" + ("multi" if job.cpus > 1 else "single"),
                "-cpu", "max,-cx16"] + smp

    def _append(self):
        words = ["console=ttyS0", "loglevel=5", "panic=-1", "oops=panic", "nokaslr",
                 "mitigations=off", "cryptomgr.notests", "log_buf_len=4M", BAR_RESERVE,
                 # Seconds of the guest's clock. A busy host must not look like a stall.
                 "rcupdate.rcu_cpu_stall_timeout=150", "watchdog_thresh=60"]
        if self.kernel.debug:
            # Under KASAN, the ACPI interpreter takes most of the boot time, since it allocates much. Without
            # ACPI, two clocks are missing. The remaining clock is the TSC, which the guest cannot calibrate
            # under load. Without any clock, every sleep lasts a tick of 4 ms.
            words += ["kasan_multi_shot", "printk.time=1", "acpi=off", "tsc=reliable",
                      f"tsc_early_khz={host_tsc_khz()}", "max_loop=0"]
        if self.job.icount:
            words += ["random.trust_cpu=off"]
        else:
            # The kernel counts timer ticks during a delay loop, and panics if there are too few: "IO-APIC +
            # timer doesn't work". This happens on a busy host.
            words += ["no_timer_check"]
        if self.job.pmem:
            words += [f"memmap={self.job.pmem}M!{self._mem()}M"]
        return " ".join([w for w in words if w not in self.job.without] + self.job.append)

    def _mem(self):
        return max(self.job.mem, MIN_MEM)

    def _argv(self):
        job = self.job
        mem = self._mem() + (job.pmem + FIRMWARE_MIB if job.pmem else 0)
        # With ioeventfd another thread would handle a guest's output, at an unpredictable time.
        argv = [accel.QEMU, "-machine", job.machine, "-m", str(mem),
                "-nodefaults", "-no-reboot", "-display", "none", "-nic", "none", "-monitor", "none"]
        argv += self._cpu_args()
        argv += ["-kernel", self.kernel.image, "-initrd", self.path("initramfs"),
                 "-append", self._append()]
        if job.mode == "shell":
            argv += ["-chardev", "stdio,id=console,signal=off,mux=off,logfile=" +
                     self.path("console"), "-serial", "chardev:console"]
        else:
            argv += ["-serial", "file:" + self.path("console")]
        argv += ["-device", "virtio-serial-pci,ioeventfd=off"]
        for name in ("out", "verdict", "files"):
            argv += ["-chardev", f"file,id={name},path={self.path(name)}",
                     "-device", f"virtserialport,chardev={name},name=iopf.{name}"]
        for name, size in (("swap", job.swap), ("scratch", job.disk)):
            if size:
                argv += ["-drive", f"file={self.path(name)},id={name},if=none,format=raw,"
                         "cache=unsafe", "-device", f"virtio-blk-pci,drive={name},serial={name}"]
        if job.image:
            argv += ["-drive", f"file={job.image},id=image,if=none,format=raw,readonly=on",
                     "-device", "virtio-blk-pci,drive=image,serial=image"]
        # The job lists an IOMMU before the devices behind it.
        argv += job.devices
        if job.nvme:
            argv += ["-drive", f"file={self.path('nvme')},id=nvme,if=none,format=raw,cache=unsafe",
                     "-device", "nvme,drive=nvme,serial=iopf"]
        return argv

    def cpu_seconds(self):
        """The processor time that QEMU has used so far."""
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as f:
                words = f.read().rpartition(")")[2].split()
            return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            return 0.0

    def extend(self, seconds):
        """Restart the time limit, after progress of the guest."""
        self.deadline = time.monotonic() + seconds

    # The run.

    def _prepare(self):
        os.makedirs(self.dir, exist_ok=True)
        for name in ("console", "out", "verdict", "files"):
            with open(self.path(name), "wb"):
                pass
        for name, size in (("swap", self.job.swap), ("scratch", self.job.disk),
                           ("nvme", self.job.nvme)):
            if size:
                with open(self.path(name), "wb") as f:
                    f.truncate(size << 20)
        if self.job.disk:
            path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
            mkfs = shutil.which("mkfs.ext4", path=path)
            if not mkfs:
                die("there is no mkfs.ext4; run scripts/setup vm")
            if subprocess.run([mkfs, "-q", "-F", self.path("scratch")], check=False).returncode:
                die("mkfs.ext4 failed; see above")
        guest.build(self.path("initramfs"), self.kernel, self.job)

    def run(self):
        """Returns one of the statuses above, or None when the guest did not come up."""
        self._prepare()
        argv = self._argv()
        with open(self.path("command"), "w", encoding="utf-8") as f:
            f.write(shlex.join(argv) + "\n")
        shell = self.job.mode == "shell"
        follow = {name: open(self.path(name), "rb") for name in ("out", "verdict", "console")}
        with open(self.path("qemu.log"), "wb") as log:
            qemu = subprocess.Popen(argv, stdin=None if shell else subprocess.DEVNULL,
                                    stdout=None if shell else log, stderr=log,
                                    preexec_fn=accel.die_with_parent)
        self.pid = qemu.pid
        try:
            self._watch(qemu, follow, limited=not shell)
        finally:
            if not ended(qemu):
                qemu.kill()
            # Popen.wait() would not return the processor time.
            _, code, usage = os.wait4(qemu.pid, 0)
            qemu.returncode = os.waitstatus_to_exitcode(code)
            self.used = usage.ru_utime + usage.ru_stime
            self._poll(follow)
            for f in follow.values():
                f.close()
            for name in ("swap", "scratch", "nvme", "initramfs"):
                if os.path.exists(self.path(name)):
                    os.unlink(self.path(name))
        if shell:
            return OK
        return self._verdict(qemu.returncode)

    def _watch(self, qemu, follow, limited):
        start = time.monotonic()
        self.deadline = start + self.job.timeout
        ending = None
        while not ended(qemu):
            grew = self._poll(follow)
            now = time.monotonic()
            if self.booted is True:
                self.booted = now - start
            if self.exit is not None:
                # QEMU ends by itself. Do not wait long.
                ending = ending or now + 5
                if now > ending:
                    return
            elif limited and self.booted is None and now - start > self.boot_limit:
                return
            elif limited and now > self.deadline:
                self.timed_out = True
                return
            if not grew:
                time.sleep(POLL)
        self._poll(follow)
        if self.booted is True:
            self.booted = time.monotonic() - start

    def _poll(self, follow):
        """Read new data of the files. Pass the output on first, since an event refers to output before it."""
        grew = False
        verdict = follow["verdict"].read()
        for name in ("console", "out"):
            data = follow[name].read()
            if data:
                grew = True
                text = data.decode("utf-8", "replace")
                if name == "out":
                    self.on_text(text)
                elif self.on_console:
                    self.on_console(text)
        if verdict:
            grew = True
            lines = (self.buffers.get("verdict", "") + verdict.decode("ascii", "replace")).split("\n")
            self.buffers["verdict"] = lines.pop()
            for line in lines:
                self._event(line.split())
        return grew

    def _event(self, words):
        if not words:
            return
        if words[0] == "BOOT":
            self.booted = True
        elif words[0] == "EXIT":
            self.exit = int(words[1])
        elif words[0] == "COMPLAINT":
            self.complained.append(words[1])
        elif words[0] == "STUCK":
            self.stuck = True
        elif words[0] == "UNUSED":
            self.unused = True
        if self.on_event:
            self.on_event(words)

    def console(self):
        with open(self.path("console"), "rb") as f:
            return f.read().decode("utf-8", "replace")

    def _verdict(self, status):
        found = complaints.excerpts(self.console())
        if self.booted is None and not found:
            if status not in (0, -9):
                with open(self.path("qemu.log"), encoding="utf-8", errors="replace") as f:
                    die("QEMU failed: " + f.read().strip())
            return None
        whole = self.collect()
        if self.job.mode != "tests":
            self._explain(found)
        if (found or self.complained) and not self.job.expect_complaint:
            return COMPLAINT
        if self.timed_out or self.stuck:
            return TIMEOUT
        if self.exit is None:
            return FAILED
        if self.exit == SKIPPED:
            return SKIPPED
        return OK if self.exit == 0 and whole else FAILED

    def _explain(self, found):
        """Show why the run failed, unless the guest has done so."""
        for text in found if not self.complained else ():
            say("the kernel complained:")
            self.on_text(text + "\n")
        if self.timed_out:
            say(f"the job did not end within {self.job.timeout:g} s")
        elif self.exit is None and not found:
            say("the guest ended without a verdict; its console ended with:")
            self.on_text("\n".join(self.console().splitlines()[-30:]) + "\n")

    def collect(self):
        """Unpack the guest's /out. Return False if the archive is not complete."""
        if not self.job.out or not os.path.getsize(self.path("files")):
            return True
        os.makedirs(self.job.out, exist_ok=True)
        top = os.path.realpath(self.job.out)
        try:
            with tarfile.open(self.path("files")) as tar:
                for member in tar:
                    target = os.path.realpath(os.path.join(top, member.name))
                    if (member.isfile() or member.isdir()) and (target + "/").startswith(top + "/"):
                        member.mode |= 0o600 if member.isfile() else 0o700
                        tar.extract(member, top)
        except tarfile.TarError as e:
            say(f"not all of the guest's /out has come: {e}")
            return False
        return True


def run(kernel, job, directory, on_text, **callbacks):
    """Run a job. If the guest does not boot, try once more: this is a known, rare fault of multi-threaded
    TCG, and says nothing about the job. Returns the status, the machine, and the number of failed boots.
    """
    failed = 0
    while True:
        machine = Machine(kernel, job, directory, on_text, **callbacks)
        status = machine.run()
        if status is not None:
            return status, machine, failed
        failed += 1
        shutil.copy(machine.path("console"), machine.path(f"console.failed{failed}"))
        tail = "\n".join(machine.console().splitlines()[-20:])
        say(f"the guest did not come up within {machine.boot_limit} s (attempt {failed}); its "
            f"console ended with:\n{tail}")
        if failed == 2:
            return TIMEOUT, machine, failed
