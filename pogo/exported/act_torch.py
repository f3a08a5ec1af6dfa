"""Act from a .pt2 file of torch.export."""

import sys

import numpy as np
import torch


def main(file: str, observations: str, actions: str, *noise: str) -> None:
    """Read observations [n, O] (and N(0, 1) draws [n, A], where the file samples), write actions [n, A]."""
    policy = torch.export.load(file).module()
    with torch.no_grad():
        result = policy(*(torch.from_numpy(np.load(path)) for path in (observations, *noise)))
    np.save(actions, result.numpy())


if __name__ == "__main__":
    main(*sys.argv[1:])
