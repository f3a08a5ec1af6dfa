"""The replay buffer on torch's device. Twin: pogo/jax_backend/replay_buffer.py."""

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from pogo.core.learner import replay_buffer
from pogo.core.problem.spec import TrainSpec


class ReplayBuffer(replay_buffer.ReplayBuffer):
    """See `pogo.core.learner.replay_buffer.ReplayBuffer`."""

    def __init__(self, capacity: int, spec: TrainSpec, device: torch.device) -> None:
        super().__init__(capacity, spec.observation_size, spec.action_size)
        self.rows = torch.zeros((capacity, self.width), dtype=getattr(torch, spec.dtype), device=device)
        self._held = torch.zeros((), dtype=torch.float64, device=device)

    @property
    def held(self) -> Tensor:
        """How many rows there are, where sampling reads it."""
        return self._held

    @override
    def write(self, slots: np.ndarray, rows: np.ndarray) -> None:
        values = torch.from_numpy(rows).to(self.rows)
        self.rows.index_copy_(0, torch.from_numpy(slots).to(self.rows.device), values)
        self._held.fill_(len(self))

    @override
    def read(self) -> np.ndarray:
        return np.array(self.rows[: len(self)].cpu().numpy(), dtype=np.float32)
