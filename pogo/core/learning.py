"""What one update is fed, from a training problem alone."""

from pogo.core.algorithms import load_algorithm
from pogo.core.chain import chain_noise_spec
from pogo.core.interface import TrainSpec
from pogo.core.noise import Draw


def update_noise_spec(spec: TrainSpec) -> dict[str, Draw]:
    """Every random draw of one update: the algorithm's own and the chain's."""
    own = dict(load_algorithm(spec.algorithm).noise_spec(spec))
    return own | chain_noise_spec(spec.actors, spec.w2, spec.batch_size, spec.action_size)


def batch_arrays(spec: TrainSpec) -> tuple[str, ...]:
    """The arrays of a batch that the algorithm reads."""
    return load_algorithm(spec.algorithm).batch_arrays
