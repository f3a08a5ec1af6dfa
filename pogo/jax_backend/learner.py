"""The JAX learner: data, noise and updates in one compiled loop. Twin: pogo/torch_backend/learner.py."""

import os
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from typing_extensions import override

from pogo.core.algorithms import load_mathematics
from pogo.core.algorithms.inputs import initial_state, row_arrays, update_noise_spec
from pogo.core.data.transitions import Transitions
from pogo.core.errors import BadInput
from pogo.core.learner.interface import Learner, Pair, unwatched
from pogo.core.learner.metrics import check_finite, window_arrays, window_groups, window_means
from pogo.core.learner.probe import Probe
from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.chain import actor_name
from pogo.core.problem.noise import Draw
from pogo.core.problem.probe_critic import PROBE_PREFIX
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.state import UPDATES, WINDOW_START, TrainState, check_snapshot
from pogo.core.problem.streams import seed_words
from pogo.core.system.machine import processor_name
from pogo.jax_backend.actors import make_actor
from pogo.jax_backend.chain import chain_step
from pogo.jax_backend.compilation import compiler_options, keep_compiled_programs
from pogo.jax_backend.devices import find_device, start_client
from pogo.jax_backend.networks import Params
from pogo.jax_backend.probing import describe
from pogo.jax_backend.replay_buffer import ReplayBuffer
from pogo.jax_backend.state import state_from_arrays, state_to_arrays

STREAM = "stream/jax"

Data = tuple[Array, Any]  # rows [n, D], and how many of them there are, from the first


def make_learner(
    spec: TrainSpec,
    seed: int,
    transitions: Transitions | None = None,
    device: str = "auto",
    compile: bool = True,
    threads: int | None = None,
    deterministic: bool = False,
    replay_capacity: int | None = None,
) -> Learner:
    """A learner on a fresh state.

    Args:
        spec: the training problem.
        seed: what parameters and random streams are split from.
        transitions: the data; none for a learner that only acts or is restored to act.
        device: `auto`, `cpu`, `cuda` or `cuda:<n>`.
        compile: must be true: this backend is compiled throughout.
        threads: CPU threads; none: all that this process may use.
        deterministic: only deterministic kernels, on a GPU too.
        replay_capacity: rows of a replay buffer to train on, in place of `transitions`.

    Raises:
        BadInput: the device is not there, JAX cannot start on the platforms that it is told, or `compile` is false.
    """
    if not compile:
        raise BadInput("backend.compile=false has no meaning for backend=jax, which is compiled throughout; drop it.")
    # XLA reads its flags once, when the first client is made: `start_client` makes one.
    if deterministic and "xla_gpu_deterministic_ops" not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()
    start_client(device, threads)
    # Both ways: a run's numbers do not depend on which runs this process has made before.
    jax.config.update("jax_enable_x64", spec.dtype == "float64")
    keep_compiled_programs()
    # Full float32 products on every device: the same numbers as on a CPU.
    jax.config.update("jax_default_matmul_precision", "highest")
    return JaxLearner(spec, seed, transitions, find_device(device), replay_capacity)


class JaxLearner(Learner):
    """See `pogo.core.learner.interface.Learner`."""

    def __init__(
        self,
        spec: TrainSpec,
        seed: int,
        transitions: Transitions | None,
        device: jax.Device,
        replay_capacity: int | None = None,
    ) -> None:
        self.spec = spec
        self.compile_seconds = 0.0
        self.on_compile = unwatched
        self._seed = seed
        self._device = device
        self._algorithm = load_mathematics(spec.algorithm, "jax").Algorithm(spec)
        self._dtype = jnp.dtype(spec.dtype)
        self._noise_spec = update_noise_spec(spec)
        self._expected = initial_state(seed, spec)
        self._programs: dict[tuple, Any] = {}
        self._metric_types: dict[str, Any] = {}
        self._set_state(self._expected)
        self._key = jax.device_put(jax.random.wrap_key_data(self._stream_words()), device)
        self._open_window()
        if transitions is not None:
            packed, self._columns = transitions.pack(row_arrays(spec))
            rows = jax.device_put(jnp.asarray(packed, dtype=self._dtype), device)
            self._data = rows, np.asarray(len(rows), dtype=np.int32)
        self._buffer: ReplayBuffer | None = None
        if replay_capacity is not None:
            self._buffer = ReplayBuffer(replay_capacity, spec, device)
            self._columns = self._buffer.columns
            self._refer_to_buffer()

    @property
    def updates(self) -> int:
        """How many updates have been made."""
        return self._updates

    @property
    @override
    def machine(self) -> dict[str, str]:
        if self._device.platform == "cpu":
            return {"device": "cpu", "device_name": processor_name()}
        return {"device": f"cuda:{self._device.id}", "device_name": self._device.device_kind}

    @property
    @override
    def replay_buffer(self) -> ReplayBuffer | None:
        return self._buffer

    def advance(self, num_updates: int) -> None:
        """`Learner.advance` in one call of one compiled program, whatever `num_updates` is."""
        self._refer_to_buffer()
        if self._sums is None:
            self._sums = self._zero_sums()
        if self._first_bad is None:
            self._first_bad = self._none_bad(self._sums, self._device)
        count = np.asarray(num_updates, dtype=np.int32)
        arguments = (self._state, self._sums, self._first_bad, self._data, self._key, count)
        program = self._program(("train",), partial(self._train_window, self._update_once), arguments, donate=(0, 1, 2))
        self._state, self._sums, self._first_bad = program(*arguments)
        self._updates += num_updates

    @override
    def window_means(self, close: bool = True) -> dict[str, float]:
        sums, first_bad = jax.device_get((self._sums or {}, self._first_bad or {}))
        check_finite({name: int(update) for name, update in first_bad.items()})
        return self._means({name: float(value) for name, value in sums.items()}, close)

    def act(self, observations: np.ndarray, actor: int, noise: np.ndarray | None = None) -> np.ndarray:
        """`Learner.act`, compiled once for each batch size, actor and mode."""
        params = self._state.networks[actor_name(actor)]
        rows = jnp.asarray(observations, dtype=self._dtype)
        z = None if noise is None else jnp.asarray(noise, dtype=self._dtype)
        config = self.spec.actors[actor]
        # Actors of one configuration share a program.
        program = self._program(
            ("act", config, noise is None, rows.shape), partial(self._actions, config), (params, rows, z)
        )
        return np.asarray(program(params, rows, z))

    def act_pairs(self, observations: np.ndarray, pairs: Sequence[Pair], noise: np.ndarray) -> np.ndarray:
        """`Learner.act_pairs` in one program, compiled once for these pairs and this batch size."""
        networks = [self._state.networks[actor_name(index)] for index in range(len(self.spec.actors))]
        rows, z = (jnp.asarray(array, dtype=self._dtype) for array in (observations, noise))

        def of_all(networks: list[Params], rows: Array, z: Array) -> Array:
            actions = [
                self._actions(
                    self.spec.actors[actor], networks[actor], rows[index], None if mode == "deterministic" else z
                )
                for index, (actor, mode) in enumerate(pairs)
            ]
            return jnp.stack(actions)

        arguments = (networks, rows, z)
        program = self._program(("act_pairs", tuple(pairs), rows.shape), of_all, arguments)
        return np.asarray(program(*arguments))

    def describe(self, probe: Probe) -> dict[str, float]:
        """`Learner.describe`, compiled once."""
        batch, noise, around = jax.tree.map(
            lambda array: jnp.asarray(array, dtype=self._dtype), (dict(probe.batch), probe.noise, probe.around)
        )

        def of_all(networks: dict[str, Params], *arrays: Any) -> dict[str, Array]:
            return describe(self._algorithm, TrainState(networks, {}, None), *arrays)

        arguments = (self._state.networks, batch, noise, around)
        program = self._program(("describe", noise.shape), of_all, arguments)
        return {name: float(value) for name, value in jax.device_get(program(*arguments)).items()}

    @override
    def snapshot(self) -> dict[str, np.ndarray]:
        window: dict[str, np.ndarray] = {}
        if self._sums is not None and self._window_start < self._updates:
            window = window_arrays(self._window_start, [{name: np.array(value) for name, value in self._sums.items()}])
        replay = self._buffer.snapshot() if self._buffer is not None else {}
        return state_to_arrays(self._state) | {STREAM: np.array(jax.random.key_data(self._key))} | window | replay

    @override
    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._set_state(check_snapshot(self._expected, arrays))
        words = arrays[STREAM] if STREAM in arrays else self._stream_words()
        self._key = jax.device_put(jax.random.wrap_key_data(jnp.asarray(words)), self._device)
        if self._buffer is not None:
            self._buffer.restore(arrays)
            self._refer_to_buffer()
        self._open_window()
        if WINDOW_START in arrays:
            self._window_start = int(arrays[WINDOW_START])
            totals: dict[str, np.ndarray] = {}
            for group in window_groups(arrays):
                totals |= {name: totals.get(name, 0) + value for name, value in group.items()}
            # torch has no sums yet of what only updates that move the actors compute.
            self._sums = {
                name: jnp.array(totals.get(name, zero), copy=True) for name, zero in self._zero_sums().items()
            }

    @staticmethod
    def _actions(config: ActorConfig, params: Params, rows: Array, noise: Array | None) -> Array:
        policy = make_actor(config, params)
        if noise is None:
            return policy.deterministic_actions(rows)
        return policy.sample_actions(rows, noise[:, None, :])[:, 0]

    def _means(self, sums: Mapping[str, float], close: bool) -> dict[str, float]:
        means = window_means(sums, map(self._algorithm.moves, range(self._window_start, self._updates)))
        if close:
            self._open_window()
        return means

    def _refer_to_buffer(self) -> None:
        """Take the buffer's rows as they are now: an insertion leaves an array of another name in their memory."""
        if self._buffer is not None:
            self._data = self._buffer.rows, self._buffer.held

    def _open_window(self) -> None:
        self._window_start = self._updates
        self._sums: dict[str, Array] | None = None
        self._first_bad: dict[str, Array] | None = None  # the first update where each metric was not finite, or -1

    def _zero_sums(self) -> dict[str, Array]:
        if not self._metric_types:  # to trace an update takes a while
            metrics = jax.eval_shape(self._update_once, self._state, self._data, self._key)[1]
            self._metric_types |= {name: metric.dtype for name, metric in metrics.items()}
        return {name: jax.device_put(jnp.zeros((), dtype), self._device) for name, dtype in self._metric_types.items()}

    @staticmethod
    def _none_bad(sums: Mapping[str, Array], where: Any) -> dict[str, Array]:
        """What `first_bad` is where every metric has been finite, on a device or as it is sharded."""
        return jax.device_put({name: jnp.full(total.shape, -1, jnp.int32) for name, total in sums.items()}, where)

    def _set_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._state = state_from_arrays(arrays, self._device)
        self._updates = int(arrays[UPDATES])

    def _stream_words(self) -> Array:
        """The key of the run; an update's draws are a function of it and of the update's number."""
        return jnp.asarray(seed_words(self._seed, "jax learner", self._updates), dtype=jnp.uint32)

    def _program(self, name: tuple, function: Any, arguments: tuple, donate: tuple[int, ...] = ()) -> Any:
        if name not in self._programs:
            self.on_compile()
            start = time.perf_counter()
            jitted = jax.jit(function, donate_argnums=donate, compiler_options=compiler_options(self._device))
            self._programs[name] = jitted.lower(*arguments).compile()
            self.compile_seconds += time.perf_counter() - start
        return self._programs[name]

    @staticmethod
    def _train_window(
        update: Callable[[TrainState, Data, Array], tuple[TrainState, dict[str, Array]]],
        state: TrainState,
        sums: dict[str, Array],
        first_bad: dict[str, Array],
        data: Data,
        key: Array,
        num_updates: Array,
    ) -> tuple[TrainState, dict[str, Array], dict[str, Array]]:
        """`num_updates` updates: the state, the sums, and the first update where each metric was not finite, or -1."""

        def body(_: Array, carry: tuple) -> tuple:
            state, sums, first_bad = carry
            state, metrics = update(state, data, key)
            sums = {name: total + metrics[name] for name, total in sums.items()}
            first_bad = {
                name: jnp.where((bad < 0) & ~jnp.isfinite(metrics[name]), state.updates, bad)
                for name, bad in first_bad.items()
            }
            return state, sums, first_bad

        # A loop whose length is an argument: one program for every window, where a scan has one per length.
        return jax.lax.fori_loop(0, num_updates, body, (state, sums, first_bad))

    def _update_once(self, state: TrainState, data: Data, key: Array) -> tuple[TrainState, dict[str, Array]]:
        key = jax.random.fold_in(key, state.updates)
        batch = self._sample_batch(data, jax.random.fold_in(key, 0))
        if self.spec.probe_critic:
            own = self._sample_batch(data, jax.random.fold_in(key, zlib.crc32(PROBE_PREFIX.encode())))
            batch |= {f"{PROBE_PREFIX}{name}": value for name, value in own.items()}
        noise = {
            name: self._draw(draw, jax.random.fold_in(key, zlib.crc32(name.encode())))
            for name, draw in self._noise_spec.items()
        }
        return chain_step(self._algorithm, state, batch, noise)

    def _sample_batch(self, data: Data, key: Array) -> dict[str, Array]:
        held, count = data
        rows = jax.random.randint(key, (self.spec.batch_size,), 0, count, dtype=jnp.int32)
        packed = jnp.take(held, rows, axis=0, mode="clip")
        # Vectors are stored as one column; the maths wants them as [B].
        return {
            name: packed[:, columns.start] if name in ("rewards", "terminals") else packed[:, columns]
            for name, columns in self._columns.items()
        }

    def _draw(self, draw: Draw, key: Array) -> Array:
        if draw.distribution == "pairs":
            return self._draw_pairs(draw, key)
        if draw.distribution == "normal":
            return jax.random.normal(key, draw.shape, self._dtype)
        if draw.distribution == "bernoulli":
            keep = jnp.asarray(draw.keep_probability, dtype=self._dtype)
            return jax.random.bernoulli(key, keep, draw.shape).astype(self._dtype)
        low = -1.0 if draw.distribution == "uniform11" else 0.0
        return jax.random.uniform(key, draw.shape, self._dtype, low, 1.0)

    def _draw_pairs(self, draw: Draw, key: Array) -> Array:
        num_draws, _, batch_size = draw.shape
        first, second = (
            jax.random.randint(part, (num_draws, batch_size), 0, count, dtype=jnp.int32)
            for part, count in zip(jax.random.split(key), (draw.members, draw.members - 1), strict=True)
        )
        # Counted past the first: uniform over the others.
        return jnp.stack([first, second + (second >= first)], axis=1)
