"""Keeps this process's memory to itself: it holds keys, passwords and letters.

Invariants: what cannot be had on a system is left out and never stops the program; on Linux no image of the
memory is written after a crash, and no other process of our own user may look into it (only root may).
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys

_PR_SET_DUMPABLE = 4  # <linux/prctl.h>


def keep_memory_private() -> None:
    """No core file, no debugger, no reading of /proc/PID/mem (K11)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def keep_files_private() -> None:
    """Lets nobody else read the files we make (K14)."""
    os.umask(0o077)
