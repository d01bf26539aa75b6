# SPDX-License-Identifier: Apache-2.0
"""The files of the repository, and C text with its comments taken out."""

import io
import os
import pathlib
import re
import tokenize

# C, Python, shell and the rest of what people write and read here.
TEXT = {".c", ".h", ".py", ".sh", ".build", ".txt", ".md", ".yaml", ".yml",
        ".wrap"}

# Comments, strings and characters of C, whichever comes first.
C_TOKEN = re.compile(
    r"//(?:\\\n|[^\n])*"
    r"|/\*.*?(?:\*/|\Z)"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'(?:\\.|[^'\\\n])*'", re.S)


def blank(text):
    """As many lines and columns of nothing."""
    return re.sub(r"[^\n]", " ", text)


class Source:
    """One file; path is relative to the root, with slashes."""

    def __init__(self, path, text, executable=False):
        self.path = path
        self.text = text
        self.executable = executable
        self.lines = text.split("\n")
        self.is_c = path.endswith((".c", ".h"))
        self.is_python = path.endswith(".py") or bool(
            re.match(r"#!.*python", text))
        self.is_shell = path.endswith(".sh") or bool(
            re.match(r"#!.*\b(ba|da)?sh\b", text))
        self.is_script = text.startswith("#!")
        self.folder = str(pathlib.PurePosixPath(path).parent)
        self._blanked = {}

    def _without(self, kinds):
        if kinds not in self._blanked:
            self._blanked[kinds] = C_TOKEN.sub(
                lambda m: blank(m[0]) if m[0][0] in kinds else m[0], self.text)
        return self._blanked[kinds]

    @property
    def uncommented(self):
        """C without comments, with its strings."""
        return self._without("/")

    @property
    def code(self):
        """C without comments, strings and characters."""
        return self._without("/\"'")

    def comments(self):
        """(line number, text) of each comment."""
        if self.is_c:
            for m in C_TOKEN.finditer(self.text):
                if m[0].startswith("/"):
                    first = self.line_at(m.start())
                    for i, line in enumerate(m[0].split("\n")):
                        yield first + i, line
        elif self.is_python:
            for token in tokenize.generate_tokens(
                    io.StringIO(self.text).readline):
                if token.type == tokenize.COMMENT:
                    yield token.start[0], token.string
        else:
            for i, line in enumerate(self.lines, 1):
                m = re.search(r"(?:^|\s)(#.*)", line)
                if m:
                    yield i, m[1]

    def line_at(self, position):
        return self.text.count("\n", 0, position) + 1

    def search(self, pattern, text):
        """(line number, match) of a pattern in text or a blanked form of it."""
        for m in re.finditer(pattern, text, re.M):
            yield self.line_at(m.start()), m


def read_tree(root):
    """Every text file below root that is ours, as {path: Source}."""
    sources = {}
    for folder, names, files in os.walk(root):
        below = pathlib.PurePath(folder).relative_to(root)
        names[:] = sorted(
            n for n in names
            if (n == ".ci" or not n.startswith("."))
            and n not in ("__pycache__", "corpus", "packagecache")
            and not (below == pathlib.PurePath(".") and n.startswith("build"))
            and not (below.name == "subprojects"))
        for name in sorted(files):
            file = pathlib.Path(folder, name)
            if file.is_symlink() or not file.is_file():
                continue
            data = file.read_bytes()
            if file.suffix not in TEXT and not data.startswith(b"#!"):
                continue
            path = (below / name).as_posix()
            sources[path] = Source(path, data.decode("utf-8", "replace"),
                                   bool(file.stat().st_mode & 0o111))
    return sources
