# SPDX-License-Identifier: Apache-2.0
"""
The filesystems that are measured. Each knows how to build its image from a
tree, if it has one, to mount that on a folder, and which processes serve it.
"""

import os
import pathlib
import shutil
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
STELE = str(ROOT / "build" / "util" / "stele")

# Seconds until a mount answers or a daemon is gone; only a hang meets them.
PATIENCE = 20


class Failed(Exception):
    """A system cannot be measured here; the text says why."""


def call(*argv):
    """Run a command, silently; Failed with what it said when it fails."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, text=True,
                          errors="replace", stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        said = done.stdout.strip().splitlines() or ["nothing said"]
        raise Failed(f"{' '.join(argv)}: {said[-1]}")
    return done.stdout


def programs(name):
    """Process ids that run the program of that file name."""
    found = set()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            exe = os.readlink(f"/proc/{entry}/exe")
        except OSError:
            continue  # a kernel thread, or gone
        if os.path.basename(exe).split(" ")[0] == name:
            found.add(int(entry))
    return found


def knows(filesystem):
    """Whether the kernel has it, built in or loaded."""
    with open("/proc/filesystems") as known:
        return filesystem in known.read().split()


class System:
    """
    One filesystem. name is its row in the tables; image is the path of the
    built image, shared by systems that read the same format.
    """

    name = ""
    what = ""  # for the legend: program or file system, options
    suffix = None  # of the image; None when it reads the tree itself
    tools = ()
    kernel = None  # its name in /proc/filesystems
    server = None  # file name of the program that serves it
    refuses = True  # a create through it fails

    def __init__(self, work, tree):
        self.work, self.tree = work, tree
        self.image = str(work / f"image.{self.suffix}") if self.suffix else None
        self.point = str(work / f"mnt-{self.name.replace(' ', '-')}")
        self.pids = set()

    def missing(self):
        """Why this machine cannot run it, or None."""
        for tool in self.tools:
            if not shutil.which(tool):
                return f"no {tool} here"
        if self.kernel and not knows(self.kernel):
            if shutil.which("modprobe"):
                subprocess.run(["modprobe", "-q", self.kernel], check=False)
            if not knows(self.kernel):
                return f"this kernel has no {self.kernel}"
        return None

    # Those with an image have build(image), which makes it from the tree; all
    # but the plain one have attach(), the command that mounts.

    def detach(self):
        call("umount", self.point)

    def mount(self):
        """Mount, and wait for the first answer; returns the seconds."""
        os.makedirs(self.point, exist_ok=True)
        outside = os.stat(self.point).st_dev
        before = programs(self.server) if self.server else set()
        start = time.perf_counter()
        self.attach()
        while os.stat(self.point).st_dev == outside:
            if time.perf_counter() - start > PATIENCE:
                raise Failed(f"{self.name} does not answer")
        took = time.perf_counter() - start
        if self.server:
            self.pids = programs(self.server) - before
        return took

    def unmount(self):
        """Unmount, and wait until no process serves it any more."""
        self.detach()
        end = time.monotonic() + PATIENCE
        while any(os.path.exists(f"/proc/{pid}") for pid in self.pids):
            if time.monotonic() > end:
                raise Failed(f"{self.name} does not end")
            time.sleep(0.005)
        self.pids = set()

    def memory(self):
        """Bytes of memory of the serving processes (PSS), or None."""
        if not self.pids:
            return None
        total = 0
        for pid in self.pids:
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                for line in rollup:
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
        return total


class Plain(System):
    """The folder itself: nothing to mount."""

    name = "plain"
    refuses = False

    def __init__(self, work, tree):
        super().__init__(work, tree)
        self.point = str(tree)

    def mount(self):
        return None

    def unmount(self):
        pass


class Stele(System):
    name = "stele"
    what = "stele build (level 4, the default)"
    suffix = "stele"
    server = "stele"
    tools = (STELE,)

    def build(self, image):
        call(STELE, "build", "-q", str(self.tree), "-o", image)

    def attach(self):
        call(STELE, "mount", self.image, self.point)

    def detach(self):
        call(STELE, "umount", self.point)


class Squashfs(System):
    name = "squashfs"
    what = "kernel, over a loop device; mksquashfs -comp zstd " \
        "-Xcompression-level 3"
    suffix = "squashfs"
    tools = ("mksquashfs",)
    kernel = "squashfs"

    def build(self, image):
        call("mksquashfs", str(self.tree), image, "-comp", "zstd",
             "-Xcompression-level", "3", "-noappend", "-no-progress",
             "-quiet")

    def attach(self):
        call("mount", "-t", "squashfs", "-o", "ro,loop", self.image,
             self.point)


class Squashfuse(Squashfs):
    name = "squashfuse_ll"
    what = "the image of squashfs"
    tools = ("squashfuse_ll", "mksquashfs")
    kernel = None
    server = "squashfuse_ll"

    def attach(self):
        call("squashfuse_ll", self.image, self.point)


class Erofs(System):
    name = "erofs"
    suffix = "erofs"
    tools = ("mkfs.erofs",)
    kernel = "erofs"

    def __init__(self, work, tree):
        super().__init__(work, tree)
        said = subprocess.run(
            ["mkfs.erofs", "--help"], text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout \
            if not self.missing() else ""
        # zstd came with erofs-utils 1.8; before that lz4hc is the densest.
        self.codec = "zstd,3" if "zstd" in said else "lz4hc,9"
        self.what = "kernel, over a loop device; mkfs.erofs " \
            f"-z{self.codec} -C65536"

    def build(self, image):
        if os.path.exists(image):
            os.unlink(image)
        call("mkfs.erofs", "--quiet", f"-z{self.codec}", "-C65536", image,
             str(self.tree))

    def attach(self):
        call("mount", "-t", "erofs", "-o", "ro,loop", self.image, self.point)


class FuseOverlayfs(System):
    name = "fuse-overlayfs"
    what = "one lower folder, the tree itself; no upper"
    tools = ("fuse-overlayfs",)
    server = "fuse-overlayfs"

    def attach(self):
        call("fuse-overlayfs", "-o", f"lowerdir={self.tree}", self.point)


class Bindfs(System):
    name = "bindfs"
    what = "the tree itself, read-only"
    tools = ("bindfs",)
    server = "bindfs"
    refuses = False

    def attach(self):
        call("bindfs", "-o", "ro", str(self.tree), self.point)


ALL = (Plain, Stele, Squashfs, Squashfuse, Erofs, FuseOverlayfs, Bindfs)
