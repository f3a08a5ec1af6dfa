"""Where JAX computes. Twin: pogo/torch_backend/devices.py."""

import os

import jax

from pogo.core.errors import BadInput
from pogo.core.system.machine import on_few_cpus, processor_name


def start_client(device: str, threads: int | None) -> None:
    """Have JAX look for its devices, on so many CPU threads; none: as many as it chooses.

    XLA sizes its CPU pool by the processors that the process may use, once, when its client is made.

    Raises:
        BadInput: there is no device on the platforms that it is told.
    """
    platforms = os.environ.get("JAX_PLATFORMS", "")
    if device == "cpu" and "cpu" not in platforms and platforms:
        jax.config.update("jax_platforms", "cpu")  # the run's own option comes before what every program is told
    try:
        with on_few_cpus(threads):
            jax.devices()  # makes the client
    except (RuntimeError, AssertionError) as error:  # the latter where the platform has no plugin at all
        told = f"JAX_PLATFORMS={platforms}: " if platforms else ""
        reason = (str(error).splitlines() or ["no device"])[0]
        raise BadInput(f"{told}JAX finds no device ({reason}); unset JAX_PLATFORMS, or use device=cpu.") from error


def find_device(name: str) -> jax.Device:
    """The device of an option's value; `auto` is the first that JAX sees.

    Raises:
        BadInput: the name is unknown, or there is no such device.
    """
    if name == "auto":
        return jax.devices()[0]
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or not (index == "" or (kind == "cuda" and index.isdecimal())):
        raise BadInput(f"device={name} is unknown; use auto, cpu, cuda or cuda:<n>.")
    try:
        devices = jax.devices(kind)
    except RuntimeError:
        devices = []
    if int(index or 0) >= len(devices):
        raise BadInput(f"device={name} is not there: JAX sees {len(devices)} of that kind; use device=cpu.")
    return devices[int(index or 0)]


def described_devices() -> list[str]:
    """Every device that JAX sees, with its maker's name.

    Raises:
        BadInput: JAX finds none.
    """
    start_client("auto", None)
    gpus = [f"cuda:{device.id} ({device.device_kind})" for device in jax.devices() if device.platform != "cpu"]
    return [f"cpu ({processor_name()})", *gpus]
