import numpy as np
import pytest

from pogo.core.algorithms import ALGORITHMS
from pogo.core.errors import BadInput
from tests.helpers.learners import make, trained, transitions, without_later_actors, without_window
from tests.helpers.problems import problem
from tests.helpers.slow import quick


@pytest.mark.parametrize("dtype", quick(["float32", "float64"], ["float32"]))
@pytest.mark.parametrize(
    ("algorithm", "hyperparameters"), [*((name, {}) for name in ALGORITHMS), ("iql", {"actor_dropout": 0.2})]
)
def test_the_chain_does_not_move_actor_0(framework, algorithm, hyperparameters, dtype):
    """Critics and actor 0, batches and draws, to the bit, whatever comes after actor 0."""
    plain = trained(framework, 1, algorithm, dtype, hyperparameters=hyperparameters)
    assert len(plain) > 4
    for num_actors in (3, 5):
        chain = trained(framework, num_actors, algorithm, dtype, hyperparameters=hyperparameters)
        assert chain.keys() == plain.keys()
        differing = [name for name, value in plain.items() if not np.array_equal(value, chain[name])]
        assert not differing, f"with {num_actors} actors"


def test_an_actor_does_not_depend_on_how_many_follow(framework):
    kinds = ({"kind": "gaussian"}, {"kind": "stochastic"}, {"kind": "tanh_gaussian"}, {"kind": "stochastic"})
    short, long = (make(framework, problem("iql", "float32", kinds[:n], num_actors=n)) for n in (2, 4))
    short.train(20)
    long.train(20)
    found = long.snapshot()
    assert all(np.array_equal(value, found[name]) for name, value in without_window(short.snapshot()).items())


def test_an_older_checkpoint_of_one_stream_goes_on(framework, caplog):
    """Its batches go on as they were; the later actors' draws begin anew, which is said."""
    spec = problem("iql", "float32")
    learner, older = make(framework, spec), make(framework, spec)
    learner.train(5)
    arrays = learner.snapshot()
    with caplog.at_level("INFO"):
        older.restore({name: value for name, value in arrays.items() if not name.startswith("stream/torch/")})
    assert "drew from the batches' stream: theirs restart here" in caplog.text
    learner.train(5)
    older.train(5)
    ours, theirs = without_later_actors(learner.snapshot()), without_later_actors(older.snapshot())
    assert all(np.array_equal(value, theirs[name]) for name, value in ours.items())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "options"),
    [
        *((name, {}) for name in ALGORITHMS),
        ("cql", {"bc_updates": 6, "target_update_period": 3}),
        ("sac", {"tau": None, "target_update_period": 3, "actor_schedule": "linear", "schedule_updates": 30}),
    ],
)
def test_compiled_updates_are_the_same(framework, algorithm, options):
    """torch.compile: the same numbers to 1e-5, tensors to 1e-3 of how far they moved, and no recompilation.

    Update by update, each from the same state: float32 has draws where one row's rounding shows, at a ReLU's kink
    or where EDAC divides by the length of a gradient, and what it moves would be carried on. Two of 16 may be such;
    float64 has none (the next test).
    """
    import torch

    actors = ({"kind": "stochastic"}, {"kind": "tanh_gaussian"}, {"kind": "gaussian"})
    spec = problem(algorithm, "float32", actors, hyperparameters=options)
    make = framework.module("learner").make_learner
    plain = make(spec, 0, transitions(), device="cpu")
    compiled = make(spec, 0, transitions(), device="cpu", compile=True)
    announced: list[float] = []
    compiled.on_compile = lambda: announced.append(compiled.compile_seconds)
    compiled.train(4)
    assert announced[0] == 0.0, "it is said before, and once for each kind of update"
    assert sorted(set(announced)) == announced
    said = len(announced)
    torch._dynamo.utils.counters.clear()
    seconds = compiled.compile_seconds
    compiled.train(16)
    assert compiled.compile_seconds == seconds > 0
    assert len(announced) == said
    off = {}
    for update in range(16):
        start = plain.snapshot()
        compiled.restore(start)
        plain.train(1)
        compiled.train(1)
        if names := differences(start, plain.snapshot(), compiled.snapshot()):
            off[update] = names
    assert not torch._dynamo.utils.counters["recompiles"]
    assert len(off) <= 2, off


@staticmethod
def differences(start, plain, compiled) -> list[str]:
    """Names of tensors that a compiled run has other numbers for."""
    off = []
    for name, value in start.items():
        if value.dtype == np.float32:
            moved = np.linalg.norm(plain[name] - value)
            floor = 1e-6 * np.sqrt(value.size)
            alike = np.allclose(compiled[name], plain[name], rtol=1e-5, atol=1e-5)
            if not (alike and np.linalg.norm(plain[name] - compiled[name]) <= 1e-3 * moved + floor):
                off.append(name)
    return off


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_compiled_updates_are_the_same_in_float64(framework, algorithm):
    """To float64's own rounding: nothing inside is in float32."""
    spec = problem(algorithm, "float64")
    make = framework.module("learner").make_learner
    ends = []
    for compiled in (False, True):
        learner = make(spec, 0, transitions(), device="cpu", compile=compiled)
        learner.train(5)
        ends.append(learner.snapshot())
    for name, value in ends[0].items():
        np.testing.assert_allclose(ends[1][name], value, rtol=1e-10, atol=1e-12, err_msg=name)


def test_a_stream_of_the_other_device_starts_anew(framework):
    """As a run of `device=auto` finds it that began on a GPU: there a generator's state is 16 bytes."""
    spec = problem("iql", "float32")
    learner, resumed = (make(framework, spec) for _ in range(2))
    learner.train(3)
    arrays = learner.snapshot()
    arrays["stream/torch_cuda"] = arrays.pop("stream/torch")[:16]
    resumed.restore(arrays)
    resumed.train(2)
    assert resumed.updates == 5


def test_compiling_without_a_compiler_is_refused(framework, monkeypatch):
    import torch._inductor.cpp_builder as builder

    def none_found():
        raise RuntimeError("No working C++ compiler found\nin ...")

    spec, make = problem("td3_bc", "float32"), framework.module("learner").make_learner
    monkeypatch.setattr(builder, "get_cpp_compiler", none_found)
    with pytest.raises(BadInput, match=r"backend\.compile=true needs a C\+\+ compiler .*none works here \(No working"):
        make(spec, 0, transitions(), device="cpu", compile=True)
    monkeypatch.setattr(builder, "get_cpp_compiler", lambda: "/nonexistent/g++")
    with pytest.raises(BadInput, match=r"install g\+\+ or name one by CXX, or use backend\.compile=false"):
        make(spec, 0, transitions(), device="cpu", compile=True)
