"""What a server costs: exact CPU time of its process tree, and its memory."""
import contextlib
import os
import pathlib
import re

CGROUPS = pathlib.Path("/sys/fs/cgroup")


class Cgroup:
    """A group of its own for a server: its counter keeps what exited processes used, to the
    nanosecond (v1) or microsecond (v2). Without the right to make one, the running threads' own
    counters are added up."""

    def __init__(self, name):
        self.path, self.counter = None, None
        for parent, counter, factor in ((CGROUPS / "cpuacct", "cpuacct.usage", 1e-9),
                                        (CGROUPS, "cpu.stat", 1e-6)):
            path = parent / f"postern-bench-{os.getpid()}-{name}"
            with contextlib.suppress(OSError):
                path.mkdir()
                if (path / counter).exists():
                    self.path, self.counter, self.factor = path, counter, factor
                    return
                path.rmdir()

    def wrapper(self, core=None):
        """Words to put before a command: into the group, onto the core."""
        join = f"echo $$ > '{self.path}/cgroup.procs' && " if self.path else ""
        pin = f"taskset -c {core} " if core is not None else ""
        return ["sh", "-c", f'{join}exec {pin}"$@"', "sh"]

    def pids(self):
        if not self.path:
            return []
        return [int(pid) for pid in (self.path / "cgroup.procs").read_text().split()]

    def cpu(self, root_pid):
        """Seconds used up to now."""
        if not self.path:
            return sum(_thread_seconds(pid) for pid in tree(root_pid))
        text = (self.path / self.counter).read_text()
        found = re.search(r"usage_usec (\d+)", text)
        return int(found.group(1) if found else text) * self.factor

    def remove(self):
        if self.path:
            with contextlib.suppress(OSError):
                self.path.rmdir()


def _thread_seconds(pid):
    total = 0
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            total += int(pathlib.Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
    return total * 1e-9


def tree(root_pid):
    """root_pid and all that descend from it."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError):
                stat = pathlib.Path(f"/proc/{entry}/stat").read_text()
                children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
    found, todo = [], [root_pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def memory(pids):
    """Octets: PSS + page tables + 16 KiB of kernel stack per thread, over the processes."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += 1024 * (_kilobytes(rollup, "Pss") + _kilobytes(status, "VmPTE") +
                             16 * int(re.search(r"Threads:\s+(\d+)", status).group(1)))
    return total


def _kilobytes(text, name):
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.M)
    return int(found.group(1)) if found else 0
