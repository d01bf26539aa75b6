# SPDX-License-Identifier: Apache-2.0
"""Trees with one of everything that a file system can hold."""

import os
import socket
import stat
import struct
import subprocess

BLOCK = 4096
ID_MAX = 2**32 - 2  # the last one is no id

NAMES = [b"a", b" ", b"...", b"-rf", b"new\nline", b"tab\there", b"back\\slash",
         b"\xff\xfe\x80", b"\x01\x1b[31mred\x1b[0m", b"\x7f", b"*?[]$'\"`|&;",
         "z\u00fcrich \u6f22\u5b57 \U0001f5ff".encode(), b"x" * 255,
         b"\xc3" * 255,
         "\u202egnp.exe".encode(), b"A", b"caf\xc3\xa9", b"cafe\xcc\x81",
         b".wh.file", b".hidden", b"%41", b"name.", b"con", b"\xed\xa0\x80"]

# Before 1970, around 2038, the first and last that ext4 can hold.
TIMES = [0, 1, -1, -10**9, 999_999_999, -999_999_999, 2**31 * 10**9 - 1,
         2**31 * 10**9, 2**32 * 10**9 + 123_456_789, -(2**31) * 10**9,
         (2**33) * 10**9 + 5, 1_700_000_000_123_456_789]


def put(path, data=b""):
    with open(path, "wb") as f:
        f.write(data)


def pattern(size, seed):
    """Bytes that do not repeat and compress a little."""
    words = b"".join(b"%d-%d " % (seed, i * 7919 % 10007) for i in range(5000))
    return (words * (size // len(words) + 1))[:size]


def pieces(path, size, *parts):
    """A sparse file: (offset, bytes) in holes."""
    with open(path, "wb") as f:
        for at, data in parts:
            f.seek(at)
            f.write(data)
        f.truncate(size)


def bind(folder, name):
    fd = os.open(folder, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(b"/proc/self/fd/%d/%s" % (fd, name))
    os.close(fd)


def names(top):
    for i, name in enumerate(NAMES):
        put(os.path.join(top, name), b"%d" % i)
    folder = os.path.join(top, b"dir" + b"\xff" * 252)
    os.mkdir(folder)
    put(os.path.join(folder, b"\n"))


def sizes(top):
    for size in (0, 1, 4095, 4096, 4097, 131071, 131072, 131073, 262144,
                 1_000_000, 5 * 1024 * 1024 + 17):
        put(top + b"/size-%d" % size, pattern(size, size))
    put(top + b"/zeros", bytes(300_000))
    put(top + b"/noise", os.urandom(300_000))
    for i in range(200):
        put(top + b"/small-%d" % i, pattern(i * 13, i))
    # Twice the same content, and content that begins the same.
    put(top + b"/twin-1", pattern(200_000, 1))
    put(top + b"/twin-2", pattern(200_000, 1))
    put(top + b"/longer", pattern(200_000, 1) + b"x")


def sparse(top, big=True):
    pieces(top + b"/hole-only", 10_000_000)
    pieces(top + b"/hole-first", 9_000_000, (8_000_000 // BLOCK * BLOCK,
                                             b"data"))
    pieces(top + b"/hole-last", 9_000_000, (0, b"data"))
    pieces(top + b"/hole-odd", 1_234_567, (300_001, b"x"))
    pieces(top + b"/comb", 800 * BLOCK,
           *((i * 8 * BLOCK, pattern(BLOCK, i)) for i in range(100)))
    # Two that differ only in where the holes are told to be.
    put(top + b"/same-bytes-dense", bytes(BLOCK * 4))
    pieces(top + b"/same-bytes-hole", BLOCK * 4)
    if big:
        end = 4 * 1024**3 + 8 * 1024**2
        pieces(top + b"/over-4-GiB", end + 1, (0, b"begin"),
               (2**32 - 3, b"across"), (end - 5, b"end...."))


def links(top, of_fifo=True):
    put(top + b"/one", b"hard link\n")
    for i in range(5):
        os.link(top + b"/one", top + b"/two-%d" % i)
    os.mkdir(top + b"/sub")
    os.link(top + b"/one", top + b"/sub/three")
    if of_fifo:  # GNU tar makes them two
        os.mkfifo(top + b"/fifo")
        os.link(top + b"/fifo", top + b"/sub/fifo")
    os.symlink(b"one", top + b"/soft")
    os.link(top + b"/soft", top + b"/sub/soft", follow_symlinks=False)
    # Same content, not the same file.
    put(top + b"/copy", b"hard link\n")


def symlinks(top):
    for name, target in ((b"relative", b"../names/a"), (b"absolute", b"/etc"),
                         (b"dangling", b"not/there"), (b"loop", b"loop"),
                         (b"long", b"t/" * 2047 + b"t"), (b"dot", b"."),
                         (b"bytes", b"\xff\n\x01"), (b"one", b"x"),
                         (b"up", b"../" * 1000)):
        os.symlink(target, top + b"/" + name)


def special(top):
    os.mkfifo(top + b"/fifo")
    bind(top, b"socket")
    for name, kind, major, minor in (
            (b"null", stat.S_IFCHR, 1, 3), (b"disk", stat.S_IFBLK, 8, 1),
            (b"zero", stat.S_IFCHR, 0, 0),
            (b"large", stat.S_IFCHR, 4095, 1048575),
            (b"block-large", stat.S_IFBLK, 259, 300)):
        os.mknod(top + b"/" + name, kind | 0o640, os.makedev(major, minor))


def owners(top):
    for uid, gid in ((0, 0), (1000, 1000), (65534, 65534), (65535, 65536),
                     (2**31 - 1, 2**31), (ID_MAX, ID_MAX), (0, ID_MAX)):
        path = top + b"/%d-%d" % (uid, gid)
        put(path)
        os.chown(path, uid, gid)
    os.symlink(b"x", top + b"/link")
    os.chown(top + b"/link", 12, 34, follow_symlinks=False)


def modes(top):
    for bit in range(12):
        for kind in (b"file", b"dir"):
            path = top + b"/%s-%d" % (kind, bit)
            if kind == b"file":
                put(path)
            else:
                os.mkdir(path)
            os.chmod(path, 1 << bit)
    for mode in (0, 0o777, 0o7777):
        put(top + b"/file-%o" % mode)
        os.chmod(top + b"/file-%o" % mode, mode)


def acl(entries):
    return struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", *e) for e in entries)


NOBODY_ID = 0xFFFFFFFF
ACL = acl([(1, 7, NOBODY_ID), (2, 5, 1000), (2, 4, 2**31), (4, 5, NOBODY_ID),
           (8, 1, 5000), (16, 7, NOBODY_ID), (32, 0, NOBODY_ID)])
# The version 2 of cap_net_raw=ep, and version 3 with a root id.
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
CAPABILITY_3 = struct.pack("<IIIIII", 0x03000001, 1 << 13, 0, 0, 0, 100000)


def xattrs(top, largest):
    def tag(name, **values):
        path = top + b"/" + name
        if not os.path.lexists(path):
            put(path)
        for key, value in values.items():
            os.setxattr(path, key.replace("__", "."), value,
                        follow_symlinks=False)

    tag(b"user", user__a=b"1", user__empty=b"", user__binary=bytes(range(256)))
    tag(b"same", user__a=b"1", user__empty=b"", user__binary=bytes(range(256)))
    tag(b"trusted", trusted__x=b"y")
    tag(b"security", security__other=b"z")
    tag(b"capability", security__capability=CAPABILITY)
    tag(b"capability3", security__capability=CAPABILITY_3)
    tag(b"acl", system__posix_acl_access=ACL)
    os.mkdir(top + b"/folder")
    tag(b"folder", system__posix_acl_access=ACL, system__posix_acl_default=ACL,
        user__on_folder=b"yes")
    tag(b"largest", **{"user__big": pattern(largest, 5)})
    tag(b"many", **{f"user__n{i}": b"v%d" % i for i in range(40)})
    tag(b"name", **{"user__" + "n" * 250: b"long name"})
    path = top + b"/odd"
    put(path)
    os.setxattr(path, b"user.\xff\n\x01", b"odd name")
    os.symlink(b"x", top + b"/link")
    tag(b"link", trusted__on_link=b"yes")
    os.mkfifo(top + b"/fifo")
    tag(b"fifo", trusted__on_fifo=b"yes")


def deep(top):
    """A path of more than PATH_MAX bytes, and one of many short names."""
    for name, times in ((b"long" * 60, 22), (b"d", 320)):
        fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
        for _ in range(times):
            os.mkdir(name, dir_fd=fd)
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = below
        file = os.open(b"bottom", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=fd)
        os.write(file, b"down here\n")
        os.close(file)
        os.close(fd)


def wide(top, count):
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    for i in range(count):
        os.mknod(f"entry-{i:06d}", stat.S_IFREG | 0o644, dir_fd=fd)
    os.close(fd)


def empty(top):
    os.mkdir(top + b"/folder")
    put(top + b"/file")


def times(top):
    for i, ns in enumerate(TIMES):
        for name in (b"file-%d", b"dir-%d"):
            path = top + b"/" + name % i
            if name.startswith(b"f"):
                put(path)
            else:
                os.mkdir(path)
            os.utime(path, ns=(ns, ns))
    os.symlink(b"x", top + b"/link")
    os.utime(top + b"/link", ns=(5, 5), follow_symlinks=False)


def everything(path, largest_xattr, entries=100_000):
    """Make path a folder with one of everything."""
    top = os.fsencode(path)
    os.mkdir(top)
    os.chmod(top, 0o755)
    for make, *more in ((names,), (sizes,), (sparse,), (links,), (symlinks,),
                        (special,), (owners,), (modes,),
                        (xattrs, largest_xattr), (deep,), (wide, entries),
                        (empty,), (times,)):
        folder = top + b"/" + make.__name__.encode()
        os.mkdir(folder)
        make(folder, *more)
    os.utime(top, ns=(7, 1_600_000_000_000_000_001))


def largest_xattr(folder):
    """How long a value the file system takes, by trying."""
    path = os.path.join(folder, "xattr-probe")
    put(path)
    size = 65536
    while size:
        try:
            os.setxattr(path, "user.big", bytes(size))
            break
        except OSError:
            size -= 512
    os.unlink(path)
    return size


def portable(path):
    """The same without what tar cannot carry or what takes long to read."""
    top = os.fsencode(path)
    os.mkdir(top)
    for make, *more in ((names,), (sizes,), (sparse, False), (links, False),
                        (symlinks,), (owners,), (modes,), (times,), (empty,)):
        folder = top + b"/" + make.__name__.encode()
        os.mkdir(folder)
        make(folder, *more)
    os.mkdir(top + b"/xattrs")
    for name, key in ((b"a", "user.x"), (b"b", "trusted.y"),
                      (b"c", "security.z")):
        put(top + b"/xattrs/" + name)
        os.setxattr(top + b"/xattrs/" + name, key, b"\x00value\xff")
    put(top + b"/xattrs/acl")
    os.setxattr(top + b"/xattrs/acl", "system.posix_acl_access", ACL)
    os.mknod(top + b"/null", 0o20666, os.makedev(1, 3))
    os.mkfifo(top + b"/fifo")


def tar(folder, file):
    """What GNU tar can carry of it, all attributes included."""
    subprocess.run(["tar", "--format=posix", "--xattrs", "--xattrs-include=*",
                    "--acls", "--sparse", "--numeric-owner", "-C", folder,
                    "-cf", file, "."], check=True)
