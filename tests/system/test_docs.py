# SPDX-License-Identifier: Apache-2.0
"""What the documentation shows is true: every ```console block of README.md and
docs/ is run, and what it shows is compared with what comes.

The blocks of a page run in their order, by one shell, in a folder that holds
rootfs/ (a small tree), app.stele (its image) and mnt/ (empty), with the program
in PATH and a state folder of its own. In a block,

    $ COMMAND      is run; "> " goes on with it
    other lines    are what it prints; "..." stands for any lines

A command whose output is not shown may print what it likes. Every command must
end with 0, but for one that shows "Read-only file system", or whose code the
next one shows with "echo $?". Times, numbers of processes and of records,
digests, keys and signatures differ from run to run: any of a kind equals any
other."""

import os
import re
import subprocess

import pytest

import support
from support import PATIENCE

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
PAGES = ["README.md"] + sorted(
    os.path.join("docs", name)
    for name in os.listdir(os.path.join(REPOSITORY, "docs"))
    if name.endswith(".md"))

# In this order: what a later one would match is gone by then.
VARIES = [
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?Z?", "TIME"),
    (r"(?m)^TIME +\d+ ", "TIME PID "),
    (r"[\w.-]+/stele/[0-9a-f]{16}", "ORIGIN"),
    (r"\+[0-9a-f]{8}\+", "+HASH+"),
    (r"\b[0-9a-f]{64}\b", "DIGEST"),
    (r"[A-Za-z0-9+/]{40,}=*", "BASE64"),
    # How many records a flood becomes depends on how fast it was.
    (r"\b(records?|size) \d{3,}\b", r"\1 N"),
    (r"\b\d{3,} records\b", "N records"),
    (r" +", " "),
    (r"(?m) $", ""),
]


class Step:
    """A command of a page, and what the page says of it."""

    def __init__(self, line, command):
        self.line = line
        self.command = command
        self.shown = []


def steps_of(page):
    with open(os.path.join(REPOSITORY, page), encoding="utf-8") as f:
        lines = f.read().splitlines()
    steps, inside = [], False
    for number, line in enumerate(lines, 1):
        if line.startswith("```"):
            inside = line == "```console" and not inside
        elif inside and line.startswith("$ "):
            steps.append(Step(number, line[2:]))
        elif inside and line.startswith("> ") and not steps[-1].shown:
            steps[-1].command += "\n" + line[2:]
        elif inside:
            steps[-1].shown.append(line)
    return steps


def alike(text):
    for pattern, word in VARIES:
        text = re.sub(pattern, word, text)
    return text.strip("\n")


def matches(shown, said):
    """Is what came what is shown?"""
    parts = ["(?:.*\n)*" if line == "..." else re.escape(line + "\n")
             for line in alike("\n".join(shown)).split("\n")]
    return re.fullmatch("".join(parts), alike(said) + "\n") is not None


def may_fail(step, after):
    return (after is not None and after.command == "echo $?") or any(
        "Read-only file system" in line for line in step.shown)


def run(steps, folder, env):
    """(output, exit code) of each, from one shell."""
    mark = "\x1e"
    script = "".join(
        f"{step.command}\n__code=$?; printf '{mark}%d{mark}' $__code; "
        "(exit $__code)\n" for step in steps)
    out = os.path.join(folder, ".out")
    with open(out, "w", encoding="utf-8") as f:
        # A file, not a pipe: what outlives the shell must not hold us up.
        subprocess.run(["bash", "-c", script], cwd=folder, env=env, stdout=f,
                       stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                       timeout=PATIENCE, check=False)
    with open(out, encoding="utf-8", errors="surrogateescape") as f:
        words = f.read().split(mark)
    done = list(zip(words[0::2], map(int, words[1::2])))
    assert len(done) == len(steps), f"the shell ended early: {words[-1]}"
    return done


@pytest.fixture
def place(stele, scratch):
    for name, text in (("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
                       ("etc/app.conf", "listen 80\n"),
                       ("srv/index.html", "hello\n")):
        path = os.path.join(scratch, "rootfs", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
    os.mkdir(os.path.join(scratch, "mnt"))
    stele.build(os.path.join(scratch, "rootfs"),
                os.path.join(scratch, "app.stele"))
    return scratch


@pytest.mark.parametrize("page", PAGES)
def test_commands_do_what_is_shown(page, stele, place):
    if support.have("sqlite3"):
        pytest.skip("no sqlite3 here")
    steps = steps_of(page)
    env = dict(stele.env, TZ="UTC", NO_COLOR="1",
               PATH=f"{os.path.dirname(stele.binary)}:/usr/sbin:/usr/bin:/sbin:"
                    "/bin")
    wrong = []
    for step, after, (said, code) in zip(steps, [*steps[1:], None],
                                         run(steps, place, env)):
        if code and not may_fail(step, after):
            wrong.append(f"{page}:{step.line}: {step.command}: ended with "
                         f"{code}: {said}")
        elif step.shown and not matches(step.shown, said):
            wrong.append(f"{page}:{step.line}: {step.command}: it says\n{said}")
    assert not wrong, "\n".join(wrong)


def test_a_page_has_commands():
    """That the test above does not pass for want of any."""
    assert len(steps_of("docs/ledger.md")) > 10
    assert len(steps_of("README.md")) > 3


def test_comparing_finds_what_differs():
    line = "2026-11-22 07:41:53.578   28528 touch  create  EROFS  /etc/new image"
    assert matches([line], line.replace("28528", "17").replace("41", "59"))
    assert not matches([line], line.replace("/new", "/old"))
    assert matches(["a", "...", "b"], "a\nx\ny\nb\n")
    assert not matches(["a", "...", "b"], "a\nx\n")
    assert not matches(["a"], "a\nb\n")


def test_links_lead_somewhere():
    """To files that are here, from every page of the repository."""
    pages = PAGES + ["fs/README.md", "fs/ledger/README.md", "bench/README.md"]
    broken = []
    for page in pages:
        with open(os.path.join(REPOSITORY, page), encoding="utf-8") as f:
            text = f.read()
        for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", text):
            path = os.path.join(REPOSITORY, os.path.dirname(page), target)
            if not os.path.exists(path):
                broken.append(f"{page}: {target}")
    assert not broken
