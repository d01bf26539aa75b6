# SPDX-License-Identifier: Apache-2.0
"""What Falco's JSON alerts look like, and a check of one against it.

Written by hand from Falco's documentation (json_output, supported fields) and
from the type that falcosidekick reads alerts into. Names of output_fields that
begin with "stele." are ours."""

import re

# What falcosidekick decodes, with the types that it needs.
OUTER = {"output": str, "priority": str, "rule": str, "time": str,
         "source": str, "tags": list, "hostname": str, "output_fields": dict}
REQUIRED = {"output", "priority", "rule", "time", "output_fields"}
PRIORITIES = {"Emergency", "Alert", "Critical", "Error", "Warning", "Notice",
              "Informational", "Debug"}
FIELDS = {
    "evt.num": int, "evt.time": int, "evt.type": str, "evt.hostname": str,
    "evt.failed": bool, "evt.res": str,
    "fd.name": str, "fd.filename": str, "fd.directory": str, "fd.ino": int,
    "fs.path.name": str, "fs.path.target": str,
    "user.uid": int, "user.loginuid": int, "group.gid": int,
    "container.id": str, "container.type": str, "k8s.pod.uid": str,
    "proc.pid": int, "proc.vpid": int, "proc.ppid": int, "proc.name": str,
    "proc.exepath": str, "proc.exe_ino": int, "proc.cmdline": str,
    "proc.cwd": str, "proc.tty": int, "proc.pid.ts": int,
    "proc.pname": str, "proc.pexepath": str, "proc.pcmdline": str,
    "proc.aname": str, "proc.apid": int, "thread.tid": int,
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")


def problems(alert):
    """All that is wrong with an alert, as lines."""
    wrong = [f"{name} is required" for name in REQUIRED - set(alert)]
    for name, value in alert.items():
        if name not in OUTER:
            wrong.append(f"{name} is unknown")
        elif not isinstance(value, OUTER[name]):
            wrong.append(f"{name} is no {OUTER[name].__name__}")
    if wrong:
        return wrong
    if alert["priority"] not in PRIORITIES:
        wrong.append(f"priority {alert['priority']}")
    if not TIME.match(alert["time"]):
        wrong.append(f"time {alert['time']}")
    if not all(isinstance(tag, str) for tag in alert.get("tags", [])):
        wrong.append("a tag is no string")
    for name, value in alert["output_fields"].items():
        plain = re.sub(r"\[\d+\]$", "", name)  # proc.aname[2]
        if name.startswith("stele."):
            continue
        if plain not in FIELDS:
            wrong.append(f"{name} is unknown")
        elif type(value) is not FIELDS[plain]:
            wrong.append(f"{name} is no {FIELDS[plain].__name__}: {value!r}")
    return wrong
