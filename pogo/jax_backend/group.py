"""Several seeds in one compiled program. No twin: torch's eager step is bound by the host, see docs/decisions.md."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from typing_extensions import override

from pogo.core.data.transitions import Transitions
from pogo.core.learner.group import LearnerGroup
from pogo.core.learner.interface import Pair
from pogo.core.learner.metrics import check_seeds_finite
from pogo.core.learner.probe import Probe
from pogo.core.problem.chain import actor_name
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.state import UPDATES, TrainState
from pogo.jax_backend.learner import Data, JaxLearner, make_learner
from pogo.jax_backend.networks import Params
from pogo.jax_backend.state import state_from_arrays, state_to_arrays

_AXIS = "seeds"  # what a group's devices share out
_BY_SEED, _SHARED = PartitionSpec(_AXIS), PartitionSpec()
_NOTHING = TrainState({}, {}, None)
# One entry for all that lies below: the update counter is one number for all seeds. A branch on a counter per seed
# would become a select, which runs both sides.
_STATE_AXES: Any = TrainState(0, 0, None)  # type: ignore[arg-type]
_STATE_SPECS: Any = TrainState(_BY_SEED, _BY_SEED, _SHARED)  # type: ignore[arg-type]

Metrics = dict[str, Array]

logger = logging.getLogger("pogo")


def make_learner_group(
    spec: TrainSpec,
    seeds: Sequence[int],
    transitions: Transitions,
    device: str = "auto",
    compile: bool = True,
    threads: int | None = None,
    deterministic: bool = False,
) -> LearnerGroup:
    """Learners of several seeds on fresh states, trained by one program: the seeds are an axis of its arrays.

    All devices of a kind share the seeds out where that comes out even, unless one is named (`cuda:0`). The other
    arguments are those of `make_learner`.

    Raises:
        BadInput: the device is not there, or the dataset does not suit the training problem.
    """
    one = make_learner(spec, seeds[0], transitions, device, compile, threads, deterministic)
    assert isinstance(one, JaxLearner)
    return JaxLearnerGroup(one, seeds, _devices(device, one._device, len(seeds)))


class JaxLearnerGroup(LearnerGroup):
    """See `pogo.core.learner.group.LearnerGroup`. States, sums and keys have a leading seed axis; the data has none."""

    def __init__(self, one: JaxLearner, seeds: Sequence[int], devices: Sequence[jax.Device]) -> None:
        """Make the members.

        Args:
            one: a learner of this problem: its data, its update and its compiled programs are those of all.
            seeds: of the members.
            devices: as many as divide the number of seeds; members act on the first.
        """
        self._one, self._seeds, self._devices = one, tuple(seeds), tuple(devices)
        one._state = _NOTHING
        self._members = tuple(_Member(self, index) for index in range(len(seeds)))
        self.learners = self._members
        mesh = Mesh(np.array(self._devices), (_AXIS,))
        self._by_seed, self._shared = NamedSharding(mesh, _BY_SEED), NamedSharding(mesh, _SHARED)
        self._data = jax.device_put(one._data, self._shared)
        # Each device runs its own seeds, and none waits for another.
        self._train_seeds = jax.shard_map(
            partial(one._train_window, self._update_seeds),
            mesh=mesh,
            in_specs=(_STATE_SPECS, _BY_SEED, _BY_SEED, _SHARED, _BY_SEED, _SHARED),
            out_specs=(_STATE_SPECS, _BY_SEED, _BY_SEED),
            check_vma=False,
        )
        self._stacked: tuple[TrainState, Metrics, Array] | None = None  # states, sums, keys

    @property
    @override
    def compile_seconds(self) -> float:
        return self._one.compile_seconds + sum(learner.compile_seconds for learner in self._members)

    @override
    def watch_compilation(self, on_compile: Callable[[], None]) -> None:
        super().watch_compilation(on_compile)
        self._one.on_compile = on_compile

    @property
    def is_stacked(self) -> bool:
        """Whether the group holds the states; otherwise each member holds its own."""
        return self._stacked is not None

    def train(self, num_updates: int, close_window: bool = True) -> list[dict[str, float]]:
        """`LearnerGroup.train` in one call of one compiled program."""
        if self._stacked is None:
            self._stacked = self._stack()
        count = jax.device_put(jnp.asarray(num_updates, dtype=jnp.int32), self._shared)
        state, sums, keys = self._stacked
        arguments = (state, sums, self._one._none_bad(sums, self._by_seed), self._data, keys, count)
        program = self._one._program(("train",), self._train_seeds, arguments, donate=(0, 1, 2))
        state, sums, first_bad = program(*arguments)
        self._stacked = state, sums, keys
        totals, bad = _rows(jax.device_get(sums)), _rows(jax.device_get(first_bad))
        for learner in self._members:
            learner.count(num_updates)
        check_seeds_finite(dict(zip(self._seeds, bad, strict=True)))
        if close_window:
            self._stacked = state, self._zero_sums(), keys
        return [learner._means(sums, close_window) for learner, sums in zip(self._members, totals, strict=True)]

    def part(self, index: int) -> tuple[TrainState, Metrics]:
        """The state and sums of one seed, copied to the first device."""
        assert self._stacked is not None
        state, sums, _ = self._stacked
        networks, optimizers, sums = self._take((state.networks, state.optimizers, sums), index)
        return TrainState(networks, optimizers, jax.device_put(state.updates, self._devices[0])), sums

    def actors(self, index: int) -> dict[str, Params]:
        """The actors of one seed, copied to the first device."""
        assert self._stacked is not None
        networks = self._stacked[0].networks
        names = [actor_name(actor) for actor in range(len(self._one.spec.actors))]
        return self._take({name: networks[name] for name in names}, index)

    def unstack(self) -> None:
        """Give each member its own state, where the group holds them."""
        if self._stacked is None:
            return
        for learner in self._members:
            learner.hold(*self.part(learner.index))
        self._stacked = None

    def _stack(self) -> tuple[TrainState, Metrics, Array]:
        """The members' states, sums and keys on a leading axis."""
        arrays = [state_to_arrays(learner._state) for learner in self._members]
        updates = sorted({int(each[UPDATES]) for each in arrays})
        if len(updates) > 1:
            raise ValueError(f"the members of a group are at one update, not at {updates}.")
        state = state_from_arrays(
            {name: np.stack([each[name] for each in arrays]) for name in arrays[0]}, self._by_seed
        )
        state = state._replace(updates=jax.device_put(jnp.array(arrays[0][UPDATES], copy=True), self._shared))
        self._members[0]._zero_sums()  # while it has a state to trace an update with
        sums = self._zero_sums()
        for learner in self._members:
            for name, value in (learner._sums or {}).items():
                sums[name] = sums[name].at[learner.index].set(value)
        words = np.stack([np.array(jax.random.key_data(learner._key)) for learner in self._members])
        return state, jax.device_put(sums, self._by_seed), jax.device_put(jnp.asarray(words), self._by_seed)

    def _zero_sums(self) -> Metrics:
        zeros = {name: jnp.zeros(len(self._seeds), dtype) for name, dtype in self._one._metric_types.items()}
        return jax.device_put(zeros, self._by_seed)

    def _take(self, stacked: Any, index: int) -> Any:
        device, row = divmod(index, len(self._seeds) // len(self._devices))
        local = jax.tree.map(lambda leaf: leaf.addressable_data(device), stacked)
        arguments = (local, np.int32(row))
        program = self._one._program(("take", device, jax.tree.structure(local)), _row, arguments)
        return jax.device_put(program(*arguments), self._devices[0])

    def _update_seeds(self, state: TrainState, data: Data, words: Array) -> tuple[TrainState, Metrics]:
        def update_one(state: TrainState, words: Array) -> tuple[TrainState, Metrics]:
            return self._one._update_once(state, data, jax.random.wrap_key_data(words))

        return jax.vmap(update_one, in_axes=(_STATE_AXES, 0), out_axes=(_STATE_AXES, 0))(state, words)


class _Member(JaxLearner):
    """One seed of a group: the group trains it, all else is a single learner's.

    While the group holds the states, a member borrows its part of what a call needs.
    """

    def __init__(self, group: JaxLearnerGroup, index: int) -> None:
        super().__init__(group._one.spec, group._seeds[index], None, group._devices[0])
        self._group, self.index = group, index
        one = group._one  # what one has, has compiled and has traced suits all
        self._data, self._columns, self._programs, self._metric_types = (
            one._data,
            one._columns,
            one._programs,
            one._metric_types,
        )

    def advance(self, num_updates: int) -> None:
        raise RuntimeError("a member of a group is trained by the group.")

    def act(self, observations: np.ndarray, actor: int, noise: np.ndarray | None = None) -> np.ndarray:
        self._borrow_actors()
        return super().act(observations, actor, noise)

    def act_pairs(self, observations: np.ndarray, pairs: Sequence[Pair], noise: np.ndarray) -> np.ndarray:
        self._borrow_actors()
        return super().act_pairs(observations, pairs, noise)

    def describe(self, probe: Probe) -> dict[str, float]:
        if not self._group.is_stacked:
            return super().describe(probe)
        self._state = self._group.part(self.index)[0]
        try:
            return super().describe(probe)
        finally:
            self._state = _NOTHING

    def snapshot(self) -> dict[str, np.ndarray]:
        if not self._group.is_stacked:
            return super().snapshot()
        self._state, self._sums = self._group.part(self.index)
        try:
            return super().snapshot()
        finally:
            self._state, self._sums = _NOTHING, None

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._group.unstack()
        super().restore(arrays)

    def count(self, num_updates: int) -> None:
        """The group has made updates: what is held or was borrowed is of the past."""
        self._updates += num_updates
        self._state, self._sums = _NOTHING, None

    def hold(self, state: TrainState, sums: Metrics) -> None:
        """Take over what the group held."""
        self._state, self._sums = state, sums

    def _borrow_actors(self) -> None:
        if not self._state.networks:
            self._state = _NOTHING._replace(networks=self._group.actors(self.index))


def _rows(by_name: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Values by name for each seed, from arrays [seeds] by name, as Python numbers."""
    columns = [values.tolist() for values in by_name.values()]
    return [dict(zip(by_name, row, strict=True)) for row in zip(*columns, strict=True)]


def _row(stacked: Any, row: Array) -> Any:
    return jax.tree.map(lambda leaf: leaf[row], stacked)


def _devices(name: str, first: jax.Device, num_seeds: int) -> list[jax.Device]:
    found = jax.devices(first.platform)
    if ":" in name or len(found) == 1:
        return [first]
    if num_seeds % len(found):
        logger.info("%d seeds cannot be shared out evenly over %d devices: %s has all.", num_seeds, len(found), first)
        return [first]
    return found
