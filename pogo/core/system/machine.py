"""What a run is computed on, in words that tell two machines apart."""

import platform
from functools import cache
from pathlib import Path


@cache
def processor_name() -> str:
    """The processor's model, as the system names it; its architecture where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # another system than Linux
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
