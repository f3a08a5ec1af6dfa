"""Policies taken from runs: numpy in, numpy out, in the environment's own units."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from pogo.core.environments.joined import part
from pogo.core.errors import BadInput
from pogo.core.policies.stored import StoredPolicy
from pogo.core.registry import load_backend

if TYPE_CHECKING:
    import flax.linen
    import torch


class Policy:
    """One actor of a run, acting: `policy(observation)`.

    Calls are independent of one another, also from several threads at once.

    Attributes:
        actor: its index in the chain, or "flow".
        kind: gaussian, tanh_gaussian, stochastic, deterministic, or flow.
        backend: what computes, torch or jax.
        observation_size: O.
        action_size: A.
    """

    def __init__(self, stored: StoredPolicy, backend: str, device: str) -> None:
        self._stored = stored
        self.actor, self.kind, self.backend = stored.actor, stored.config.kind, backend
        self.observation_size, self.action_size = stored.sizes
        acting = load_backend(backend, "acting")
        self._act = acting.action_function(stored.config, stored.parameters, device)
        self._normalisation = stored.normalisation
        self._is_stochastic = stored.config.is_stochastic
        self._always_samples = stored.always_samples
        self._parts = stored.observation_parts
        self._dtype = stored.action_dtype
        self._own_draws = threading.local()

    def __call__(
        self, observation: ArrayLike | Mapping[str, Any], *, deterministic: bool = True, seed: int | None = None
    ) -> np.ndarray:
        """Act.

        Args:
            observation: as the environment gives it: one [O], or a batch [n, O]; or a mapping, where the run's
                environment has such.
            deterministic: the actor's mean (of a stochastic map: its centre); else a sample. The flow always samples.
            seed: of the sample: equal calls give equal actions, on both backends; None: a fresh one every time.

        Returns:
            Actions within the environment's bounds and in its type, [A] or [n, A].

        Raises:
            BadInput: the observation has another size, or is not finite.
        """
        rows, is_one = self._rows(observation)
        noise = None
        if self._is_stochastic and (self._always_samples or not deterministic):
            noise = self._draws(seed).standard_normal((len(rows), self.action_size), dtype=np.float32)
        box = self._act(self._normalisation.observations(rows), noise)
        actions = self._normalisation.environment_actions(box).astype(self._dtype)
        return actions[0] if is_one else actions

    def __repr__(self) -> str:
        sizes = f"observations [{self.observation_size}] -> actions [{self.action_size}]"
        return f"<pogo.Policy: actor {self.actor} ({self.kind}) on {self.backend}, {sizes}>"

    def to_torch(self) -> "torch.nn.Module":
        """A plain `torch.nn.Module` of the same policy, for any torch program; needs torch.

        It takes observations [n, O] and gives actions [n, A], in the environment's own units: `module(observations)` is
        deterministic, `module(observations, noise)` samples by N(0, 1) draws [n, A]. It can be trained on, and what
        torch saves of it loads where there is no pogo.
        """
        stored = self._stored
        return load_backend("torch", "modules").make_module(stored.config, stored.parameters, stored.normalisation)

    def to_flax(self) -> "tuple[flax.linen.Module, dict[str, Any]]":
        """A flax module (linen) of the same policy and its variables, for any JAX program; needs jax and flax.

        `module.apply(variables, observations)` is deterministic, with N(0, 1) draws [n, A] as a third argument it
        samples; both in the environment's own units.
        """
        stored = self._stored
        return load_backend("jax", "modules").make_module(stored.config, stored.parameters, stored.normalisation)

    def export(self, path: str | os.PathLike[str], format: str, *, deterministic: bool = True) -> float:
        """Write a file that acts without pogo, and compare it with this policy; see `pogo-export --help`.

        Args:
            path: of a new file.
            format: onnx, torch (a .pt2 of torch.export), stablehlo (of jax.export) or safetensors.
            deterministic: whether the file takes observations alone, or N(0, 1) draws [n, A] beside them and samples.

        Returns:
            The largest difference of its actions, in units of the action box, at the observations compared.

        Raises:
            BadInput: the file exists, the format is unknown or needs a package that is not there.
            RunFailed: the file acts differently; it is not kept.
        """
        from pogo.core.policies.export import export  # late: acting needs none of it

        return export(self._stored, Path(path), format, deterministic).largest_difference

    def _rows(self, observation: ArrayLike | Mapping[str, Any]) -> tuple[np.ndarray, bool]:
        """Observations [n, O], and whether they were one [O]."""
        if isinstance(observation, Mapping):
            if not self._parts:
                raise BadInput(f"the observation is a mapping; this policy takes one vector [{self.observation_size}].")
            given = np.concatenate([np.asarray(part(observation, name)) for name, _ in self._parts], axis=-1)
        else:
            given = np.asarray(observation)
        rows = given[None] if given.ndim == 1 else given
        if rows.ndim != 2 or rows.shape[1] != self.observation_size or rows.dtype.kind not in "biuf":
            raise BadInput(
                f"the observation has shape {given.shape} and type {rows.dtype}; this policy takes numbers "
                f"[{self.observation_size}], or a batch [n, {self.observation_size}]."
            )
        if not np.isfinite(rows).all():
            raise BadInput("the observation holds a value that is not finite.")
        return rows, given.ndim == 1

    def _draws(self, seed: int | None) -> np.random.Generator:
        if seed is not None:
            return np.random.default_rng(seed)
        if not hasattr(self._own_draws, "generator"):
            self._own_draws.generator = np.random.default_rng()
        return self._own_draws.generator
