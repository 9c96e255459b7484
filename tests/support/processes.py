"""What became of a process that is not our child."""

import psutil


def has_ended(pid: int) -> bool:
    """A zombie has ended too: who reaps orphans, and when, is the machine's affair."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
