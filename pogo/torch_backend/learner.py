"""The torch learner: data, noise and updates on one device. Twin: pogo/jax_backend/learner.py."""

import logging
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from pogo.core.algorithms import load_mathematics
from pogo.core.algorithms.inputs import initial_state, row_arrays, update_noise_spec
from pogo.core.data.transitions import Transitions
from pogo.core.errors import BadInput
from pogo.core.learner.interface import Learner, Pair, unwatched
from pogo.core.learner.metrics import check_finite, window_arrays, window_groups, window_means
from pogo.core.learner.probe import Probe
from pogo.core.problem.chain import Moves, actor_name
from pogo.core.problem.noise import Draw
from pogo.core.problem.probe_critic import PROBE_PREFIX
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.state import WINDOW_START, TrainState, check_snapshot
from pogo.core.problem.streams import seed_words
from pogo.core.problem.w2 import w2_method
from pogo.core.system.machine import processor_name
from pogo.torch_backend.actors import make_actor
from pogo.torch_backend.algorithm import Algorithm
from pogo.torch_backend.chain import chain_step
from pogo.torch_backend.cuda_graphs import GraphedSteps
from pogo.torch_backend.devices import find_device
from pogo.torch_backend.distances import check_exact
from pogo.torch_backend.libraries import check_library
from pogo.torch_backend.memory import keep_freed_memory
from pogo.torch_backend.probing import describe
from pogo.torch_backend.replay_buffer import ReplayBuffer
from pogo.torch_backend.state import state_from_arrays, state_to_arrays

logger = logging.getLogger("pogo")

_STREAMS = {"cpu": "stream/torch", "cuda": "stream/torch_cuda"}  # two generators, whose states are no other's


def make_learner(
    spec: TrainSpec,
    seed: int,
    transitions: Transitions | None = None,
    device: str = "auto",
    compile: bool = False,
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
        compile: torch.compile on a CPU, CUDA graphs on a GPU.
        threads: CPU threads; none: as torch chooses.
        deterministic: only deterministic kernels, on a GPU too.
        replay_capacity: rows of a replay buffer to train on, in place of `transitions`.

    Raises:
        BadInput: the device is not there, or cannot solve the chain's distances exactly; or a C++ compiler is needed
            and not there.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    keep_freed_memory()
    torch.use_deterministic_algorithms(deterministic)
    # Full float32 products on every device: the same numbers as on a CPU.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    found = find_device(device)
    for index in range(1, len(spec.actors)):
        if w2_method(spec.actors[index], spec.actors[index - 1]) == "sinkhorn":
            names = actor_name(index), actor_name(index - 1)
            check_exact(spec.w2.solver, spec.w2.num_samples, found.type, *names)
            check_library(spec.w2.library)
    if compile and found.type == "cpu":
        _check_compiler()
    return TorchLearner(spec, seed, transitions, found, compile, replay_capacity)


class TorchLearner(Learner):
    """See `pogo.core.learner.interface.Learner`."""

    def __init__(
        self,
        spec: TrainSpec,
        seed: int,
        transitions: Transitions | None,
        device: torch.device,
        use_compile: bool,
        replay_capacity: int | None,
    ) -> None:
        self.spec = spec
        self.compile_seconds = 0.0
        self.on_compile = unwatched
        self._seed = seed
        self._device = device
        self._algorithm = load_mathematics(spec.algorithm, "torch").Algorithm(spec)
        self._dtype = getattr(torch, spec.dtype)
        self._noise_spec = update_noise_spec(spec)
        self._stream = _STREAMS[device.type]
        # Each later actor draws from a generator of its own: what is before it does not depend on whether it is there.
        names = [self._stream, *(f"{self._stream}/{actor_name(index)}" for index in range(1, len(spec.actors)))]
        if spec.probe_critic:
            names.append(self._probe_stream)
        self._generators = {name: torch.Generator(device) for name in names}
        self._expected = initial_state(seed, spec)
        self._accumulators: dict[tuple[str, ...], tuple[Tensor, Tensor]] = {}
        self._position = torch.zeros((), dtype=torch.int64, device=device)  # the update's number, on the device
        self._use_compile = use_compile
        self._set_state(self._expected)
        self._restart_streams(self._generators)
        self._open_window()
        if transitions is not None:
            packed, self._columns = transitions.pack(row_arrays(spec))
            self._data = torch.from_numpy(packed).to(device=device, dtype=self._dtype)
        self._buffer: ReplayBuffer | None = None
        if replay_capacity is not None:
            self._buffer = ReplayBuffer(replay_capacity, spec, device)
            self._data, self._columns = self._buffer.rows, self._buffer.columns

    @property
    def updates(self) -> int:
        """How many updates have been made."""
        return self._state.updates

    @property
    @override
    def machine(self) -> dict[str, str]:
        on_gpu = self._device.type == "cuda"
        index = torch.cuda.current_device() if on_gpu and self._device.index is None else self._device.index
        name = torch.cuda.get_device_name(index) if on_gpu else processor_name()
        return {"device": f"cuda:{index}" if on_gpu else "cpu", "device_name": name}

    @property
    @override
    def replay_buffer(self) -> ReplayBuffer | None:
        return self._buffer

    @override
    def advance(self, num_updates: int) -> None:
        self._position.fill_(self.updates)
        for _ in range(num_updates):
            self._step()

    @override
    def window_means(self, close: bool = True) -> dict[str, float]:
        sums: dict[str, float] = {}
        first_bad: dict[str, int] = {}
        for names, (values, bad) in self._accumulators.items():
            for name, value, update in zip(names, values.tolist(), bad.tolist(), strict=True):
                sums[name] = sums.get(name, 0.0) + value
                first_bad[name] = max(first_bad.get(name, -1), update)
        check_finite(first_bad)
        means = window_means(sums, map(self._algorithm.moves, range(self._window_start, self.updates)))
        if close:
            self._open_window()
        return means

    @override
    def act(self, observations: np.ndarray, actor: int, noise: np.ndarray | None = None) -> np.ndarray:
        with torch.no_grad():
            rows = torch.as_tensor(observations, dtype=self._dtype, device=self._device)
            z = None if noise is None else torch.as_tensor(noise, dtype=self._dtype, device=self._device)
            return self._actions(actor, rows, z).cpu().numpy()

    @override
    def act_pairs(self, observations: np.ndarray, pairs: Sequence[Pair], noise: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            rows = torch.as_tensor(observations, dtype=self._dtype, device=self._device)
            z = torch.as_tensor(noise, dtype=self._dtype, device=self._device)
            actions = [
                self._actions(actor, rows[index], None if mode == "deterministic" else z)
                for index, (actor, mode) in enumerate(pairs)
            ]
            return torch.stack(actions).cpu().numpy()

    @override
    def describe(self, probe: Probe) -> dict[str, float]:
        with torch.no_grad():
            batch, around = (
                {name: self._to_device(array) for name, array in arrays.items()}
                for arrays in (probe.batch, probe.around)
            )
            found = describe(self._algorithm, self._state, batch, self._to_device(probe.noise), around)
            return {name: value.item() for name, value in found.items()}

    @override
    def snapshot(self) -> dict[str, np.ndarray]:
        groups = [
            dict(zip(names, values.cpu().numpy().copy(), strict=True))
            for names, (values, _) in self._accumulators.items()
        ]
        window = window_arrays(self._window_start, groups) if self._window_start < self.updates else {}
        replay = self._buffer.snapshot() if self._buffer is not None else {}
        streams = {name: generator.get_state().numpy().copy() for name, generator in self._generators.items()}
        return state_to_arrays(self._state) | streams | window | replay

    @override
    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._set_state(check_snapshot(self._expected, arrays))
        for name in arrays.keys() & self._generators.keys():
            self._generators[name].set_state(torch.from_numpy(np.array(arrays[name])))
        missing = [name for name in self._generators if name not in arrays]
        if self._stream in arrays and missing:
            logger.info(
                "the checkpoint is of a pogo whose later actors drew from the batches' stream: theirs restart here."
            )
        self._restart_streams(missing)
        if self._buffer is not None:
            self._buffer.restore(arrays)
        self._open_window()
        if WINDOW_START in arrays:
            self._window_start = int(arrays[WINDOW_START])
            for group in window_groups(arrays):
                sums, _ = self._accumulator(tuple(group))
                sums.copy_(torch.tensor(np.stack(list(group.values()))))

    def _to_device(self, array: np.ndarray) -> Tensor:
        return torch.as_tensor(array, dtype=self._dtype, device=self._device)

    def _actions(self, actor: int, rows: Tensor, noise: Tensor | None) -> Tensor:
        policy = make_actor(self.spec.actors[actor], self._state.networks[actor_name(actor)])
        if noise is None:
            return policy.deterministic_actions(rows)
        return policy.sample_actions(rows, noise[:, None, :])[:, 0]

    def _open_window(self) -> None:
        self._window_start = self.updates
        for sums, first_bad in self._accumulators.values():
            sums.zero_()
            first_bad.fill_(-1)

    def _set_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._state = state_from_arrays(arrays, self._device)
        on_gpu = self._device.type == "cuda"
        self._graphs = GraphedSteps(tuple(self._generators.values())) if self._use_compile and on_gpu else None
        self._compiled = _CompiledStep(self._algorithm) if self._use_compile and not on_gpu else None

    def _restart_streams(self, names: Iterable[str]) -> None:
        for name in names:
            of_actor = name.removeprefix(self._stream)
            high, low = seed_words(self._seed, f"torch learner{of_actor}", self.updates)
            self._generators[name].manual_seed(high << 32 | low)

    def _step(self) -> None:
        update = self.updates
        if self._graphs is not None:
            self._graphs.run(self._algorithm.moves(update), self._update_once)
        else:
            self._update_once()
        # A replayed graph runs no Python: the host's counter is kept here.
        self._state = self._state._replace(updates=update + 1)

    def _update_once(self) -> None:
        batch = self._sample_batch(self._stream)
        noise = {name: self._draw(draw, self._generator_of(name)) for name, draw in self._noise_spec.items()}
        if self.spec.probe_critic:
            own = self._sample_batch(self._probe_stream)
            batch |= {f"{PROBE_PREFIX}{name}": value for name, value in own.items()}
        if self._compiled is not None:
            if self._compiled.is_new(self._state):
                self.on_compile()
            self._state, metrics = self._compiled(self._state, batch, noise)
            self.compile_seconds = self._compiled.compile_seconds
        else:
            self._state, metrics = chain_step(self._algorithm, self._state, batch, noise)
        self._accumulate(metrics)

    @property
    def _probe_stream(self) -> str:
        return f"{self._stream}/{PROBE_PREFIX.rstrip('/')}"

    def _sample_batch(self, stream: str) -> dict[str, Tensor]:
        size, options = (self.spec.batch_size,), {"generator": self._generators[stream], "device": self._device}
        if self._buffer is None:
            rows = torch.randint(len(self._data), size, **options)
        else:  # how many rows there are is read on the device: a recorded graph would keep the host's number
            rows = (torch.rand(size, dtype=torch.float64, **options) * self._buffer.held).long()
        packed = self._data.index_select(0, rows)
        # Vectors are stored as one column; the maths wants them as [B].
        return {
            name: packed[:, columns.start] if name in ("rewards", "terminals") else packed[:, columns]
            for name, columns in self._columns.items()
        }

    def _generator_of(self, draw: str) -> torch.Generator:
        """What a draw of this name comes from; a later actor's is named by it, as actor_1/energy."""
        return self._generators.get(f"{self._stream}/{draw.split('/')[0]}", self._generators[self._stream])

    def _draw(self, draw: Draw, generator: torch.Generator) -> Tensor:
        if draw.distribution == "pairs":
            return self._draw_pairs(draw, generator)
        options = {"generator": generator, "device": self._device, "dtype": self._dtype}
        if draw.distribution == "normal":
            return torch.randn(draw.shape, **options)
        values = torch.rand(draw.shape, **options)
        if draw.distribution == "bernoulli":
            return (values < draw.keep_probability).to(self._dtype)
        return 2.0 * values - 1.0 if draw.distribution == "uniform11" else values

    def _draw_pairs(self, draw: Draw, generator: torch.Generator) -> Tensor:
        num_draws, _, batch_size = draw.shape
        first, second = (
            torch.randint(count, (num_draws, batch_size), generator=generator, device=self._device)
            for count in (draw.members, draw.members - 1)
        )
        # Counted past the first: uniform over the others.
        return torch.stack([first, second + (second >= first)], dim=1)

    def _accumulate(self, metrics: Mapping[str, Tensor]) -> None:
        names = tuple(sorted(metrics))
        sums, first_bad = self._accumulator(names)
        values = torch.stack([metrics[name] for name in names])
        self._position += 1
        sums += values
        torch.where((first_bad < 0) & ~values.isfinite(), self._position, first_bad, out=first_bad)

    def _accumulator(self, names: tuple[str, ...]) -> tuple[Tensor, Tensor]:
        """Sums of these metrics, and the first update where each was not finite; made once, changed in place."""
        if names not in self._accumulators:
            zeros = torch.zeros(len(names), dtype=self._dtype, device=self._device)
            self._accumulators[names] = zeros, torch.full_like(zeros, -1, dtype=torch.int64)
        return self._accumulators[names]


class _CompiledStep:
    """`chain_step` under torch.compile: a program for each kind of update, by what it moves."""

    def __init__(self, algorithm: Algorithm) -> None:
        torch._dynamo.config.trace_autograd_ops = True  # the gradients are taken inside an update
        self.compile_seconds = 0.0
        self._algorithm = algorithm
        self._run = torch.compile(chain_step, dynamic=False)
        self._first: dict[Moves, int] = {}  # the first update of each kind

    def is_new(self, state: TrainState) -> bool:
        """Whether the next update is the first of its kind, which is compiled."""
        return self._algorithm.moves(state.updates) not in self._first

    def __call__(
        self, state: TrainState, batch: Mapping[str, Tensor], noise: Mapping[str, Tensor]
    ) -> tuple[TrainState, dict[str, Tensor]]:
        # Programs are specialised on Python numbers: a counter that grows would compile anew every time. The first
        # update of the same kind stands for all of them.
        kind = self._algorithm.moves(state.updates)
        is_new = self.is_new(state)
        first = self._first.setdefault(kind, state.updates)
        start = time.perf_counter()
        result, metrics = self._run(self._algorithm, state._replace(updates=first), batch, noise)
        if is_new:
            self.compile_seconds += time.perf_counter() - start
        return result._replace(updates=state.updates + 1), metrics


def _check_compiler() -> None:
    """Refuse torch.compile on a CPU where there is no C++ compiler that works."""
    from torch._inductor.cpp_builder import get_cpp_compiler  # slow to import, and only this needs it

    try:
        compiler = get_cpp_compiler()
        subprocess.run([compiler, "--version"], check=True, capture_output=True, timeout=60)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(
            f"backend.compile=true needs a C++ compiler on a CPU, and none works here ({reason}); install g++ or name "
            "one by CXX, or use backend.compile=false."
        ) from error
