# SPDX-License-Identifier: Apache-2.0
"""Random but repeatable disturbance of a small tree: several processes of
several users, told one by one what to do."""

import ctypes
import os
import random
import socket
import stat
import struct
import traceback

LIBC = ctypes.CDLL(None, use_errno=True)
EXCHANGE, NOREPLACE = 2, 1
USERS = (0, 0, 1000, 1001)
NAMES = [b"a", b"b", b"c", b"d", b"e", b"f.txt", b"\xff\n ", b"g"]
ATTRIBUTES = ["user.one", "user.two", "trusted.one", "user.overlay.mine",
              "trusted.overlay.mine", "trusted.overlay.overlay.mine"]
# An access control list with a named user: u::rw- u:1000:r-- g::r-- m::r-- o::r--
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, perm, who) for tag, perm, who in (
        (1, 6, 0xFFFFFFFF), (2, 4, 1000), (4, 4, 0xFFFFFFFF),
        (16, 4, 0xFFFFFFFF), (32, 4, 0xFFFFFFFF)))


def rename2(a, b, flags):
    if LIBC.renameat2(-100, a, -100, b, flags):
        raise OSError(ctypes.get_errno(), "renameat2")


def write(path, flags, size, at, byte, mode=0o644):
    fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | flags,
                 mode)
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            os.pwrite(fd, byte * size, at)
    finally:
        os.close(fd)


def rewrite(path):
    """The same bytes again: another time, the same content."""
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            os.pwrite(fd, os.pread(fd, 1 << 20, 0), 0)
    finally:
        os.close(fd)


def flip(path):
    """Another byte, and the old size and time."""
    st = os.lstat(path)
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode) and st.st_size:
            old = os.pread(fd, 1, st.st_size // 2)  # others may have cut it
            os.pwrite(fd, bytes(c ^ 1 for c in old), st.st_size // 2)
    finally:
        os.close(fd)
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))


def remove(path):
    """rm -rf"""
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        os.unlink(path)
        return
    for name in sorted(os.listdir(path)):
        remove(os.path.join(path, name))
    os.rmdir(path)


def recreate(path):
    """The same name, but a new one: a folder hides what was in it."""
    st = os.lstat(path)
    within = sorted(os.listdir(path))[::2] if stat.S_ISDIR(st.st_mode) else []
    remove(path)
    if stat.S_ISDIR(st.st_mode):
        os.mkdir(path)
        for name in within:
            os.mkdir(os.path.join(path, name))
    elif stat.S_ISCHR(st.st_mode):
        os.mknod(path, st.st_mode, os.makedev(1, os.minor(st.st_rdev) ^ 4))
    elif stat.S_ISLNK(st.st_mode):
        os.symlink(b"new", path)
    else:
        write(path, os.O_CREAT, 5, 0, b"n")


def change_type(path, pick):
    remove(path)
    pick.choice([lambda: os.mkdir(path), lambda: os.mkfifo(path),
                 lambda: os.symlink("a", path),
                 lambda: write(path, os.O_CREAT, 3, 0, b"t")])()


def bind(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)


def operations(pick, top):
    """One thing to do, as a function."""
    def any_path(new=0.3):
        path = top
        for _ in range(pick.choice([1, 1, 1, 2, 2, 3, 4])):
            try:
                there = sorted(os.listdir(path))
            except OSError:
                break
            fresh = pick.random() < new or not there
            path = os.path.join(path, pick.choice(NAMES if fresh else there))
            if not stat.S_ISDIR(mode_of(path)):
                break
        return path

    def mode_of(path):
        try:
            return os.lstat(path).st_mode
        except OSError:
            return 0

    there = any_path(0)
    other = any_path(0.5)
    byte = bytes([pick.randrange(97, 123)])
    size = pick.choice([0, 1, 7, 100, 4096, 9000])
    at = pick.choice([0, 0, 3, 8192, 1 << 20])
    attr = pick.choice(ATTRIBUTES)
    return pick.choice([
        lambda: write(other, os.O_CREAT, size, at, byte),
        lambda: write(other, os.O_CREAT | os.O_EXCL, size, 0, byte, 0o600),
        lambda: write(there, os.O_TRUNC, size, 0, byte),
        lambda: write(there, 0, size, at, byte),
        lambda: write(there, os.O_APPEND, size, 0, byte),
        lambda: rewrite(there),
        lambda: flip(there),
        lambda: os.truncate(there, size),
        lambda: os.chmod(there, pick.choice([0o755, 0o640, 0o777, 0o4711])),
        lambda: os.chown(there, pick.choice([0, 1000, 1001]),
                         pick.choice([0, 1000]), follow_symlinks=False),
        lambda: os.utime(there, ns=(1, pick.randrange(1 << 60)),
                         follow_symlinks=False),
        lambda: os.setxattr(there, attr, byte * pick.choice([0, 1, 200]),
                            follow_symlinks=False),
        lambda: os.removexattr(there, attr, follow_symlinks=False),
        lambda: os.setxattr(there, "system.posix_acl_access", ACL,
                            follow_symlinks=False),
        lambda: os.mkdir(other),
        lambda: os.makedirs(os.path.join(other, b"x/y")),
        lambda: os.rmdir(there),
        lambda: os.unlink(there),
        lambda: remove(there),
        lambda: recreate(there),
        lambda: change_type(there, pick),
        lambda: os.rename(there, other),
        lambda: os.rename(there, other),
        lambda: os.rename(there, any_path(1)),
        lambda: os.rename(there, os.path.dirname(there) + b"/moved"),
        lambda: rename2(there, any_path(0), EXCHANGE),
        lambda: rename2(there, other, NOREPLACE),
        lambda: os.link(there, other, follow_symlinks=False),
        lambda: os.link(there, any_path(1), follow_symlinks=False),
        lambda: os.symlink(b"../" + byte * 3, other),
        lambda: os.mkfifo(other),
        lambda: bind(other),
        lambda: os.mknod(other, stat.S_IFCHR | 0o600, os.makedev(1, 3)),
        lambda: os.mknod(other, stat.S_IFBLK | 0o600, os.makedev(7, 0)),
    ])


def become(uid):
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def worker(uid, seed, top, orders, answers):
    """Do as many things as each order says, and answer with how many worked."""
    pick = random.Random(seed)
    become(uid)
    os.umask(0o022)
    while True:
        order = os.read(orders, 1)
        if not order:
            os._exit(0)
        worked = 0
        for _ in range(order[0]):
            try:
                operations(pick, top)()
                worked += 1
            except OSError:
                pass
        os.write(answers, bytes([worked]))


class Workers:
    """Processes that disturb the tree at top; one does as told at a time, or
    all at once."""

    def __init__(self, top, seed):
        self.pick = random.Random(seed)
        self.members = []
        for i, uid in enumerate(USERS):
            orders, to = os.pipe()
            answers, back = os.pipe()
            pid = os.fork()
            if pid == 0:
                try:
                    for _, a, b in self.members:
                        os.close(a)
                        os.close(b)
                    os.close(to)
                    worker(uid, seed * 10 + i, os.fsencode(top), orders, back)
                except Exception:
                    traceback.print_exc()
                finally:
                    os._exit(1)
            os.close(orders)
            os.close(back)
            self.members.append((pid, to, answers))

    def one_by_one(self, count):
        worked = 0
        for _ in range(count):
            _, to, answers = self.pick.choice(self.members)
            os.write(to, b"\1")
            worked += os.read(answers, 1)[0]
        return worked

    def at_once(self, count):
        for _, to, _ in self.members:
            os.write(to, bytes([count]))
        return sum(os.read(answers, 1)[0] for *_, answers in self.members)

    def end(self):
        for pid, to, answers in self.members:
            os.close(to)
            os.close(answers)
            assert os.waitpid(pid, 0)[1] == 0
