"""Policies as files that other programs act from: written, loaded again without pogo, and compared."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from pogo.core.data.loading import load_dataset
from pogo.core.data.precision import loses_digits
from pogo.core.data.preprocessing import Preprocessing
from pogo.core.errors import BadInput, RunFailed, check_name
from pogo.core.files.durable import write_new_file
from pogo.core.learner.functions import ActionFunction
from pogo.core.policies.stored import StoredPolicy
from pogo.core.problem.streams import generator
from pogo.core.registry import load_backend

COMPARED = 1000  # observations
TOLERANCE = 1e-5  # in units of the action box
# Runs a program with its arguments; an import of pogo fails there.
_WITHOUT_POGO = """\
import runpy, sys
sys.modules["pogo"] = None
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
_PROGRAMS = Path(__file__).resolve().parents[2] / "exported"


@dataclass(frozen=True)
class Exported:
    """A file that acts as its policy does."""

    path: Path
    format: str
    size: int  # bytes
    largest_difference: float  # from pogo's own actions, in units of the action box
    observations: str  # that they were compared at, in words


@dataclass(frozen=True)
class Format:
    """One kind of file."""

    description: str
    # Of a policy, examples of the file's inputs by name, and its card: contents, by what is added to the file's name.
    write: Callable[[StoredPolicy, Mapping[str, np.ndarray], Mapping[str, Any]], dict[str, bytes]]
    needs: tuple[str, ...]  # packages by the name that they are imported by
    extra: str  # that brings them


def _write_onnx(policy: StoredPolicy, inputs: Mapping[str, np.ndarray], card: Mapping[str, Any]) -> dict[str, bytes]:
    exports = load_backend("torch", "exports")
    return {"": exports.export_onnx(policy.config, policy.parameters, policy.normalisation, inputs, card)}


def _write_torch(policy: StoredPolicy, inputs: Mapping[str, np.ndarray], card: Mapping[str, Any]) -> dict[str, bytes]:
    exports = load_backend("torch", "exports")
    return {"": exports.export_torch(policy.config, policy.parameters, policy.normalisation, inputs, card)}


def _write_stablehlo(
    policy: StoredPolicy, inputs: Mapping[str, np.ndarray], card: Mapping[str, Any]
) -> dict[str, bytes]:
    exports = load_backend("jax", "exports")
    content = exports.export_stablehlo(policy.config, policy.parameters, policy.normalisation, inputs)
    return {"": content, ".json": _json(card)}


def _write_safetensors(
    policy: StoredPolicy, inputs: Mapping[str, np.ndarray], card: Mapping[str, Any]
) -> dict[str, bytes]:
    scaling = {f"scaling/{name}": values for name, values in policy.normalisation.scaling().items()}
    arrays = {name: np.ascontiguousarray(values) for name, values in {**policy.parameters, **scaling}.items()}
    architecture = {"kind": policy.config.kind, **asdict(policy.config)}
    return {"": safetensors.numpy.save(arrays), ".json": _json({**card, "architecture": architecture})}


def _json(card: Mapping[str, Any]) -> bytes:
    return (json.dumps(card, indent=2) + "\n").encode()


FORMATS = {
    "onnx": Format(
        "ONNX of opset 20, for onnxruntime 1.20 or later",
        _write_onnx,
        ("torch", "onnx", "onnxscript", "onnxruntime"),
        "export",
    ),
    "torch": Format("torch.export's .pt2", _write_torch, ("torch",), "torch"),
    "stablehlo": Format("jax.export's StableHLO, for a CPU and a GPU", _write_stablehlo, ("jax", "flax"), "jax"),
    "safetensors": Format("parameters, and a JSON card that says how they are used", _write_safetensors, (), ""),
}


def export(policy: StoredPolicy, path: Path, format: str, deterministic: bool = True) -> Exported:
    """Write a policy to a new file, if what the file gives is what pogo gives.

    Args:
        policy: any actor, or the flow.
        path: of the new file.
        format: a key of `FORMATS`.
        deterministic: whether the file takes observations alone; else N(0, 1) draws [n, A] beside them, and samples.

    Raises:
        BadInput: the file exists, its folder does not, the format is unknown, a package is missing, or the policy has
            no such mode.
        RunFailed: the file acts differently, or cannot be loaded again; it is not kept.
    """
    check_name("format", format, FORMATS)
    _check_path(path)
    _check_packages(format)
    is_stochastic = policy.config.is_stochastic and (policy.always_samples or not deterministic)
    if not deterministic and not policy.config.is_stochastic:
        raise BadInput(f"actor {policy.actor} is {policy.config.kind}: it has no stochastic mode; drop --stochastic.")
    observations, where = _observations(policy)
    inputs = {"observations": observations}
    if is_stochastic:
        draws = generator(0, "export").standard_normal((len(observations), policy.sizes[1]), dtype=np.float32)
        inputs["noise"] = draws.astype(policy.parameters["output/bias"].dtype)
    card = {**policy.describe(), "mode": "stochastic" if is_stochastic else "deterministic"}
    expected = _own_actions(policy, inputs)
    files = FORMATS[format].write(policy, inputs, card)
    with tempfile.TemporaryDirectory(prefix="pogo-export-") as folder:
        written = Path(folder, "policy")
        for suffix, content in files.items():
            Path(f"{written}{suffix}").write_bytes(content)
        given = _act_without_pogo(format, written, inputs)
    half = (policy.normalisation.action_high - policy.normalisation.action_low) / 2
    difference = float(np.abs((given.astype(np.float64) - expected) / half).max())
    if not difference <= TOLERANCE:
        raise RunFailed(
            f"{path} is not written: its actions differ from pogo's by up to {difference:.2g} of the action box at "
            f"{len(observations)} observations, and {TOLERANCE:g} is allowed."
        )
    try:
        for suffix, content in files.items():
            write_new_file(Path(f"{path}{suffix}"), content)
    except OSError as error:
        raise RunFailed(f"{path} could not be written: {error.strerror or error}.") from error
    return Exported(path, format, sum(map(len, files.values())), difference, where)


def _check_path(path: Path) -> None:
    if path.exists():
        raise BadInput(f"{path} exists; name another file, or move that one away.")
    if not path.absolute().parent.is_dir():
        raise BadInput(f"{path}: there is no folder {path.absolute().parent}; make it first.")


def _check_packages(format: str) -> None:
    for package in FORMATS[format].needs:
        if importlib.util.find_spec(package) is None:
            extra = FORMATS[format].extra
            raise BadInput(f"format={format} needs {package}, not installed here: pip install 'pogo[{extra}]'.")


def _observations(policy: StoredPolicy) -> tuple[np.ndarray, str]:
    """Observations [n, O] to compare at, in the type that the file takes, and what they are, in words.

    Those of the run's dataset where it is at hand; else normal draws around the normalisation's mean.
    """
    record, size = policy.source.record, policy.sizes[0]
    normalisation = policy.normalisation
    wide = loses_digits(normalisation.observation_mean, normalisation.observation_std).any()
    dtype = np.float64 if wide or policy.parameters["output/bias"].dtype == np.float64 else np.float32
    rng = generator(0, "observations to export at")
    try:
        if record.config.is_online:
            raise BadInput("an online run has no dataset.")
        dataset = load_dataset(record.config.dataset, Preprocessing(), "none")
        rows = rng.choice(len(dataset.transitions.observations), min(COMPARED, len(dataset.transitions)), replace=False)
        found = dataset.normalisation.raw_observations(dataset.transitions.observations[np.sort(rows)])
        return found.astype(dtype), f"{len(found)} observations of {dataset.name}"
    except BadInput:
        spread = rng.standard_normal((COMPARED, size)) * normalisation.observation_std + normalisation.observation_mean
        return spread.astype(dtype), f"{COMPARED} normal draws (its dataset is not at hand)"


def _own_actions(policy: StoredPolicy, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Pogo's actions [n, A] in the environment's units, float64."""
    backend = policy.source.record.config.backend.name
    act: ActionFunction = load_backend(backend, "acting").action_function(policy.config, policy.parameters)
    box = act(policy.normalisation.observations(inputs["observations"]), inputs.get("noise"))
    return policy.normalisation.environment_actions(box)


def _act_without_pogo(format: str, file: Path, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """What a fresh process without pogo makes of the file, [n, A].

    Raises:
        RunFailed: it cannot.
    """
    paths = {name: file.with_name(f"{name}.npy") for name in (*inputs, "actions")}
    for name, values in inputs.items():
        np.save(paths[name], values)
    program = _PROGRAMS / f"act_{format}.py"
    arguments = [file, paths["observations"], paths["actions"], *([paths["noise"]] if "noise" in inputs else [])]
    command = [sys.executable, "-P", "-c", _WITHOUT_POGO, str(program), *map(str, arguments)]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RunFailed(f"the file of format={format} cannot be loaded again without pogo: {reason}.")
    return np.load(paths["actions"])
