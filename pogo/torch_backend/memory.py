"""The allocator's settings that training on a CPU needs."""

import ctypes
import functools

# glibc's <malloc.h>
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGEST = 2**30  # bytes: above any array of an update
_LARGEST_OF_OLD_GLIBC = 2**25  # it refuses more


@functools.cache
def keep_freed_memory() -> None:
    """Let malloc keep what is freed for the next update, whose arrays have the same sizes; for the whole process.

    By default it hands large arrays back to the kernel, which clears their pages one by one when they are asked for
    again: a sixth of the time of CQL's and SAC-N's updates. Does nothing where the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    # The second only with the first: a threshold that is set stops the other from growing by itself.
    if mallopt(_M_MMAP_THRESHOLD, _LARGEST) or mallopt(_M_MMAP_THRESHOLD, _LARGEST_OF_OLD_GLIBC):
        mallopt(_M_TRIM_THRESHOLD, _LARGEST)
