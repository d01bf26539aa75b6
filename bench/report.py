# SPDX-License-Identifier: Apache-2.0
"""
What was measured, as a table for people (Markdown) and as numbers (JSON).

A number is the median of all rounds, with the smallest and the largest. A
ratio is taken round by round, of two measurements made within the same
minutes, and the median of those is shown: a machine that was slow for a while
was slow for both.
"""

import errno
import json
import os
import platform
import statistics
import time

import systems

# measure: (heading, factor to the shown unit, decimals)
COLUMNS = {
    "build": ("build, s", 1, 2),
    "size": ("size, MB", 1e-6, 1),
    "mount cold": ("mount cold, ms", 1e3, 1),
    "mount warm": ("mount warm, ms", 1e3, 1),
    "walk cold": ("walk cold, s", 1, 3),
    "walk warm": ("walk warm, s", 1, 3),
    "lstat warm": ("lstat warm, s", 1, 3),
    "read cold": ("read cold, s", 1, 3),
    "read warm": ("read warm, s", 1, 3),
    "random cold": ("random cold, s", 1, 3),
    "random warm": ("random warm, s", 1, 3),
    "open": ("open+close, µs", 1e6, 1),
    "small": ("open+read+close, µs", 1e6, 1),
    "create": ("refused create, µs", 1e6, 1),
    "memory": ("daemon memory, MB", 1e-6, 1),
}
BUILD = ("build", "size")
READ = ("mount cold", "mount warm", "walk cold", "walk warm", "lstat warm",
        "read cold", "read warm", "random cold", "random warm")
OPS = ("open", "small", "create", "memory")

MIB = 1024 * 1024


class Results:
    def __init__(self):
        self.values = {}  # system: {measure: [one a round]}
        self.left_out = {}  # system: why
        self.errnos = {}  # system: what refused its create

    def add(self, system, measure, value):
        self.values.setdefault(system, {}).setdefault(measure, []).append(value)

    def get(self, system, measure):
        return self.values.get(system, {}).get(measure, [])

    def median(self, system, measure):
        values = self.get(system, measure)
        return statistics.median(values) if values else None

    def ratio(self, measure, system, other):
        pairs = list(zip(self.get(system, measure), self.get(other, measure)))
        if not pairs:
            return None
        return statistics.median(a / b for a, b in pairs)


def facts(name, tree, work, rounds, measured):
    """What must be known to read the numbers."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "tree": {"name": name, "entries": tree.things,
                 "files": len(tree.files), "bytes": tree.bytes},
        "rounds": rounds,
        "machine": machine(work),
        "systems": {s.name: s.what or f"the folder itself, on {disk(work)}"
                    for s in measured},
    }


def machine(work):
    """The machine in one line."""
    model = platform.machine()
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return (f"{model}, {os.cpu_count()} processors, {memory / 2**30:.0f} GiB "
            f"of memory, Linux {platform.release()}, {disk(work)}")


def disk(path):
    """The filesystem that path lies on, and its device."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo") as mounts:
        for line in mounts:
            before, after = line.split(" - ", 1)
            if before.split()[2] == wanted:
                kind, source = after.split()[:2]
                return f"{kind} on {os.path.basename(source)}"
    return "a filesystem of unknown kind"


def targets(results, entries):
    """(what, wanted, measured, whether reached) of each that was measured."""
    rows = []

    def row(what, wanted, value, limit, shown, strict=False):
        if value is not None:
            reached = value < limit if strict else value <= limit
            rows.append((what, wanted, shown.format(value), reached))

    row("build time", "≤ 1.2 × mksquashfs zstd-3",
        results.ratio("build", "stele", "squashfs"), 1.2, "{:.2f} ×")
    row("image size", "no larger than that squashfs",
        results.ratio("size", "stele", "squashfs"), 1.0, "{:.3f} ×")
    mount = results.median("stele", "mount cold")
    row("mount, nothing in memory", "< 50 ms",
        mount and mount * 1e3, 50, "{:.1f} ms", strict=True)
    row("walk, warm", "≤ 2 × plain",
        results.ratio("walk warm", "stele", "plain"), 2.0, "{:.2f} ×")
    row("read everything, cold", "no slower than squashfuse_ll",
        results.ratio("read cold", "stele", "squashfuse_ll"), 1.0, "{:.2f} ×")
    memory = results.median("stele", "memory")
    limit = (64 * MIB + 150 * entries) / MIB
    row("memory of the daemon", f"< 64 MiB + 150 B a file = {limit:.1f} MiB",
        memory and memory / MIB, limit, "{:.1f} MiB", strict=True)
    return rows


def table(head, rows):
    """A Markdown table; the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(head) + " |",
             "|---" + "|---:" * (len(head) - 1) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def cell(results, system, measure):
    values = results.get(system, measure)
    if not values:
        return "–"
    _, factor, decimals = COLUMNS[measure]
    low, mid, high = (f"{x * factor:.{decimals}f}" for x in (
        min(values), statistics.median(values), max(values)))
    spread = f" ({low}–{high})" if low != high else ""
    reason = results.errnos.get(system) if measure == "create" else None
    return mid + spread + (f" {errno.errorcode[reason]}" if reason else "")


def section(results, names, measures, base):
    """
    A table of what was measured of these, then one of ratios to the system
    base. "" when nothing was measured.
    """
    measures = [m for m in measures
                if any(results.get(name, m) for name in names)]
    names = [n for n in names if any(results.get(n, m) for m in measures)]
    if not measures:
        return ""
    text = table(["system"] + [COLUMNS[m][0] for m in measures],
                 [[name] + [cell(results, name, m) for m in measures]
                  for name in names])
    ratios = [m for m in measures if results.get(base, m)]
    if ratios:
        rows = []
        for name in names:
            values = [results.ratio(m, name, base) for m in ratios]
            rows.append([name] + ["–" if v is None else f"{v:.2f}"
                                  for v in values])
        text += f"\nThe same, {base} = 1:\n\n" + table(
            ["system"] + [COLUMNS[m][0].split(",")[0] for m in ratios], rows)
    return text


def markdown(about, results, reached):
    names = [kind.name for kind in systems.ALL if kind.name in results.values]
    tree = about["tree"]
    parts = [
        f"# {tree['name']}, {about['date']}\n\n"
        f"{about['machine']}.\n\n"
        f"{tree['files']} files in {tree['entries']} entries, "
        f"{tree['bytes'] / 1e6:.0f} MB. Median of {about['rounds']} rounds "
        "(smallest–largest). bench/README.md says what each number is.\n"]
    if reached:
        parts.append("## Targets\n\n" + table(
            ["what", "wanted", "measured", "reached"],
            [[what, wanted, shown, "yes" if good else "**no**"]
             for what, wanted, shown, good in reached]))
    for title, measures, base in (("Building", BUILD, "squashfs"),
                                  ("Reading", READ, "plain"),
                                  ("Single operations", OPS, "plain")):
        text = section(results, names, measures, base)
        if text:
            parts.append(f"## {title}\n\n{text}")
    legend = [f"- {name}: {about['systems'][name]}"
              for name in names if name in about["systems"]]
    legend += [f"- {name}: left out: {why}"
               for name, why in results.left_out.items()]
    parts.append("## Systems\n\n" + "\n".join(legend) + "\n")
    return "\n".join(parts)


def write(base, about, results):
    """Store BASE.md and BASE.json; returns the Markdown."""
    reached = targets(results, about["tree"]["entries"])
    text = markdown(about, results, reached)
    os.makedirs(base.parent, exist_ok=True)
    # Not with_suffix: a name may have a dot in it.
    with open(f"{base}.md", "w") as out:
        out.write(text)
    with open(f"{base}.json", "w") as out:
        json.dump({
            **about,
            "targets": [{"what": what, "wanted": wanted, "measured": shown,
                         "reached": good}
                        for what, wanted, shown, good in reached],
            "values": results.values,
            "units": "seconds and bytes, one value a round",
            "refused create": {name: errno.errorcode[number]
                               for name, number in results.errnos.items()},
            "left out": results.left_out,
        }, out, indent=1)
        out.write("\n")
    return text
