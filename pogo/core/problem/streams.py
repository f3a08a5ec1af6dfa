"""Random streams: every use of randomness gets its own, split from the run's seed by name."""

import zlib

import numpy as np


def stream(seed: int, name: str, *indices: int) -> np.random.SeedSequence:
    """The seed of one named stream.

    Streams are children of the run's seed, told apart by their name and indices, so that two runs with
    neighbouring seeds, or two uses within a run, never share numbers (adding an offset to a seed would let them).
    """
    return np.random.SeedSequence(entropy=seed, spawn_key=(zlib.crc32(name.encode()), *indices))


def generator(seed: int, name: str, *indices: int) -> np.random.Generator:
    """A numpy generator on the named stream."""
    return np.random.Generator(np.random.PCG64(stream(seed, name, *indices)))


def seed_words(seed: int, name: str, *indices: int) -> tuple[int, int]:
    """Two 32-bit words of the named stream: what seeds a backend's own generator."""
    high, low = stream(seed, name, *indices).generate_state(2)
    return int(high), int(low)
