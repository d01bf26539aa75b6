# SPDX-License-Identifier: Apache-2.0
"""What goes into an image comes out of it: mounted, extracted and built again,
nothing differs from the source."""

import hashlib
import os
import subprocess

import pytest

import compare
import support
import trees

EXT4_SIZE = 1 << 30
ENTRIES = 100_000


@pytest.fixture(scope="module")
def disk(module_scratch):
    """A file system of our own: it takes every attribute there is."""
    from conftest import ext4_at
    return ext4_at(module_scratch, size=EXT4_SIZE, inodes=3 * ENTRIES)


@pytest.fixture(scope="module")
def source(disk):
    path = os.path.join(disk, "everything")
    trees.everything(path, trees.largest_xattr(disk), ENTRIES)
    return path


@pytest.fixture(scope="module")
def built(module_stele, source, module_scratch):
    """(image, ids) of the source."""
    path = os.path.join(module_scratch, "everything.stele")
    return path, module_stele.build(source, path)


@pytest.fixture(scope="module")
def portable(disk):
    """A tree of which tar can carry everything."""
    path = os.path.join(disk, "portable")
    trees.portable(path)
    return path


def same(first, second, at_least, **more):
    differences, entries = compare.compare(first, second, **more)
    assert not differences, "\n" + "\n".join(differences)
    assert entries >= at_least


@pytest.mark.nofuse
def test_comparison_finds_differences(scratch):
    """The judge itself: one change at a time, and each is found."""
    changes = {
        "chmod 600 b/size-4096": "mode", "chown 5 b/size-4096": "uid",
        "chgrp 5 b/size-4096": "gid", "touch -d @5 b/size-4096": "mtime",
        "truncate -s 5 b/size-4096": "size",
        "printf x | dd of=b/size-4096 bs=1 seek=4000 conv=notrunc "
        "status=none; touch -r a/size-4096 b/size-4096": "content",
        "rm b/size-4096": "missing", "touch b/new": "too much",
        "setfattr -n user.x -v y b/size-4096": "xattrs",
        "ln -sf other b/soft; touch -h -r a/soft b/soft": "target",
        "ln -f b/twin-1 b/twin-2": "nlink",
        "rm b/null; mknod -m 644 b/null c 1 4; touch -r a/null b/null": "rdev",
        "dd if=/dev/zero of=b/hole bs=100000 count=1 conv=notrunc status=none; "
        "touch -r a/hole b/hole": "holes",
        "rm b/soft; mkdir b/soft": "mode",
    }
    for change, word in changes.items():
        top = os.path.join(scratch, "judge")
        subprocess.run(["rm", "-rf", top], check=True)
        os.makedirs(top + "/a")
        trees.sizes(os.fsencode(top + "/a"))
        os.symlink("target", top + "/a/soft")
        os.mknod(top + "/a/null", 0o20644, os.makedev(1, 3))
        trees.pieces(os.fsencode(top + "/a/hole"), 100_000)
        subprocess.run(["cp", "-a", "--sparse=always", "a", "b"], cwd=top,
                       check=True)
        subprocess.run("cp --sparse=never a/zeros b/; "
                       "touch -r a/zeros b/zeros; touch -r a b", shell=True,
                       cwd=top, check=True)
        assert not compare.compare(top + "/a", top + "/b")[0]
        subprocess.run(change, shell=True, cwd=top, check=True)
        found = compare.compare(top + "/a", top + "/b")[0]
        assert any(word in line for line in found), (change, found)


def test_mount_shows_the_source(module_stele, source, built, scratch):
    m = module_stele.mount(built[0], os.path.join(scratch, "mnt"))
    same(source, m.point, ENTRIES)
    # Once more from the kernel's caches, which must say the same.
    same(source, m.point, ENTRIES)
    m.umount()


def test_extract_gives_the_source(module_stele, source, built, disk, scratch):
    to = os.path.join(disk, "extracted")
    module_stele.ok("extract", built[0], "--to", to)
    same(source, to, ENTRIES)
    again = module_stele.build(to, os.path.join(scratch, "again.stele"))
    assert again == built[1]
    done = module_stele.run("diff", built[0], to)
    assert (done.returncode, done.stdout) == (0, b"")


def test_verify_is_content(module_stele, built):
    module_stele.ok("verify", built[0])


def test_same_bytes_with_any_jobs(module_stele, portable, scratch):
    digests = set()
    for jobs in ("1", "2", "7"):
        path = os.path.join(scratch, f"jobs-{jobs}.stele")
        module_stele.build(portable, path, "--jobs", jobs)
        with open(path, "rb") as f:
            digests.add(hashlib.file_digest(f, "sha256").hexdigest())
    assert len(digests) == 1


def test_level_changes_only_the_image(module_stele, portable, scratch):
    ids = {level: module_stele.build(portable, os.path.join(scratch, level),
                                     "--level", level)
           for level in ("1", "3", "19")}
    assert len({i["tree"] for i in ids.values()}) == 1
    assert ids["1"]["image"] != ids["19"]["image"]


def test_order_of_names_does_not_matter(module_stele, scratch):
    """Two folders with the same names, made in opposite order."""
    ids = []
    for step in (1, -1):
        top = os.path.join(scratch, f"order-{step}")
        os.mkdir(top)
        for i in range(2000)[::step]:
            trees.put(os.path.join(top, f"name-{i}"), b"%d" % (i % 7))
            os.utime(os.path.join(top, f"name-{i}"), ns=(0, 0))
        os.utime(top, ns=(0, 0))
        ids.append(module_stele.build(top, top + ".stele"))
    assert ids[0] == ids[1]


@pytest.mark.parametrize("filter", [None, "gzip", "zstd"])
def test_tar_gives_the_same_tree(module_stele, portable, scratch, filter):
    folder = module_stele.build(portable, os.path.join(scratch, "folder"))
    file = os.path.join(scratch, "portable.tar")
    trees.tar(portable, file)
    image = os.path.join(scratch, "tar.stele")
    if filter:
        support_reason = support.have(filter)
        if support_reason:
            pytest.skip(support_reason)
        with open(file, "rb") as f, open(file + ".z", "wb") as out:
            subprocess.run([filter, "-c", "-1"], stdin=f, stdout=out,
                           check=True)
        file += ".z"
    with open(file, "rb") as f:
        module_stele.ok("build", "-", "-o", image, "-q", stdin=f)
    done = module_stele.run("diff", os.path.join(scratch, "folder"), image)
    assert (done.returncode, done.stdout.decode()) == (0, "")
    assert module_stele.ids(image)["tree"] == folder["tree"]


def test_debian_root(module_stele, debian_root, scratch):
    """A real root file system, there and back."""
    image = os.path.join(scratch, "root.stele")
    ids = module_stele.build(debian_root, image)
    m = module_stele.mount(image, os.path.join(scratch, "mnt"), "-o", "suid")
    same(debian_root, m.point, 5000)
    m.umount()
    to = os.path.join(scratch, "root")
    module_stele.ok("extract", image, "--to", to)
    same(debian_root, to, 5000)
    again = module_stele.build(to, os.path.join(scratch, "again.stele"))
    assert again == ids
    module_stele.ok("verify", image)
