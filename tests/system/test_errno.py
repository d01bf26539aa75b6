# SPDX-License-Identifier: Apache-2.0
"""Every kind of attempt, on our mount and on one the kernel itself keeps
read-only (squashfs over a loop device) of the same tree: the answers are equal
but for a list of known differences, and the ledger holds exactly those attempts
that we refused."""

import collections
import fnmatch
import os
import socket
import stat
import subprocess

import pytest

import support
from support import NOBODY

# A call; and the record that it leaves when it is answered EROFS.
Probe = collections.namedtuple("Probe", "line op path path2")

# Who gets what here and what there, for which calls, and why that is right.
# With ext4, another judge must agree with us: ext4 mounted read-only.
Known = collections.namedtuple("Known", "who lines ours theirs why ext4",
                               defaults=[False])

R, W, RW = os.O_RDONLY, os.O_WRONLY, os.O_RDWR
CREAT, EXCL, TRUNC = os.O_CREAT, os.O_EXCL, os.O_TRUNC
DIRECTORY, NOFOLLOW = os.O_DIRECTORY, os.O_NOFOLLOW
EMPTY_PATH, NOREPLACE, EXCHANGE, WHITEOUT = 0x1000, 1, 2, 4
XATTR_CREATE, XATTR_REPLACE = 1, 2
SYMLINK_FOLLOW = 0x400

# What exists in the tree, and where each name leads.
FILES = ["file", "theirs", "secret", "exe", "suid", "dir/inner",
         "their_dir/inner", "sticky/root_file"]
FOLDERS = ["dir", "empty", "their_dir", "sticky"]
SPECIAL = ["fifo", "fifo_secret", "sock", "chr", "blk"]
LEADS_TO = {"link": "file", "dangling": "missing-target", "dirlink": "dir"}
LINKS = [*LEADS_TO, "loop"]
MISSING = ["missing", "dir/missing", "their_dir/missing", "sticky/missing"]
IMPOSSIBLE = ["missing/x", "file/x", "private/inner", "loop", "x" * 256]
EVERYTHING = (FILES + FOLDERS + SPECIAL + list(LEADS_TO) + MISSING + IMPOSSIBLE)


def make_tree(folder):
    """What the probes work on."""
    def put(name, mode, owner=0, text="content\n"):
        path = os.path.join(folder, name)
        with open(path, "w") as f:
            f.write(text)
        os.chown(path, owner, owner)
        os.chmod(path, mode)

    def make(name, mode, owner=0):
        path = os.path.join(folder, name)
        os.mkdir(path)
        os.chown(path, owner, owner)
        os.chmod(path, mode)

    os.mkdir(folder)
    os.chmod(folder, 0o755)
    for name, mode, owner in (("dir", 0o755, 0), ("empty", 0o755, 0),
                              ("dir2", 0o755, 0), ("private", 0o700, 0),
                              ("their_dir", 0o755, NOBODY),
                              ("their_dir/empty", 0o755, NOBODY),
                              ("sticky", 0o1777, 0)):
        make(name, mode, owner)
    put("file", 0o644)
    put("theirs", 0o644, NOBODY)
    put("secret", 0o600)
    put("exe", 0o755, text="#!/bin/true\n")
    put("suid", 0o4755)
    put("dir/inner", 0o644)
    put("dir2/inner", 0o644)
    put("private/inner", 0o644)
    put("their_dir/inner", 0o644, NOBODY)
    put("sticky/root_file", 0o644)
    put("tagged", 0o644)
    os.setxattr(os.path.join(folder, "tagged"), "user.tag", b"value")
    os.link(os.path.join(folder, "file"), os.path.join(folder, "hard"))
    for name, target in (("link", "file"), ("dangling", "missing-target"),
                         ("dirlink", "dir"), ("loop", "loop")):
        os.symlink(target, os.path.join(folder, name))
    for name, kind, mode in (("fifo", stat.S_IFIFO, 0o666),
                             ("fifo_secret", stat.S_IFIFO, 0o600),
                             ("chr", stat.S_IFCHR, 0o666),
                             ("blk", stat.S_IFBLK, 0o660)):
        path = os.path.join(folder, name)
        os.mknod(path, kind | mode, os.makedev(1, 3))
        os.chmod(path, mode)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(os.path.join(folder, "sock"))
    os.chmod(os.path.join(folder, "sock"), 0o666)


def seen(name):
    """The path that a record names, symbolic links followed."""
    first, _, rest = name.partition("/")
    first = LEADS_TO.get(first, first)
    return "/" + (first + "/" + rest if rest else first)


def opens():
    flags = [R, W, RW, 3, W | os.O_APPEND, R | TRUNC, W | TRUNC, R | CREAT,
             W | CREAT, RW | CREAT | TRUNC, W | CREAT | EXCL, R | CREAT | EXCL,
             R | DIRECTORY, W | DIRECTORY, R | NOFOLLOW, W | NOFOLLOW,
             W | CREAT | NOFOLLOW, R | os.O_DIRECT, W | os.O_SYNC,
             R | CREAT | DIRECTORY, os.O_PATH]
    exists = set(FILES + FOLDERS + SPECIAL + ["link", "dirlink",
                                              "private/inner"])
    for name in EVERYTHING:
        for flag in flags:
            op = "open" if name in exists else "create"
            yield Probe(f"open {support.q(name)} {flag} 0644", op,
                        seen(name), None)
    for name in FOLDERS + ["file", "missing", "private", "dirlink", "fifo"]:
        for flag in (W, RW, R, W | EXCL):
            yield Probe(f"open {name} {os.O_TMPFILE | flag} 0600",
                        "tmpfile", seen(name), None)


def accesses():
    for name in EVERYTHING + ["."]:
        for mode in (os.F_OK, os.R_OK, os.W_OK, os.X_OK, os.R_OK | os.W_OK,
                     os.R_OK | os.W_OK | os.X_OK):
            for flag in (0, 0x100, 0x200):
                path = "/" + name if flag == 0x100 else seen(name)
                yield Probe(f"access {support.q(name)} {mode} {flag:#x}",
                            "access", path if name != "." else "/", None)


def makes():
    for name in EVERYTHING + [".", "dir/.", "dir/..", "missing/"]:
        at = seen(name.rstrip("/")) if name not in LEADS_TO else "/" + name
        arg = support.q(name)
        yield Probe(f"mkdir {arg}", "mkdir", at, None)
        yield Probe(f"symlink some/target {arg}", "symlink", at, "some/target")
        for kind in (stat.S_IFREG, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR,
                     stat.S_IFBLK, 0, stat.S_IFDIR):
            yield Probe(f"mknod {arg} {kind | 0o644}", "mknod", at, None)
        if len(name) < 100:
            yield Probe(f"bind {arg}", "mknod", at, None)
        for source in ("file", "theirs", "link", "fifo", "dir", "missing"):
            yield Probe(f"link {source} {arg} 0", "link", at, "/" + source)
    yield Probe(f"link link new-link {SYMLINK_FOLLOW:#x}", "link", "/new-link",
                "/file")
    yield Probe("symlink " + "t" * 4095 + " long", "symlink", "/long",
                "t" * 4095)
    yield Probe("symlink %00 emptylink", None, None, None)


def takes():
    for name in EVERYTHING + [".", "..", "dir/.", "empty/", "private"]:
        at = "/" + name.rstrip("/")
        yield Probe(f"unlink {support.q(name)}", "unlink", at, None)
        yield Probe(f"rmdir {support.q(name)}", "rmdir", at, None)
    yield Probe("rmdir their_dir/empty", "rmdir", "/their_dir/empty", None)
    yield Probe("unlink hard", "unlink", "/hard", None)


def renames():
    pairs = [("file", "new"), ("file", "theirs"), ("file", "file"),
             ("file", "hard"), ("missing", "new"), ("missing", "file"),
             ("dir", "new"), ("dir", "empty"), ("dir", "dir2"),
             ("empty", "dir"), ("dir", "file"), ("file", "dir"),
             ("dir", "dir/sub"), ("dir/inner", "dir"), ("dir", "dir"),
             ("link", "new"), ("dangling", "file"), ("fifo", "new"),
             ("file", "dir/new"), ("theirs", "their_dir/new"),
             ("their_dir/inner", "their_dir/new"),
             ("their_dir/inner", "their_dir/empty"),
             ("sticky/root_file", "sticky/new"), ("private/inner", "new"),
             ("file", "missing/new"), (".", "new"), ("dir", "."),
             ("file", "x" * 256), ("loop", "new"), ("chr", "sock")]
    for old, new in pairs:
        for flags in (0, NOREPLACE, EXCHANGE, WHITEOUT, NOREPLACE | EXCHANGE):
            yield Probe(f"rename {old} {new} {flags}", "rename", "/" + old,
                        "/" + new)


def attributes():
    for name in EVERYTHING + ["."]:
        arg = support.q(name)
        at = "/" if name == "." else seen(name)
        self_at = "/" if name == "." else "/" + name
        for mode in ("0600", "04755", "07777"):
            yield Probe(f"chmod {arg} {mode}", "chmod", at, None)
        yield Probe(f"lchmod {arg} 0600", "chmod", self_at, None)
        yield Probe(f"fchmod {arg} 0600", "chmod", at, None)
        for uid, gid in ((0, 0), (NOBODY, NOBODY), (-1, 5), (5, -1)):
            yield Probe(f"chown {arg} {uid} {gid}", "chown", at, None)
            yield Probe(f"lchown {arg} {uid} {gid}", "chown", self_at, None)
        yield Probe(f"fchown {arg} 5 5", "chown", at, None)
        for what in ("now", "both-now", "set", "atime", "mtime", "omit"):
            yield Probe(f"utimes {arg} {what}", "utimes", at, None)
        yield Probe(f"lutimes {arg} set", "utimes", self_at, None)
        yield Probe(f"futimes {arg} now", "utimes", at, None)
        yield Probe(f"futimes {arg} set", "utimes", at, None)
        for size in ("0", "8", "100000", "-1"):
            yield Probe(f"truncate {arg} {size}", "truncate", at, None)
        for flags in (R, W):
            yield Probe(f"ftruncate {arg} {flags}", "open", at, None)
            yield Probe(f"write {arg} {flags}", "open", at, None)
            for mode in (0, 1, 3, 0x10):
                yield Probe(f"fallocate {arg} {flags} {mode}", "open", at, None)
    # No owner, no mode, no time: only the ids' being there is asked.
    yield Probe("chown file -1 -1", "chown", "/file", None)


def xattrs():
    for name in (FILES + FOLDERS + SPECIAL + ["link", "dangling", "tagged",
                                              "missing", "private/inner"]):
        arg = support.q(name)
        for key in ("user.tag", "user.other", "trusted.x", "security.x",
                    "security.capability", "system.posix_acl_access",
                    "bogus.x", "system.x", "user."):
            at = seen(name)
            yield Probe(f"setxattr {arg} {key} v 0", "setxattr", at, None)
            yield Probe(f"lsetxattr {arg} {key} v", "setxattr", "/" + name,
                        None)
            yield Probe(f"removexattr {arg} {key}", "removexattr", at, None)
            yield Probe(f"lremovexattr {arg} {key}", "removexattr", "/" + name,
                        None)
            yield Probe(f"getxattr {arg} {key}", None, None, None)
            yield Probe(f"lgetxattr {arg} {key}", None, None, None)
        for flags in (XATTR_CREATE, XATTR_REPLACE, 8):
            yield Probe(f"setxattr {arg} user.tag v {flags}", "setxattr",
                        seen(name), None)
        yield Probe(f"fsetxattr {arg} user.tag v", "setxattr", seen(name), None)
        yield Probe(f"listxattr {arg}", None, None, None)
        for key in ("system.posix_acl_access", "system.posix_acl_default"):
            yield Probe(f"setacl {arg} {key}", "setxattr", seen(name), None)
    yield Probe("setxattr file user." + "n" * 251 + " v 0", None, None, None)


def descriptors():
    """What can be tried with a descriptor open for reading."""
    for name in ["file", "theirs", "secret", "dir", "empty", "fifo", "."]:
        at = "/" if name == "." else "/" + name
        for prot in (1, 2, 3, 5):
            for flags in (1, 2):
                for how in (R, RW):
                    yield Probe(f"mmap {name} {how} {prot} {flags}", "open",
                                at, None)
        for call in ("fsync", "fdatasync", "syncfs"):
            yield Probe(f"{call} {name}", None, None, None)
        for kind in (1, 2, 8):
            yield Probe(f"flock {name} {kind}", None, None, None)
        for kind in (0, 1, 2):
            yield Probe(f"lock {name} {kind}", None, None, None)
        for call in ("copyrange", "sendfile", "splice"):
            yield Probe(f"{call} file {name} 0", None, None, None)
            yield Probe(f"{call} file {name} {W}", "open", at, None)
        for command in ("SETFLAGS", "FSSETXATTR"):
            yield Probe(f"ioctl {name} {command} 0", "setflags", at, None)
            yield Probe(f"ioctl {name} {command} 16", "setflags", at, None)
        yield Probe(f"ioctl {name} SETVERSION 1", "setflags", at, None)
        for command in ("GETFLAGS", "FSGETXATTR", "GETVERSION", "0x12345678",
                        "0x5413", "FICLONE"):
            yield Probe(f"ioctl {name} {command} 0", None, None, None)
    for name in ("file", "secret", "dir", "link", "missing"):
        yield Probe(f"handle {name} 0", None, None, None)
        yield Probe(f"handle {name} {W}", "open", seen(name), None)


def looks():
    """Reads: they must be answered as on any file system."""
    for name in EVERYTHING + [".", "private", "private/..", "file/.", "file/"]:
        for call in ("stat", "lstat", "statfs", "readlink", "list", "chdir",
                     "read", "chroot", "opath"):
            yield Probe(f"{call} {support.q(name)}", None, None, None)
    for name in ("exe", "file", "dir", "missing", "fifo", "dangling"):
        yield Probe(f"exec {name}", None, None, None)


GROUPS = {"opens": opens, "accesses": accesses, "makes": makes, "takes": takes,
          "renames": renames, "attributes": attributes, "xattrs": xattrs,
          "descriptors": descriptors, "looks": looks}

BOTH = ("root", "nobody")
NOBODY_ONLY = ("nobody",)
FIRST = ("the VFS sees that it cannot work before it asks the file system, "
         "which it asks for a lookup only")
KNOWN_DIFFERENCES = [
    # What squashfs lacks and other file systems have.
    Known(BOTH, [f"open * {os.O_DIRECT} 0644"], {"ok"}, {"EINVAL"},
          "squashfs has no O_DIRECT", ext4=True),
    Known(BOTH, ["fsync *", "fdatasync *"], {"ok"}, {"EINVAL"},
          "squashfs has no fsync", ext4=True),
    Known(BOTH, ["ioctl * GETFLAGS 0", "ioctl * FSGETXATTR 0"], {"ok"},
          {"ENOTTY"}, "squashfs has no flags", ext4=True),
    Known(BOTH, ["ioctl * SETVERSION 1"], {"EROFS"}, {"ENOTTY"},
          "it would change a file: refused and recorded like the flags"),
    Known(BOTH, ["*getxattr * system.posix_acl_access"], {"ENODATA"},
          {"EOPNOTSUPP"}, "squashfs has no access lists", ext4=True),

    # What the VFS answers itself on a mount that is not marked read-only.
    Known(BOTH, ["rmdir *"], {"ENOTDIR"}, {"EROFS"}, FIRST),
    Known(BOTH, ["unlink *"], {"EISDIR"}, {"EROFS"}, FIRST),
    Known(BOTH, ["rmdir *", "unlink *"], {"ENOENT"}, {"EROFS"}, FIRST),
    Known(BOTH, ["link dir *", "link link *", "link fifo *"], {"EPERM"},
          {"EROFS"}, FIRST + "; links to what somebody may not write are "
          "refused by fs.protected_hardlinks"),
    Known(BOTH, ["rename missing *", "rename * 2"], {"ENOENT"}, {"EROFS"},
          FIRST + ": EXCHANGE needs both names"),
    Known(BOTH, ["rename * 1"], {"EEXIST"}, {"EROFS"},
          FIRST + ": NOREPLACE with a name that is there"),
    Known(BOTH, ["rename file file *", "rename file hard *",
                 "rename dir dir *"], {"ok"}, {"EROFS"},
          "the VFS knows that both names are one file: nothing to do"),
    Known(BOTH, ["rename dir file *"], {"ENOTDIR"}, {"EROFS"}, FIRST),
    Known(BOTH, ["rename file dir *",
                 "rename their_dir/inner their_dir/empty *"], {"EISDIR"},
          {"EROFS"}, FIRST),
    Known(BOTH, ["rename dir dir/sub *", "rename dir/inner dir 2"], {"EINVAL"},
          {"EROFS"}, FIRST + ": a folder into itself"),
    Known(BOTH, ["rename dir/inner dir *"], {"ENOTEMPTY"}, {"EROFS"},
          FIRST + ": a folder onto its own parent"),
    Known(BOTH, [f"access {link} {mode} 0x100" for link in LINKS
                 for mode in (2, 6, 7)], {"ok"}, {"EROFS"},
          "the VFS asks no file system about a symbolic link itself"),
    Known(BOTH, [f"lchmod {link} 0600" for link in LINKS], {"EOPNOTSUPP"},
          {"EROFS"}, "symbolic links have no mode, says the VFS"),
    Known(BOTH, [f"*xattr {name} user.*" for name in
                 (*SPECIAL, "link", "dangling")], {"EPERM"}, {"EROFS"},
          "the VFS allows user.* only on files and folders"),
    Known(BOTH, ["*setxattr * security.capability v*"], {"EINVAL"}, {"EROFS"},
          "the VFS looks at the value, which is none"),
    Known(BOTH, ["*setxattr * system.posix_acl_access v*"], {"EINVAL"},
          {"EROFS"}, "the VFS looks at the value, which is none"),
    Known(BOTH, ["setacl * system.posix_acl_default"], {"EACCES"}, {"EROFS"},
          "the VFS: only folders have a default access list"),
    Known(BOTH, ["lremovexattr * system.posix_acl_access"], {"EOPNOTSUPP"},
          {"EROFS"}, "the VFS: a symbolic link has no access list"),
    Known(BOTH, ["ioctl fifo *SET*"], {"ENOTTY", "EPERM"}, {"EROFS"},
          "an ioctl of a pipe goes to the pipe"),
    Known(NOBODY_ONLY, ["mknod * 8612", "mknod * 24996"], {"EPERM"}, {"EROFS"},
          "the VFS wants CAP_MKNOD for devices"),
    Known(NOBODY_ONLY, ["*xattr * security.*", "*xattr * trusted.*"],
          {"EPERM"}, {"EROFS"}, "the VFS wants CAP_SYS_ADMIN or the like"),
    Known(NOBODY_ONLY, ["setacl *", "*removexattr * system.posix_acl_access"],
          {"EPERM"}, {"EROFS"}, "the VFS: only the owner sets access lists"),
    Known(NOBODY_ONLY, ["ioctl * SETFLAGS *", "ioctl * FSSETXATTR *"],
          {"EPERM"}, {"EROFS"}, "the VFS: only the owner sets flags"),

    # What guarding costs.
    Known(NOBODY_ONLY, ["*private/inner*"], {"ENOMEM"}, {"EACCES"},
          "EACCES would detach what is mounted below"),
    Known(NOBODY_ONLY, ["*fifo_secret*"], {"ENOMEM", "EACCES"},
          {"ok", "EACCES", "EROFS", "EEXIST", "EINVAL", "ENOTDIR", "ENXIO",
           "EADDRINUSE", "ENODATA", "EOPNOTSUPP", "EPERM"},
          "the kernel opens pipes without us, so they are refused by name"),
    Known(NOBODY_ONLY, [f"{call} private/.." for call in
                        ("stat", "lstat", "statfs", "list", "chdir", "opath")],
          {"ok"}, {"EACCES"}, "the VFS goes up by itself; it shows nothing "
          "that the caller could not see"),
    Known(NOBODY_ONLY, ["chroot private/..", "readlink private/..",
                        "read private/.."], {"EPERM", "EINVAL", "EISDIR"},
          {"EACCES"}, "the VFS goes up by itself"),
]


@pytest.fixture(scope="module")
def places(module_scratch, module_stele, module_ext4):
    source = os.path.join(module_ext4, "tree")
    make_tree(source)
    peer = os.path.join(module_scratch, "squashfs")
    reason = support.have("mksquashfs") or support.make_squashfs(
        source, os.path.join(module_scratch, "tree.squashfs"), peer)
    if reason:
        pytest.skip(f"no squashfs to compare with: {reason}")
    image = os.path.join(module_scratch, "tree.stele")
    module_stele.build(source, image)
    ours = module_stele.mount(image, os.path.join(module_scratch, "ours"))
    subprocess.run(["mount", "-o", "remount,ro,nosuid,nodev", module_ext4],
                   check=True)
    return ours, peer, source


WHO = {"root": {}, "nobody": {"uid": NOBODY}}


class Results:
    """What every probe gave on both mounts, and the records it left."""

    def __init__(self, ours, peer, ext4, attempt):
        self.ours, self.theirs, self.records, self.ext4 = {}, {}, {}, {}
        before = set()
        for who, identity in WHO.items():
            for group, probes in GROUPS.items():
                lines = [p.line for p in probes()]
                key = who, group
                self.theirs[key] = attempt.run(peer, lines, **identity)
                self.ext4[key] = attempt.run(ext4, lines, **identity)
                self.ours[key] = attempt.run(ours, lines, **identity)
                # Each run is a process of its own.
                rows = [r for r in ours.log("--names")
                        if r["pid"] not in before]
                before |= {r["pid"] for r in rows}
                self.records[key] = rows

    def differences(self, who, group):
        """(line, ours, theirs, the entries of the list that allow it)."""
        key = who, group
        for p, ours, theirs, ext4 in zip(GROUPS[group](), self.ours[key],
                                         self.theirs[key], self.ext4[key]):
            if ours != theirs:
                yield p.line, ours, theirs, [
                    i for i, k in enumerate(KNOWN_DIFFERENCES)
                    if who in k.who and ours in k.ours and theirs in k.theirs
                    and (not k.ext4 or ours == ext4)
                    and any(fnmatch.fnmatchcase(p.line, w) for w in k.lines)]


@pytest.fixture(scope="module")
def results(places, attempt):
    return Results(*places, attempt)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("who", WHO)
def test_answers_as_a_read_only_mount(results, who, group):
    wrong = [f"{line}: {ours}, squashfs {theirs}" for line, ours, theirs, known
             in results.differences(who, group) if not known]
    assert not wrong, "\n" + "\n".join(wrong)


def test_known_differences_are_still_there(results):
    used = {i for who in WHO for group in GROUPS
            for *_, known in results.differences(who, group) for i in known}
    unused = [KNOWN_DIFFERENCES[i] for i in
              set(range(len(KNOWN_DIFFERENCES))) - used]
    assert not unused, "\n".join(map(str, unused))


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("who", WHO)
def test_ledger_holds_exactly_what_was_refused(results, who, group):
    uid = WHO[who].get("uid", 0)
    wanted, lines = collections.Counter(), {}
    for p, answer in zip(GROUPS[group](), results.ours[who, group]):
        if answer == "EROFS":
            key = p.op, p.path, p.path2, uid
            wanted[key] += 1
            lines.setdefault(key, p.line)
    held = collections.Counter()
    for r in results.records[who, group]:
        held[r["op"], r["path"], r.get("path2"), r["uid"]] += r["count"]
    missing = [f"not recorded: {k} ({lines[k]}) x{n}"
               for k, n in (wanted - held).items()]
    extra = [f"recorded, not refused: {k} x{n}"
             for k, n in (held - wanted).items()]
    assert not missing + extra, "\n" + "\n".join(missing + extra)
    assert all(r["error"] == "EROFS" for r in results.records[who, group])
