"""How many floating-point operations one update takes: matrix products only, a multiply-add counted twice.

An algorithm is a table of passes through its networks (`_ALGORITHMS`), a chain is some more (`_chain`). Layer sizes and
ensembles are those of the starting state, so that they cannot differ from what runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from pogo.core.algorithms import load_algorithm
from pogo.core.algorithms.inputs import initial_state
from pogo.core.problem.chain import actor_name
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.w2 import w2_method

_DUE_WINDOW = 6000  # updates: whole epochs of ReBRAC's delay, and a multiple of every small policy_freq


@dataclass(frozen=True)
class Pass:
    """Rows that go through one network, and how far back its gradients are used.

    A layer [rows, in] x [in, out] costs 2 rows in out forward, as much for the gradient of its kernel, and as much for
    the gradient of its input. The first layer's input is the batch, and needs a gradient only where `guides`.
    """

    sizes: tuple[int, ...]  # (input, *hidden, output)
    rows: int
    members: int = 1
    trains: bool = False  # gradients of the kernels are used
    guides: bool = False  # the gradient of the network's input is used
    due: bool = False  # only updates that move the actors make it
    needed: bool = True  # not: the original makes it for its log, or although its result is at hand, or for zeros
    original: bool = True  # not: it stands in for one that the original makes

    @property
    def operations(self) -> float:
        """Of one such pass."""
        first, *others = (2.0 * self.members * self.rows * a * b for a, b in pairwise(self.sizes))
        forward, inputs = first + sum(others), sum(others)
        backward = (forward if self.trains else 0.0) + (inputs if self.trains or self.guides else 0.0)
        return forward + backward + (first if self.guides else 0.0)


def operations(spec: TrainSpec, needed_only: bool = False) -> float:
    """Floating-point operations of one update, chain included, averaged over updates with and without the actors.

    Counted are the matrix products of the forward passes that the original's code makes and, backward, those whose
    result is used: the gradients of the kernels of the network that is trained, and of the inputs on the way to them;
    none for the kernels of a critic that only judges an action. Layers are whole: the gradient of a critic's input
    counts for the observations too. Elementwise work, Adam, targets, sampling and the Sinkhorn iterations count as
    nothing, nor does CQL's BC phase, which ends.

    That is what shares are measured by. With `needed_only`, what an update's result
    takes; the originals do more in
    - sac_n, edac, fql: passes for the log (the ensemble at random actions; the one-step actor at another latent);
    - awac, sac_n, edac: the actor at the batch's observations twice: for the baseline or the temperature, and its loss;
    - edac: the critics at the batch's actions twice: for the TD error, and for the diversity term, whose gradients they
      take in the observations too;
    - cql: the actor once per proposal, where one row per state gives all of them;
    - sac_n, edac: the way back from the smallest value through all members, where each row has one (in blocks of an
      eighth of the batch, some of them filled in part).
    (Not where an actor reads a latent: each sample is a row of its own.)

    Actors 1+ count as needed in both: each a training pass and a way back through the critics for its energy, K more
    rows of training where it is a transport map at a distance of samples, and one forward pass after its step as the
    next one's reference, of K rows likewise.

    Raises:
        KeyError: the algorithm has no table.
    """
    networks = Networks(spec)
    due = load_algorithm(spec.algorithm).actors_due
    due_share = sum(bool(due(update, spec.hyperparameters)) for update in range(_DUE_WINDOW)) / _DUE_WINDOW
    passes = [*_ALGORITHMS[spec.algorithm](networks), *when_due(_chain(networks))]
    counted = [one for one in passes if (one.needed if needed_only else one.original)]
    return sum(one.operations * (due_share if one.due else 1.0) for one in counted)


def when_due(passes: Sequence[Pass]) -> list[Pass]:
    """The same passes, of updates that move the actors only."""
    return [replace(one, due=True) for one in passes]


class Networks:
    """The networks of one training problem by their canonical names, and passes through them.

    `rows` counts rows per row of the batch.
    """

    def __init__(self, spec: TrainSpec) -> None:
        self.spec = spec
        self._shapes: dict[str, list[tuple[int, ...]]] = {}
        for name, value in initial_state(0, spec).items():
            network, *layer = name.split("/")
            if network != "optimizer" and layer[-1:] == ["kernel"]:
                self._shapes.setdefault(network, []).append(value.shape)

    def forward(self, network: str, rows: int = 1, needed: bool = True) -> Pass:
        """A forward pass."""
        shapes = self._shapes[network]
        sizes = (shapes[0][-2], *(shape[-1] for shape in shapes))
        members = shapes[0][0] if len(shapes[0]) == 3 else 1
        return Pass(sizes, rows * self.spec.batch_size, members, needed=needed)

    def train(self, network: str, rows: int = 1) -> Pass:
        """A pass whose loss trains the network."""
        return replace(self.forward(network, rows), trains=True)

    def judge(self) -> list[Pass]:
        """How the gradient of an action comes back from the critics that judge it."""
        found = []
        for network, members in _JUDGES[self.spec.algorithm]:
            one = self.forward(network)
            if members == "smallest":
                found += [one, *self._way_back_of_the_smallest(one)]
            else:
                found.append(replace(one, guides=True, members=one.members if members == "all" else members))
        return found

    def _way_back_of_the_smallest(self, forward: Pass) -> list[Pass]:
        """The transposed network: all members as the originals run it; each row's own, in blocks, to actions alone."""
        batch, back = self.spec.batch_size, forward.sizes[::-1]
        block = max(1, batch // 8)
        rows = (batch // block + min(forward.members, batch)) * block
        to_actions = (*back[1:-1], self.spec.action_size)  # the head's kernel is taken as it is
        return [
            replace(forward, sizes=back, needed=False),
            replace(forward, sizes=to_actions, rows=rows, members=1, original=False),
        ]

    def reads_latents(self, index: int) -> bool:
        """Whether another sample of an actor is another row of its network, not only of its noise."""
        return self.spec.actors[index].kind == "stochastic"

    def samples(self, network: str, count: int, at_hand: bool = False) -> list[Pass]:
        """Forward passes of actor 0, or its target, for `count` samples per state; `at_hand` where it has seen them.

        The originals repeat a state for each sample; where the network reads no latent, one row does.
        """
        if self.reads_latents(0):
            return [self.forward(network, count)]
        if at_hand:
            return [self.forward(network, count, needed=False)]
        return [self.forward(network), self.forward(network, count - 1, needed=False)]


def _iql(networks: Networks) -> list[Pass]:
    return [
        networks.forward("value"),  # V(s')
        networks.forward("target_critic"),
        networks.train("value"),
        networks.train("critic"),
        networks.train("actor_0"),
    ]


def _td3(networks: Networks) -> list[Pass]:
    return [
        networks.forward("target_actor"),
        networks.forward("target_critic"),
        networks.train("critic"),
        *when_due([networks.train("actor_0"), *networks.judge()]),
    ]


def _pogo_gaussian(networks: Networks) -> list[Pass]:
    spec = networks.spec
    behaviour = load_algorithm(spec.algorithm).default_actor(spec.hyperparameters)
    by_samples = w2_method(spec.actors[0], behaviour) == "sinkhorn" and networks.reads_latents(0)
    return [
        networks.forward("target_actor"),
        networks.forward("target_critic"),
        networks.train("critic"),
        networks.train("behaviour"),
        *when_due(
            [
                networks.train("actor_0", 1 + (spec.w2.num_samples if by_samples else 0)),
                networks.forward("behaviour"),
                *networks.judge(),
            ]
        ),
    ]


def _awac(networks: Networks) -> list[Pass]:
    return [
        networks.forward("actor_0"),  # at s'
        networks.forward("target_critic"),
        networks.train("critic"),
        networks.forward("critic"),  # Q(s, a), updated
        *networks.samples("actor_0", 1, at_hand=True),  # at s
        networks.forward("critic"),  # V(s) = Q(s, pi)
        networks.train("actor_0"),
    ]


def _cql(networks: Networks) -> list[Pass]:
    hp = networks.spec.hyperparameters
    proposals = hp.num_cql_actions  # of each of three sources
    backups = proposals if hp.max_target_backup else 1
    return [
        networks.train("actor_0"),
        *networks.judge(),
        *networks.samples("actor_0", backups),  # at s'
        networks.forward("target_critic_1", backups),
        networks.forward("target_critic_2", backups),
        *networks.samples("actor_0", proposals, at_hand=True),  # at s'
        *networks.samples("actor_0", proposals, at_hand=True),  # at s
        networks.train("critic_1", 1 + 3 * proposals),
        networks.train("critic_2", 1 + 3 * proposals),
    ]


def _sac_n(networks: Networks) -> list[Pass]:
    # Without a density there is no temperature to train.
    temperature = networks.samples("actor_0", 1, at_hand=True) if networks.spec.actors[0].has_density else []
    return [
        *temperature,
        networks.train("actor_0"),
        *networks.judge(),
        networks.forward("actor_0"),  # at s'
        networks.forward("target_critic"),
        networks.train("critic"),
        networks.forward("critic", needed=False),  # at random actions, for the log
    ]


def _edac(networks: Networks) -> list[Pass]:
    forward = networks.forward("critic", needed=False)  # the TD error's, once more
    # The action's gradient is what the transposed network makes of a one, masks given; the diversity term trains that.
    transposed = replace(networks.train("critic"), sizes=forward.sizes[::-1], needed=False)
    to_actions = (*transposed.sizes[:-1], networks.spec.action_size)
    return [*_sac_n(networks), forward, transposed, replace(transposed, sizes=to_actions, needed=True, original=False)]


def _fql(networks: Networks) -> list[Pass]:
    return [
        networks.forward("actor_0"),  # at s'
        networks.forward("target_critic"),
        networks.train("critic"),
        networks.train("flow"),
        *_flow_actions(networks),
        networks.train("actor_0"),
        *networks.judge(),
        networks.forward("actor_0", needed=False),  # at another latent, for the log
    ]


def _flow_actions(networks: Networks) -> list[Pass]:
    return [networks.forward("flow")] * networks.spec.hyperparameters.flow_steps


def _sac(networks: Networks) -> list[Pass]:
    hp = networks.spec.hyperparameters
    by_samples = hp.actor_gradient == "reinforce"
    return [
        *networks.samples("actor_0", hp.num_critic_updates),  # at s'; its entropy's draws are of the same rows
        *[networks.forward("target_critic"), networks.train("critic")] * hp.num_critic_updates,
        networks.train("actor_0"),
        *([networks.forward("critic", hp.num_actor_samples)] if by_samples else networks.judge()),
    ]


def _chain(networks: Networks) -> list[Pass]:
    spec = networks.spec
    passes = _shared_by_energies(networks) if len(spec.actors) > 1 else []
    for index in range(1, len(spec.actors)):
        actor, reference = spec.actors[index], spec.actors[index - 1]
        method = w2_method(actor, reference)
        of_samples = method == "sinkhorn" or (method == "l2" and spec.w2.exact_points)
        samples = spec.w2.num_samples if of_samples else 1
        passes += [networks.train(actor_name(index)), *_energy(networks)]
        if samples > 1 and networks.reads_latents(index):  # other kinds sample from the energy's own forward pass
            passes.append(networks.train(actor_name(index), samples))
        rows = samples if networks.reads_latents(index - 1) else 1
        passes.append(networks.forward(actor_name(index - 1), rows))
    return passes


def _energy(networks: Networks) -> list[Pass]:
    """What one actor's energy takes beside the actor's own pass."""
    algorithm, energy = networks.spec.algorithm, networks.spec.chain.energy
    if energy == "loss" and algorithm in ("iql", "awac"):  # weighted cloning
        return []
    if energy == "loss" and algorithm == "fql":
        return [*networks.judge(), *_flow_actions(networks)]
    return networks.judge()


def _shared_by_energies(networks: Networks) -> list[Pass]:
    """What the energies of all actors need once, the critics being frozen: advantages and baselines."""
    algorithm, energy = networks.spec.algorithm, networks.spec.chain.energy
    if energy == "value" or algorithm not in ("iql", "awac"):
        return []
    if algorithm == "iql":
        return [networks.forward("value")] + ([networks.forward("target_critic")] if energy == "loss" else [])
    # The baseline is at actor 0's deterministic action: that of actor 1's reference, but for a map of a latent.
    baseline = [networks.forward("actor_0")] if networks.reads_latents(0) else []
    return baseline + [networks.forward("critic")] * (2 if energy == "loss" else 1)


# Which critics judge the actions of energies and of actor 0's loss, and how many of their members; or all, and the
# smallest value's alone is felt.
_JUDGES: dict[str, list[tuple[str, int | Literal["all", "smallest"]]]] = {
    "iql": [("target_critic", "all")],
    "td3_bc": [("critic", 1)],
    "cql": [("critic_1", "all"), ("critic_2", "all")],
    "awac": [("critic", "all")],
    "sac_n": [("critic", "smallest")],
    "edac": [("critic", "smallest")],
    "rebrac": [("critic", "all")],
    "fql": [("critic", "all")],
    "pogo": [("critic", 1)],
    "pogo_gaussian": [("critic", "all")],
    "sac": [("critic", "all")],
}

_ALGORITHMS: dict[str, Callable[[Networks], list[Pass]]] = {
    "iql": _iql,
    "td3_bc": _td3,
    "cql": _cql,
    "awac": _awac,
    "sac_n": _sac_n,
    "edac": _edac,
    "rebrac": _td3,
    "fql": _fql,
    "pogo": _td3,
    "pogo_gaussian": _pogo_gaussian,
    "sac": _sac,
}
