"""A million transitions train in little memory: at most 2 GiB beyond the framework's own import."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.helpers.runs import BACKENDS, environment

ROWS, OBSERVATION_SIZE, ACTION_SIZE = 1_000_000, 17, 6  # halfcheetah's
LIMIT = 2 * 2**30

PEAK = "import resource; peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024"
IMPORT = {
    "torch": "import torch; torch.ones(4).sum().item()",
    "jax": "import jax, optax; jax.numpy.ones(4).sum().item()",
}


@pytest.fixture(scope="module")
def halfcheetah_sized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random transitions in D4RL's layout, as large as its halfcheetah files; written in blocks."""
    path = tmp_path_factory.mktemp("data") / "large.hdf5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for key, size in {"observations": OBSERVATION_SIZE, "actions": ACTION_SIZE}.items():
            array = file.create_dataset(key, (ROWS, size), np.float32)
            for first in range(0, ROWS, 100_000):
                array[first : first + 100_000] = rng.uniform(-1, 1, (100_000, size))
        observations = file["observations"][:]
        file["next_observations"] = np.roll(observations, -1, axis=0)
        file["rewards"] = rng.normal(size=ROWS).astype(np.float32)
        file["terminals"] = np.zeros(ROWS, dtype=bool)
        file["timeouts"] = np.arange(1, ROWS + 1) % 1000 == 0
        metadata = file.create_group("metadata")
        metadata.attrs["action_low"], metadata.attrs["action_high"] = -np.ones(ACTION_SIZE), np.ones(ACTION_SIZE)
    return path


def measured(code: str, *given: str) -> dict:
    """What a fresh interpreter measures of itself."""
    done = subprocess.run(
        [sys.executable, "-c", code, *given],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["iql", "rebrac"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_million_transitions_fit(halfcheetah_sized: Path, tmp_path: Path, backend: str, algorithm: str) -> None:
    pytest.importorskip(backend)
    alone = measured(f"import json\n{IMPORT[backend]}\n{PEAK}\nprint(json.dumps({{'peak': peak}}))")["peak"]
    trained = measured(
        f"import json, sys\nfrom pogo.cli.train import main\ncode = main(sys.argv[1:])\n{PEAK}\n"
        "print(json.dumps({'code': code, 'peak': peak}))",
        *(f"backend={backend}", f"algorithm={algorithm}", f"dataset.path={halfcheetah_sized}", "env=none"),
        *("train.updates=20", f"run.dir={tmp_path / 'run'}"),
    )
    assert trained["code"] == 0
    beyond = trained["peak"] - alone
    print(f"{backend} {algorithm}: {beyond / 2**20:.0f} MiB beyond {alone / 2**20:.0f}")  # noqa: T201 - for pytest -s
    assert beyond < LIMIT
