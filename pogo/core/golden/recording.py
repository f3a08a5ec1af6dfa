"""A golden file: starting parameters, batches, draws, and where an original implementation arrived."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from pogo.core.errors import BadInput


class Recording:
    """One `.npz` of numpy arrays and a JSON string `meta`; nothing in it is unpickled.

    Raises:
        BadInput: the file is missing, is no such archive, or lacks a part.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with np.load(path, allow_pickle=False) as archive:
                self._arrays = {name: archive[name] for name in archive.files}
        except FileNotFoundError as error:
            raise BadInput(f"golden file {path} does not exist; give the path of a recorded .npz.") from error
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
            raise BadInput(f"golden file {path} is not a readable .npz of plain arrays; record it again.") from error
        try:
            self.meta: dict[str, Any] = json.loads(str(self._arrays.pop("meta")))
            self.algorithm: str = self.meta["algorithm"]
            self.hyperparameters: dict[str, Any] = self.meta["hyperparameters"]
            self.steps = int(self.meta["dims"]["steps"])
            self.param_steps: list[int] = [int(step) for step in self.meta["param_steps"]]
            self.dtype: str = self.meta["precision"]
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(f"golden file {path} has no complete `meta` ({error!r}); record it again.") from error
        self.init = self._section("init")
        if not self.init or not self._section("batch/1"):
            raise BadInput(f"golden file {path} holds no `init/...` or no `batch/1/...` arrays; record it again.")
        # A target that is not stored starts as a copy of its online network.
        for name in [name for name in self.init if not name.startswith("target_")]:
            self.init.setdefault(f"target_{name}", self.init[name])

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """The arrays of update `step` (from 1), by pogo's names, in the run's precision."""
        found = self._section(f"batch/{step}")
        return {"terminals" if name == "dones" else name: self._cast(value) for name, value in found.items()}

    def draws(self, step: int) -> list[np.ndarray]:
        """The standard draws of update `step` in call order, in the run's precision."""
        found = self._section(f"noise/{step}")
        return [self._cast(found[name]) for name in sorted(found, key=lambda name: int(name.split("_")[0]))]

    def params(self, step: int) -> dict[str, np.ndarray]:
        """All parameters after update `step`, one of `param_steps`."""
        return self._section(f"params/{step}")

    def metrics(self, step: int) -> dict[str, float]:
        """What the original's update returned."""
        return {name: float(value) for name, value in self._section(f"metrics/{step}").items()}

    def _cast(self, value: np.ndarray) -> np.ndarray:
        return value.astype(self.dtype)

    def _section(self, prefix: str) -> dict[str, np.ndarray]:
        prefix += "/"
        return {name.removeprefix(prefix): value for name, value in self._arrays.items() if name.startswith(prefix)}
