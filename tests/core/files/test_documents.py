"""Numbers and plain JSON from whatever a run holds."""

import fractions
import math
from collections import OrderedDict

import numpy as np
import pytest

from pogo.core.files.documents import as_json, as_null, as_number


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3),
        (0.1, 0.1),
        (True, True),
        (np.float32(0.1), float(np.float32(0.1))),
        (np.float64(0.1), 0.1),
        (np.int64(-7), -7),
        (np.bool_(False), False),
        (np.array(2.5), 2.5),
        (fractions.Fraction(1, 4), 0.25),
        (2**70, 2**70),
    ],
)
def test_scalars_become_numbers(value: object, number: float) -> None:
    assert as_number("m", value) == number
    assert isinstance(as_number("m", value), bool | int | float)


def test_torch_scalars_become_numbers() -> None:
    torch = pytest.importorskip("torch")
    assert as_number("m", torch.tensor(0.5)) == 0.5
    assert as_number("m", torch.tensor(3)) == 3
    assert as_number("m", torch.tensor(0.5, requires_grad=True) * 2) == 1.0
    assert as_number("m", torch.tensor(0.5, dtype=torch.bfloat16)) == 0.5
    with pytest.raises(TypeError, match=r"loss must be one real number, got an array of shape \(1,\)"):
        as_number("loss", torch.ones(1))


def test_jax_scalars_become_numbers() -> None:
    jnp = pytest.importorskip("jax.numpy")
    assert as_number("m", jnp.asarray(0.5)) == 0.5
    assert as_number("m", jnp.asarray(3)) == 3
    assert as_number("m", jnp.asarray(0.5, dtype=jnp.bfloat16)) == 0.5
    with pytest.raises(TypeError, match=r"loss must be one real number, got an array of shape \(2,\)"):
        as_number("loss", jnp.ones(2))


def test_a_traced_value_is_refused_by_name() -> None:
    jax = pytest.importorskip("jax")
    with pytest.raises(TypeError, match="loss has no value to read"):
        jax.jit(lambda x: as_number("loss", x))(1.0)


@pytest.mark.parametrize(
    "value",
    [np.zeros(1), np.zeros((2, 2)), [1.0], (1.0,), {"a": 1}, "1.0", None, 1j, np.complex64(1), np.datetime64(0, "s")],
)
def test_what_is_not_one_real_number_is_refused_by_name(value: object) -> None:
    with pytest.raises(TypeError, match="critic_loss must be one real number, got"):
        as_number("critic_loss", value)


def test_documents_become_plain_and_sorted() -> None:
    document = OrderedDict(b=(1, np.float32(2)), a={"z": None, "y": [True, "text", math.inf]})
    plain = as_json(document, "d", as_null)
    assert plain == {"a": {"y": [True, "text", None], "z": None}, "b": [1, 2.0]}
    assert isinstance(plain, dict)
    assert list(plain) == ["a", "b"]


def test_a_value_without_json_form_is_refused_by_its_place() -> None:
    with pytest.raises(TypeError, match=r"d/a/1 must be one real number, got bytes"):
        as_json({"a": [0, b"x"]}, "d", as_null)
    with pytest.raises(TypeError, match="d/a has the key 1"):
        as_json({"a": {1: 0}}, "d", as_null)
