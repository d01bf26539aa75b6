# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the black-box tests.

STELE names the binary, STELE_BUILD the build folder (default: build/ of the
repository), TMPDIR where scratch folders go (default: /var/tmp, which is on a
disk with xattrs where /tmp may not be), STELE_TEST_ROOT a Debian root to try
things on (default: one that is made once, in /var/cache)."""

import os
import subprocess
import tempfile

import pytest

import support

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))


def pytest_configure(config):
    config.addinivalue_line("markers", "user: does not need root")
    config.addinivalue_line("markers", "nofuse: does not need /dev/fuse")


def pytest_collection_modifyitems(items):
    for item in items:
        if os.geteuid() and not item.get_closest_marker("user"):
            item.add_marker(pytest.mark.skip(reason="needs root"))
        if not item.get_closest_marker("nofuse") and not os.path.exists(
                "/dev/fuse"):
            item.add_marker(pytest.mark.skip(
                reason="no /dev/fuse: modprobe fuse, or give it to the "
                       "container"))


def built(name, variable=None):
    if variable and os.environ.get(variable):
        return os.path.realpath(os.environ[variable])
    folder = os.environ.get("STELE_BUILD", os.path.join(REPOSITORY, "build"))
    path = os.path.realpath(os.path.join(folder, name))
    if not os.access(path, os.X_OK):
        pytest.fail(f"{path} is missing: meson setup build && ninja -C build, "
                    "or set STELE_BUILD", pytrace=False)
    return path


def new_folder():
    folder = tempfile.mkdtemp(prefix="stele-test-",
                              dir=os.environ.get("TMPDIR", "/var/tmp"))
    os.chmod(folder, 0o755)  # other users shall reach what lies in it
    return folder


def remove(folder):
    support.unmount_below(folder)
    # rm, as shutil.rmtree cannot walk paths longer than PATH_MAX.
    subprocess.run(["rm", "-rf", "--one-file-system", "--", folder], check=True)


@pytest.fixture
def scratch():
    """A folder for one test, open to all users, gone afterwards."""
    folder = new_folder()
    yield folder
    remove(folder)


@pytest.fixture(scope="module")
def module_scratch():
    """The same for all tests of a file."""
    folder = new_folder()
    yield folder
    remove(folder)


@pytest.fixture(scope="session")
def attempt():
    return support.Attempt(built("tests/system/attempt"))


@pytest.fixture(scope="session")
def stele_binary():
    return built("util/stele", "STELE")


@pytest.fixture
def stele(stele_binary, scratch):
    program = support.Stele(stele_binary, scratch)
    yield program
    program.end()


@pytest.fixture(scope="module")
def module_stele(stele_binary, module_scratch):
    program = support.Stele(stele_binary, module_scratch)
    yield program
    program.end()


def need(reason):
    if reason:
        pytest.skip(reason)


def ext4_at(folder, name="ext4", **more):
    need(support.has_loop())
    need(support.have("mkfs.ext4"))
    point = os.path.join(folder, name)
    need(support.make_ext4(os.path.join(folder, name + ".img"), point, **more))
    return point


@pytest.fixture
def ext4(scratch):
    return ext4_at(scratch)


@pytest.fixture(scope="module")
def module_ext4(module_scratch):
    return ext4_at(module_scratch)


@pytest.fixture
def small_disk(scratch):
    """A file system with little room."""
    folder = os.path.join(scratch, "small")
    os.mkdir(folder)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M,mode=0755", "none",
                    folder], check=True)
    return folder


@pytest.fixture(scope="session")
def debian_root():
    """A Debian root file system: STELE_TEST_ROOT, or one made once here."""
    given = os.environ.get("STELE_TEST_ROOT")
    if given:
        if not os.path.isdir(os.path.join(given, "etc")):
            pytest.fail(f"STELE_TEST_ROOT={given} is no root file system")
        return given
    need("needs root" if os.geteuid() else None)
    need(support.have("debootstrap"))
    cache = "/var/cache/stele-test/root"
    done = subprocess.run([os.path.join(REPOSITORY, "util/debian-root"), cache],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    need(done.stdout.strip() if done.returncode else None)
    return cache
