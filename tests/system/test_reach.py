# SPDX-License-Identifier: Apache-2.0
"""The reach of the ledger: for each way in which a write can be refused, whether
it comes to us and is recorded, or the kernel answers alone. Those that do not
come are the blind spots that docs/ledger.md lists. A kernel that changes
its mind fails here."""

import ctypes
import os
import shutil
import stat
import subprocess

import pytest

import support
from support import NOBODY

CREATE = os.O_WRONLY | os.O_CREAT
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


@pytest.fixture(scope="module")
def source(module_scratch):
    top = os.path.join(module_scratch, "source")
    for folder in ("", "folder", "empty", "closed"):
        os.makedirs(os.path.join(top, folder), exist_ok=True)
        os.chmod(os.path.join(top, folder), 0o755)
    for name in ("file", "folder/file", "closed/file"):
        with open(os.path.join(top, name), "w", encoding="ascii") as f:
            f.write("content\n")
        os.chmod(os.path.join(top, name), 0o644)
    shutil.copy("/bin/sleep", top + "/sleep")
    os.symlink("file", top + "/link")
    os.mkfifo(top + "/fifo")
    os.chmod(top + "/fifo", 0o666)
    os.mknod(top + "/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.chmod(top + "/null", 0o666)
    os.setxattr(top + "/file", "user.tag", b"value")
    os.chown(top + "/closed", 0, 0)
    os.chmod(top + "/closed", 0o700)
    return top


@pytest.fixture(scope="module")
def image(module_stele, module_scratch, source):
    path = os.path.join(module_scratch, "reach.stele")
    module_stele.build(source, path)
    return path


@pytest.fixture(scope="module")
def m(module_stele, module_scratch, image):
    return module_stele.mount(image, os.path.join(module_scratch, "mnt"))


@pytest.fixture
def recorded(m):
    """The operations that were recorded since the test began, in order."""
    def attempts():
        return [r for r in m.log() if r["type"] == "attempt"]

    before = len(attempts())
    return lambda: [r["op"] for r in attempts()[before:]]


# (what is done, its answer, what is recorded or None) as root.
ARRIVES = [
    (f"open new {NEW} 0644", "EROFS", "create"),
    (f"open file {CREATE} 0644", "EROFS", "open"),
    (f"open file {os.O_WRONLY} 0", "EROFS", "open"),
    (f"open file {os.O_RDWR} 0", "EROFS", "open"),
    (f"open file {os.O_RDONLY | os.O_TRUNC} 0", "EROFS", "open"),
    (f"open folder {os.O_TMPFILE | os.O_RDWR} 0600", "EROFS", "tmpfile"),
    ("mkdir new", "EROFS", "mkdir"),
    ("mknod new 010644", "EROFS", "mknod"),
    ("bind new", "EROFS", "mknod"),
    ("symlink there new", "EROFS", "symlink"),
    ("link file new 0", "EROFS", "link"),
    ("unlink file", "EROFS", "unlink"),
    ("rmdir empty", "EROFS", "rmdir"),
    ("rename file new 0", "EROFS", "rename"),
    ("rename file folder/file 0", "EROFS", "rename"),
    ("chmod file 0600", "EROFS", "chmod"),
    ("chown file 1 1", "EROFS", "chown"),
    ("truncate file 0", "EROFS", "truncate"),
    ("utimes file set", "EROFS", "utimes"),
    ("setxattr file user.x v 0", "EROFS", "setxattr"),
    ("removexattr file user.tag", "EROFS", "removexattr"),
    ("access file 2 0", "EROFS", "access"),
    ("ioctl file SETFLAGS 16", "EROFS", "setflags"),
]

# What the kernel answers without asking us: the same on any file system.
ALONE = [
    # The name is there already: no write was wanted.
    ("mkdir folder", "EEXIST"), ("mknod file 010644", "EEXIST"),
    ("symlink x file", "EEXIST"), ("link file link 0", "EEXIST"),
    (f"open file {NEW} 0644", "EEXIST"),
    # It is not there.
    ("unlink missing", "ENOENT"), ("rmdir missing", "ENOENT"),
    ("rename missing new 0", "ENOENT"), ("chmod missing 0600", "ENOENT"),
    (f"open missing {os.O_WRONLY} 0", "ENOENT"),
    # It is of the wrong kind.
    (f"open folder {os.O_WRONLY} 0", "EISDIR"), ("rmdir file", "ENOTDIR"),
    ("mkdir file/new", "ENOTDIR"), ("unlink folder", "EISDIR"),
    ("link folder new 0", "EPERM"),
    # The name leads to itself: nothing to do.
    ("rename file file 0", "ok"),
    # What is written is no file of the image.
    (f"open null {os.O_RDONLY | os.O_PATH} 0", "ok"),
]


@pytest.mark.parametrize("line,answer,op", ARRIVES,
                         ids=[a[0].replace(" ", "_") for a in ARRIVES])
def test_arrives(m, recorded, attempt, line, answer, op):
    """Each time, not only the first: nothing was ever answered with an error
    that makes the kernel stop asking."""
    assert attempt.run(m, [line] * 3) == [answer] * 3
    assert recorded() == [op] * 3


@pytest.mark.parametrize("line,answer", ALONE,
                         ids=[a[0].replace(" ", "_") for a in ALONE])
def test_kernel_answers_alone(m, recorded, attempt, line, answer):
    assert attempt.one(m, line) == answer
    assert recorded() == []


# An ordinary user: permission bits would refuse these, too. All the same they
# come, but for those that the kernel allows nobody but root to ask.
@pytest.mark.parametrize("line,answer,op", [
    (f"open new {NEW} 0644", "EROFS", "create"),
    (f"open file {os.O_WRONLY} 0", "EROFS", "open"),
    ("mkdir new", "EROFS", "mkdir"), ("unlink file", "EROFS", "unlink"),
    ("rmdir empty", "EROFS", "rmdir"),
    ("rename file new 0", "EROFS", "rename"),
    ("symlink there new", "EROFS", "symlink"),
    ("chmod file 0600", "EROFS", "chmod"),
    ("chown file 65534 65534", "EROFS", "chown"),
    ("truncate file 0", "EROFS", "truncate"),
    ("utimes file now", "EROFS", "utimes"),
    ("setxattr file user.x v 0", "EROFS", "setxattr"),
    ("access file 2 0", "EROFS", "access"),
    ("mknod new 020644", "EPERM", None),
    ("setxattr file security.x v 0", "EPERM", None),
], ids=lambda v: str(v).replace(" ", "_"))
def test_of_a_user(m, recorded, attempt, line, answer, op):
    assert attempt.one(m, line, uid=NOBODY) == answer
    assert recorded() == ([op] if op else [])


def test_negative_name_is_no_shield(m, recorded, attempt):
    """A name that the kernel knows to be missing is asked for all the same when
    it is to be made."""
    lines = ["stat fresh", "stat fresh", f"open fresh {NEW} 0644",
             "stat fresh", f"open fresh {CREATE} 0644"]
    assert attempt.run(m, lines) == ["ENOENT", "ENOENT", "EROFS", "ENOENT",
                                     "EROFS"]
    assert recorded() == ["create", "create"]


def test_running_program(m, recorded, attempt):
    """To write to it is refused by the kernel; to remove or replace it, by
    us."""
    running = subprocess.Popen([m.path("sleep"), "1000"])
    try:
        support.wait_until(
            lambda: os.readlink(f"/proc/{running.pid}/exe")
            == os.path.realpath(m.path("sleep")), "the program")
        assert attempt.run(m, [f"open sleep {os.O_WRONLY} 0",
                               "unlink sleep", "rename file sleep 0"]) == [
            "ETXTBSY", "EROFS", "EROFS"]
    finally:
        running.kill()
        running.wait()
    assert recorded() == ["unlink", "rename"]


def test_descriptor_for_reading(m, recorded):
    fd = os.open(m.path("file"), os.O_RDONLY)
    try:
        with pytest.raises(OSError) as e:
            os.write(fd, b"x")
        assert support.errno_name(e.value) == "EBADF"
        import mmap
        with pytest.raises(PermissionError):
            mmap.mmap(fd, 8, mmap.MAP_SHARED,
                      mmap.PROT_READ | mmap.PROT_WRITE)
    finally:
        os.close(fd)
    assert recorded() == []


def test_fifo_of_the_image(m, recorded):
    """Bytes that go through it are no change of the image."""
    reader = os.open(m.path("fifo"), os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(m.path("fifo"), os.O_WRONLY | os.O_NONBLOCK)
    try:
        assert os.write(writer, b"x") == 1 and os.read(reader, 1) == b"x"
    finally:
        os.close(writer)
        os.close(reader)
    assert recorded() == []


def test_device_of_the_image(m, recorded, attempt):
    """The mount is nodev: nobody opens it."""
    assert attempt.one(m, f"open null {os.O_WRONLY} 0") == "EACCES"
    assert recorded() == []


def in_private(script, *args):
    """Run a script in a mount namespace of its own."""
    done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh",
                           "-euc", script, "sh", *map(str, args)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=support.PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_remounted_read_only(m, recorded, attempt):
    """What container runtimes do to a read-only root blinds us."""
    out = in_private('mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"; '
                     'printf "mkdir new\\nunlink file\\n" | "$2" "$1"',
                     m.point, attempt.binary)
    assert out.split() == ["EROFS", "EROFS"]
    assert recorded() == []


def test_mounted_over(m, recorded, attempt):
    """A file system on top takes what is written there; beside it we see."""
    out = in_private('mount -t tmpfs none "$1/empty"; '
                     'printf "mkdir empty/new\\nmkdir new\\n" | "$2" "$1"',
                     m.point, attempt.binary)
    assert out.split() == ["ok", "EROFS"]
    assert recorded() == ["mkdir"]


def test_across_mounts(m, recorded, attempt, scratch):
    """Between two mounts the kernel refuses by itself."""
    with open(os.path.join(scratch, "outside"), "w", encoding="ascii"):
        pass
    with pytest.raises(OSError) as e:
        os.rename(m.path("file"), os.path.join(scratch, "file"))
    assert support.errno_name(e.value) == "EXDEV"
    with pytest.raises(OSError) as e:
        os.link(os.path.join(scratch, "outside"), m.path("new"))
    assert support.errno_name(e.value) == "EXDEV"
    assert recorded() == []


def test_other_user_of_a_private_mount(module_stele, scratch, image, attempt):
    """Without allow_other nobody else comes to us at all."""
    mine = module_stele.mount(image, os.path.join(scratch, "mnt"), "-o",
                              "noallow_other",
                              ledger=os.path.join(scratch, "x.ledger"))
    fd = os.open(mine.point, os.O_RDONLY | os.O_DIRECTORY)
    os.close(fd)
    done = subprocess.run(
        attempt.command("/", uid=NOBODY), input=f"mkdir {mine.point}/new\n",
        stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.split() == ["EACCES"]
    assert [r for r in mine.log() if r["type"] == "attempt"] == []
    mine.umount()


def test_ids_that_the_mount_cannot_say(m, recorded):
    """In a user namespace that maps root alone, another id does not exist for
    the file system."""
    script = ("import ctypes,os,sys\n"
              "libc = ctypes.CDLL(None, use_errno=True)\n"
              "assert libc.unshare(0x10000000) == 0\n"  # CLONE_NEWUSER
              "try:\n"
              "    os.mkdir(sys.argv[1])\n"
              "except OSError as e:\n"
              "    print(e.errno)\n")
    done = subprocess.run(["/usr/bin/python3", "-c", script, m.path("new")],
                          stdout=subprocess.PIPE, text=True, check=True)
    # The ids that the kernel works with are still root's: it asks us.
    assert int(done.stdout) == 30
    assert recorded() == ["mkdir"]


# linux/landlock.h
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
ACCESS_MAKE_DIR = 1 << 7


def landlocked(path):
    """In a child that may make no folder: the errno of mkdir."""
    libc = ctypes.CDLL(None, use_errno=True)
    handled = ctypes.c_uint64(ACCESS_MAKE_DIR)
    fd = libc.syscall(LANDLOCK_CREATE_RULESET, ctypes.byref(handled), 8, 0)
    if fd < 0:
        return None
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        code = 255
        try:
            libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
            if libc.syscall(LANDLOCK_RESTRICT_SELF, fd, 0) == 0:
                os.mkdir(path)
                code = 0
        except OSError as e:
            code = e.errno
        finally:
            os.write(writer, bytes([code]))
            os._exit(0)
    os.close(fd)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as f:
        return f.read()[0]


def test_landlock(m, recorded):
    """What a security module forbids never comes to a file system."""
    code = landlocked(m.path("new"))
    if code is None:
        pytest.skip("this kernel has no Landlock")
    assert code == 13
    assert recorded() == []


def test_search_permission(m, recorded, attempt):
    """Who may not enter a folder is refused before it comes to writing."""
    assert attempt.run(m, ["unlink closed/file", "mkdir closed/new"],
                       uid=NOBODY) == ["EACCES", "EACCES"]
    assert recorded() == []
