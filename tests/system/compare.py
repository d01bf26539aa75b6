# SPDX-License-Identifier: Apache-2.0
"""Are two trees the same, name by name, attribute by attribute, byte by byte?
Walks by descriptors, so that no path is too long, and does not recurse."""

import os
import random
import stat

CHUNK = 1 << 20
# More differences than this tell nothing new.
ENOUGH = 40


class Differences(list):
    def add(self, path, what, a, b):
        self.append(f"{os.fsdecode(path)[:300]!r}: {what}: "
                    f"{str(a)[:200]} / {str(b)[:200]}")

    @property
    def enough(self):
        return len(self) >= ENOUGH


def here(fd, name):
    """A short path of a name in an open folder, for calls without dir_fd."""
    return b"/proc/self/fd/%d/%s" % (fd, name)


def xattrs(path):
    return {name: os.getxattr(path, name, follow_symlinks=False)
            for name in os.listxattr(path, follow_symlinks=False)}


def extents(fd, size):
    """The stretches that are data, as the file system tells them."""
    found, at = [], 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole up to the end
            break
        at = os.lseek(fd, start, os.SEEK_HOLE)
        assert start < at <= size, "SEEK_HOLE does not go forward"
        found.append((start, at))
    return found


def same_bytes(a, b, start, end):
    """The first offset where they differ, or None."""
    while start < end:
        want = min(CHUNK, end - start)
        x, y = os.pread(a, want, start), os.pread(b, want, start)
        if x != y or not x:
            same = len(os.path.commonprefix([x, y]))
            return start + same
        start += len(x)
    return None


def compare_content(path, a, b, size, out):
    xa, xb = extents(a, size), extents(b, size)
    for start, end in xa + xb:
        at = same_bytes(a, b, start, end)
        if at is not None:
            out.add(path, f"content differs at {at}", "", "")
            return
    # What both call a hole must read as zeros, wherever one looks.
    pick = random.Random(size)
    for _ in range(4 if xa != [(0, size)] and size else 0):
        at = pick.randrange(size)
        if os.pread(a, 4096, at) != os.pread(b, 4096, at):
            out.add(path, f"content differs at {at}", "", "")
    if os.pread(b, 1, size):
        out.add(path, "bytes behind the end", 0, 1)
    # A hole of the first must not take space in the second.
    data_a = sum(end - start for start, end in xa)
    data_b = sum(end - start for start, end in xb)
    if data_b > data_a:
        out.add(path, "holes are lost: data", data_a, data_b)


def facts(st, folder_links):
    """What must be equal, of lstat."""
    is_dir = stat.S_ISDIR(st.st_mode)
    special = stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode)
    return {"mode": oct(st.st_mode), "uid": st.st_uid, "gid": st.st_gid,
            "mtime": st.st_mtime_ns,
            "size": None if is_dir else st.st_size,
            "rdev": st.st_rdev if special else 0,
            "nlink": st.st_nlink if folder_links or not is_dir else None}


class Comparison:
    def __init__(self, folder_links):
        self.folder_links = folder_links
        self.out = Differences()
        self.inodes = {}   # of the first tree: inode -> inode of the second
        self.reverse = {}
        self.entries = 0

    def links(self, path, sa, sb):
        """Names of one file in one tree are names of one file in the other."""
        ka, kb = (sa.st_dev, sa.st_ino), (sb.st_dev, sb.st_ino)
        if self.inodes.setdefault(ka, kb) != kb:
            self.out.add(path, "hard link became a file of its own", ka, kb)
            return False
        if self.reverse.setdefault(kb, ka) != ka:
            self.out.add(path, "became a hard link", ka, kb)
        return True

    def entry(self, path, fa, fb, name):
        """Compare one name of two open folders; its mode."""
        self.entries += 1
        sa = os.stat(name, dir_fd=fa, follow_symlinks=False)
        sb = os.stat(name, dir_fd=fb, follow_symlinks=False)
        a, b = facts(sa, self.folder_links), facts(sb, self.folder_links)
        for key in a:
            if a[key] != b[key]:
                self.out.add(path, key, a[key], b[key])
        seen = (sa.st_dev, sa.st_ino) in self.inodes
        self.links(path, sa, sb)
        if seen or stat.S_IFMT(sa.st_mode) != stat.S_IFMT(sb.st_mode):
            return 0
        xa, xb = xattrs(here(fa, name)), xattrs(here(fb, name))
        if xa != xb:
            self.out.add(path, "xattrs", xa, xb)
        if stat.S_ISLNK(sa.st_mode):
            ta, tb = (os.readlink(name, dir_fd=f) for f in (fa, fb))
            if ta != tb:
                self.out.add(path, "target", ta, tb)
        elif stat.S_ISREG(sa.st_mode):
            oa, ob = (os.open(name, os.O_RDONLY, dir_fd=f) for f in (fa, fb))
            compare_content(path, oa, ob, sa.st_size, self.out)
            os.close(oa)
            os.close(ob)
        return sa.st_mode

    def names(self, path, fa, fb):
        """The names that both folders have; the others are reported."""
        lists = []
        for fd in (fa, fb):
            names = [os.fsencode(n) for n in os.listdir(fd)]
            lists.append(set(names))
            if len(names) != len(lists[-1]):
                self.out.add(path, "a name is listed twice", "", "")
        a, b = lists
        for name in sorted(a - b)[:5]:
            self.out.add(path + b"/" + name, "missing", "there", "not there")
        for name in sorted(b - a)[:5]:
            self.out.add(path + b"/" + name, "too much", "not there", "there")
        return sorted(a & b)


FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def compare(first, second, folder_links=True):
    """The differences, and the number of entries that were compared. Without
    folder_links the link counts of folders are left out: not every file system
    counts subfolders."""
    c = Comparison(folder_links)
    fa, fb = os.open(first, FOLDER), os.open(second, FOLDER)
    c.entry(b"", fa, fb, b".")
    # (path, the two folders, the names that are left)
    stack = [(b"", fa, fb, c.names(b"", fa, fb))]
    while stack:
        path, fa, fb, names = stack[-1]
        if not names or c.out.enough:
            os.close(fa)
            os.close(fb)
            stack.pop()
            continue
        name = names.pop()
        below = path + b"/" + name
        if stat.S_ISDIR(c.entry(below, fa, fb, name)):
            da, db = (os.open(name, FOLDER, dir_fd=f) for f in (fa, fb))
            stack.append((below, da, db, c.names(below, da, db)))
    return c.out, c.entries
