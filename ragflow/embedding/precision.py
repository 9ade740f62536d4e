"""Which number format to compute in."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

Precision = Literal["auto", "float32", "bfloat16"]
UsedPrecision = Literal["float32", "bfloat16"]

_CPU_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""What Linux calls the units that multiply bfloat16, on x86 and on ARM. Without one, bfloat16 is slower."""


@functools.lru_cache(maxsize=4)
def cpu_multiplies_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU has instructions for bfloat16; False where the system does not say."""
    try:
        with cpuinfo.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip().lower() in ("flags", "features"):
                    return not _CPU_FLAGS.isdisjoint(value.split())
    except OSError:  # not Linux
        return False
    return False
