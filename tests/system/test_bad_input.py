# SPDX-License-Identifier: Apache-2.0
"""What cannot work says so: one line on standard error, the documented exit
code, and nothing half-made stays behind."""

import hashlib
import itertools
import os
import random
import shutil
import signal
import struct
import subprocess

import pytest

import support
import trees
from support import NOBODY, PATIENCE

NO, USAGE, INPUT, UNSUPPORTED, DENIED, SYSTEM, CHANGED, MOUNT = range(1, 9)
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


def everything_below(folder):
    return sorted(os.path.join(a, n) for a, b, c in os.walk(folder)
                  for n in b + c)


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


def refused(stele, codes, *words, says=(), **more):
    """Like refuses, with a choice of codes."""
    codes = codes if isinstance(codes, set) else {codes}
    done = stele.run(*words, **more)
    text = done.stderr.decode("utf-8", "replace")
    what = f"stele {' '.join(map(str, words))}: exit {done.returncode}: {text}"
    assert done.returncode in codes, what
    assert text.count("\n") == 1 and text.endswith("\n"), what
    assert text.startswith("stele "), what
    for word in says:
        assert str(word) in text, what
    return text


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
    before = everything_below(scratch)
    if command.startswith("diff") and bad == "a folder":
        return  # that is how an image is compared with a folder
    refused(stele, codes, command.split("-")[0], *words, says=[image])
    assert not support.is_mounted(point)
    # A state folder that had to be made may stay, but nothing in it.
    after = [p for p in everything_below(scratch)
             if not (p.startswith(stele.state) and os.path.isdir(p))]
    assert after == before


def test_mount_point_missing(stele, image, scratch):
    refused(stele, MOUNT, "mount", image, scratch + "/nowhere",
            says=[scratch + "/nowhere"])


def test_mount_point_is_a_file(stele, image, source):
    refused(stele, MOUNT, "mount", image, source + "/file",
            says=[source + "/file"])


def test_mount_point_below_a_file(stele, image, source):
    refused(stele, MOUNT, "mount", image, source + "/file/x",
            says=[source + "/file/x"])


def test_mount_point_not_empty(stele, image, source, scratch):
    """What it hides must be wanted."""
    refused(stele, MOUNT, "mount", image, source, says=[source, "nonempty"])
    m = stele.mount(image, source, "-o", "nonempty")
    assert os.path.exists(source + "/file")
    m.umount()


def test_image_below_the_mount_point(stele, image, scratch):
    inside = os.path.join(scratch, "mnt2")
    os.mkdir(inside)
    shutil.move(image, inside + "/image.stele")
    refused(stele, MOUNT, "mount", inside + "/image.stele", inside, "-o",
            "nonempty", says=[inside])
    assert not support.is_mounted(inside)


def test_ledger_below_the_mount_point(stele, image, point):
    refused(stele, MOUNT, "mount", image, point, "--ledger",
            point + "/ledger", says=[point])
    assert os.listdir(point) == []


def test_mount_point_busy(stele, image, point):
    stele.mount(image, point)
    refused(stele, MOUNT, "mount", image, point, says=[point])


def test_ledger_busy(stele, image, point, scratch):
    m = stele.mount(image, point)
    other = os.path.join(scratch, "other")
    os.mkdir(other)
    text = refused(stele, {SYSTEM, MOUNT}, "mount", image, other, "--ledger",
                   m.ledger, says=[m.ledger])
    assert str(m.pid()) in text
    assert not support.is_mounted(other)


def test_ledger_is_something_else(stele, image, point, scratch):
    trees.put(scratch + "/notes", b"my notes\n" * 1000)
    refused(stele, INPUT, "mount", image, point, "--ledger",
            scratch + "/notes", says=[scratch + "/notes"])
    with open(scratch + "/notes", "rb") as f:
        assert f.read() == b"my notes\n" * 1000
    refused(stele, INPUT, "log", scratch + "/notes", says=["notes"])
    assert not support.is_mounted(point)


def test_ledger_in_a_missing_folder(stele, image, point, scratch):
    refused(stele, SYSTEM, "mount", image, point, "--ledger",
            scratch + "/no/ledger", says=[scratch + "/no/ledger"])
    assert not support.is_mounted(point)


def test_another_image_than_expected(stele, image, point):
    refused(stele, NO, "mount", image, point, "-o", "id=" + "0" * 64,
            says=[image])
    assert not support.is_mounted(point)


def test_log_of_nothing(stele, scratch, point):
    refused(stele, {SYSTEM, INPUT, MOUNT}, "log", scratch + "/none",
            says=["none"])
    refused(stele, {SYSTEM, INPUT, MOUNT}, "log", point, says=[point])


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


def as_user(uid):
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
            "--inh-caps=-all"]


def run_as(stele, uid, *words):
    state = os.path.join(stele.folder, f"state-{uid}")
    os.makedirs(state, exist_ok=True)
    os.chown(state, uid, uid)
    return subprocess.run(
        [*as_user(uid), stele.binary, *words],
        env=dict(stele.env, STELE_STATE=state),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, timeout=PATIENCE, text=True)


def one_line(done, code):
    assert done.returncode == code, (done.returncode, done.stderr)
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_no_permission_to_read_the_image(stele, image, point):
    os.chmod(image, 0o600)
    for words in (["mount", image, point], ["ls", image], ["verify", image]):
        assert image in one_line(run_as(stele, NOBODY, *words), DENIED)


def test_no_permission_for_the_mount_point(stele, image, point):
    """A folder of root's, and somebody who is not root."""
    done = run_as(stele, NOBODY, "mount", image, point)
    assert done.returncode in (DENIED, MOUNT, SYSTEM), done.stderr
    assert done.stderr.count("\n") == 1
    assert not support.is_mounted(point)


@pytest.mark.nofuse
def test_build_of_what_cannot_be_read(stele, source, scratch):
    os.chmod(source + "/folder/large", 0o600)
    out = os.path.join(scratch, "out")
    os.mkdir(out)
    os.chown(out, NOBODY, NOBODY)
    done = run_as(stele, NOBODY, "build", source, "-o", out + "/x.stele", "-q")
    assert "folder/large" in one_line(done, DENIED)
    os.chmod(source + "/folder", 0o700)
    done = run_as(stele, NOBODY, "build", source, "-o", out + "/x.stele", "-q")
    assert "folder" in one_line(done, DENIED)
    assert os.listdir(out) == []


@pytest.mark.nofuse
def test_build_into_a_forbidden_folder(stele, source, scratch):
    out = os.path.join(scratch, "out")
    os.mkdir(out)
    done = run_as(stele, NOBODY, "build", source, "-o", out + "/x.stele", "-q")
    assert "x.stele" in one_line(done, DENIED)
    assert os.listdir(out) == []


@pytest.mark.nofuse
def test_build_of_wrong_sources(stele, source, scratch):
    out = os.path.join(scratch, "out.stele")
    trees.put(scratch + "/text", b"no archive\n" * 1000)
    trees.put(scratch + "/cut.tar", b"")
    subprocess.run(["tar", "-C", source, "-cf", scratch + "/whole.tar", "."],
                   check=True)
    shutil.copy(scratch + "/whole.tar", scratch + "/cut.tar")
    os.truncate(scratch + "/cut.tar", 200_000)
    for name, codes in (("nowhere", {SYSTEM}), ("text", {INPUT}),
                        ("cut.tar", {INPUT})):
        refused(stele, codes, "build", os.path.join(scratch, name), "-o", out,
                "-q", says=[name])
        assert not os.path.exists(out)


@pytest.mark.nofuse
def test_build_into_a_missing_folder(stele, source, scratch):
    refused(stele, SYSTEM, "build", source, "-o", scratch + "/no/x.stele", "-q",
            says=[scratch + "/no/x.stele"])


@pytest.mark.nofuse
def test_failed_build_keeps_the_old_image(stele, source, image, scratch):
    with open(image, "rb") as f:
        before = f.read()
    trees.put(scratch + "/text", b"no archive\n" * 1000)
    refused(stele, INPUT, "build", scratch + "/text", "-o", image, "-q")
    with open(image, "rb") as f:
        assert f.read() == before


@pytest.mark.nofuse
def test_image_inside_its_own_source(stele, source):
    """The image would be part of itself."""
    before = everything_below(source)
    done = stele.run("build", source, "-o", source + "/folder/x.stele", "-q")
    if done.returncode == 0:
        # Allowed, when what it writes is not part of it.
        stele.ok("verify", source + "/folder/x.stele")
        assert "x.stele" not in stele.ok("ls", source + "/folder/x.stele",
                                         "-R")
        return
    assert done.stderr.count(b"\n") == 1
    assert everything_below(source) == before


@pytest.fixture
def small_disk(scratch):
    folder = os.path.join(scratch, "small")
    os.mkdir(folder)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M,mode=0755", "none",
                    folder], check=True)
    return folder


@pytest.mark.nofuse
@pytest.mark.parametrize("how", ["folder", "tar"])
def test_disk_full_while_building(stele, scratch, small_disk, how):
    source = os.path.join(scratch, "too-much")
    os.mkdir(source)
    for i in range(40):
        trees.put(f"{source}/{i}", os.urandom(100_000))
    if how == "tar":
        subprocess.run(["tar", "-C", source, "-cf", source + ".tar", "."],
                       check=True)
        source += ".tar"
    refused(stele, SYSTEM, "build", source, "-o", small_disk + "/x.stele", "-q",
            says=[small_disk, "No space left on device"])
    assert os.listdir(small_disk) == []


def test_disk_full_while_extracting(stele, image, small_disk, scratch):
    source = os.path.join(scratch, "too-much")
    os.mkdir(source)
    for i in range(40):
        trees.put(f"{source}/{i}", os.urandom(100_000))
    stele.build(source, scratch + "/big.stele")
    refused(stele, SYSTEM, "extract", scratch + "/big.stele", "--to",
            small_disk + "/to", says=["No space left on device"])


def test_ledger_on_a_full_disk(stele, image, point, small_disk, attempt):
    """Who could not be written down is not told EROFS, but is refused; when
    there is room again, so is the record, and the gap is named."""
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
    assert set(answers) <= {"EROFS", "EIO"}
    assert answers[-1] == "EIO", "the disk was not full"
    with open(m.path("file")) as f:
        assert f.read() == "content\n"
    os.unlink(filler)
    support.wait_until(lambda: attempt.one(m, "mkdir again") == "EROFS",
                       "the record to work again", 20)
    said = answers.count("EROFS") + 1
    rows = [r for r in m.log() if r.get("path") != "/again"
            and r["op"] == "mkdir"]
    assert len(rows) == said
    m.umount()


def start_build(stele, *words, **more):
    return subprocess.Popen([stele.binary, "build", *words], env=stele.env,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            **more)


def writes_below(pid, folder):
    """Has the process a file open there (also one without a name)?"""
    try:
        links = [os.readlink(f"/proc/{pid}/fd/{fd}")
                 for fd in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return False
    return any(link.startswith(folder + "/") for link in links)


@pytest.mark.nofuse
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM,
                                    signal.SIGKILL, signal.SIGHUP])
@pytest.mark.parametrize("how", ["folder", "stream"])
def test_killed_build_leaves_nothing(stele, scratch, number, how):
    out = os.path.join(scratch, "out")
    os.mkdir(out)
    source = os.path.join(scratch, "slow")
    os.mkdir(source)
    # Much to do: the strongest compression, with one thread.
    text = trees.pattern(24_000_000, 1)
    trees.put(source + "/text", text)
    trees.put(source + "/more", text[::-1])
    if how == "folder":
        p = start_build(stele, source, "-o", out + "/x.stele", "--level", "19",
                        "--jobs", "1")
        support.wait_until(lambda: p.poll() is not None
                           or writes_below(p.pid, out), "the build to begin")
    else:
        # The stream stops in the middle and does not end.
        p = start_build(stele, "-", "-o", out + "/x.stele",
                        stdin=subprocess.PIPE)
        subprocess.run(["tar", "-C", source, "-cf", scratch + "/t.tar", "."],
                       check=True)
        with open(scratch + "/t.tar", "rb") as f:
            p.stdin.write(f.read(1_000_000))
            p.stdin.flush()
    assert p.poll() is None, "the build was over too early"
    p.send_signal(number)
    _, err = p.communicate(timeout=PATIENCE)
    assert p.returncode != 0
    assert err.count(b"\n") <= 1
    assert os.listdir(out) == []


def append_for_ever(path, stop):
    """Writes the same text on and on; what is read is always its beginning."""
    return subprocess.Popen(
        ["sh", "-c", 'while [ ! -e "$2" ]; do echo 0123456789abcde >>"$1"; '
         "done", "sh", path, stop])


# In place: the whole file is one letter at any time, so a mixture is torn.
REWRITE = r"""
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY)
n = 0
while not os.path.exists(sys.argv[2]):
    n = (n + 1) % 26
    os.pwrite(fd, bytes([65 + n]) * 3_000_000, 0)
"""
REPLACE = r"""
import os, sys
n = 0
while not os.path.exists(sys.argv[2]):
    n = (n + 1) % 26
    with open(sys.argv[1] + ".new", "wb") as f:
        f.write(bytes([65 + n]) * 300_000)
    os.rename(sys.argv[1] + ".new", sys.argv[1])
"""
CUT = r"""
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY)
while not os.path.exists(sys.argv[2]):
    os.ftruncate(fd, 100)
    os.ftruncate(fd, 0)
    os.pwrite(fd, b"Z" * 3_000_000, 0)
"""
SWAP = r"""
import os, sys
path = sys.argv[1]
os.rename(path, path + ".file")
while not os.path.exists(sys.argv[2]):
    os.symlink("/etc/passwd", path)
    os.unlink(path)
    os.rename(path + ".file", path)
    os.rename(path, path + ".file")
os.rename(path + ".file", path)
"""


def changer(kind, path, stop):
    if kind == "append":
        return append_for_ever(path, stop)
    code = {"rewrite": REWRITE, "replace": REPLACE, "cut": CUT,
            "swap": SWAP}[kind]
    return subprocess.Popen(["/usr/bin/python3", "-c", code, path, stop])


def consistent(kind, data):
    """Is this what the file held at one moment?"""
    if kind == "append":
        text = b"0123456789abcde\n"
        return data == (text * (len(data) // 16 + 1))[:len(data)]
    return len(set(data)) <= 1


@pytest.mark.nofuse
@pytest.mark.parametrize("kind", ["append", "rewrite", "replace", "cut",
                                  "swap"])
def test_source_that_changes(stele, scratch, kind):
    """Either it is said which file changed, or the image holds the file as it
    was at one moment; never a mixture, never another file."""
    source = os.path.join(scratch, "source")
    os.mkdir(source)
    size = 0 if kind == "append" else 3_000_000
    trees.put(source + "/moving", b"A" * size)
    for i in range(30):
        trees.put(f"{source}/still-{i}", os.urandom(50_000))
    stop = os.path.join(scratch, "stop")
    out = os.path.join(scratch, "out")
    os.mkdir(out)
    p = changer(kind, source + "/moving", stop)
    try:
        for i in range(8):
            image = f"{out}/{i}.stele"
            done = stele.run("build", source, "-o", image, "-q")
            if done.returncode:
                text = done.stderr.decode()
                assert done.returncode in (CHANGED, SYSTEM), text
                assert text.count("\n") == 1, text
                # Names come and go: then it is the folder that changed.
                assert "moving" in text or (
                    kind in ("replace", "swap") and source in text), text
                assert not os.path.exists(image)
                continue
            stele.ok("verify", image, "-q")
            names = stele.ok("ls", image)
            for name in ("moving", "moving.new", "moving.file"):
                if name in names.split():
                    got = stele.run("cat", image, "/" + name)
                    assert consistent(kind, got.stdout), (kind, name)
                    assert b"root:" not in got.stdout
    finally:
        trees.put(stop)
        p.wait(PATIENCE)
    assert p.returncode == 0
    assert not [n for n in os.listdir(out) if not n.endswith(".stele")]


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


def hostile_tars(folder):
    """Archives that try to write elsewhere or are plainly wrong."""
    import io
    import tarfile

    def member(name, kind=tarfile.REGTYPE, link="", data=b"x"):
        info = tarfile.TarInfo(name)
        info.type = kind
        info.linkname = link
        info.size = len(data) if kind == tarfile.REGTYPE else 0
        return info, io.BytesIO(data)

    cases = {
        "dotdot": [member("a/../../evil")],
        "below-a-file": [member("a"), member("a/b")],
        "below-a-link": [member("a", tarfile.SYMTYPE, "/tmp"), member("a/b")],
        "hard-link-to-nothing": [member("a", tarfile.LNKTYPE, "none")],
    }
    for name, members in cases.items():
        path = os.path.join(folder, name + ".tar")
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as t:
            for info, data in members:
                t.addfile(info, data)
        yield path


@pytest.mark.nofuse
def test_hostile_archives(stele, scratch):
    out = os.path.join(scratch, "out")
    os.mkdir(out)
    for path in hostile_tars(scratch):
        refused(stele, INPUT, "build", path, "-o", out + "/x.stele", "-q")
        assert os.listdir(out) == []


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
