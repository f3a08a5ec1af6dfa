"""What an update frees is there for the next one."""

import subprocess
import sys

import pytest

pytest.importorskip("torch")

FAULTS = """
import resource
import sys

import torch

from pogo.torch_backend.memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.set_num_threads(1)
for index in range(40):
    if index == 20:
        before = faults()
    torch.ones(2**24)  # 64 MiB
print(faults() - before)
"""


def page_faults(mode: str) -> int:
    run = subprocess.run([sys.executable, "-c", FAULTS, mode], capture_output=True, text=True, check=True)
    return int(run.stdout)


def test_freed_arrays_are_used_again():
    pages = 2**14  # of one array
    assert page_faults("keep") < pages
    assert page_faults("default") >= 20 * pages  # or malloc needs no help any more
