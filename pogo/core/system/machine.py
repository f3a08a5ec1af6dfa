"""What a run is computed on. What only Linux tells has a fallback here, so that pogo runs on other systems too."""

import contextlib
import os
import platform
from collections.abc import Iterator
from functools import cache
from pathlib import Path


@cache
def processor_name() -> str:
    """The processor's model, as the system names it; its architecture where the system does not say."""
    named = (line.partition(":")[2].strip() for line in processor_lines() if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


@cache
def processor_lines() -> tuple[str, ...]:
    """What Linux says of its processors, line by line; nothing on another system."""
    try:
        return tuple(Path("/proc/cpuinfo").read_text().splitlines())
    except OSError:
        return ()


def available_cpus() -> int:
    """How many CPUs this process may use; all of the machine's where the system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int | None:
    """The machine's memory; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def visible_gpus() -> list[str]:
    """The NVIDIA GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; none where there is no driver."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [name.strip() for name in allowed.split(",") if name.strip() not in ("", "-1", "NoDevFiles")]
    # The driver's devices are numbered as CUDA numbers them by the bus, which is not its default.
    count = len(list(Path("/dev").glob("nvidia[0-9]*")))
    return [str(number) for number in range(count)]


@contextlib.contextmanager
def on_few_cpus(threads: int | None) -> Iterator[None]:
    """Let what is started inside see only so many CPUs; none, or a system that cannot: all that there are.

    A pool of threads that is started inside is that small, and may use every CPU afterwards.
    """
    if threads is None or not hasattr(os, "sched_setaffinity") or threads >= available_cpus():
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:threads])
    try:
        yield
    finally:
        # The pool keeps its size, and may run anywhere: two runs of one thread each shall not share a processor.
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError):  # a thread that has ended
                os.sched_setaffinity(int(thread), allowed)


def try_lock(descriptor: int) -> bool:
    """Lock an open folder for this process, until it is closed; whether no other process holds it.

    Raises:
        OSError: the file system locks no folders, or the system has no such locks.
    """
    try:
        import fcntl
    except ImportError as error:
        raise OSError("this system has no locks of the kind") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
