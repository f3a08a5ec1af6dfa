import numpy as np
import pytest

from pogo.core.registry import ALGORITHMS
from tests.learner_checks import LearnerChecks, transitions
from tests.parity.helpers import problem


class TestLearner(LearnerChecks):
    backend = "torch"

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("algorithm", "options"),
        [
            *((name, {}) for name in ALGORITHMS),
            ("cql", {"bc_updates": 6, "target_update_period": 3}),
            ("sac", {"tau": None, "target_update_period": 3, "actor_schedule": "linear", "schedule_updates": 30}),
        ],
    )
    def test_compiled_updates_are_the_same(self, framework, algorithm, options):
        """torch.compile: the same numbers to 1e-5, tensors to 1e-3 of how far they moved, and no recompilation."""
        import torch

        actors = ({"kind": "stochastic"}, {"kind": "tanh_gaussian"}, {"kind": "gaussian"})
        spec = problem(algorithm, "float32", actors, hyperparameters=options)
        make = framework.module("learner").make_learner
        plain = make(spec, 0, transitions(), device="cpu")
        compiled = make(spec, 0, transitions(), device="cpu", compile=True)
        start = plain.snapshot()
        plain.train(4)
        compiled.train(4)
        torch._dynamo.utils.counters.clear()
        seconds = compiled.compile_seconds
        plain.train(16)
        compiled.train(16)
        assert compiled.compile_seconds == seconds > 0
        assert not torch._dynamo.utils.counters["recompiles"]
        ends = plain.snapshot(), compiled.snapshot()
        for name, value in start.items():
            if value.dtype == np.float32:
                np.testing.assert_allclose(ends[1][name], ends[0][name], rtol=1e-5, atol=1e-5, err_msg=name)
                moved = np.linalg.norm(ends[0][name] - value)
                floor = 1e-6 * np.sqrt(value.size)
                assert np.linalg.norm(ends[0][name] - ends[1][name]) <= 1e-3 * moved + floor, name

    @pytest.mark.slow
    def test_compiled_updates_are_the_same_in_float64(self, framework):
        """To float64's own rounding: nothing inside is in float32."""
        spec = problem("edac", "float64")
        make = framework.module("learner").make_learner
        ends = []
        for compiled in (False, True):
            learner = make(spec, 0, transitions(), device="cpu", compile=compiled)
            learner.train(5)
            ends.append(learner.snapshot())
        for name, value in ends[0].items():
            np.testing.assert_allclose(ends[1][name], value, rtol=1e-10, atol=1e-12, err_msg=name)

    def test_a_stream_of_the_other_device_starts_anew(self, framework):
        """As a run of `device=auto` finds it that began on a GPU: there a generator's state is 16 bytes."""
        spec = problem("iql", "float32")
        learner, resumed = (self.make(framework, spec) for _ in range(2))
        learner.train(3)
        arrays = learner.snapshot()
        arrays["stream/torch_cuda"] = arrays.pop("stream/torch")[:16]
        resumed.restore(arrays)
        resumed.train(2)
        assert resumed.updates == 5
