"""Runs as a user starts them, small enough for tests."""

import contextlib
import fcntl
import hashlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from pogo.cli import train as train_command

BACKENDS = ("torch", "jax")
ALGORITHMS = ("iql", "rebrac")
REPOSITORY = Path(__file__).resolve().parents[2]
PENDULUM = REPOSITORY / "pogo" / "data" / "pendulum-medium-replay.hdf5"
NETWORKS = {
    "iql": {"algorithm.hidden_sizes": "[32,32]"},
    "rebrac": {"algorithm.hidden_size": "32", "algorithm.actor_num_hidden": "2", "algorithm.critic_num_hidden": "2"},
    "sac": {"algorithm.hidden_size": "16", "algorithm.num_layers": "2"},
}
PATIENCE = 240.0  # seconds for whatever a subprocess is waited for


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and all that it said."""

    code: int
    output: str

    def assert_code(self, code: int) -> None:
        assert self.code == code, f"exit code {self.code}:\n{self.output}"


def arguments(run_dir: Path, backend: str = "torch", algorithm: str = "iql", **changes: object) -> list[str]:
    """Arguments of a small run; a key of `changes` has __ for a dot, and None takes the key away."""
    options: dict[str, object] = {
        "backend": backend,
        "algorithm": algorithm,
        "run.dir": run_dir,
        "train.batch_size": 32,
        "eval.episodes": 2,
        "threads": 1,
        **NETWORKS[algorithm],
    }
    options |= {key.replace("__", "."): value for key, value in changes.items()}
    return [f"{key}={value}" for key, value in options.items() if value is not None]


def call(main: Callable[[Sequence[str]], int], *given: str) -> Outcome:
    """A command in this process."""
    output, logger = io.StringIO(), logging.getLogger("pogo")
    level = logger.level
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            code = main(given)
    except SystemExit as ended:  # a signal came before there was anything to save
        code = int(str(ended.code))
    finally:
        logger.setLevel(level)  # a command sets it for its whole process
    return Outcome(code, output.getvalue())


def train(*given: str) -> Outcome:
    """pogo-train in this process."""
    return call(train_command.main, *given)


def environment(**changes: str) -> dict[str, str]:
    """Of a subprocess: quiet, on the CPU, and this tree's pogo wherever it is started."""
    return os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(REPOSITORY)} | changes


def start(*given: str, module: str = "pogo.cli.train", cwd: Path | None = None, **changes: str) -> subprocess.Popen:
    """A command in a process of its own, its output in one pipe."""
    code = f"import sys; from {module} import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        env=environment(**changes),
    )


def finish(process: subprocess.Popen) -> Outcome:
    """Wait for a process's end."""
    try:
        output, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        raise AssertionError(f"it did not end:\n{output}") from None
    return Outcome(process.returncode, output)


def run_command(*given: str, **options: Any) -> Outcome:
    """A command in a process of its own, to its end."""
    return finish(start(*given, **options))


def wait_for(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    """Wait until a process has come so far."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            output, _ = process.communicate()
            raise AssertionError(f"it ended, or never came so far:\n{output}")
        time.sleep(0.005)


def stop(process: subprocess.Popen, number: signal.Signals) -> Outcome:
    """Send a signal, and wait for the end."""
    process.send_signal(number)
    return finish(process)


def steps(run_dir: Path) -> list[int]:
    """Committed checkpoints."""
    return sorted(int(path.name) for path in (run_dir / "checkpoints").glob("*"))


def newest(run_dir: Path) -> Path:
    """The folder of the newest checkpoint."""
    return max((run_dir / "checkpoints").iterdir())


def array_bytes(run_dir: Path) -> bytes:
    """The newest checkpoint's arrays, as the file that holds them."""
    return (newest(run_dir) / "arrays.safetensors").read_bytes()


def arrays(run_dir: Path) -> dict[str, np.ndarray]:
    """The newest checkpoint's arrays."""
    return safetensors.numpy.load(array_bytes(run_dir))


def summary(run_dir: Path) -> dict[str, Any]:
    return json.loads((run_dir / "summary.json").read_bytes())


def lines(path: Path) -> list[dict[str, Any]]:
    """A JSONL file, without what the clock decides."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in line.items() if not _is_of_the_clock(key)} for line in found]


def _is_of_the_clock(key: str) -> bool:
    return key.endswith("_per_second") or key == "wall_seconds"


def assert_same_run(ours: Path, theirs: Path) -> None:
    """Equal arrays, to the byte, and equal logs."""
    assert newest(ours).name == newest(theirs).name
    assert array_bytes(ours) == array_bytes(theirs), "the arrays differ"
    for name in ("train.jsonl", "eval.jsonl"):
        assert lines(ours / name) == lines(theirs / name), name


@contextlib.contextmanager
def shared_folder(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A folder of the whole test session, used by one of its processes at a time."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / name
    folder.mkdir(exist_ok=True)
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def fingerprint(folder: Path) -> dict[str, tuple[str, int]]:
    """Contents and times of all that lies in a folder."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            path.stat().st_mtime_ns,
        )
        for path in (folder, *sorted(folder.rglob("*")))
    }
