"""Policies as files of JAX's own exporter. Twin: pogo/torch_backend/exports.py."""

from collections.abc import Mapping

import jax
import numpy as np
from jax import Array

from pogo.core.data.preprocessing import Normalisation
from pogo.core.problem.actors import ActorConfig, FlowConfig
from pogo.jax_backend.devices import start_client
from pogo.jax_backend.modules import make_module

PLATFORMS = ("cpu", "cuda")  # that one file runs on


def export_stablehlo(
    config: ActorConfig | FlowConfig,
    parameters: Mapping[str, np.ndarray],
    normalisation: Normalisation,
    inputs: Mapping[str, np.ndarray],
) -> bytes:
    """StableHLO as `jax.export` serialises it, for a CPU and a GPU, its batch of any size.

    Args:
        config: the architecture.
        parameters: canonical.
        normalisation: of observations and actions.
        inputs: examples by name, [n, O] and [n, A], of the types that the file is to take.
    """
    start_client("cpu", None)
    module, variables = make_module(config, parameters, normalisation)

    def act(*arrays: Array) -> Array:
        return module.apply(variables, *arrays)  # type: ignore[return-value] - one output, no state

    is_double = any(values.dtype == np.float64 for values in inputs.values())
    with jax.enable_x64(is_double):
        (batch,) = jax.export.symbolic_shape("batch")
        shapes = [jax.ShapeDtypeStruct((batch, values.shape[1]), values.dtype) for values in inputs.values()]
        exported = jax.export.export(jax.jit(act), platforms=PLATFORMS)(*shapes)
    return bytes(exported.serialize())
