# SPDX-License-Identifier: GPL-2.0-only
"""Initial RAM file systems: cpio archives in the kernel's "newc" format.

Entries are sorted and carry no time and no inode of the host, so equal contents make equal bytes:
the deterministic clock needs that. Nothing is compressed, because unpacking costs the guest more
than reading does. The file system holds what was added last under a name.
"""

import os
import stat


class Archive:
    """The files of an archive. Parent directories are added automatically."""

    def __init__(self):
        self.entries = {}

    def _put(self, path, mode, data=b"", rdev=(0, 0)):
        path = path.strip("/")
        parent = os.path.dirname(path)
        if parent and parent not in self.entries:
            self._put(parent, stat.S_IFDIR | 0o755)
        self.entries[path] = (mode, data, rdev)

    def directory(self, path, mode=0o755):
        self._put(path, stat.S_IFDIR | mode)

    def file(self, path, data, mode=0o644):
        self._put(path, stat.S_IFREG | mode, data)

    def symlink(self, path, target):
        self._put(path, stat.S_IFLNK | 0o777, target.encode())

    def device(self, path, major, minor, mode=0o600):
        self._put(path, stat.S_IFCHR | mode, rdev=(major, minor))

    def host(self, path, source):
        """Add a file or a whole directory of the host."""
        if os.path.isdir(source):
            self.directory(path)
            for name in sorted(os.listdir(source)):
                self.host(path + "/" + name, os.path.join(source, name))
            return
        with open(source, "rb") as f:
            self.file(path, f.read(), 0o755 if os.access(source, os.X_OK) else 0o644)

    def write(self, path):
        with open(path, "wb") as out:
            for ino, name in enumerate(sorted(self.entries), 1):
                self._write_entry(out, ino, name, *self.entries[name])
            self._write_entry(out, 0, "TRAILER!!!", 0, b"", (0, 0))

    @staticmethod
    def _write_entry(out, ino, name, mode, data, rdev):
        raw = name.encode() + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = (ino, mode, 0, 0, links, 0, len(data), 0, 0, rdev[0], rdev[1], len(raw), 0)
        head = b"070701" + b"".join(b"%08x" % f for f in fields)
        for part in (head + raw, data):
            out.write(part)
            out.write(b"\0" * (-len(part) % 4))
