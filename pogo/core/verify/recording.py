"""A golden file: starting parameters, batches, draws, and where an original implementation arrived."""

import json
import re
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pogo.core.errors import BadInput

PRECISIONS = ("float32", "float64")
NUMERIC_KINDS = "fiub"
SECTIONS = ("init", "batch", "noise", "params", "metrics")
FED = ("init", "batch", "noise")  # sections that a replay computes with
DRAW = re.compile(r"([0-9]{1,6})_(\w+)")
# What zipfile and numpy raise on archives that are cut, damaged or encrypted (RuntimeError), claim impossible sizes, or
# have headers, which numpy reads as Python literals, that are none or are of other things.
UNREADABLE = (
    *(OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error),
    *(OverflowError, MemoryError),
    *(ValueError, TypeError, LookupError, SyntaxError, tokenize.TokenError),
)


class RecordedDraw(NamedTuple):
    """One standard draw and the law that its name gives."""

    kind: str
    values: np.ndarray


class Recording:
    """One `.npz` of numpy arrays and a JSON string `meta`; nothing in it is unpickled.

    What can be checked without knowing the algorithm is checked here, so that a comparison has something to compare.

    Raises:
        BadInput: the file is missing, is no such archive, lacks a part, or holds what cannot be replayed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._arrays = _read_arrays(path)
        with self.naming_file():
            self._read_meta()
            self._check_numbers()
            self._sections = _by_section(self._arrays)
            stored = self._section("init")
            if not stored:
                raise BadInput("it holds no `init/...` arrays; record the starting parameters.")
            self.init = _with_targets(stored)
            for step in range(1, self.steps + 1):
                self._check_step(step)
            self._check_params(stored)

    @contextmanager
    def naming_file(self) -> Iterator[None]:
        """Within it, a BadInput gains the file's path and is one line, whatever names the file holds."""
        try:
            yield
        except BadInput as error:
            raise BadInput(f"golden file {self.path}: {' '.join(str(error).split())}") from error

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """The arrays of update `step` (from 1), by pogo's names, in the run's precision."""
        found = self._section(f"batch/{step}")
        return {"terminals" if name == "dones" else name: self._cast(value) for name, value in found.items()}

    def draws(self, step: int) -> list[RecordedDraw]:
        """The standard draws of update `step` in call order, in the run's precision."""
        found = self._section(f"noise/{step}")
        names = sorted(found, key=lambda name: int(name.split("_")[0]))
        return [RecordedDraw(name.partition("_")[2], self._cast(found[name])) for name in names]

    def params(self, step: int) -> dict[str, np.ndarray]:
        """All parameters after update `step`, one of `param_steps`."""
        return self._section(f"params/{step}")

    def metrics(self, step: int) -> dict[str, float]:
        """What the original's update returned."""
        return {name: float(value.item()) for name, value in self._section(f"metrics/{step}").items()}

    def _read_meta(self) -> None:
        if "meta" not in self._arrays:
            raise BadInput("it has no `meta`; record it again.")
        try:
            self.meta: Any = json.loads(str(self._arrays.pop("meta")))
        except (ValueError, RecursionError) as error:
            raise BadInput("`meta` is no JSON string; record it again.") from error
        self.algorithm: str = _entry(self.meta, "meta", "algorithm", str, "a name")
        self.hyperparameters: dict[str, Any] = _entry(self.meta, "meta", "hyperparameters", dict, "names and values")
        self.dtype: str = _entry(self.meta, "meta", "precision", str, "a name")
        if self.dtype not in PRECISIONS:
            raise BadInput(f"`precision` in `meta` is {self.dtype!r}; use {' or '.join(PRECISIONS)}.")
        dims = _entry(self.meta, "meta", "dims", dict, "names and sizes")
        self.steps: int = _entry(dims, "dims", "steps", int, "the number of updates")
        if self.steps < 1:
            raise BadInput(f"`steps` in `dims` is {self.steps}; it is the number of recorded updates, at least 1.")
        self.param_steps: list[int] = _entry(self.meta, "meta", "param_steps", list, "a list of updates")
        if not self.param_steps:
            raise BadInput("`param_steps` in `meta` is empty; list the updates whose `params/...` are stored.")
        for step in self.param_steps:
            if type(step) is not int or not 1 <= step <= self.steps:
                raise BadInput(f"`param_steps` in `meta` has {step!r:.60}; use updates from 1 to {self.steps}.")

    def _check_numbers(self) -> None:
        largest = np.finfo(self.dtype).max
        for name, value in self._arrays.items():
            section = name.split("/")[0]
            if section not in SECTIONS:
                continue
            if value.dtype.kind not in NUMERIC_KINDS or value.size == 0:
                raise BadInput(f"{name} is no array of numbers ({value.dtype}, {value.shape}); record it again.")
            if section in FED and not (np.abs(value) <= largest).all():
                raise BadInput(f"{name} is not finite in {self.dtype}; record a run that stays finite.")

    def _check_step(self, step: int) -> None:
        if not self._section(f"batch/{step}"):
            raise BadInput(f"it holds no batch/{step}/... of its {self.steps} `steps`; record it, or lower `steps`.")
        found = self._section(f"noise/{step}")
        parts = [DRAW.fullmatch(name) for name in found]
        ordinals = sorted(int(part[1]) for part in parts if part)
        if len(ordinals) < len(found) or ordinals != list(range(len(found))):
            raise BadInput(
                f"noise/{step} holds {', '.join(sorted(found))}; name draws 0_<kind>, 1_<kind>, ... in order."
            )
        metrics = self._section(f"metrics/{step}")
        if not metrics:
            raise BadInput(f"it holds no metrics/{step}/...; record what each update returned.")
        for name, value in metrics.items():
            if value.size != 1:
                raise BadInput(f"metrics/{step}/{name} has shape {value.shape}; a metric is one number.")

    def _check_params(self, stored: dict[str, np.ndarray]) -> None:
        for section in self._sections:
            if section.startswith("params/") and section not in {f"params/{step}" for step in self.param_steps}:
                raise BadInput(f"{section}/... is stored, but not in `param_steps` of `meta`; list it there.")
        wanted = stored.keys() | {name for step in self.param_steps for name in self.params(step)}
        for step in self.param_steps:
            params = self.params(step)
            for name in sorted(wanted - params.keys()):
                raise BadInput(f"params/{step}/{name} is missing; store every tensor after each of `param_steps`.")
            for name, value in params.items():
                if name not in self.init:
                    raise BadInput(f"params/{step}/{name} is stored, but init/{name} is not; store where it started.")
                start = self.init[name]
                if value.shape != start.shape and not value.size == start.size == 1:
                    shapes = f"shape {value.shape}, but init/{name} has {start.shape}"
                    raise BadInput(f"params/{step}/{name} has {shapes}; record it again.")
            if all((value == self.init[name]).all() for name, value in params.items()):
                raise BadInput(f"params/{step}/... are init/... to the bit; store where the update arrived.")

    def _cast(self, value: np.ndarray) -> np.ndarray:
        return value.astype(self.dtype)

    def _section(self, prefix: str) -> dict[str, np.ndarray]:
        return self._sections.get(prefix, {})


def _by_section(arrays: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """The arrays of `init`, `batch/1`, `noise/1`, ..., by their names within."""
    sections: dict[str, dict[str, np.ndarray]] = {}
    for name, value in arrays.items():
        section, _, rest = name.partition("/")
        if section != "init":
            step, _, rest = rest.partition("/")
            section = f"{section}/{step}"
        sections.setdefault(section, {})[rest] = value
    return sections


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError("a lone array")
        with archive:
            return {name: np.asarray(archive[name]) for name in archive.files}
    except FileNotFoundError as error:
        raise BadInput(f"golden file {path} does not exist; give the path of a recorded .npz.") from error
    except UNREADABLE as error:
        raise BadInput(f"golden file {path} is not a readable .npz of plain arrays; record it again.") from error


def _with_targets(stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`stored` and, of every online network whose target is not stored, a copy: what such a target starts as."""
    networks = {name.split("/")[0] for name in stored}
    copies = {}
    for name, value in stored.items():
        target = f"target_{name}"
        if name.startswith("target_") or target in stored:
            continue
        if target.split("/")[0] in networks:
            raise BadInput(f"init/{target} is missing beside others of its network; store all of it, or none.")
        copies[target] = value
    return stored | copies


def _entry(mapping: Any, where: str, name: str, kind: type, wanted: str) -> Any:
    """`mapping[name]`, which has to be a `kind`: JSON holds whatever was put there."""
    if not isinstance(mapping, dict) or name not in mapping:
        raise BadInput(f"`{where}` has no `{name}` ({wanted}); record it again.")
    if type(mapping[name]) is not kind:
        raise BadInput(f"`{name}` in `{where}` is {mapping[name]!r:.60}, not {wanted}; record it again.")
    return mapping[name]
