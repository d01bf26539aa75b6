# SPDX-License-Identifier: Apache-2.0
"""Every way to read a mounted image gives the bytes and names of the source."""

import ctypes
import errno
import fcntl
import hashlib
import mmap
import multiprocessing
import os
import random
import shutil
import stat
import struct
import subprocess

import pytest

import support
import trees

PAGE = 4096
libc = ctypes.CDLL(None, use_errno=True)
SYS_GETDENTS64 = 217 if os.uname().machine == "x86_64" else 61
FILES = {"tiny": 5, "page": PAGE, "odd": 131073, "large": 20_000_003}
WIDE = 100_000


def make_source(top):
    os.mkdir(top)
    for name, size in FILES.items():
        trees.put(os.path.join(top, name), trees.pattern(size, size))
    trees.pieces(os.path.join(top, "sparse"), 10_000_000,
                 (1_048_576, trees.pattern(100_000, 3)),
                 (8_388_608, b"last data"))
    os.mkdir(os.path.join(top, "programs"))
    for name in ("true", "echo", "cat", "python3"):
        program = os.path.realpath(shutil.which(name))
        shutil.copy(program, os.path.join(top, "programs", name))
    with open(os.path.join(top, "programs", "script"), "w") as f:
        f.write("#!/bin/sh\necho from a script\n")
    os.chmod(os.path.join(top, "programs", "script"), 0o755)
    for name, count in (("wide", WIDE), ("few", 3), ("none", 0)):
        os.mkdir(os.path.join(top, name))
        trees.wide(os.path.join(top, name), count)


@pytest.fixture(scope="module")
def source(module_scratch):
    top = os.path.join(module_scratch, "source")
    make_source(top)
    return top


@pytest.fixture(scope="module")
def image(module_stele, source, module_scratch):
    path = os.path.join(module_scratch, "read.stele")
    module_stele.build(source, path)
    return path


@pytest.fixture
def m(stele, image, scratch):
    return stele.mount(image, os.path.join(scratch, "mnt"))


def content(source, name):
    with open(os.path.join(source, name), "rb") as f:
        return f.read()


@pytest.mark.parametrize("name", [*FILES, "sparse"])
def test_pread_at_any_offset(m, source, name):
    data = content(source, name)
    pick = random.Random(name)
    fd = os.open(m.path(name), os.O_RDONLY)
    spots = [(0, 1), (len(data) - 1, 1), (len(data), 10), (len(data) + 99, 10),
             (len(data) - 1, 100), (0, len(data) + 1), (131071, 2)]
    spots += [(pick.randrange(len(data) + 10), pick.randrange(300_000))
              for _ in range(200)]
    for at, length in spots:
        at = max(at, 0)
        assert os.pread(fd, length, at) == data[at:at + length], (at, length)
    os.close(fd)


@pytest.mark.parametrize("name", FILES)
def test_mmap(m, source, name):
    data = content(source, name)
    with open(m.path(name), "rb") as f:
        with mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as shared:
            assert shared[:] == data
        with mmap.mmap(f.fileno(), 0, flags=mmap.MAP_PRIVATE) as private:
            private[0] = data[0] ^ 1
            assert private[1:] == data[1:]
    assert content(m.point, name) == data


@pytest.mark.parametrize("name", [*FILES, "sparse"])
def test_direct_read(m, source, name):
    data = content(source, name)
    fd = os.open(m.path(name), os.O_RDONLY | os.O_DIRECT)
    room = mmap.mmap(-1, 1 << 20)  # aligned to a page
    pick = random.Random(name)
    last = len(data) // PAGE
    for at in [0, last] + [pick.randrange(last + 1) for _ in range(40)]:
        at *= PAGE
        for length in (PAGE, 1 << 20):
            got = os.preadv(fd, [memoryview(room)[:length]], at)
            want = data[at:at + length]
            assert got == len(want) and room[:got] == want
    os.close(fd)


def test_sendfile(m, source, scratch):
    for name in FILES:
        copy = os.path.join(scratch, name)
        with open(m.path(name), "rb") as src, open(copy, "wb") as dst:
            at, size = 0, FILES[name]
            while at < size:
                at += os.sendfile(dst.fileno(), src.fileno(), at, size - at)
        assert content(scratch, name) == content(source, name)


def test_exec(m):
    def run(*words):
        return subprocess.run([m.path("programs/" + words[0]), *words[1:]],
                              stdout=subprocess.PIPE, check=True).stdout

    run("true")
    assert run("echo", "hello") == b"hello\n"
    assert run("script") == b"from a script\n"
    assert run("python3", "-c", "import sys; print(6 * 7)") == b"42\n"
    assert run("cat", m.path("programs/script")).startswith(b"#!/bin/sh")
    for flags in (os.O_WRONLY, os.O_RDWR):
        # Running or not: read-only comes first, as on squashfs.
        with pytest.raises(OSError) as e:
            os.open(m.path("programs/python3"), flags)
        assert e.value.errno == errno.EROFS


def read_some(path, seed, wanted, failed):
    """A process that compares random pieces with what it knows."""
    pick = random.Random(seed)
    fd = os.open(path, os.O_RDONLY)
    for _ in range(150):
        at = pick.randrange(len(wanted))
        length = pick.randrange(1, 200_000)
        if os.pread(fd, length, at) != wanted[at:at + length]:
            failed.put((seed, at, length))
            return


def test_concurrent_readers(m, source):
    data = content(source, "large")
    context = multiprocessing.get_context("fork")
    failed = context.SimpleQueue()
    readers = [context.Process(target=read_some,
                               args=(m.path("large"), seed, data, failed))
               for seed in range(8)]
    for r in readers:
        r.start()
    for r in readers:
        r.join(support.PATIENCE)
        assert r.exitcode == 0
    assert failed.empty(), failed.get()


def test_whole_content(m, source):
    for name in [*FILES, "sparse"]:
        want = hashlib.sha256(content(source, name)).hexdigest()
        assert hashlib.sha256(content(m.point, name)).hexdigest() == want


def test_holes(m, source):
    """Data and holes are where they were; the bounds are those of lseek(2)."""
    fd = os.open(m.path("sparse"), os.O_RDONLY)
    assert os.lseek(fd, 0, os.SEEK_HOLE) == 0
    assert os.lseek(fd, 0, os.SEEK_DATA) == 1_048_576
    end = os.lseek(fd, 1_048_576, os.SEEK_HOLE)
    assert 1_148_576 <= end < 1_148_576 + PAGE
    assert os.lseek(fd, end, os.SEEK_DATA) == 8_388_608
    last = os.lseek(fd, 8_388_608, os.SEEK_HOLE)
    assert os.lseek(fd, 9_999_999, os.SEEK_HOLE) == 9_999_999
    for at, how in ((last, os.SEEK_DATA), (10_000_000, os.SEEK_DATA),
                    (10_000_000, os.SEEK_HOLE), (10_000_001, os.SEEK_HOLE),
                    (2**62, os.SEEK_DATA)):
        with pytest.raises(OSError) as e:
            os.lseek(fd, at, how)
        assert e.value.errno == errno.ENXIO
    assert os.lseek(fd, -9, os.SEEK_END) == 9_999_991
    os.close(fd)
    fd = os.open(m.path("page"), os.O_RDONLY)
    assert os.lseek(fd, 17, os.SEEK_DATA) == 17
    assert os.lseek(fd, 17, os.SEEK_HOLE) == PAGE
    os.close(fd)


def getdents(fd, size):
    """One call: [(inode, cookie, type, name)]."""
    room = ctypes.create_string_buffer(size)
    n = libc.syscall(SYS_GETDENTS64, fd, room, size)
    if n < 0:
        raise OSError(ctypes.get_errno(), "getdents64")
    at, found = 0, []
    while at < n:
        ino, cookie, length, kind = struct.unpack_from("<QqHB", room.raw, at)
        name = room.raw[at + 19:at + length].split(b"\0")[0]
        found.append((ino, cookie, kind, name))
        at += length
    return found


def listing(fd, size):
    entries = []
    while True:
        more = getdents(fd, size)
        if not more:
            return entries
        entries += more


@pytest.mark.parametrize("name", ["few", "none", "programs", "."])
def test_listing_in_small_steps(m, source, name):
    """However small the buffer, the listing is the same; and a cookie leads
    back to the same place."""
    fd = os.open(m.path(name), os.O_RDONLY | os.O_DIRECTORY)
    whole = listing(fd, 65536)
    names = [e[3] for e in whole]
    assert sorted(names) == sorted([b".", b".."] + list(map(
        os.fsencode, os.listdir(os.path.join(source, name)))))
    cookies = [e[1] for e in whole]
    assert len(set(cookies)) == len(cookies)
    os.lseek(fd, 0, os.SEEK_SET)
    assert listing(fd, 32 if name != "programs" else 40) == whole
    for i, cookie in reversed(list(enumerate(cookies))):
        os.lseek(fd, cookie, os.SEEK_SET)
        assert listing(fd, 64) == whole[i + 1:]
    for ino, _cookie, kind, entry in whole[2:]:
        st = os.lstat(os.path.join(os.fsencode(m.path(name)), entry))
        assert (st.st_ino, stat.S_IFMT(st.st_mode) >> 12) == (ino, kind)
    with pytest.raises(OSError) as e:
        os.lseek(fd, 0, os.SEEK_SET)
        getdents(fd, 8)
    assert e.value.errno == errno.EINVAL
    os.close(fd)


def test_listing_of_a_very_wide_folder(m):
    want = {b"entry-%06d" % i for i in range(WIDE)} | {b".", b".."}
    fd = os.open(m.path("wide"), os.O_RDONLY | os.O_DIRECTORY)
    first = listing(fd, 300)
    assert {e[3] for e in first} == want and len(first) == len(want)
    os.lseek(fd, 0, os.SEEK_SET)
    assert listing(fd, 1 << 20) == first
    pick = random.Random(1)
    for i in [0, WIDE + 1] + [pick.randrange(WIDE) for _ in range(100)]:
        os.lseek(fd, first[i][1], os.SEEK_SET)
        assert getdents(fd, 300) == first[i + 1:i + 1 + len(getdents_at(
            fd, first[i][1]))]
    os.close(fd)


def getdents_at(fd, cookie):
    os.lseek(fd, cookie, os.SEEK_SET)
    return getdents(fd, 300)


def test_two_listings_do_not_disturb_each_other(m):
    one, two = (os.open(m.path("wide"), os.O_RDONLY) for _ in range(2))
    a = getdents(one, 1000)
    b = listing(two, 4096)
    a += listing(one, 777)
    assert a == b
    os.close(one)
    os.close(two)


def test_stat_of_all(m, source):
    """Inode numbers are stable and distinct, times and sizes are kept."""
    numbers = {}
    for folder, folders, files in os.walk(m.point):
        for name in folders + files:
            path = os.path.join(folder, name)
            numbers[os.lstat(path).st_ino] = path
    assert len(numbers) >= WIDE
    for ino, path in list(numbers.items())[::997]:
        assert os.lstat(path).st_ino == ino
    assert os.stat(m.point).st_ino == 1
    assert all(os.stat(m.path(n)).st_blksize > 0 for n in FILES)


def test_statfs(m, source):
    st = os.statvfs(m.point)
    assert st.f_bfree == st.f_bavail == st.f_ffree == 0
    assert st.f_namemax == 255
    assert st.f_files >= WIDE
    # As large as what is in it, within a block for each file.
    total = st.f_blocks * st.f_frsize
    assert total > 0
    assert st.f_flag & os.ST_NOSUID
    assert st.f_flag & os.ST_NODEV
    # Not marked read-only: the kernel would then refuse and nobody would know.
    assert not st.f_flag & os.ST_RDONLY


def test_locks(m):
    """Locks work, between descriptors and between processes."""
    one, two = (os.open(m.path("page"), os.O_RDONLY) for _ in range(2))
    fcntl.flock(one, fcntl.LOCK_EX)
    with pytest.raises(BlockingIOError):
        fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(one, fcntl.LOCK_UN)
    fcntl.flock(two, fcntl.LOCK_SH | fcntl.LOCK_NB)
    fcntl.lockf(one, fcntl.LOCK_SH | fcntl.LOCK_NB)
    with pytest.raises(OSError) as e:
        fcntl.lockf(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert e.value.errno == errno.EBADF  # opened only for reading
    os.close(one)
    os.close(two)


def test_handles(m, attempt):
    """Named by handle, and opened again by it, also after the kernel forgot."""
    for name in ("large", "programs/true", "wide", "wide/entry-050000", "few",
                 "."):
        assert attempt.one(m, f"handle {name} 0") == "ok"
    assert attempt.one(m, "handle missing 0") == "ENOENT"


def test_fsync_is_harmless(m, attempt):
    lines = [f"{call} {name}" for call in ("fsync", "fdatasync", "syncfs")
             for name in ("page", "few", ".")]
    assert set(attempt.run(m, lines)) == {"ok"}


def test_nothing_of_this_was_an_attempt(m, source):
    """Reading is not recorded: the ledger is of refused writes only."""
    for name in FILES:
        content(m.point, name)
    os.listdir(m.path("few"))
    assert m.log() == []
