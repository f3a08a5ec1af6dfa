"""What is refused of a file whatever its algorithm, and what is read."""

import json
import struct
import zipfile
import zlib

import numpy as np
import pytest

from pogo.core.errors import BadInput
from pogo.core.verify.recording import Recording


def drop(arrays, *starts):
    for name in [name for name in arrays if name.startswith(starts)]:
        del arrays[name]


def restart(arrays):
    for name in [name for name in arrays if name.startswith("params/5/")]:
        arrays[name] = arrays[name.replace("params/5", "init")]


KERNEL = "critic_1/dense_0/kernel"
REFUSED = {
    "no algorithm": (lambda arrays, meta: meta.pop("algorithm"), "`meta` has no `algorithm`"),
    "algorithm a number": (lambda arrays, meta: meta.update(algorithm=3), "`algorithm` in `meta` is 3, not a name"),
    "precision": (lambda arrays, meta: meta.update(precision="float16"), "'float16'; use float32 or float64"),
    "hyperparameters a list": (lambda arrays, meta: meta.update(hyperparameters=[1]), "`hyperparameters` in `meta`"),
    "no dims": (lambda arrays, meta: meta.update(dims=None), "`dims` in `meta` is None"),
    "no steps": (lambda arrays, meta: meta["dims"].update(steps=0), "`steps` in `dims` is 0"),
    "steps a word": (lambda arrays, meta: meta["dims"].update(steps="5"), "`steps` in `dims` is '5'"),
    "steps past the batches": (lambda arrays, meta: meta["dims"].update(steps=6), "no batch/6/... of its 6 `steps`"),
    "no param_steps": (lambda arrays, meta: meta.update(param_steps=[]), "`param_steps` in `meta` is empty"),
    "param_steps from 0": (lambda arrays, meta: meta.update(param_steps=[0, 1]), "has 0; use updates from 1 to 5"),
    "param_steps past the end": (lambda arrays, meta: meta.update(param_steps=[6]), "has 6; use updates from 1 to 5"),
    "param_steps of words": (lambda arrays, meta: meta.update(param_steps=["1"]), "has '1'; use updates from 1 to 5"),
    "param_steps too few": (lambda arrays, meta: meta.update(param_steps=[1]), "params/5/... is stored, but not in"),
    "no params": (lambda arrays, meta: drop(arrays, "params/"), "params/1/.* is missing; store every tensor"),
    "no params of an update": (lambda arrays, meta: drop(arrays, "params/5"), "params/5/.* is missing"),
    "a tensor less": (lambda arrays, meta: drop(arrays, "params/5/value/dense_0/bias"), "params/5/value/dense_0/bias"),
    "a target less": (lambda arrays, meta: drop(arrays, "params/5/target_critic_2"), "params/5/target_critic_2/"),
    "params without a start": (lambda arrays, meta: drop(arrays, f"init/{KERNEL}"), f"but init/{KERNEL} is not"),
    "params of another shape": (
        lambda arrays, meta: arrays.update({f"params/5/{KERNEL}": np.zeros((32, 7))}),
        rf"params/5/{KERNEL} has shape \(32, 7\), but init/{KERNEL} has \(7, 32\)",
    ),
    "params that never moved": (lambda arrays, meta: restart(arrays), "params/5/... are init/... to the bit"),
    "no init": (lambda arrays, meta: drop(arrays, "init/"), "holds no `init/...` arrays"),
    "half a target": (
        lambda arrays, meta: drop(arrays, "init/target_critic_1/dense_1", "params/1/target", "params/5/target"),
        "init/target_critic_1/dense_1/.* is missing beside others of its network",
    ),
    "no metrics of an update": (lambda arrays, meta: drop(arrays, "metrics/3"), "holds no metrics/3/..."),
    "a metric of several numbers": (
        lambda arrays, meta: arrays.update({"metrics/2/q_loss": np.ones(3)}),
        r"metrics/2/q_loss has shape \(3,\); a metric is one number",
    ),
    "a metric in words": (
        lambda arrays, meta: arrays.update({"metrics/2/q_loss": np.array("low")}),
        "metrics/2/q_loss",
    ),
    "a draw without a number": (
        lambda arrays, meta: arrays.update({"noise/2/a_normal": np.ones(3)}),
        "noise/2 holds a_normal; name draws 0_<kind>",
    ),
    "draws from 1": (lambda arrays, meta: arrays.update({"noise/2/1_normal": np.ones(3)}), "noise/2 holds 1_normal"),
    "a batch of words": (lambda arrays, meta: arrays.update({"batch/1/rewards": np.array(["a"])}), "batch/1/rewards"),
    "an empty array": (lambda arrays, meta: arrays.update({f"init/{KERNEL}": np.ones((7, 0))}), f"init/{KERNEL} is no"),
    "not a number in a batch": (
        lambda arrays, meta: arrays["batch/4/rewards"].fill(np.nan),
        "batch/4/rewards is not finite in float64",
    ),
    "infinity at the start": (
        lambda arrays, meta: arrays[f"init/{KERNEL}"].fill(np.inf),
        f"init/{KERNEL} is not finite",
    ),
    "infinity drawn": (lambda arrays, meta: arrays.update({"noise/2/0_normal": np.array(-np.inf)}), "noise/2/0_normal"),
    "too large for the precision": (
        lambda arrays, meta: (meta.update(precision="float32"), arrays.update({"batch/4/rewards": np.full(32, 1e300)})),
        "batch/4/rewards is not finite in float32",
    ),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(changed, change, message):
    with pytest.raises(BadInput, match=message) as caught:
        changed("iql_f64", change)
    assert "golden file " in str(caught.value)
    assert "iql_f64.npz: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unchanged_file_is_read(changed):
    recording = changed("iql_f64", lambda arrays, meta: None)
    assert (recording.algorithm, recording.dtype, recording.steps, recording.param_steps) == (
        "iql",
        "float64",
        5,
        [1, 5],
    )
    assert set(recording.batch(5)) == {"observations", "actions", "rewards", "next_observations", "terminals"}
    assert all(value.dtype == np.float64 for value in recording.batch(5).values())
    draws = changed("sac_n_f64", lambda arrays, meta: None).draws(2)
    assert [draw.kind for draw in draws] == ["normal", "normal", "normal", "uniform01"]


def test_targets_that_are_not_stored_start_as_copies(changed):
    recording = changed(
        "iql_f64", lambda arrays, meta: drop(arrays, "init/target", "params/1/target", "params/5/target")
    )
    assert (recording.init[f"target_{KERNEL}"] == recording.init[KERNEL]).all()
    assert f"target_{KERNEL}" not in recording.params(5)


@pytest.mark.parametrize("meta", ["{", "[" * 100_000, "[]"])
def test_a_meta_that_is_none(tmp_path, meta):
    np.savez(tmp_path / "odd.npz", meta=np.array(meta))
    with pytest.raises(BadInput, match="`meta`"):
        Recording(tmp_path / "odd.npz")


def test_a_lone_array_is_no_recording(tmp_path):
    np.save(tmp_path / "odd.npy", np.array(json.dumps({})))
    (tmp_path / "odd.npy").rename(tmp_path / "odd.npz")
    with pytest.raises(BadInput, match="is not a readable"):
        Recording(tmp_path / "odd.npz")


def test_flipped_and_cut_files_are_refused_or_read(changed, tmp_path):
    whole = changed("td3_bc_f64", lambda arrays, meta: None).path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for index, place in enumerate(rng.integers(len(whole), size=40)):
        broken = bytearray(whole[:place] if index % 2 else whole)
        if index % 2 == 0:
            broken[place] ^= 1 << int(rng.integers(8))
        (tmp_path / "odd.npz").write_bytes(broken)
        try:
            Recording(tmp_path / "odd.npz")
        except BadInput as error:
            assert "\n" not in str(error)  # noqa: PT017 - some flips are of bytes that nobody reads
            refused += 1
    assert refused > 30


def test_a_compressed_member_that_is_damaged(tmp_path):
    np.savez_compressed(tmp_path / "odd.npz", meta=np.array("{}"))
    broken = bytearray((tmp_path / "odd.npz").read_bytes())
    name_length, extra_length = struct.unpack("<HH", broken[26:30])
    broken[30 + name_length + extra_length] = 7  # deflate knows no block of type 3
    (tmp_path / "odd.npz").write_bytes(broken)
    with pytest.raises(BadInput, match="is not a readable") as caught:
        Recording(tmp_path / "odd.npz")
    assert isinstance(caught.value.__cause__, zlib.error)


@pytest.mark.parametrize("literal", ["{'descr':\x17_}", "{[]: 1}", "{1: 1, 'descr': 2}", "(" * 500, "7"])
def test_a_header_that_is_none(tmp_path, literal):
    header = literal.encode("latin1")
    with zipfile.ZipFile(tmp_path / "odd.npz", "w") as archive:
        archive.writestr("meta.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    with pytest.raises(BadInput, match="is not a readable"):
        Recording(tmp_path / "odd.npz")
