"""Whole updates as CUDA graphs: one launch an update, where Python would launch hundreds of kernels.

JAX has no twin of this: its compiled loop is one program already.
"""

from collections.abc import Callable, Hashable, Sequence

import torch

WARM_UP_UPDATES = 3  # real updates, run as usual: libraries allocate their workspaces in them


class GraphedSteps:
    """Runs a step that changes a fixed set of tensors in place: first as it is, then captured, then replayed.

    Updates that move other networks launch other kernels, so each kind has a graph of its own.
    """

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self._generators = generators  # all that a step draws from
        self._runs: dict[Hashable, int] = {}
        self._graphs: dict[Hashable, torch.cuda.CUDAGraph] = {}
        self._stream = torch.cuda.Stream()

    def run(self, kind: Hashable, step: Callable[[], None]) -> None:
        """One step of the given kind."""
        runs = self._runs.get(kind, 0)
        self._runs[kind] = runs + 1
        if runs < WARM_UP_UPDATES:
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                step()
            torch.cuda.current_stream().wait_stream(self._stream)
            return
        if runs == WARM_UP_UPDATES:
            graph = torch.cuda.CUDAGraph()
            for generator in self._generators:
                graph.register_generator_state(generator)
            with torch.cuda.graph(graph):  # records the step without running it
                step()
            self._graphs[kind] = graph
        self._graphs[kind].replay()
