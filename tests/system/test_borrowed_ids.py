# SPDX-License-Identifier: Apache-2.0
"""Requests that come with other ids than those of the thread that waits for
them: an overlay's mounter may what he may, and io_uring lends nobody more than
the lender has."""

import os
import subprocess

import pytest

import support
from conftest import built

OWNER, OTHER = 1000, 1001


@pytest.fixture
def tree(scratch):
    """A file and a folder that only their owner may read."""
    top = os.path.join(scratch, "tree")
    os.makedirs(os.path.join(top, "folder"))
    for name in ("file", "folder/inner"):
        with open(os.path.join(top, name), "w", encoding="ascii") as f:
            f.write(name)
        os.chmod(os.path.join(top, name), 0o600)
    os.chmod(os.path.join(top, "folder"), 0o700)
    for name in ("file", "folder", "folder/inner"):
        os.chown(os.path.join(top, name), OWNER, OWNER)
    os.chmod(top, 0o755)
    return top


@pytest.fixture
def mounted(stele, scratch, tree):
    image = os.path.join(scratch, "x.stele")
    stele.build(tree, image)
    return stele.mount(image, os.path.join(scratch, "mnt"), "-o",
                       "allow_other")


LOOKS = ["read file", "list folder", "read folder/inner", "chdir folder",
         "stat folder/inner"]


def test_overlay_above(scratch, tree, mounted, attempt):
    """Below an overlay that root mounted, everybody has his own rights."""
    paths = [os.path.join(scratch, n) for n in ("upper", "work", "over")]
    for path in paths:
        os.mkdir(path)
    upper, work, over = paths
    os.chmod(upper, 0o755)
    subprocess.run(
        ["mount", "-t", "overlay", "none", over, "-o",
         f"lowerdir={mounted.point},upperdir={upper},workdir={work}"],
        check=True)
    try:
        # Who may not asks first: nothing is in the kernel's caches yet.
        for uid in (OTHER, OWNER, 0):
            assert attempt.run(over, LOOKS, uid=uid) == attempt.run(
                tree, LOOKS, uid=uid)
        with open(os.path.join(tree, "file"), "rb") as a, \
                open(os.path.join(over, "file"), "rb") as b:
            assert a.read() == b.read()
    finally:
        subprocess.run(["umount", over], check=True)


@pytest.mark.parametrize("name", ["file", "folder/inner"])
def test_io_uring(tree, mounted, name):
    """A root without capabilities cannot lend them to himself."""
    results = []
    for top in (tree, mounted.point):
        done = subprocess.run(
            [built("tests/system/personality"), os.path.join(top, name)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            timeout=support.PATIENCE)
        if done.returncode == 77:
            pytest.skip(f"no io_uring here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        results.append(done.stdout.strip())
    assert results == ["EACCES", "EACCES"]
