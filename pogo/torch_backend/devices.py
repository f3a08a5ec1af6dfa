"""Where torch computes. Twin: pogo/jax_backend/devices.py."""

import torch

from pogo.core.errors import BadInput
from pogo.core.system.machine import processor_name


def find_device(name: str) -> torch.device:
    """The device of an option's value; `auto` is a GPU where there is one.

    Raises:
        BadInput: the name is unknown, or there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BadInput(f"device={name} is unknown; use auto, cpu, cuda or cuda:<n>.") from error
    if device.type not in ("cpu", "cuda") or (device.type == "cpu" and device.index is not None):
        raise BadInput(f"device={name} is not supported; use auto, cpu, cuda or cuda:<n>.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BadInput(
            f"device={name} is not there: torch sees {torch.cuda.device_count()} CUDA devices; use device=cpu."
        )
    return device


def described_devices() -> list[str]:
    """Every device that torch sees, with its maker's name."""
    gpus = [f"cuda:{index} ({torch.cuda.get_device_name(index)})" for index in range(torch.cuda.device_count())]
    return [f"cpu ({processor_name()}, {torch.get_num_threads()} threads)", *gpus]
