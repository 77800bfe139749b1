"""Memory that a process has taken, where a framework has no allocator to ask."""

from __future__ import annotations

import sys


def process_peak_memory() -> tuple[int, str]:
    """Peak resident set of this process in bytes, for devices without an allocator to ask.

    Linux: VmHWM of /proc/self/status (proc_pid_status(5)). The ru_maxrss of getrusage survives an
    exec there, so that a small process reports the peak of the one that started it.
    """
    if sys.platform == "linux":
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024, "process resident set"
    import resource  # Windows has none

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024), "process resident set"
