# SPDX-License-Identifier: Apache-2.0
"""A build that cannot be done, or that is stopped, says why in one line and
leaves nothing behind; and no image holds what was never in the source."""

import io
import os
import shutil
import signal
import subprocess
import tarfile

import pytest

import support
import trees
from support import CHANGED, DENIED, INPUT, NOBODY, PATIENCE, SYSTEM

pytestmark = pytest.mark.nofuse


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


def one_line(done, code):
    assert done.returncode == code, (done.returncode, done.stderr)
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_build_of_what_cannot_be_read(stele, source, scratch):
    os.chmod(source + "/folder/large", 0o600)
    out = os.path.join(scratch, "out")
    os.mkdir(out)
    os.chown(out, NOBODY, NOBODY)
    done = stele.run_as(NOBODY, "build", source, "-o", out + "/x.stele", "-q")
    assert "folder/large" in one_line(done, DENIED)
    os.chmod(source + "/folder", 0o700)
    done = stele.run_as(NOBODY, "build", source, "-o", out + "/x.stele", "-q")
    assert "folder" in one_line(done, DENIED)
    assert os.listdir(out) == []


def test_build_into_a_forbidden_folder(stele, source, scratch):
    out = os.path.join(scratch, "out")
    os.mkdir(out)
    done = stele.run_as(NOBODY, "build", source, "-o", out + "/x.stele", "-q")
    assert "x.stele" in one_line(done, DENIED)
    assert os.listdir(out) == []


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
        stele.refuses(codes, "build", os.path.join(scratch, name), "-o", out,
                "-q", says=[name])
        assert not os.path.exists(out)


def test_build_into_a_missing_folder(stele, source, scratch):
    stele.refuses(SYSTEM, "build", source, "-o", scratch + "/no/x.stele", "-q",
            says=[scratch + "/no/x.stele"])


def test_failed_build_keeps_the_old_image(stele, source, image, scratch):
    with open(image, "rb") as f:
        before = f.read()
    trees.put(scratch + "/text", b"no archive\n" * 1000)
    stele.refuses(INPUT, "build", scratch + "/text", "-o", image, "-q")
    with open(image, "rb") as f:
        assert f.read() == before


def test_image_inside_its_own_source(stele, source):
    """The image would be part of itself."""
    before = support.everything_below(source)
    done = stele.run("build", source, "-o", source + "/folder/x.stele", "-q")
    if done.returncode == 0:
        # Allowed, when what it writes is not part of it.
        stele.ok("verify", source + "/folder/x.stele")
        assert "x.stele" not in stele.ok("ls", source + "/folder/x.stele",
                                         "-R")
        return
    assert done.stderr.count(b"\n") == 1
    assert support.everything_below(source) == before


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
    stele.refuses(SYSTEM, "build", source, "-o", small_disk + "/x.stele", "-q",
            says=[small_disk, "No space left on device"])
    assert os.listdir(small_disk) == []


def take_signals():
    """Who started the tests may have had them ignore some (nohup, &)."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def start_build(stele, *words, **more):
    return subprocess.Popen([stele.binary, "build", *words], env=stele.env,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            preexec_fn=take_signals, **more)


def writes_below(pid, folder):
    """Has the process a file open there (also one without a name)?"""
    try:
        links = [os.readlink(f"/proc/{pid}/fd/{fd}")
                 for fd in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return False
    return any(link.startswith(folder + "/") for link in links)


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


def hostile_tars(folder):
    """Archives that try to write elsewhere or are plainly wrong."""
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


def test_hostile_archives(stele, scratch):
    out = os.path.join(scratch, "out")
    os.mkdir(out)
    for path in hostile_tars(scratch):
        stele.refuses(INPUT, "build", path, "-o", out + "/x.stele", "-q")
        assert os.listdir(out) == []
