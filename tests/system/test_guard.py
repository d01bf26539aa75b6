# SPDX-License-Identifier: Apache-2.0
"""Who may see what: our mount asks no kernel for permission, so every answer is
compared with that of ext4 for the same tree, by callers with all kinds of ids,
groups and capabilities, in cold caches and in those that root has warmed."""

import itertools
import os
import re
import signal
import socket
import stat
import struct
import subprocess

import pytest

import support
from support import NOBODY, PATIENCE

A, B = 5000, 5001  # two groups
OWNER = 1000       # an ordinary user
BASE = 100_000     # where a user namespace is mapped to

# Access lists: (owner bits, users, owning group bits, groups, mask, other).
ACLS = {
    "acl_user": (7, {NOBODY: 5}, 0, {}, 5, 0),
    "acl_user_masked": (7, {NOBODY: 7}, 0, {}, 1, 0),
    "acl_user_none": (7, {NOBODY: 0}, 5, {}, 7, 5),
    "acl_user_read": (7, {NOBODY: 4}, 5, {}, 7, 5),
    "acl_other_user": (7, {OWNER: 7}, 0, {}, 7, 0),
    "acl_group": (7, {}, 0, {A: 5}, 5, 0),
    "acl_group_masked": (7, {}, 0, {A: 5}, 0, 5),
    "acl_group_none": (7, {}, 0, {A: 0}, 7, 7),
    "acl_two_groups": (7, {}, 0, {A: 4, B: 1}, 7, 0),
    "acl_group_and_none": (7, {}, 0, {A: 0, B: 5}, 7, 0),
    "acl_owner_masked": (5, {OWNER: 7}, 0, {}, 0, 0),
    "acl_mask_only": (7, {}, 5, {}, 0, 5),
}
MODES = [0o000, 0o700, 0o400, 0o100, 0o711, 0o710, 0o750, 0o755, 0o705, 0o070,
         0o007, 0o001, 0o004, 0o040, 0o010, 0o600, 0o640, 0o644, 0o604, 0o555,
         0o111, 0o1777, 0o2755]
FOLDER_MODES = [0o000, 0o700, 0o400, 0o711, 0o750, 0o755, 0o705, 0o070, 0o001,
                0o010, 0o644, 0o1777]
OWNERS = {"root": (0, 0), "root_a": (0, A), "nobody": (NOBODY, NOBODY),
          "user": (OWNER, OWNER), "user_a": (OWNER, A),
          "mapped": (BASE + 5, BASE + 5)}

WHO = {
    "root": {},
    "nobody": {"uid": NOBODY},
    "nobody in a": {"uid": NOBODY, "groups": f"{A}"},
    "nobody in a and b": {"uid": NOBODY, "groups": f"{A},{B}"},
    "nobody of a": {"uid": NOBODY, "gid": A},
    "user": {"uid": OWNER},
    "user in many groups": {"uid": OWNER,
                            "groups": ",".join(str(n) for n in
                                               range(6000, 6040)) + f",{B}"},
    "root without capabilities": {"uid": 0, "caps": "none"},
    "root without capabilities in a": {"uid": 0, "groups": f"{A}",
                                       "caps": "none"},
    "root that may search": {"uid": 0, "caps": "dac_read_search"},
    "root that may override": {"uid": 0, "caps": "dac_override"},
    "root with other capabilities": {"uid": 0, "caps": "fowner,sys_admin"},
    "nobody that may search": {"uid": NOBODY, "caps": "dac_read_search"},
    "nobody that may override": {"uid": NOBODY, "caps": "dac_override"},
    "root for nobody": {"uid": 0, "ruid": NOBODY},  # set-user-ID
    "root as nobody": {"uid": NOBODY, "ruid": 0},
    "nobody, root of a namespace": {"uid": NOBODY, "userns": "self"},
    "root of a mapped namespace": {"userns": f"{BASE}"},
}


def acl(entry):
    """The value of system.posix_acl_access."""
    owner, users, group, groups, mask, other = entry
    rows = [(0x01, owner, 0xFFFFFFFF)]
    rows += [(0x02, bits, uid) for uid, bits in sorted(users.items())]
    rows += [(0x04, group, 0xFFFFFFFF)]
    rows += [(0x08, bits, gid) for gid, bits in sorted(groups.items())]
    rows += [(0x10, mask, 0xFFFFFFFF), (0x20, other, 0xFFFFFFFF)]
    return struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", *row) for row in rows)


def own(path, owner, mode):
    os.chown(path, *OWNERS[owner], follow_symlinks=False)
    os.chmod(path, mode)


def bind_socket(folder, name):
    """A socket of the file system; its address has few bytes for a path."""
    fd = os.open(folder, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(f"/proc/self/fd/{fd}/{name}")
    os.close(fd)


# No program: running it gives ENOEXEC to who may, and takes no time.
NO_PROGRAM = b"#?\n"


def put(path, mode):
    with open(path, "wb") as f:
        f.write(NO_PROGRAM)
    os.chmod(path, mode)
    os.setxattr(path, "user.tag", b"value")


def fill(folder):
    """One of each below a folder; all open, so that the folder decides."""
    put(os.path.join(folder, "file"), 0o755)
    os.mkdir(os.path.join(folder, "sub"))
    put(os.path.join(folder, "sub", "inner"), 0o644)
    os.symlink("file", os.path.join(folder, "link"))
    os.mkfifo(os.path.join(folder, "fifo"))
    os.chmod(os.path.join(folder, "fifo"), 0o666)
    bind_socket(folder, "sock")
    os.chmod(os.path.join(folder, "sock"), 0o666)


def make_files(folder):
    """Regular files of all modes, owners and access lists."""
    for (owner, _), mode in itertools.product(OWNERS.items(), MODES):
        path = os.path.join(folder, f"{owner}-{mode:04o}")
        put(path, 0o600)
        os.setxattr(path, "trusted.tag", b"value")
        own(path, owner, mode)
        yield path
    for owner, (name, entry) in itertools.product(("root", "user_a"),
                                                  ACLS.items()):
        path = os.path.join(folder, f"{owner}-{name}")
        put(path, 0o600)
        own(path, owner, 0o700)
        os.setxattr(path, "system.posix_acl_access", acl(entry))
        yield path


def make_folders(folder):
    # In steps: folders take most of the time.
    for (owner, _), mode in itertools.product(OWNERS.items(), FOLDER_MODES):
        path = os.path.join(folder, f"{owner}-{mode:04o}")
        os.mkdir(path)
        fill(path)
        own(path, owner, mode)
        yield path
    for owner, (name, entry) in itertools.product(("root", "user_a"),
                                                  ACLS.items()):
        path = os.path.join(folder, f"{owner}-{name}")
        os.mkdir(path)
        fill(path)
        own(path, owner, 0o700)
        os.setxattr(path, "system.posix_acl_access", acl(entry))
        yield path


def make_special(folder):
    for owner, mode in itertools.product(OWNERS, (0o600, 0o666, 0o660, 0o606,
                                                  0o400, 0o200, 0o640, 0o622)):
        for name, kind in (("fifo", stat.S_IFIFO), ("chr", stat.S_IFCHR),
                           ("blk", stat.S_IFBLK), ("sock", stat.S_IFSOCK)):
            path = os.path.join(folder, f"{name}-{owner}-{mode:04o}")
            os.mknod(path, kind | mode, os.makedev(1, 3))
            own(path, owner, mode)
            yield path


def make_tree(top):
    """The tree, and the names of its files, folders and special files."""
    os.mkdir(top)
    os.chmod(top, 0o755)
    made = {}
    for name, make in (("files", make_files), ("folders", make_folders),
                       ("special", make_special)):
        os.mkdir(os.path.join(top, name))
        os.chmod(os.path.join(top, name), 0o755)
        made[name] = [os.path.relpath(p, top)
                      for p in make(os.path.join(top, name))]
    # A long way below one closed folder.
    deep = os.path.join(top, "closed", "open", "open")
    os.makedirs(deep, 0o755)
    fill(deep)
    os.chmod(os.path.join(top, "closed"), 0o700)
    return made


def looks_at_file(name):
    yield from (f"{call} {name}" for call in
                ("stat", "read", "exec", "listxattr", "opath", "watch"))
    yield from (f"access {name} {mode} {flag:#x}" for mode in (0, 1, 4, 5)
                for flag in (0, 0x200))
    yield from (f"{call} {name} {key}" for call in ("getxattr", "hasxattr")
                for key in ("user.tag", "trusted.tag",
                            "system.posix_acl_access"))
    yield f"mmap {name} 0 1 2"


def looks_at_folder(name):
    yield from (f"{call} {name}" for call in
                ("stat", "list", "chdir", "listxattr", "opath", "chroot",
                 "statfs", "watch"))
    yield from (f"access {name} {mode} {flag:#x}" for mode in (0, 1, 4, 5)
                for flag in (0, 0x200))
    yield from looks_below(name)


def looks_below(name):
    yield from (f"{call} {name}/{child}" for call, child in (
        ("stat", "file"), ("lstat", "link"), ("stat", "link"),
        ("readlink", "link"), ("read", "file"), ("exec", "file"),
        ("list", "sub"), ("chdir", "sub"), ("stat", "sub/inner"),
        ("read", "sub/inner"), ("stat", "missing"), ("stat", "sub/missing"),
        ("read", "fifo"), ("connect", "sock"), ("opath", "file"),
        ("statfs", "file"), ("stat", "."), ("stat", ".."), ("stat", "sub/.."),
        ("listxattr", "file"), ("watch", "file"), ("read", "link")))
    yield f"access {name}/file 4 0"
    yield f"access {name}/file 0 0"
    yield f"getxattr {name}/file user.tag"


def looks_at_special(name):
    yield from (f"open {name} {flags} 0" for flags in (os.O_RDONLY, os.O_WRONLY,
                                                       os.O_RDWR))
    yield from (f"{call} {name}" for call in ("connect", "stat", "listxattr",
                                              "opath"))
    yield from (f"access {name} {mode} 0" for mode in (0, 1, 2, 4, 6))


def script(made):
    lines = []
    for name in made["files"]:
        lines += looks_at_file(name)
    for name in made["folders"] + ["closed"]:
        lines += looks_at_folder(name)
    for name in made["special"]:
        lines += looks_at_special(name)
    lines += looks_below("closed/open/open")
    return lines


class Places:
    def __init__(self, ours, ext4, made):
        self.ours, self.ext4, self.script = ours, ext4, script(made)
        self.made = made


@pytest.fixture(scope="module")
def image(module_stele, module_ext4, module_scratch):
    tree = os.path.join(module_ext4, "tree")
    made = make_tree(tree)
    path = os.path.join(module_scratch, "guard.stele")
    module_stele.build(tree, path)
    # Our mounts are nodev and nosuid; so is the one they are compared with.
    subprocess.run(["mount", "-o", "remount,ro,nodev,nosuid", module_ext4],
                   check=True)
    return path, tree, made


@pytest.fixture
def places(image, stele, scratch):
    """A fresh mount: nothing is cached yet."""
    path, tree, made = image
    return Places(stele.mount(path, os.path.join(scratch, "ours")), tree, made)


@pytest.fixture(scope="module")
def warm(image, module_stele, module_scratch, attempt):
    """A mount where root has looked at everything."""
    path, tree, made = image
    ours = module_stele.mount(path, os.path.join(module_scratch, "warm"))
    run_all(attempt, ours, script(made))
    return Places(ours, tree, made)


class Known:
    """A difference that is right, and the reason."""

    def __init__(self, why, ours, ext4, lines):
        self.why, self.ours, self.ext4 = why, ours, ext4
        self.lines = re.compile(lines)

    def allows(self, line, ours, ext4):
        return (ours in self.ours and ext4 in self.ext4
                and self.lines.search(line))


KNOWN_DIFFERENCES = [
    Known("EACCES would detach what is mounted below the folder, in every "
          "namespace; so it is ENOMEM while the kernel may hold an entry",
          {"ENOMEM"}, {"EACCES"},
          r"(folders/[^/]*|closed)/|in (folders|closed)"),
    Known("a pipe or socket that the caller may not both read and write is "
          "refused by name, as the kernel opens it without asking us",
          {"ENOMEM", "EACCES"},
          {"ok", "EACCES", "ENXIO", "ECONNREFUSED", "ENOMEM"},
          r" special/(fifo|sock)-"),
    Known("the VFS goes to '.' and '..' by itself; they show nothing that the "
          "caller could not see anyway", {"ok"}, {"EACCES"},
          r"[ /]\.\.?( in .*)?$"),
    Known("who connects to what is no socket is told so, whatever its mode",
          {"ECONNREFUSED"}, {"EACCES"}, r"^connect special/(chr|blk)-"),
    Known("access(2) leaves out the capabilities of who is not really root; "
          "the kernel does not tell us which question it asks",
          {"ok", "ENOENT"}, {"EACCES"},
          r"^access .* 0(x0)? \(with capabilities\)$"),
    Known("inotify asks the kernel only, and the kernel does not ask us: "
          "without read permission one learns when something is used",
          {"ok"}, {"EACCES"}, r"^watch "),
]


def parts(lines, size=4000):
    for i in range(0, len(lines), size):
        yield lines[i:i + size]


def run_all(attempt, root, lines, **who):
    return [r for part in parts(lines) for r in attempt.run(root, part, **who)]


def differences(places, attempt, who, lines, **more):
    """What is answered otherwise than by ext4, but for what is right so."""
    below = more.pop("below", "")
    note = more.pop("note", "")
    if WHO[who].get("uid") and WHO[who].get("caps"):
        note += " (with capabilities)"
    ours, ext4 = (run_all(attempt, os.path.join(os.fspath(root), below), lines,
                          **WHO[who], **more)
                  for root in (places.ours, places.ext4))
    return [f"{line}{note}: {a}, ext4 {b}"
            for line, a, b in zip(lines, ours, ext4) if a != b
            and not any(k.allows(line + note, a, b)
                        for k in KNOWN_DIFFERENCES)]


def report(wrong):
    assert not wrong, f"{len(wrong)} answers:\n" + "\n".join(wrong[:30])


@pytest.mark.parametrize("who", WHO)
def test_answers_as_ext4(warm, attempt, who):
    report(differences(warm, attempt, who, warm.script))


FEWER = ("nobody", "nobody in a and b", "root without capabilities",
         "nobody, root of a namespace")


@pytest.mark.parametrize("who", FEWER)
def test_answers_as_ext4_when_first_asked(places, attempt, who):
    report(differences(places, attempt, who, places.script))


HELD = ("held-list", "held-stat .", "held-stat file", "held-stat sub",
        "held-stat missing", "held-open file", "held-open sub",
        "held-open sub/inner", "held-chdir", "held-reopen", "held-read")
HERE = ("stat .", "stat ..", "list .", "stat file", "read file", "list sub",
        "stat sub/inner", "chdir .", "chdir sub", "readlink link", "exec file",
        "read fifo", "connect sock")


@pytest.mark.parametrize("who", FEWER)
def test_descriptor_from_before_keeps_working(warm, attempt, who):
    """Opened as root, used without its rights: what ext4 allows, no more."""
    wrong = []
    made = warm.made
    for name in ["closed"] + made["folders"][::2] + made["files"][::5]:
        wrong += differences(warm, attempt, who, HELD, hold=name,
                             note=f" in {name}")
        if not name.startswith("files"):
            wrong += differences(warm, attempt, who, HERE, below=name,
                                 note=f" in {name}")
    report(wrong)


def test_fifo_of_root_carries_nothing(places, attempt):
    """Nobody gets into a pipe that root made for itself."""
    name = places.ours.path("special/fifo-root-0600")
    fd = os.open(name, os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(fd, b"secret")
        for warm in (False, True):
            if warm:
                os.stat(name)
            for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_PATH):
                answer = attempt.one(
                    places.ours, f"open special/fifo-root-0600 {flags} 0",
                    uid=NOBODY)
                assert answer in ("EACCES", "ENOMEM")
        assert os.read(fd, 100) == b"secret"
    finally:
        os.close(fd)


def mount_points_of(pid):
    with open(f"/proc/{pid}/mountinfo") as f:
        return {line.split()[4] for line in f}


@pytest.fixture
def other_namespace():
    """Start a process in a mount namespace of its own; gives its pid."""
    started = []

    def start():
        p = subprocess.Popen(["unshare", "-m", "--propagation", "private",
                              "sh", "-c", "echo; exec sleep 1000"],
                             stdout=subprocess.PIPE)
        p.stdout.readline()
        started.append(p)
        return p.pid

    yield start
    for p in started:
        p.kill()
        p.wait()


def everything_below(name):
    """Looks and changes below a folder, also with strange paths; but none that
    end where the VFS goes by itself."""
    for at in (name, f"{name}/.", f"{name}/../{name.split('/')[-1]}"):
        yield from (line for line in looks_below(at)
                    if not line.endswith("."))
        for child in ("file", "sub", "sub/inner", "sub/made", "missing"):
            there = f"{at}/{child}"
            yield from (
                f"open {there} {os.O_WRONLY} 0",
                f"open {there} {os.O_WRONLY | os.O_CREAT} 0644",
                f"open {there} {os.O_RDONLY | os.O_DIRECTORY} 0",
                f"open {there} {os.O_TMPFILE | os.O_RDWR} 0600",
                f"mkdir {there}", f"rmdir {there}", f"unlink {there}",
                f"symlink x {there}", f"mknod {there} 010644",
                f"link {there} closed/new 0", f"link files {there} 0",
                f"rename {there} files/new 0", f"rename files {there} 0",
                f"chmod {there} 0777", f"chown {there} 1 1",
                f"utimes {there} now", f"truncate {there} 0",
                f"setxattr {there} user.x v 0", f"removexattr {there} user.x",
                f"handle {there} 0", f"watch {there}", f"chdir {there}",
                f"chroot {there}", f"access {there} 0 0x200", f"stat {there}",
                f"statfs {there}", f"exec {there}", f"list {there}",
                f"opath {there}")


def test_mount_below_a_closed_folder_stays(places, attempt, other_namespace):
    """Neither can nobody see into a tmpfs that root mounted there, nor can its
    tries detach the tmpfs, in any mount namespace."""
    closed = ["folders/root-0700", "closed/open/open"]
    points = [os.path.realpath(places.ours.path(c + "/sub")) for c in closed]
    for point in points:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0777", "tmpfs",
                        point], check=True)
        with open(os.path.join(point, "made"), "w") as f:
            f.write("by root\n")
    namespaces = [os.getpid(), other_namespace(), other_namespace()]
    assert all(set(points) <= mount_points_of(p) for p in namespaces)

    lines = [line for name in closed for line in everything_below(name)]
    clients = [attempt.start(places.ours, lines, uid=NOBODY, times=20_000,
                             userns="self" if i % 2 else None)
               for i in range(4)]
    for c in clients:
        c.stdin.close()
        c.stdin = None
    # Meanwhile root goes in and out, so that the kernel holds everything.
    while any(c.poll() is None for c in clients):
        attempt.run(places.ours, lines[:40])
        if all(c.poll() is not None for c in clients):
            break
    for c in clients:
        out, _ = c.communicate(timeout=PATIENCE)
        assert c.returncode == 0
        for line, totals in zip(lines, out.splitlines()):
            assert set(support.counts(totals)) <= {"EACCES", "ENOMEM"}, \
                f"{line}: {totals}"
    assert all(set(points) <= mount_points_of(p) for p in namespaces)
    for point in points:
        with open(os.path.join(point, "made")) as f:
            assert f.read() == "by root\n"
        subprocess.run(["umount", point], check=True)


def test_nothing_changes_while_root_works(places, attempt):
    """Root gets on below a closed folder while nobody hammers at it."""
    lines = list(everything_below("closed/open/open"))
    clients = [attempt.start(places.ours, lines, uid=NOBODY, times=10_000)
               for _ in range(3)]
    for c in clients:
        c.stdin.close()
        c.stdin = None
    try:
        while any(c.poll() is None for c in clients):
            got = attempt.run(places.ours, looks_below("closed/open/open"))
            assert not set(got) & {"EACCES", "ENOMEM", "EIO", "ESTALE"}, got
    finally:
        for c in clients:
            if c.poll() is None:
                c.send_signal(signal.SIGTERM)
            c.communicate(timeout=PATIENCE)
