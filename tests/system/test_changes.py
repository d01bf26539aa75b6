# SPDX-License-Identifier: Apache-2.0
"""What was written on a writable path, as the walk of the upper folder tells
it, is what a full comparison of before and after finds: random operations of
several processes and users through the kernel's overlayfs over a mounted image.
And an image made of image and changes is the one that is built of the mount.

STELE_CHANGES_SEEDS sets how many (default 200), STELE_CHANGES_FIRST the first."""

import collections
import json
import os
import subprocess

import pytest

import changes_model
import conftest
import disturb
import support

SEEDS = int(os.environ.get("STELE_CHANGES_SEEDS", 200))
FIRST = int(os.environ.get("STELE_CHANGES_FIRST", 0))
IMAGES = 5
LEVEL = 3
FOLDERS = 20  # seeds in one test, so that a failure is named soon


class Bench:
    """Mounted images, and a writable path over one at a time."""

    def __init__(self, stele, folder):
        self.stele = stele
        self.folder = folder
        self.tool = conftest.built("tests/system/changes")
        self.images = [self.image(n) for n in range(IMAGES)]
        self.kinds = collections.Counter()

    def image(self, number):
        """A small tree, as random as what is done to it later."""
        source = os.path.join(self.folder, f"source-{number}")
        for top in (source, os.path.join(source, "sub")):
            os.makedirs(os.path.join(top, "deep/er"))
            os.chmod(top, 0o777)
            workers = disturb.Workers(top, 1000 + number)
            workers.one_by_one(250)
            workers.end()
            for i in range(3):
                os.mknod(os.path.join(top, f"null{i}"), 0o020600,
                         os.makedev(1, 3))
                os.symlink("a", os.path.join(top, f"link{i}"))
        # A name on each side of the border of a path that is declared, some
        # where little will happen to it.
        pairs = [("in", "sub/in"), ("sub/x1", "sub/x2")]
        for i in range(4):
            os.makedirs(os.path.join(source, f"sub/far{i}/away/from"))
            pairs.append((f"in{i}", f"sub/far{i}/away/from/in"))
        for i, (a, b) in enumerate(pairs):
            with open(os.path.join(source, a), "w", encoding="ascii") as f:
                f.write(f"linked {i}")
            os.link(os.path.join(source, a), os.path.join(source, b))
        file = os.path.join(self.folder, f"image-{number}.stele")
        # Small frames, so that there are several.
        self.stele.build(source, file, "--frame-size", "4096", "--level",
                         str(LEVEL))
        point = os.path.join(self.folder, f"mounted-{number}")
        self.stele.mount(file, point)
        return file, point

    def changes(self, image, path, folder, form, index, *more):
        done = subprocess.run(
            [self.tool, image, path, folder, form, index, *more],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


class Writable:
    """An overlay over a path of a mounted image, with its upper in memory."""

    def __init__(self, bench, image, path, options, form):
        self.bench, self.path, self.form = bench, path, form
        self.image, lower = image
        self.whole = lower
        self.memory = os.path.join(bench.folder, "memory")
        self.point = os.path.join(bench.folder, "writable")
        self.upper = os.path.join(self.memory, "upper")
        self.index = os.path.join(self.memory, "work/index")
        for folder in (self.memory, self.point):
            os.makedirs(folder, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", self.memory],
                       check=True)
        os.mkdir(self.upper)
        os.mkdir(os.path.join(self.memory, "work"))
        lower = os.path.join(lower, path.strip("/"))
        os.chmod(self.upper, os.stat(lower).st_mode & 0o7777)
        os.utime(self.upper, ns=(0, os.stat(lower).st_mtime_ns))
        for name in os.listxattr(lower):
            if not name.startswith(("trusted.overlay.", "user.overlay.")):
                os.setxattr(self.upper, name, os.getxattr(lower, name))
        self.shown = (f"lowerdir={lower},upperdir={self.upper},"
                      f"workdir={self.memory}/work,{options}")
        assert self.mount()

    def mount(self):
        return subprocess.run(["mount", "-t", "overlay", "-o", self.shown,
                               "none", self.point],
                              stderr=subprocess.DEVNULL).returncode == 0

    def snapshot(self):
        return changes_model.snapshot(self.point, self.path)

    def changes(self, *more):
        index = self.index if os.path.isdir(self.index) else "-"
        return self.bench.changes(
            self.image, self.path, self.upper, self.form, index, *more)

    def commit(self, level):
        """The bytes of the image that the changes make."""
        new = os.path.join(self.bench.folder, "committed.stele")
        self.changes(new, str(level))
        with open(new, "rb") as f:
            return f.read()

    def build(self, level):
        """The bytes of the image that is built of what the mount shows."""
        new = os.path.join(self.bench.folder, "built.stele")
        below = self.whole + self.path
        if self.path == "/":
            below = self.whole
        subprocess.run(["mount", "--bind", self.point, below], check=True)
        try:
            self.bench.stele.build(self.whole, new, "--frame-size", "4096",
                                   "--level", str(level))
        finally:
            subprocess.run(["umount", below], check=True)
        with open(new, "rb") as f:
            return f.read()

    def end(self):
        for folder in (self.point, self.memory):
            subprocess.run(["umount", folder], check=False)


@pytest.fixture(scope="module")
def bench(module_stele, module_scratch):
    return Bench(module_stele, module_scratch)


TRUSTED = [
    "index=on,redirect_dir=on,xino=on",
    "index=off,redirect_dir=on,xino=on",
    "index=on,redirect_dir=off,xino=on",
]
OPTIONS = [(o, "trusted") for o in TRUSTED] + [
    # With index=on, a touched link of several names can never be mounted again:
    # it cannot have the attribute that the index is verified by.
    ("userxattr,index=off,xino=on", "user")]


@pytest.fixture
def writable(bench):
    made = []

    def make(seed):
        # Most seeds as a mount of ours is.
        options, form = OPTIONS[seed % 8 if seed % 8 < 4 else 0]
        path = "/sub" if seed % 3 == 1 else "/"
        made.append(Writable(bench, bench.images[seed % IMAGES], path, options,
                             form))
        return made[-1]

    yield make
    for w in made:
        w.end()


def one_seed(seed, writable, kinds):
    w = writable(seed)
    try:
        before = w.snapshot()
        assert not w.changes(), "something is told before anything is done"
        at_once = seed % 5 == 4
        workers = disturb.Workers(w.point, seed)
        try:
            done = workers.at_once(30) if at_once else workers.one_by_one(80)
        finally:
            workers.end()
        assert done > 10
        lines = w.changes()
        # What the kernel remembers is not always what it has stored: with
        # userxattr it cannot store where a symbolic link came from, and takes
        # two names of one for two; and of names that several processes moved
        # at once, a mount sometimes shows another file than the next one.
        if w.form == "trusted" and not at_once:
            changes_model.check(before, w.snapshot(), lines)
        subprocess.run(["umount", w.point], check=True)
        # Whoever copied our mounts into another namespace holds it for a while.
        support.wait_until(w.mount, "the writable path to be free")
        changes_model.check(before, w.snapshot(), lines)
        assert w.changes() == lines
        # At the image's level most frames are copied, at another one none is.
        level = LEVEL if seed % 4 else LEVEL + 2
        assert w.commit(level) == w.build(level), "commit is not build"
        for line in lines:
            kinds.update([line["change"], *line.get("what", [])])
    finally:
        w.end()


@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, FOLDERS))
def test_what_is_told_is_what_differs(bench, writable, first):
    for seed in range(first, min(first + FOLDERS, FIRST + SEEDS)):
        print(f"seed {seed}")
        one_seed(seed, writable, bench.kinds)


def test_every_kind_of_change_was_among_them(bench):
    missing = {"added", "removed", "changed", "renamed", "links", "device",
               "target", *changes_model.ORDER} - set(bench.kinds)
    if SEEDS >= 200:
        assert not missing, bench.kinds
    print(bench.kinds)
