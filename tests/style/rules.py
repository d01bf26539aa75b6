# SPDX-License-Identifier: Apache-2.0
"""
The rules of the house. Each is a function of all sources that yields
(path, line, what is wrong); RULES lists them. tests/style/test_rules.py shows
each rule something bad and something good.
"""

import pathlib
import re

FLOORS = {
    "base": 0,
    "codec": 1, "db": 1, "policy": 1,
    "image": 2, "store": 2, "who": 2, "seal": 2,
    "view": 3, "ledger": 3,
    "tree": 4, "upper": 4, "audit": 4, "doctor": 4,
    "mount": 5, "oci": 5, "commit": 5,
}
UTIL_FLOOR = 6

# A library's headers, and the one folder that may include them.
CAGES = [
    (r"openssl/", "fs/codec"),
    (r"xxhash\.h$", "fs/codec"),
    (r"(zstd|zstd_errors|zdict)\.h$", "fs/codec"),
    (r"sqlite3", "fs/db"),
    (r"archive(_entry)?\.h$", "fs/tree"),
    (r"(fuse3?/|fuse\w*\.h$|linux/fuse\.h$)", "fs/mount"),
    (r"jansson", "util"),
]

# What libfuse answers with ENOSYS when it is missing, after which the kernel
# never asks again: an attempt that would not be seen.
MUTATING = [
    ("setattr",), ("mknod",), ("mkdir",), ("unlink",), ("rmdir",),
    ("symlink",), ("rename",), ("link",), ("write_buf", "write"),
    ("create",), ("setxattr",), ("removexattr",), ("fallocate",),
    ("copy_file_range",), ("tmpfile",), ("ioctl",), ("access",), ("fsync",),
    ("fsyncdir",),
]

FILE_LINES = 600
FUNCTION_LINES = 60
COLUMNS = 80
SCRIPT_COLUMNS = 100

BANNED = ("strcpy strcat sprintf vsprintf atoi atol strtok system alloca gets "
          "popen").split()


def is_product(source):
    return source.path.startswith(("fs/", "util/"))


def c_files(sources, *prefixes):
    for source in sources.values():
        if source.is_c and source.path.startswith(prefixes or ("",)):
            yield source


def floor_of(path):
    """Number of the floor a file is on; None: it is on none."""
    parts = path.split("/")
    if parts[0] == "util":
        return UTIL_FLOOR
    if parts[0] == "fs" and len(parts) > 2:
        return FLOORS.get(parts[1])
    return None


def includes(source, brackets):
    pattern = r"^[ \t]*#[ \t]*include[ \t]*" + (
        r"<([^>\n]+)>" if brackets == "<>" else r'"([^"\n]+)"')
    for line, m in source.search(pattern, source.uncommented):
        yield line, m[1]


def include_direction(sources):
    for source in c_files(sources, "fs/", "util/"):
        floor = floor_of(source.path)
        if floor is None:
            yield source.path, 1, "this folder has no floor in the house"
            continue
        for line, path in includes(source, '""'):
            theirs = floor_of(path)
            folder = str(pathlib.PurePosixPath(path).parent)
            if theirs is None:
                yield (source.path, line,
                       f'"{path}" is not a path from the root to a part')
            elif folder != source.folder and theirs >= floor:
                way = "upward" if theirs > floor else "sideways"
                yield source.path, line, f'"{path}" is an {way} include'


def include_own_header_first(sources):
    for source in c_files(sources, "fs/", "util/"):
        header = source.path[:-2] + ".h"
        if not source.path.endswith(".c") or header not in sources:
            continue
        found = sorted(list(includes(source, '""')) +
                       list(includes(source, "<>")))
        if not found or found[0][1] != header:
            line = found[0][0] if found else 1
            yield source.path, line, f'the first include must be "{header}"'


def caged_libraries(sources):
    for source in c_files(sources, "fs/", "util/"):
        for brackets in ("<>", '""'):
            for line, header in includes(source, brackets):
                for pattern, cage in CAGES:
                    inside = source.path.startswith(cage + "/")
                    if re.match(pattern, header) and not inside:
                        yield (source.path, line,
                               f"{header} may be included in {cage} only")


def replies_in_mount_only(sources):
    for source in c_files(sources, "fs/", "util/"):
        if source.path.startswith("fs/mount/"):
            continue
        for line, m in source.search(r"\bfuse_reply_\w+", source.code):
            yield source.path, line, f"{m[0]} outside fs/mount"


def erofs_in_gate_only(sources):
    for source in c_files(sources, "fs/", "util/"):
        if source.path == "fs/mount/gate.c":
            continue
        for line, _ in source.search(r"\bEROFS\b", source.code):
            yield source.path, line, "EROFS is spelled in fs/mount/gate.c only"


def no_enosys_in_mount(sources):
    for source in c_files(sources, "fs/mount/"):
        for line, _ in source.search(r"\bENOSYS\b", source.code):
            yield (source.path, line,
                   "one ENOSYS and the kernel never asks again")


def initialiser(text, start):
    """What is between the braces that open at start."""
    depth = 0
    for i in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return text[start + 1:i]
    return text[start + 1:]


def mutating_handlers(sources):
    found = False
    for source in c_files(sources, "fs/mount/"):
        pattern = (r"\bstruct\s+fuse_lowlevel_ops"
                   r"(?:\s+\w+\s*=|\s*\))\s*(\{)")
        for line, m in source.search(pattern, source.code):
            found = True
            handlers = dict(re.findall(r"\.\s*(\w+)\s*=\s*([^,}]+)",
                                       initialiser(source.code, m.start(1))))
            for names in MUTATING:
                values = [handlers[n].strip() for n in names if n in handlers]
                if not values:
                    yield (source.path, line,
                           f"no handler for {' or '.join(names)}")
                elif any(re.fullmatch(r"NULL|0|\(.*\)\s*(NULL|0)", v)
                         for v in values):
                    yield (source.path, line,
                           f"the handler for {names[0]} is NULL")
    if not found and any(s.path.endswith(".c")
                         for s in c_files(sources, "fs/mount/")):
        yield "fs/mount", 1, "no initialiser of struct fuse_lowlevel_ops"


def file_length(sources):
    for source in sources.values():
        count = source.text.count("\n")
        code = source.is_c or source.is_python or source.is_shell
        if code and count > FILE_LINES:
            yield (source.path, FILE_LINES + 1,
                   f"{count} lines, {FILE_LINES} are allowed")


def functions(source):
    """(first line, last line, name) of each function body."""
    start = None
    for i, line in enumerate(source.code.split("\n"), 1):
        if start is None and line.rstrip() == "{":
            start = i
        elif start is not None and line.startswith("}"):
            head = " ".join(source.lines[max(0, start - 6):start - 1])
            names = re.findall(r"(\w+)\s*\(", head.split(";")[-1])
            yield start, i, names[0] if names else "?"
            start = None


def function_length(sources):
    for source in c_files(sources):
        for first, last, name in functions(source):
            if last - first + 1 > FUNCTION_LINES:
                yield (source.path, first,
                       f"{name} has {last - first + 1} lines, "
                       f"{FUNCTION_LINES} are allowed")


def line_width(sources):
    for source in sources.values():
        if not (source.is_c or source.is_python or source.is_shell):
            continue
        allowed = COLUMNS if source.is_c else SCRIPT_COLUMNS
        for i, line in enumerate(source.lines, 1):
            columns = len(line.expandtabs(8))
            if columns > allowed:
                yield (source.path, i,
                       f"{columns} columns, {allowed} are allowed")


def banned_calls(sources):
    pattern = r"\b(" + "|".join(BANNED) + r")\s*\("
    for source in c_files(sources):
        for line, m in source.search(pattern, source.code):
            yield source.path, line, f"{m[1]}() is banned"


def comment_form(sources):
    for source in c_files(sources):
        for line, text in source.comments():
            if text.startswith("//"):
                yield source.path, line, "comments are /* */"
        for line, _ in source.search(r"^\s*#\s*if\s+0\b", source.code):
            yield source.path, line, "code that is switched off by #if 0"


def leftovers(sources):
    for source in sources.values():
        if source.path.endswith(".md"):
            continue
        for line, text in source.comments():
            m = re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)
            if m:
                yield source.path, line, f"{m[1]} in a comment"


def licence_line(sources):
    spdx = "SPDX-License-Identifier: Apache-2.0"
    for source in sources.values():
        if source.is_c:
            good = source.lines[0] == f"/* {spdx} */"
        elif source.is_python or source.is_shell or source.is_script:
            good = f"# {spdx}" in source.lines[:2]
        else:
            continue
        if not good:
            yield source.path, 1, "no SPDX line at the top"


def header_guard(sources):
    for source in c_files(sources):
        if not source.path.endswith(".h"):
            continue
        guard = re.sub(r"\W", "_", source.path).upper()
        found = re.search(r"^#ifndef (\w+)\n#define (\w+)\n",
                          source.uncommented, re.M)
        first = re.search(r"^#", source.uncommented, re.M)
        if (not found or found.start() != first.start()
                or found[1] != guard or found[2] != guard
                or not source.uncommented.rstrip().endswith("#endif")):
            yield source.path, 1, f"the guard must be {guard}"


def whitespace(sources):
    for source in sources.values():
        for i, line in enumerate(source.lines, 1):
            if line != line.rstrip():
                yield source.path, i, "white space at the end of the line"
        if source.text and not source.text.endswith("\n"):
            yield source.path, len(source.lines), "no newline at the end"
        if source.text.endswith("\n\n"):
            yield source.path, len(source.lines), "blank lines at the end"


def executable_bits(sources):
    for source in sources.values():
        if source.is_script and not source.executable:
            yield source.path, 1, "a script that is not executable"
        elif source.executable and not source.is_script:
            yield source.path, 1, "executable, but no script"


def fs_is_silent(sources):
    pattern = (r"(?<![\w.>])(printf|vprintf|puts|putchar|perror|syslog|exit|"
               r"_exit|getenv|secure_getenv|setenv)\s*\(|"
               r"\b(stdout|stderr)\b")
    for source in c_files(sources, "fs/"):
        for line, m in source.search(pattern, source.code):
            yield (source.path, line,
                   f"{m[1] or m[2]}: fs/ does not print, exit or read "
                   "the environment")


def no_mutable_globals(sources):
    pattern = (r"^(?!typedef|extern|return|goto|else)(?:static[ \t]+)?"
               r"((?:\w+[ \t]+)+)\**(\w+)[ \t]*(?:\[[^\]\n]*\])*[ \t]*(=|;)")
    for source in c_files(sources, "fs/"):
        for line, m in source.search(pattern, source.code):
            words = m[1].split()
            forward = m[3] == ";" and len(words) == 1 and words[0] in (
                "struct", "union", "enum")
            if (forward or "const" in words or "constexpr" in words
                    or "sig_atomic_t" in words):
                continue
            yield source.path, line, f"{m[2]} is a mutable global"


RULES = [
    include_direction,
    include_own_header_first,
    caged_libraries,
    replies_in_mount_only,
    erofs_in_gate_only,
    no_enosys_in_mount,
    mutating_handlers,
    file_length,
    function_length,
    line_width,
    banned_calls,
    comment_form,
    leftovers,
    licence_line,
    header_guard,
    whitespace,
    executable_bits,
    fs_is_silent,
    no_mutable_globals,
]
