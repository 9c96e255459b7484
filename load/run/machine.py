"""On what a load ran, for the reader of its report."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil

from load import results


def machine() -> dict[str, str]:
    """By name, in the order in which a person reads it; "load average" is that of the minute before."""
    return {
        "processor": _processor(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "load average": f"{os.getloadavg()[0]:.1f}",
        **results.machine(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
