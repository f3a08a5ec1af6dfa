"""What an update frees is there for the next one."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

FAULTS = """
import resource
import sys

from benchmarks.train import OWN_KIND, Case, make_spec, random_transitions
from pogo.torch_backend import learner

if sys.argv[1] == "default":
    learner.keep_freed_memory = lambda: None
case = Case(
    "torch", "sac_n", 1, OWN_KIND, "fused", 1, compile=False, batch_size=None, observation_size=17, action_size=6,
    num_critics=None, device="cpu",
)
made = learner.make_learner(make_spec(case), 0, random_transitions(case), device="cpu", threads=1)
made.train(10)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
made.train(10)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    """New pages that ten updates of SAC-N ask the kernel for."""
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run([sys.executable, "-c", FAULTS, mode], cwd=root, capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.slow
def test_updates_use_the_memory_of_those_before() -> None:
    # Not none at all: where the heap's arrays come to lie differs from run to run, and it grows by one now and then.
    assert page_faults("keep") < page_faults("default") / 8
