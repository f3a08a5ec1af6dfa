"""Policies as files of torch's own exporters. Twin: pogo/jax_backend/exports.py."""

import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from pogo.core.data.preprocessing import Normalisation
from pogo.core.problem.actors import ActorConfig, FlowConfig
from pogo.torch_backend.modules import make_module

OPSET = 20  # of ONNX: the first with GELU


def export_torch(
    config: ActorConfig | FlowConfig,
    parameters: Mapping[str, np.ndarray],
    normalisation: Normalisation,
    inputs: Mapping[str, np.ndarray],
    card: Mapping[str, Any],
) -> bytes:
    """A .pt2 of `torch.export`, its batch of any size.

    Args:
        config: the architecture.
        parameters: canonical.
        normalisation: of observations and actions.
        inputs: examples by name, [n, O] and [n, A], of the types that the file is to take.
        card: what the file says of itself, in its extra file card.json.
    """
    program = _program(config, parameters, normalisation, inputs)
    image = io.BytesIO()
    torch.export.save(program, image, extra_files={"card.json": json.dumps(card)})
    return image.getvalue()


def export_onnx(
    config: ActorConfig | FlowConfig,
    parameters: Mapping[str, np.ndarray],
    normalisation: Normalisation,
    inputs: Mapping[str, np.ndarray],
    card: Mapping[str, Any],
) -> bytes:
    """An ONNX model of opset `OPSET`, its batch of any size; arguments as `export_torch`."""
    program = _program(config, parameters, normalisation, inputs)
    with _quiet():
        found = torch.onnx.export(
            program, dynamo=True, opset_version=OPSET, verbose=False, input_names=list(inputs), output_names=["actions"]
        )
    assert found is not None
    model = found.model_proto
    for key, value in card.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value if isinstance(value, str) else json.dumps(value)
    return model.SerializeToString()


def _program(
    config: ActorConfig | FlowConfig,
    parameters: Mapping[str, np.ndarray],
    normalisation: Normalisation,
    inputs: Mapping[str, np.ndarray],
) -> torch.export.ExportedProgram:
    module = make_module(config, parameters, normalisation).eval()
    for parameter in module.parameters():
        parameter.data = parameter.data.contiguous()  # a file keeps whole tensors, no views
    batch = torch.export.Dim("batch")
    shapes = {name: {0: batch} for name in inputs}
    with _quiet():
        return torch.export.export(
            module, tuple(torch.from_numpy(values) for values in inputs.values()), dynamic_shapes=shapes
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' advice to their own developers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
