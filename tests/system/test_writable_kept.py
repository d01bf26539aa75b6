# SPDX-License-Identifier: Apache-2.0
"""What was written below a writable path: kept or gone, and over another image."""

import glob
import os
import signal
import subprocess

import pytest

import support
from support import (CHANGED, MOUNT, SYSTEM, mounts, wait_until)
from writable import (attach, declare, image, make_root, need_loop,
                      nothing_left, point, read, write)


# ---- what is kept ----

@pytest.mark.parametrize("how", ["umount", "kill"])
def test_storage_is_kept_and_tmp_is_gone(stele, image, point, how):
    need_loop()
    words = ("/srv/app:storage", "/data:storage", "/vol:storage,size=16M",
             "/tmp:tmp", "/new:tmp")
    m = attach(stele, image, point, *words)
    names = ["srv/app", "data", "vol", "tmp", "new"]
    for name in names:
        write(m.path(f"{name}/file"), name)
        with open(m.path(f"{name}/file"), "rb") as f:
            os.fsync(f.fileno())
    if how == "kill":
        os.kill(m.pid(), signal.SIGKILL)
        wait_until(lambda: not support.processes_naming(point), "its end")
        # Who died does not touch what was written.
        for name in names[1:3] + names[4:]:
            assert read(m.path(f"{name}/file")) == name
        stele.ok("umount", point)
    else:
        m.umount()
    nothing_left(stele, point)
    m = attach(stele, image, point, *words)
    for name in names[:3]:
        assert read(m.path(f"{name}/file")) == name
    for name in names[3:]:
        assert not os.path.exists(m.path(f"{name}/file"))
    m.umount()


def test_plain_umount_of_the_whole(stele, image, point):
    m = attach(stele, image, point, "/tmp:tmp", "/srv/app:storage", "/a/b:tmp")
    pid = m.pid()
    subprocess.run(["umount", "-R", point], check=True)
    wait_until(lambda: support.gone(pid), "the daemon's end")
    nothing_left(stele, point)


def test_umount_of_one_in_use_names_it(stele, image, point):
    m = attach(stele, image, point, "/tmp:tmp", "/data:tmp")
    with open(m.path("tmp/open"), "w", encoding="utf-8"):
        stele.refuses(MOUNT, "umount", point, says=[f"{point}/tmp", "fuser"])
    stele.ok("umount", "--lazy", point)
    nothing_left(stele, point)


def test_another_name_keeps_what_was_there(stele, image, point):
    m = attach(stele, image, point, "/a:storage,name=box")
    write(m.path("a/file"), "x")
    m.umount()
    m = attach(stele, image, point, "/b:storage,name=box", "/a:storage")
    assert read(m.path("b/file")) == "x"
    assert os.listdir(m.path("a")) == []
    state = glob.glob(stele.state + "/mounts/*")
    assert sorted(os.listdir(state[0] + "/storage")) == ["+box", "a"]


def test_a_storage_of_another_kind_is_not_taken(stele, image, point):
    need_loop()
    attach(stele, image, point, "/srv/app:storage").umount()
    for word, says in (("/srv/app:storage,seed=empty", "to start as the image"),
                       ("/srv/app:storage,size=16M", "has no size")):
        stele.refuses(SYSTEM, "mount", image, point, *declare(word),
                      says=["/srv/app", says])
        nothing_left(stele, point)


# ---- another image ----

@pytest.fixture
def images(stele, scratch):
    root = make_root(scratch)
    first, second = f"{scratch}/1.stele", f"{scratch}/2.stele"
    stele.ok("build", root, "-o", first)
    write(f"{root}/aaa/more", "moves the numbers of all inodes")
    write(f"{root}/srv/app/brand-new", "of the second\n")
    write(f"{root}/srv/app/twin", "of the second\n")
    os.rmdir(f"{root}/srv/app/folder/below")
    stele.ok("build", root, "-o", second)
    return first, second


@pytest.mark.parametrize("size", ["", ",size=16M"])
def test_another_image_below_what_was_written(stele, images, point, size):
    need_loop()
    word = "/srv/app:storage" + size
    m = attach(stele, images[0], point, word)
    app = point + "/srv/app"
    write(f"{app}/run", "changed\n")
    write(f"{app}/mine", "new\n")
    os.unlink(f"{app}/other")
    m.umount()
    done = stele.run("mount", images[1], point, *declare(word),
                     "--on-image-change", "refuse")
    assert done.returncode == CHANGED
    assert b"/srv/app" in done.stderr and b"another image" in done.stderr
    nothing_left(stele, point)
    done = stele.run("mount", images[1], point, *declare(word))
    assert done.returncode == 0, done.stderr
    assert b"/srv/app: the image changed; what was written stays" in done.stderr
    assert read(f"{app}/run") == "changed\n"
    assert read(f"{app}/mine") == "new\n"
    assert not os.path.exists(f"{app}/other")
    assert read(f"{app}/brand-new") == "of the second\n"
    assert read(f"{app}/twin") == "of the second\n"
    inodes = [os.stat(e).st_ino for e in glob.glob(app + "/*")]
    assert len(inodes) == len(set(inodes))
    write(f"{app}/twin", "again\n")
    stele.ok("umount", point)
    # The second time there is nothing to say.
    done = stele.run("mount", images[1], point, *declare(word))
    assert (done.returncode, done.stderr) == (0, b"")
    assert read(f"{app}/twin") == "again\n"
    stele.ok("umount", point)
    done = stele.run("mount", images[0], point, *declare(word),
                     "--on-image-change=reset")
    assert done.returncode == 0 and b"is removed" in done.stderr
    assert read(f"{app}/run") == "#!/bin/sh\necho ran\n"
    assert not os.path.exists(f"{app}/mine")
    stele.ok("umount", point)
    nothing_left(stele, point)


def conflicts(text):
    end = ": it was written, and changed in the image, too"
    return sorted(line.removeprefix("stele mount: ").removesuffix(end)
                  for line in text.splitlines() if line.endswith(end))


@pytest.mark.parametrize("size", ["", ",size=16M"])
def test_files_that_changed_on_both_sides_are_named(stele, scratch, point,
                                                    size):
    need_loop()
    root, files = f"{scratch}/root", f"{scratch}/root/d"
    for name in ("same", "both", "mine", "theirs", "gone-there", "gone-here",
                 "gone-here-changed", "gone-both", "old/kept", "old/changed",
                 "old/untouched", "mode"):
        write(f"{files}/{name}", name)
    os.symlink("a", f"{files}/link")
    stele.ok("build", root, "-o", f"{scratch}/1.stele")
    for name in ("both", "theirs", "gone-here-changed", "old/changed"):
        write(f"{files}/{name}", "theirs")
    os.chmod(f"{files}/mode", 0o600)
    os.unlink(f"{files}/gone-there")
    os.unlink(f"{files}/gone-both")
    os.unlink(f"{files}/link")
    os.symlink("b", f"{files}/link")
    os.utime(f"{files}/mine", (7, 7))  # times alone are no change
    write(f"{files}/new-in-both", "theirs")
    write(f"{files}/new-there", "theirs")
    stele.ok("build", root, "-o", f"{scratch}/2.stele")

    word = "/d:storage" + size
    m = attach(stele, f"{scratch}/1.stele", point, word, "/d/mode:tmp")
    here = m.path("d")
    for name in ("same", "both", "mine", "gone-there", "new-in-both",
                 "new-here"):
        write(f"{here}/{name}", "mine")
    for name in ("gone-here", "gone-here-changed", "gone-both", "link"):
        os.unlink(f"{here}/{name}")
    os.symlink("mine", f"{here}/link")
    os.rename(f"{here}/old", f"{here}/moved")
    for name in ("kept", "changed"):
        write(f"{here}/moved/{name}", "mine")
    m.umount()
    want = [f"/d/{name}" for name in (
        "both", "gone-here-changed", "gone-there", "link", "moved/changed",
        "new-in-both")]
    # "refuse" says it, too, and has changed nothing.
    for _ in range(2):
        done = stele.run("mount", f"{scratch}/2.stele", point, *declare(word),
                         "--on-image-change=refuse")
        assert done.returncode == CHANGED
        assert conflicts(done.stderr.decode()) == want
        assert b"and 6 of its files changed" in done.stderr
    done = stele.run("mount", f"{scratch}/2.stele", point, *declare(word))
    assert done.returncode == 0, done.stderr
    assert conflicts(done.stderr.decode()) == want
    assert read(f"{here}/moved/kept") == "mine"
    assert read(f"{here}/moved/untouched") == "old/untouched"
    assert read(f"{here}/theirs") == "theirs"
    stele.ok("umount", point)


def test_a_kept_file_of_another_image(stele, images, point):
    m = attach(stele, images[0], point, "/srv/app/twin:storage",
               "/srv/app/run:storage")
    write(m.path("srv/app/twin"), "mine\n")
    m.umount()
    done = stele.run("mount", images[1], point, *declare(
        "/srv/app/twin:storage", "/srv/app/run:storage"))
    assert done.returncode == 0
    assert conflicts(done.stderr.decode()) == ["/srv/app/twin"]
    assert read(m.path("srv/app/twin")) == "mine\n"
    stele.ok("umount", point)
    stele.ok("mount", images[0], point, *declare("/srv/app/twin:storage"),
             "--on-image-change=reset")
    assert read(m.path("srv/app/twin")) == "one\n"
    stele.ok("umount", point)


def test_the_root_over_another_image(stele, images, point):
    # The root of each image is the same inode: the kernel would not notice.
    m = attach(stele, images[0], point, "/:storage")
    write(m.path("srv/app/run"), "changed\n")
    m.umount()
    stele.ok("mount", images[1], point, *declare("/:storage"))
    assert read(m.path("srv/app/run")) == "changed\n"
    assert read(m.path("srv/app/brand-new")) == "of the second\n"
    assert read(m.path("aaa/more")) == "moves the numbers of all inodes"
    stele.ok("umount", point)


def test_what_was_written_is_not_shown_in_other_files(stele, scratch, point):
    # Hard links, which overlayfs finds by file handle: by inode number.
    root, names = f"{scratch}/root", "abcdef"
    for name in names:
        write(f"{root}/d/{name}", name)
        os.link(f"{root}/d/{name}", f"{root}/d/{name}-link")
    stele.ok("build", root, "-o", f"{scratch}/1.stele")
    write(f"{root}/d/aa", "moves the numbers of those behind it")
    stele.ok("build", root, "-o", f"{scratch}/2.stele")
    m = attach(stele, f"{scratch}/1.stele", point, "/:storage")
    write(m.path("d/c"), "written")
    assert read(m.path("d/c-link")) == "written"
    m.umount()
    m = attach(stele, f"{scratch}/2.stele", point, "/:storage")
    shown = {name: read(m.path(f"d/{name}")) for name in names}
    assert shown == {**{name: name for name in names}, "c": "written"}
    for name in names:
        assert read(m.path(f"d/{name}-link")) == name
    m.umount()
