"""Act from an ONNX file, by onnxruntime."""

import sys

import numpy as np
import onnxruntime


def main(file: str, observations: str, actions: str, *noise: str) -> None:
    """Read observations [n, O] (and N(0, 1) draws [n, A], where the file samples), write actions [n, A]."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    arrays = [np.load(path) for path in (observations, *noise)]
    inputs = {entry.name: array for entry, array in zip(session.get_inputs(), arrays, strict=True)}
    np.save(actions, session.run(None, inputs)[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
