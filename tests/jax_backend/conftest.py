"""What is the JAX backend's alone; what both promise is in tests/backends."""

import pytest

from tests.helpers.framework import Framework


@pytest.fixture
def framework() -> Framework:
    return Framework("jax")
