"""How XLA compiles the programs of a learner, and where it keeps them."""

import functools
import os
import zlib
from pathlib import Path

import jax

from pogo.core.system.machine import processor_lines, processor_name


def keep_compiled_programs() -> None:
    """Let the next run of the same programs load them, unless JAX is told otherwise (JAX_COMPILATION_CACHE_DIR).

    A folder per kind of processor: a program is machine code, and home folders are shared between machines.
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return
    kinds = {line for line in processor_lines() if line.startswith(("model name", "flags"))} or {processor_name()}
    processor = f"{zlib.crc32(chr(10).join(sorted(kinds)).encode()):08x}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    jax.config.update("jax_compilation_cache_dir", str(cache / "pogo" / "jax" / processor))


def compiler_options(device: jax.Device) -> dict[str, str]:
    """What XLA is told when it compiles a learner's program for a device, by the names of its flags."""
    return _options_for_cpu() if device.platform == "cpu" else {}


@functools.cache
def _options_for_cpu() -> dict[str, str]:
    """YNNPACK for sums alone: by default XLA has it for products too, and Eigen's of large networks are faster.

    Nothing where this version of XLA has no such choice.
    """
    options = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE"}
    try:
        jax.jit(lambda value: value, compiler_options=options)(0.0)
    except jax.errors.JaxRuntimeError:
        return {}
    return options
