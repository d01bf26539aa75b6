# SPDX-License-Identifier: Apache-2.0
"""stele log report: one page, whole, that names cannot turn into something else.
It is opened in Chromium where that is installed."""

import base64
import contextlib
import hashlib
import html.parser
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile

import pytest

import support
import trees
from support import NOBODY, SYSTEM, USAGE, q

# A name is a part of a path: no slash.
HOSTILE = [
    b"<script>window.pwned=1<script>", b'"><img src=x onerror=pwn()>',
    b"'onmouseover=pwn()'", b"<!--", b"]]>", b"&lt;script&gt;",
    b"<style>*{display:none}", b"<svg onload=pwn()>", b"new\nline\x1b[31m",
    b"\xff\xfe", "\u202etxt.exe".encode(), b"javascript:pwn()",
    b"{{7*7}}", b"<iframe src=http:>", b"<base href=http:>", b"%00%3Cb%3E",
]
SECTIONS = ["When", "The most", "Who", "What happened to the mount",
            "Attempts", "Source"]


@pytest.fixture(scope="module")
def m(module_stele, module_scratch, attempt):
    top = os.path.join(module_scratch, "source")
    os.makedirs(top + "/folder")
    os.chmod(top + "/folder", 0o777)
    trees.put(top + "/file", b"content\n")
    image = os.path.join(module_scratch, "report.stele")
    module_stele.build(top, image)
    mount = module_stele.mount(image, os.path.join(module_scratch, "mnt"))
    script = ["mkdir folder/" + q(name) for name in HOSTILE] + [
        "unlink file", "rename file folder/y 0", "chmod file 04755",
        "symlink " + q("<b>there") + " link", "access file 2 0"]
    assert set(attempt.run(mount, script)) == {"EROFS"}
    attempt.run(mount, ["mkdir folder/" + q(HOSTILE[1])], uid=NOBODY)
    # A program whose name and arguments are hostile, too.
    program = os.path.join(module_scratch, "<b>x")
    shutil.copy(shutil.which("touch"), program)
    subprocess.run([program, mount.path("<script>pwn()")], check=False,
                   stderr=subprocess.DEVNULL)
    attempt.run(mount, ["mkdir folder/@"], times=1500)
    mount.umount()
    return mount


@pytest.fixture(scope="module")
def page(module_stele, m, module_scratch):
    """Path and text of a report."""
    path = os.path.join(module_scratch, "report.html")
    assert module_stele.ok("log", "report", "-o", path, m.ledger) == ""
    with open(path, encoding="utf-8") as f:
        return path, f.read()


class Reader(html.parser.HTMLParser):
    """What a page is made of."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts, self.open = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in ("meta", "link", "input"):  # which never end
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_data(self, data):
        if not set(self.open) & {"script", "style"}:
            self.texts.append(data)


@pytest.fixture(scope="module")
def read(page):
    return Reader(page[1])


def test_the_page_is_well_formed(read):
    assert not read.open
    assert read.tags.count("html") == read.tags.count("body") == 1


def test_names_are_only_text(read):
    """No tag and no attribute but those of ours."""
    ours = {"html", "head", "meta", "link", "title", "style", "body", "main",
            "header", "div", "h1", "h2", "h3", "p", "section", "span", "b", "i",
            "small", "code", "svg", "g", "rect", "line", "path", "text",
            "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "details",
            "summary", "footer", "script"}
    assert set(read.tags) <= ours
    assert read.tags.count("script") == read.tags.count("style") == 1
    assert not [a for a in read.attributes if a[1].startswith("on")]
    assert not [a for a in read.attributes if a[1] in ("style", "src")]
    everything = "".join(read.texts)
    for name in HOSTILE:
        if name.isascii():
            shown = name.decode().replace("\n", "\\n").replace("\x1b", "\\e")
            assert "/folder/" + shown in everything, name
    assert "/folder/\\xff\\xfe" in everything
    assert "\u202e" not in everything and "\x1b" not in everything


def test_nothing_is_loaded(read, page):
    """No address of anything but the page itself."""
    links = [a for a in read.attributes if a[1] in ("href", "src", "action",
                                                    "data", "srcset")]
    assert links == [("link", "href", "data:,")]
    style = re.search(r"<style>(.*?)</style>", page[1], re.S)[1]
    assert "url(" not in style and "@import" not in style


def test_the_policy_lets_only_our_script_in(page, read):
    (policy,) = [v for t, n, v in read.attributes
                 if t == "meta" and n == "content" and "default-src" in v]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        text = re.search(rf"<{tag}>(.*?)</{tag}>", page[1], re.S)[1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest())
        assert f"{tag}-src 'sha256-{digest.decode()}'" in policy


def test_the_page_says_what_happened(page, read, m, module_stele):
    text = "".join(read.texts)
    for section in SECTIONS:
        assert section in text
    facts = dict(re.findall(r'<div class="fact"><b>([\d,]+)</b><span>([^<]+)',
                            page[1]))
    total = sum(r["count"] for r in m.log() if r["type"] == "attempt")
    assert facts[f"{total:,}"] == "attempts refused"
    assert m.point in text and m.ledger in text
    assert module_stele.ids(os.path.join(os.path.dirname(m.ledger),
                                         "report.stele"))["image"] in text
    assert page[1].count("<tr><td class=\"time\"") > len(HOSTILE)
    assert "65534" in text and "/folder/y" in text


def test_the_page_is_the_same_as_the_verdict(page, m, module_stele):
    verdict = module_stele.run("log", "verify", m.ledger).returncode
    title = re.search(r'<span class="pill">([^<]+)', page[1])[1]
    assert (title == "Intact") == (verdict == 0)


def test_filters_are_named(module_stele, m, scratch):
    path = scratch + "/part.html"
    module_stele.ok("log", "report", "-o", path, m.ledger, "--op", "unlink",
                    "--uid", "0")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert "<code>--op=unlink --uid=0</code>" in text
    assert "<b>1</b><span>attempts refused" in text
    assert "/folder/" not in text


def test_rows_are_bounded_and_it_is_said(module_stele, m, scratch):
    path = scratch + "/few.html"
    module_stele.ok("log", "report", "-o", path, m.ledger, "--rows", "5")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    table = text[text.index('id="attempts"'):]
    assert table.count('<tr><td class="time"') == 5
    assert "Not listed here, but counted above" in text


def test_nothing_matches(module_stele, m, scratch):
    path = scratch + "/none.html"
    module_stele.ok("log", "report", "-o", path, m.ledger, "--op",
                    "fallocate")
    with open(path, encoding="utf-8") as f:
        assert "No attempt matches" in f.read()


def test_a_file_is_not_overwritten(module_stele, m, scratch):
    path = scratch + "/kept.html"
    trees.put(path, b"mine")
    module_stele.refuses(SYSTEM, "log", "report", "-o", path, m.ledger,
                         says=[path, "--force"])
    with open(path, "rb") as f:
        assert f.read() == b"mine"
    module_stele.ok("log", "report", "-o", path, m.ledger, "--force")
    with open(path, "rb") as f:
        assert f.read(15) == b"<!doctype html>"
    module_stele.refuses(USAGE, "log", "report", m.ledger, says=["--output"])


def test_whole_or_not_at_all(module_stele, m, small_disk):
    """On a full disk nothing of the name appears, and nothing else stays."""
    with open(small_disk + "/filler", "wb") as f:
        f.write(b"x" * (980 << 10))
    module_stele.refuses(SYSTEM, "log", "report", "-o",
                         small_disk + "/r.html", m.ledger, "--rows", "100000",
                         says=["r.html"])
    assert os.listdir(small_disk) == ["filler"]


def test_gaps_and_damage_stand_out(module_stele, m, scratch):
    """A ledger into which such events were put: they are told, drawn and
    counted, and it is no longer intact."""
    copy, path = scratch + "/events.ledger", scratch + "/events.html"
    shutil.copy(m.ledger, copy)
    with contextlib.closing(sqlite3.connect(copy)) as db:
        last, time = db.execute("SELECT max(seq), max(t_real) FROM "
                                "(SELECT seq, t_real FROM attempt UNION "
                                "SELECT seq, t_real FROM event)").fetchone()
        for i, (kind, count) in enumerate((("gap", 1234), ("damage", 1),
                                           ("lost", 56), ("recovery", 1),
                                           ("heartbeat", 1))):
            db.execute("INSERT INTO event VALUES(?, 1, ?, ?, ?, ?, ?, ?)",
                       (last + 1 + i, time, i, kind, b"/<b>p",
                        "<i>what", count))
        db.commit()
    module_stele.ok("log", "report", "-o", path, copy)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for fact in ("<b>1,234</b><span>only counted (gap)",
                 "<b>56</b><span>not recorded",
                 "<b>1</b><span>damaged places"):
        assert '<div class="fact bad">' + fact in text
    for kind in ("gap", "damage", "lost", "recovery"):
        assert f"<td><b>{kind}</b></td><td class=\"path\">/&lt;b&gt;p</td>" \
            '<td class="text">&lt;i&gt;what</td>' in text
    assert "1 heartbeat, 0 other events" in text
    assert text.count('<path class="mark m-3"') == 3
    assert '<span class="pill">Intact' not in text


# ---- in a browser ----

@pytest.fixture(scope="module")
def chromium():
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if not program:
        pytest.skip("chromium is not installed: util/setup --tests")

    def run(path, *words):
        with tempfile.TemporaryDirectory(prefix="stele-chromium-") as profile:
            done = subprocess.run(
                [program, "--headless", "--no-sandbox", "--disable-gpu",
                 "--hide-scrollbars", "--no-first-run",
                 f"--user-data-dir={profile}", "--enable-logging=stderr",
                 "--v=0", *words, "file://" + path],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                timeout=support.PATIENCE)
        return done.stdout.decode("utf-8", "replace"), done.stderr.decode(
            "utf-8", "replace")

    return run


def test_chromium_runs_our_script_and_no_other(chromium, page):
    dom, log = chromium(page[0], "--dump-dom")
    assert '<input id="find"' in dom, "the filter is what our script adds"
    assert "Content Security Policy" not in log, log
    read = Reader(dom)
    assert read.tags.count("script") == 1
    assert not [a for a in read.attributes if a[1].startswith("on")]
    assert dom.count('<td class="time"') == page[1].count('<td class="time"')
    assert "pwned=1" in "".join(read.texts)


def test_chromium_without_our_script_shows_the_same(chromium, page, scratch):
    """A page whose script was changed has no script: its policy stops it."""
    path = scratch + "/changed.html"
    with open(path, "w", encoding="utf-8") as f:
        f.write(page[1].replace('"use strict";', "window.pwned=1;"))
    dom, log = chromium(path, "--dump-dom")
    assert '<input id="find"' not in dom
    assert "Content Security Policy" in log
    assert dom.count('<td class="time"') == page[1].count('<td class="time"')


def test_chromium_draws_it(chromium, page, scratch):
    """There is something on the screen, light and dark, and they differ."""
    sizes = []
    for name, more in (("light", []), ("dark", [
            "--blink-settings=preferredColorScheme=0"])):
        path = f"{scratch}/{name}.png"
        chromium(page[0], f"--screenshot={path}", "--window-size=1240,2000",
                 *more)
        with open(path, "rb") as f:
            data = f.read()
        assert data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) > 50_000
        sizes.append(hashlib.sha256(data).digest())
    assert sizes[0] != sizes[1]
