# SPDX-License-Identifier: Apache-2.0
"""What cannot work says so: one line on standard error, the documented exit
code, and nothing half-made stays behind."""

import hashlib
import os
import random
import shutil
import struct
import subprocess

import pytest

import support
import trees
from support import (DENIED, INPUT, MOUNT, NO, NOBODY, PATIENCE, SYSTEM,
                     UNSUPPORTED, USAGE)

SUPER = 4096
VERSION_AT = 8


@pytest.fixture
def source(scratch):
    top = os.path.join(scratch, "source")
    os.makedirs(top + "/folder")
    trees.put(top + "/file", b"content\n")
    trees.put(top + "/folder/large", os.urandom(300_000))
    return top


@pytest.fixture
def image(stele, source, scratch):
    path = os.path.join(scratch, "image.stele")
    stele.build(source, path)
    return path


@pytest.fixture
def point(scratch):
    path = os.path.join(scratch, "mnt")
    os.mkdir(path)
    return path


def reseal(path, change):
    """Change the superblock and make its seal right again."""
    with open(path, "r+b") as f:
        block = bytearray(f.read(SUPER))
        change(block)
        block[-32:] = hashlib.sha256(block[:-32]).digest()
        f.seek(0)
        f.write(block)


def newer_version(path):
    reseal(path, lambda b: struct.pack_into("<I", b, VERSION_AT, 2))


def unknown_feature(path):
    reseal(path, lambda b: struct.pack_into("<I", b, 28, 1))


def cut(length):
    def change(path):
        size = os.path.getsize(path)
        os.truncate(path, length if length >= 0 else size + length)
    return change


def overwrite(data):
    def change(path):
        os.unlink(path)
        if data is not None:
            trees.put(path, data)
    return change


def other_kind(make):
    def change(path):
        os.unlink(path)
        make(path)
    return change


BAD_IMAGES = {
    "empty": (overwrite(b""), INPUT),
    "short text": (overwrite(b"hello\n"), INPUT),
    "another file": (overwrite(b"\x7fELF" + bytes(100_000)), INPUT),
    "zeros": (overwrite(bytes(100_000)), INPUT),
    "cut to a byte": (cut(1), INPUT),
    "cut in the superblock": (cut(4095), INPUT),
    "cut behind the superblock": (cut(4096), INPUT),
    "cut in the middle": (cut(150_000), INPUT),
    "last byte gone": (cut(-1), INPUT),
    "a byte too much": (lambda p: open(p, "ab").write(b"x"), INPUT),
    "newer version": (newer_version, UNSUPPORTED),
    "unknown feature": (unknown_feature, UNSUPPORTED),
    "missing": (overwrite(None), SYSTEM),
    "a folder": (other_kind(os.mkdir), {INPUT, SYSTEM}),
    "a FIFO": (other_kind(os.mkfifo), {INPUT, SYSTEM}),
    "a device": (other_kind(lambda p: os.mknod(p, 0o20666,
                                               os.makedev(1, 5))),
                 {INPUT, SYSTEM}),
    "a loop": (other_kind(lambda p: os.symlink(p, p)), SYSTEM),
}


@pytest.mark.parametrize("bad", BAD_IMAGES)
@pytest.mark.parametrize("command", ["mount", "info", "ls", "cat", "verify",
                                     "extract", "diff", "diff-second"])
def test_what_is_no_image(stele, image, point, scratch, bad, command):
    good = image + ".good"
    shutil.copy(image, good)
    change, codes = BAD_IMAGES[bad]
    change(image)
    out = os.path.join(scratch, "out")
    words = {"mount": [image, point, "--ledger", scratch + "/l"],
             "info": [image], "ls": [image], "cat": [image, "/file"],
             "verify": [image], "extract": [image, "--to", out],
             "diff": [image, good], "diff-second": [good, image]}[command]
    before = support.everything_below(scratch)
    if command.startswith("diff") and bad == "a folder":
        return  # that is how an image is compared with a folder
    stele.refuses(codes, command.split("-")[0], *words, says=[image])
    assert not support.is_mounted(point)
    # A state folder that had to be made may stay, but nothing in it.
    after = [p for p in support.everything_below(scratch)
             if not (p.startswith(stele.state) and os.path.isdir(p))]
    assert after == before


def test_mount_point_missing(stele, image, scratch):
    stele.refuses(MOUNT, "mount", image, scratch + "/nowhere",
            says=[scratch + "/nowhere"])


def test_mount_point_is_a_file(stele, image, source):
    stele.refuses(MOUNT, "mount", image, source + "/file",
            says=[source + "/file"])


def test_mount_point_below_a_file(stele, image, source):
    stele.refuses(MOUNT, "mount", image, source + "/file/x",
            says=[source + "/file/x"])


def test_mount_point_not_empty(stele, image, source, scratch):
    """What it hides must be wanted."""
    stele.refuses(MOUNT, "mount", image, source, says=[source, "nonempty"])
    m = stele.mount(image, source, "-o", "nonempty")
    assert os.path.exists(source + "/file")
    m.umount()


def test_image_below_the_mount_point(stele, image, scratch):
    inside = os.path.join(scratch, "mnt2")
    os.mkdir(inside)
    shutil.move(image, inside + "/image.stele")
    stele.refuses(MOUNT, "mount", inside + "/image.stele", inside, "-o",
            "nonempty", says=[inside])
    assert not support.is_mounted(inside)


def test_ledger_below_the_mount_point(stele, image, point):
    stele.refuses(MOUNT, "mount", image, point, "--ledger",
            point + "/ledger", says=[point])
    assert os.listdir(point) == []


def test_mount_point_busy(stele, image, point):
    stele.mount(image, point)
    stele.refuses(MOUNT, "mount", image, point, says=[point])


def test_ledger_busy(stele, image, point, scratch):
    m = stele.mount(image, point)
    other = os.path.join(scratch, "other")
    os.mkdir(other)
    text = stele.refuses({SYSTEM, MOUNT}, "mount", image, other, "--ledger",
                   m.ledger, says=[m.ledger])
    assert str(m.pid()) in text
    assert not support.is_mounted(other)


def test_ledger_is_something_else(stele, image, point, scratch):
    trees.put(scratch + "/notes", b"my notes\n" * 1000)
    stele.refuses(INPUT, "mount", image, point, "--ledger",
            scratch + "/notes", says=[scratch + "/notes"])
    with open(scratch + "/notes", "rb") as f:
        assert f.read() == b"my notes\n" * 1000
    stele.refuses(INPUT, "log", scratch + "/notes", says=["notes"])
    assert not support.is_mounted(point)


def test_ledger_in_a_missing_folder(stele, image, point, scratch):
    stele.refuses(SYSTEM, "mount", image, point, "--ledger",
            scratch + "/no/ledger", says=[scratch + "/no/ledger"])
    assert not support.is_mounted(point)


def test_another_image_than_expected(stele, image, point):
    stele.refuses(NO, "mount", image, point, "-o", "id=" + "0" * 64,
            says=[image])
    assert not support.is_mounted(point)


def test_log_of_nothing(stele, scratch, point):
    stele.refuses({SYSTEM, INPUT, MOUNT}, "log", scratch + "/none",
            says=["none"])
    stele.refuses({SYSTEM, INPUT, MOUNT}, "log", point, says=[point])


@pytest.mark.parametrize("words", [
    ["mount"], ["mount", "a"], ["mount", "a", "b", "c"], ["build"],
    ["build", "x"], ["frobnicate"], ["log"], ["extract", "x"], ["diff", "x"],
    ["build", "x", "-o", "y", "--level", "99"],
    ["build", "x", "-o", "y", "--jobs", "0"], ["ls", "--bogus", "x"]])
@pytest.mark.nofuse
def test_wrong_words(stele, words):
    done = stele.run(*words)
    assert done.returncode == USAGE
    assert done.stdout == b""
    # What is wrong, and perhaps the usage line.
    assert 1 <= done.stderr.count(b"\n") <= 2


def in_namespace(prepare):
    """Words that run what follows in a mount namespace of its own."""
    return ["unshare", "-m", "--propagation", "private", "sh", "-e", "-c",
            prepare + '; exec "$@"', "sh"]


def test_no_fuse_device(stele, image, point):
    """In a container without the device."""
    for prepare in ("mount --bind /dev/null /dev/fuse",
                    "mount -t tmpfs none /dev"):
        done = subprocess.run(
            [*in_namespace(prepare), stele.binary, "mount", image, point],
            env=stele.env, stdin=subprocess.PIPE, stderr=subprocess.PIPE,
            stdout=subprocess.PIPE, timeout=PATIENCE, text=True)
        assert done.returncode == UNSUPPORTED, done.stderr
        assert done.stderr.count("\n") == 1 and "/dev/fuse" in done.stderr
    assert os.listdir(point) == []


def one_line(done, code):
    assert done.returncode == code, (done.returncode, done.stderr)
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_no_permission_to_read_the_image(stele, image, point):
    os.chmod(image, 0o600)
    for words in (["mount", image, point], ["ls", image], ["verify", image]):
        assert image in one_line(stele.run_as(NOBODY, *words), DENIED)


def test_no_permission_for_the_mount_point(stele, image, point):
    """A folder of root's, and somebody who is not root."""
    done = stele.run_as(NOBODY, "mount", image, point)
    assert done.returncode in (DENIED, MOUNT, SYSTEM), done.stderr
    assert done.stderr.count("\n") == 1
    assert not support.is_mounted(point)


def test_disk_full_while_extracting(stele, image, small_disk, scratch):
    source = os.path.join(scratch, "too-much")
    os.mkdir(source)
    for i in range(40):
        trees.put(f"{source}/{i}", os.urandom(100_000))
    stele.build(source, scratch + "/big.stele")
    stele.refuses(SYSTEM, "extract", scratch + "/big.stele", "--to",
            small_disk + "/to", says=["No space left on device"])


def test_ledger_on_a_full_disk(stele, image, point, small_disk, attempt):
    """What cannot be written down one by one is counted, in a place that was
    kept for it; when there is room again, the record says how many."""
    m = stele.mount(image, point, ledger=small_disk + "/ledger")
    assert attempt.one(m, "mkdir first") == "EROFS"
    filler = small_disk + "/filler"
    with open(filler, "wb", buffering=0) as f:
        try:
            while True:
                f.write(bytes(4096))
        except OSError:
            pass
    answers = [attempt.one(m, f"mkdir full-{i}") for i in range(200)]
    assert set(answers) == {"EROFS"}
    with open(m.path("file")) as f:
        assert f.read() == "content\n"
    os.unlink(filler)
    more = 1

    def told():
        nonlocal more
        more += 1
        assert attempt.one(m, "mkdir again") == "EROFS"
        return m.log("--op", "gap")

    support.wait_until(told, "room, and the record of the gap", 20)
    m.umount()
    rows = m.log("--op", "mkdir,gap")
    assert sum(r["count"] for r in rows) == len(answers) + more
    assert stele.run("log", "verify", m.ledger).returncode == 0


@pytest.mark.nofuse
def test_damage_anywhere_is_reported(stele, image):
    """Bytes here and there; the unit tests try every one."""
    with open(image, "rb") as f:
        whole = f.read()
    pick = random.Random(1)
    spots = [0, 8, 12, 16, 30, 40, 100, 4000, 4095, 4096, len(whole) - 1]
    spots += [pick.randrange(len(whole)) for _ in range(60)]
    for at in spots:
        with open(image, "r+b") as f:
            f.seek(at)
            f.write(bytes([whole[at] ^ 0x10]))
        done = stele.run("verify", image, "-q")
        assert done.returncode in (INPUT, UNSUPPORTED), (at, done.stderr)
        with open(image, "r+b") as f:
            f.seek(at)
            f.write(whole[at:at + 1])
    stele.ok("verify", image, "-q")


def test_extract_into_what_is_there(stele, image, scratch):
    """Extraction does not mix with what is there."""
    to = os.path.join(scratch, "to")
    os.mkdir(to)
    trees.put(to + "/file", b"mine")
    done = stele.run("extract", image, "--to", to)
    assert done.returncode != 0 and done.stderr.count(b"\n") == 1
    with open(to + "/file") as f:
        assert f.read() == "mine"
    assert os.listdir(to) == ["file"]


def test_every_message_is_one_line(stele, image, scratch):
    """Names with control characters stay in their line."""
    odd = os.path.join(scratch, "odd\nstele: all is well\x1b[31m")
    for words in (["ls", odd], ["mount", odd, scratch], ["mount", image, odd],
                  ["verify", odd], ["build", odd, "-o", scratch + "/x"],
                  ["build", scratch, "-o", odd + "/x"], ["log", odd],
                  ["umount", odd], [odd], ["cat", image, "/" + odd]):
        done = stele.run(*words)
        assert done.returncode
        text = done.stderr.decode("utf-8", "replace")
        lines = text.splitlines()
        assert not any(line.startswith("stele: all is well") for line in lines)
        assert len(lines) <= 2 and "\x1b" not in text, text
