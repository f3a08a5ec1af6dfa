"""Native modules: the policy's own numbers, and nothing of pogo in what is saved of them."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pogo
from tests.helpers.library_runs import ACTION_SIZE, KINDS, random_arrays

OBSERVATIONS = random_arrays(seed=6)["observations"][:50]
NOISE = np.random.default_rng(3).standard_normal((50, ACTION_SIZE), dtype=np.float32)  # a policy's own, of seed=3
LOADS_WITHOUT_POGO = """
import sys
sys.modules["pogo"] = None
import numpy as np
import torch
module = torch.load(sys.argv[1], weights_only=False)
observations, noise, deterministic, drawn = np.load(sys.argv[2]).values()
with torch.no_grad():
    assert np.array_equal(module(torch.from_numpy(observations)).numpy(), deterministic)
    assert np.array_equal(module(torch.from_numpy(observations), torch.from_numpy(noise)).numpy(), drawn)
"""


def torch_actions(module: Any, *arrays: np.ndarray) -> np.ndarray:
    import torch

    with torch.no_grad():
        return module(*map(torch.from_numpy, arrays)).numpy()


@pytest.mark.parametrize("actor", range(len(KINDS)))
def test_a_module_of_either_framework_gives_the_policys_actions(chain_run: pogo.Run, actor: int) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("flax")
    expected = {}
    for backend in ("torch", "jax"):
        policy = chain_run.policy(actor, backend=backend)
        expected[backend] = policy(OBSERVATIONS), policy(OBSERVATIONS, deterministic=False, seed=3)
    module = chain_run.policy(actor).to_torch()
    flax_module, variables = chain_run.policy(actor).to_flax()
    for mode, arrays in enumerate(((OBSERVATIONS,), (OBSERVATIONS, NOISE))):
        np.testing.assert_allclose(torch_actions(module, *arrays), expected["torch"][mode], rtol=0, atol=1e-6)
        actions = flax_module.apply(variables, *arrays)
        np.testing.assert_allclose(np.asarray(actions), expected["jax"][mode], rtol=0, atol=1e-6)


def test_modules_of_the_flow_give_the_policys_actions(flow_run: pogo.Run) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("flax")
    module = flow_run.policy("flow").to_torch()
    flax_module, variables = flow_run.policy("flow").to_flax()
    of_torch, of_jax = (flow_run.policy("flow", backend=name)(OBSERVATIONS, seed=3) for name in ("torch", "jax"))
    np.testing.assert_allclose(torch_actions(module, OBSERVATIONS, NOISE), of_torch, rtol=0, atol=1e-6)
    actions = flax_module.apply(variables, OBSERVATIONS, NOISE)
    np.testing.assert_allclose(np.asarray(actions), of_jax, rtol=0, atol=1e-6)


def test_modules_keep_canonical_parameters(chain_run: pogo.Run) -> None:
    pytest.importorskip("torch")
    jax = pytest.importorskip("jax")
    from pogo.jax_backend.modules import canonical_parameters

    for actor in range(len(KINDS)):
        policy = chain_run.policy(actor)
        stored = policy._stored.parameters
        flax_module, variables = policy.to_flax()
        for found in (policy.to_torch().canonical_parameters(), canonical_parameters(variables)):  # type: ignore[operator]
            assert {name: array.tolist() for name, array in found.items()} == {
                name: array.tolist() for name, array in stored.items()
            }
        fresh = flax_module.init(jax.random.key(0), OBSERVATIONS[:1])
        assert jax.tree.map(np.shape, fresh) == jax.tree.map(np.shape, variables)


def test_a_module_can_be_trained_copied_and_moved_to_another_type(chain_run: pogo.Run) -> None:
    torch = pytest.importorskip("torch")
    module = chain_run.policy(0).to_torch()
    module(torch.from_numpy(OBSERVATIONS)).square().sum().backward()
    assert all(parameter.grad is not None for name, parameter in module.named_parameters() if name != "log_std")
    twin = copy.deepcopy(module)
    assert type(twin) is type(module)
    fresh = type(module)(module.config, chain_run.policy(0)._stored.normalisation)  # type: ignore[call-arg]
    fresh.load_state_dict(module.state_dict())
    double = twin.double()(torch.from_numpy(OBSERVATIONS))
    assert double.dtype == torch.float64
    for other in (double.detach().numpy(), torch_actions(fresh, OBSERVATIONS)):
        np.testing.assert_allclose(other, torch_actions(module, OBSERVATIONS), rtol=0, atol=1e-5)
    with pytest.raises(pogo.BadInput, match="this module's"):
        fresh.load_canonical({})


@pytest.mark.parametrize("actor", range(len(KINDS)))
def test_a_pickled_module_is_torchs_own_and_acts_the_same(chain_run: pogo.Run, actor: int) -> None:
    pytest.importorskip("torch")
    module = chain_run.policy(actor).to_torch()
    loaded = pickle.loads(pickle.dumps(module))
    assert type(loaded).__module__.startswith("torch.")
    for arrays in ((OBSERVATIONS,), (OBSERVATIONS, NOISE)):
        np.testing.assert_array_equal(torch_actions(loaded, *arrays), torch_actions(module, *arrays))


def test_what_torch_saves_of_a_module_loads_without_pogo(flow_run: pogo.Run, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    module = flow_run.policy("flow").to_torch()
    torch.save(module, tmp_path / "policy.pt")
    drawn = torch_actions(module, OBSERVATIONS, NOISE)
    np.savez(tmp_path / "actions.npz", OBSERVATIONS, NOISE, torch_actions(module, OBSERVATIONS), drawn)
    command = [sys.executable, "-c", LOADS_WITHOUT_POGO, str(tmp_path / "policy.pt"), str(tmp_path / "actions.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
