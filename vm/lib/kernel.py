# SPDX-License-Identifier: GPL-2.0-only
"""Kernels to boot, and the modules a guest needs of them.

A kernel is a directory with: release, vmlinuz, modules (lib/modules/<release> below it), and for
building modules config and headers. vm/fetch-kernel and vm/build-debug-kernel make such directories.
"""

import glob
import lzma
import os
import subprocess
import tempfile

from paths import BUILD, TOP, die


class Kernel:
    """One kernel directory. kver names the directory below build/ that holds our modules for it."""

    def __init__(self, path, kver=None):
        self.path = os.path.realpath(path)
        try:
            with open(os.path.join(self.path, "release"), encoding="ascii") as f:
                self.release = f.read().strip()
        except OSError as e:
            die(f"{path} is not a kernel directory: {e}")
        self.kver = kver or self.release
        self.image = os.path.join(self.path, "vmlinuz")
        self.debug = "debug" in self.release
        self.tree = os.path.join(self.path, "modules", "lib", "modules", self.release)
        self.deps = {}
        self.builtin = set()
        try:
            self._read_deps()
        except OSError as e:
            die(f"{path} has no list of its modules (depmod makes it): {e}")

    def _read_deps(self):
        with open(os.path.join(self.tree, "modules.dep"), encoding="ascii") as f:
            for line in f:
                path, _, needs = line.partition(":")
                self.deps[module_name(path)] = (path, [module_name(n) for n in needs.split()])
        with open(os.path.join(self.tree, "modules.builtin"), encoding="ascii") as f:
            self.builtin = {module_name(line.strip()) for line in f}

    def closure(self, names):
        """The modules and all their dependencies, without those that are built in."""
        found, todo = set(), [n.replace("-", "_") for n in names]
        while todo:
            name = todo.pop()
            if name in found or name in self.builtin:
                continue
            if name not in self.deps:
                die(f"{self.release} has no module {name}")
            found.add(name)
            todo += self.deps[name][1]
        return sorted(found)

    def has(self, name):
        return name in self.deps or name in self.builtin

    def add_modules(self, archive, names):
        """Put modules into the archive, unpacked, with the lists that modprobe reads."""
        base = "lib/modules/" + self.release + "/"
        lines = []
        for name in self.closure(names):
            path, needs = self.deps[name]
            archive.file(base + plain(path), self._contents(path))
            lines.append(plain(path) + ":" + "".join(
                " " + plain(self.deps[n][0]) for n in needs if n in self.deps))
        archive.file(base + "modules.dep", "".join(line + "\n" for line in lines).encode())
        archive.host(base + "modules.builtin", os.path.join(self.tree, "modules.builtin"))

    def _contents(self, path):
        """An uncompressed module. To unpack it in each guest would take seconds, so the host unpacks it once."""
        source = os.path.join(self.tree, path)
        if not path.endswith((".ko", ".ko.xz")):
            die(f"{source}: only plain modules and those packed by xz can be put into a guest")
        if path.endswith(".ko"):
            with open(source, "rb") as f:
                return f.read()
        cache = os.path.join(BUILD, "vm", "modules", self.release, os.path.basename(plain(path)))
        try:
            if os.path.getmtime(cache) >= os.path.getmtime(source):
                with open(cache, "rb") as f:
                    return f.read()
        except OSError:
            pass
        with lzma.open(source) as f:
            data = f.read()
        os.makedirs(os.path.dirname(cache), exist_ok=True)
        # Several processes and threads may do this at the same time, so each writes its own file first.
        with tempfile.NamedTemporaryFile(dir=os.path.dirname(cache), delete=False) as f:
            f.write(data)
        os.rename(f.name, cache)
        return data

    def our_modules(self, variant):
        """The modules of this tree built for this kernel, by file name."""
        found = {}
        for path in glob.glob(os.path.join(BUILD, self.kver, variant, "**", "*.ko"),
                              recursive=True):
            found[os.path.basename(path)] = path
        return found


def module_name(path):
    name = os.path.basename(path)
    return name.split(".ko")[0].replace("-", "_")


def plain(path):
    return path[:-3] if path.endswith(".xz") else path


def find(which):
    """The kernel called stock, debug, or named by a directory."""
    script = {"stock": "fetch-kernel", "debug": "build-debug-kernel"}.get(which)
    if not script:
        return Kernel(which)
    done = subprocess.run([os.path.join(TOP, "vm", script)], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(2)
    path = done.stdout.decode().strip().splitlines()[-1]
    return Kernel(path, "debug" if which == "debug" else None)
