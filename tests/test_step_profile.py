"""benchmarks/step_profile.py: what it takes from a trace of JAX, by hand-made traces of either device."""

from typing import Any

from benchmarks.step_profile import table, xla_operations


def named(pid: int, process: str, tid: int, thread: str) -> list[dict[str, Any]]:
    return [
        {"ph": "M", "pid": pid, "name": "process_name", "args": {"name": process}},
        {"ph": "M", "pid": pid, "tid": tid, "name": "thread_name", "args": {"name": thread}},
    ]


def ran(pid: int, tid: int, name: str, microseconds: float) -> dict[str, Any]:
    return {"ph": "X", "pid": pid, "tid": tid, "name": name, "dur": microseconds, "ts": 0}


EVENTS = [
    *named(1, "/device:GPU:0", 7, "Stream #7(Compute)"),
    *named(1, "/device:GPU:0", 8, "XLA Ops"),  # the same time once more
    *named(2, "/host:CPU", 9, "tf_XLAEigen/9"),
    ran(1, 7, "loop_add_fusion_12", 30.0),
    ran(1, 7, "loop_add_fusion", 10.0),
    ran(1, 7, "gemm_kernel", 60.0),
    ran(1, 8, "loop_add_fusion_12", 30.0),
    ran(2, 9, "dot.4", 5.0),
    ran(2, 9, "dot.17", 5.0),
    ran(2, 9, "while.2", 100.0),
    ran(2, 9, "ThunkExecutor::Execute", 100.0),
]


def test_kernels_of_a_gpu_are_those_of_its_streams() -> None:
    seconds, calls = xla_operations(EVENTS, on_gpu=True)
    assert {name: round(1e6 * spent) for name, spent in seconds.items()} == {"loop_add_fusion": 40, "gemm_kernel": 60}
    assert calls == {"loop_add_fusion": 2, "gemm_kernel": 1}


def test_thunks_of_a_cpu_are_counted_once() -> None:
    seconds, calls = xla_operations(EVENTS, on_gpu=False)
    assert {name: round(1e6 * spent) for name, spent in seconds.items()} == {"dot": 10}
    assert calls == {"dot": 2}


def test_the_table_says_how_long_the_device_worked() -> None:
    shown = table(*xla_operations(EVENTS, on_gpu=True), 400e-6)
    assert "| `gemm_kernel` | 0 | 0.002 | 60% |" in shown
    assert shown.endswith("0.00 of 0.01 ms per update, traced: 25%.")
