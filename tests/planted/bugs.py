"""Bugs to plant in pogo's source, one at a time, and the tests that catch each.

Those in the mathematics of the backends are planted by tests/parity/test_planted_bugs.py, in every run of the suite.
These are in what both share: data, environments, files, config, runs. `make planted-bugs` plants each in a copy of the
tree and expects its tests to fail; `make test` holds that each still names a place in the source.
"""

from typing import NamedTuple


class Bug(NamedTuple):
    """One edit of one file."""

    what: str
    file: str  # in pogo/
    old: str  # once in the file
    new: str
    caught_by: str  # arguments of pytest, in tests/


DATA, FILES, RUNS, CONFIG = "core/data", "core/files", "core/runs", "core/config"
BUGS = (
    # Data.
    Bug(
        "time-outs are inferred a row late",
        f"{DATA}/views.py",
        "== max_episode_steps - 1\n",
        "== 0\n",
        "core/data/test_views.py",
    ),
    Bug("time-outs are kept", f"{DATA}/views.py", "~timeouts[:-1]", "timeouts[:-1] | True", "core/data/test_views.py"),
    Bug(
        "the next observation is the row's own",
        f"{DATA}/views.py",
        "raw.observations[kept + 1]",
        "raw.observations[kept]",
        "core/data/test_views.py",
    ),
    Bug(
        "the next action is two rows on",
        f"{DATA}/views.py",
        "np.minimum(rows + 1, len(raw) - 1)",
        "np.minimum(rows + 2, len(raw) - 1)",
        "core/data/test_views.py",
    ),
    Bug(
        "true ends bootstrap",
        f"{DATA}/views.py",
        "terminals=raw.terminals[kept].astype(np.float32)",
        "terminals=0 * raw.terminals[kept].astype(np.float32)",
        "core/data/test_views.py",
    ),
    Bug(
        "returns are of windows of 999 rows",
        f"{DATA}/preprocessing.py",
        "min(left + RETURN_WINDOW, stop)",
        "min(left + RETURN_WINDOW - 1, stop)",
        "core/data/test_preprocessing.py",
    ),
    Bug(
        "the sample standard deviation",
        f"{DATA}/preprocessing.py",
        "np.sqrt(squares / len(observations))",
        "np.sqrt(squares / (len(observations) - 1))",
        "core/data/test_preprocessing.py",
    ),
    Bug(
        "the reward shift is taken off",
        "core/online/collector.py",
        "* self._normalisation.reward_scale + self._normalisation.reward_shift",
        "* self._normalisation.reward_scale - self._normalisation.reward_shift",
        "core/online/test_collector.py",
    ),
    Bug(
        "actions in units of the bounds are scaled by the whole box",
        f"{DATA}/rules.py",
        "middle, half = (low + high) / 2, (high - low) / 2",
        "middle, half = (low + high) / 2, (high - low)",
        "core/data/test_own_files.py core/data/test_random_datasets.py",
    ),
    Bug(
        "a row that is both ends is a time-out",
        f"{DATA}/rules.py",
        "return as_true_ends(replace(raw, timeouts=",
        "return (replace(raw, timeouts=",
        "core/data",
    ),
    Bug(
        "a mirror's digest is not compared",
        f"{DATA}/loading.py",
        "digest != BUNDLED[config.name][1]",
        "len(digest) != 64",
        "core/data/test_loading.py",
    ),
    Bug(
        "a score is not in hundredths",
        f"{DATA}/scores.py",
        "return 100.0 *",
        "return 1.0 *",
        "core/data/test_loading.py",
    ),
    Bug(
        "true ends of OGBench's files are where a trajectory stops",
        f"{DATA}/npz_file.py",
        'plain | {"terminals": solved, "timeouts": stops & ~solved}',
        'plain | {"terminals": stops, "timeouts": stops & ~stops}',
        "core/data/test_npz_file.py",
    ),
    # Environments and collection.
    Bug(
        "actions are not cut at the environment's bounds",
        "core/environments/spec.py",
        "np.clip(wanted, self.action_low, self.action_high)",
        "np.asarray(wanted)",
        "core/environments core/online",
    ),
    Bug(
        "a time-out at a true end counts",
        "core/online/collector.py",
        "(truncated & ~terminated)",
        "truncated",
        "core/online/test_collector.py",
    ),
    Bug(
        "a restored collector does not repeat its episodes",
        "core/online/collector.py",
        "            self._repeat(index, history)\n",
        "            pass\n",
        "core/online/test_collector.py",
    ),
    Bug(
        "every episode starts from the same seed",
        "core/online/collector.py",
        "index, int(self._episodes[index]))",
        "index, 0)",
        "core/online/test_collector.py",
    ),
    Bug(
        "the replay buffer's oldest row is one on",
        "core/learner/replay_buffer.py",
        "np.roll(self.read(), -oldest, axis=0)",
        "np.roll(self.read(), -oldest - 1, axis=0)",
        "core/learner/test_replay_buffer.py",
    ),
    Bug(
        "the replay buffer forgets how much it was given",
        "core/learner/replay_buffer.py",
        "self.inserted = int(inserted)",
        "self.inserted = len(rows)",
        "core/learner/test_replay_buffer.py",
    ),
    # Files.
    Bug(
        "a checkpoint's digest is not compared",
        f"{FILES}/checkpoint.py",
        'if hashlib.sha256(data).hexdigest() != files[name]["sha256"]:',
        "if False:",
        "core/files/test_checkpoint.py",
    ),
    Bug(
        "a checkpoint of another step is taken",
        f"{FILES}/checkpoint.py",
        'if document.get("step") != step:',
        "if False:",
        "core/files/test_checkpoint.py",
    ),
    Bug(
        "one checkpoint too few is kept",
        f"{FILES}/checkpoint.py",
        "self.steps()[: -self.keep]",
        "self.steps()[: 1 - self.keep]",
        "core/files/test_checkpoint.py",
    ),
    Bug(
        "a checkpoint's files may be links",
        f"{FILES}/checkpoint.py",
        "os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK",
        "os.O_RDONLY | os.O_NONBLOCK",
        "core/files/test_checkpoint.py",
    ),
    Bug(
        "a file is not flushed before it counts",
        f"{FILES}/durable.py",
        "        write_all(descriptor, data)\n        os.fsync(descriptor)\n",
        "        write_all(descriptor, data)\n",
        "core/files",
    ),
    Bug(
        "a folder's entries are not flushed",
        f"{FILES}/durable.py",
        "    path.mkdir(exist_ok=True)\n    sync_folder(path.parent)\n",
        "    path.mkdir(exist_ok=True)\n",
        "core/files",
    ),
    # Config.
    Bug(
        "a bound is exclusive",
        "core/setting.py",
        "not value >= self.least",
        "not value > self.least",
        "core/config test_errors.py",
    ),
    Bug(
        "inferred settings are filled though given",
        f"{CONFIG}/resolution.py",
        "        if self[key] is None:\n",
        "        if True:\n",
        "core/config test_sweep.py",
    ),
    Bug(
        "one actor more than the weights weigh",
        f"{CONFIG}/resolution.py",
        "len(draft[key]) + 1",
        "len(draft[key]) + 2",
        "core/config/test_search_path.py",
    ),
    Bug(
        "last_w2_weight stands for the first",
        f"{CONFIG}/resolution.py",
        "[*weights[:-1], last]",
        "[last, *weights[1:]]",
        "core/config test_sweep.py",
    ),
    Bug(
        "published settings are not read",
        f"{CONFIG}/published.py",
        "OmegaConf.update(nested, key, value)",
        "pass",
        "core/config/test_published.py",
    ),
    Bug(
        "a seed tells runs apart",
        f"{CONFIG}/schema.py",
        "most=LARGEST_SEED, identity=False, label=True)",
        "most=LARGEST_SEED)",
        "core/runs/test_report.py",
    ),
    Bug(
        "a resumed run may change its batch size",
        f"{CONFIG}/schema.py",
        "batch_size: int = setting(256,",
        'batch_size: int = setting(256, on_resume="free",',
        "test_docs.py",
    ),
    # Runs.
    Bug(
        "an evaluation is an interval late",
        f"{RUNS}/loop.py",
        "every > 0 and self._now // every > self._seen // every",
        "every > 0 and self._now // every > self._seen // every + 1",
        "test_runs.py -k schedule or evaluat or log",
    ),
    Bug(
        "the window of the log is not closed",
        f"{RUNS}/loop.py",
        "        self._window = (self._now, 0.0)\n\n    def _at_boundary",
        "\n    def _at_boundary",
        "test_runs.py -k speeds",
    ),
    Bug(
        "the population standard deviation over seeds",
        f"{RUNS}/report.py",
        "return stdev(values) if",
        "return stdev(values) * 0.7 if",
        "core/runs/test_report.py",
    ),
    Bug(
        "a mean of scores over fewer seeds",
        f"{RUNS}/report.py",
        "if len(scores) < len(returns):",
        "if False:",
        "core/runs/test_report.py",
    ),
    Bug(
        "a resumed run forgets the time it has taken",
        f"{RUNS}/seed_run.py",
        "total = self._before + spent\n        progress",
        "total = spent\n        progress",
        "test_resume.py -k time",
    ),
    Bug(
        "a resumed run appends to its logs",
        f"{RUNS}/training.py",
        "resume_from=None if point is None else point.progress.log_positions",
        "resume_from=None",
        "test_resume.py",
    ),
    Bug(
        "an owed evaluation is forgotten",
        f"{RUNS}/seed_run.py",
        "self.owes_evaluation = progress.owes_evaluation",
        "self.owes_evaluation = False",
        "test_resume.py",
    ),
    Bug(
        "two runs may share a folder",
        "core/system/machine.py",
        "    except BlockingIOError:\n        return False\n",
        "    except BlockingIOError:\n        return True\n",
        "core/system",
    ),
    Bug(
        "a run with changed settings goes on",
        f"{RUNS}/resume.py",
        "    if changes:\n        raise BadInput(\n            f\"{plan.run_dir} was begun",
        "    if False:\n        raise BadInput(\n            f\"{plan.run_dir} was begun",
        "test_resume.py",
    ),
    Bug(
        "a source's critics are not taken over",
        f"{RUNS}/warm_start.py",
        "range(len(spec.actors))), *_CRITICS]",
        "range(len(spec.actors)))]",
        "online/test_warm_start.py",
    ),
    # What both backends start from.
    Bug(
        "later actors draw their own start",
        "core/problem/spec.py",
        'self.chain.init == "copy"',
        'self.chain.init == "other"',
        "backends/test_chain.py core",
    ),
    Bug(
        "metrics of actors count every update",
        "core/problem/chain.py",
        "return Moves(base, base and due,",
        "return Moves(base, base,",
        "backends/test_phases.py core/learner",
    ),
    Bug(
        "a parameter that is not finite is saved",
        "core/learner/metrics.py",
        "        and not np.isfinite(array).all()\n",
        "        and False\n",
        "core/learner",
    ),
    # From Python.
    Bug(
        "a torch module forgets the spread of observations",
        "torch_backend/modules.py",
        "(inside - self.observation_mean) / self.observation_std",
        "inside - self.observation_mean",
        "api/test_modules.py",
    ),
    Bug(
        "a flax module forgets the actions' middle",
        "jax_backend/modules.py",
        'scaling["action_middle"] + scaling["action_half"]',
        'scaling["action_half"]',
        "api/test_modules.py",
    ),
    Bug(
        "a torch module starts its flow elsewhere",
        "torch_backend/modules.py",
        "step / steps)",
        "(step + 1) / steps)",
        "api/test_modules.py",
    ),
    Bug(
        "a batch that is filled up loses its last rows",
        "jax_backend/acting.py",
        "[:count]",
        "[: max(1, count - 1)]",
        "api/test_run.py",
    ),
    Bug(
        "a policy's seed is not taken",
        "api/policy.py",
        "return np.random.default_rng(seed)",
        "return np.random.default_rng()",
        "api/test_run.py",
    ),
    Bug(
        "a deterministic policy samples",
        "api/policy.py",
        "(self._always_samples or not deterministic)",
        "True",
        "api/test_run.py",
    ),
    Bug(
        "values are of unscaled actions",
        f"{DATA}/preprocessing.py",
        "np.clip((actions - middle) / half, -1.0, 1.0)",
        "np.clip(actions, -1.0, 1.0)",
        "api/test_run.py",
    ),
    Bug(
        "a callback's answer is not heard",
        f"{RUNS}/listener.py",
        "if answer is False:",
        "if answer is True:",
        "api/test_training.py",
    ),
    Bug(
        "a signal ends with the run",
        "api/training.py",
        "    if stop.signal_number is not None:",
        "    if stop.signal_number == 0:",
        "api/test_training.py",
    ),
    Bug(
        "a cut-off episode counts as a true end",
        "api/dataset.py",
        "bool(np.asarray(ended).reshape(-1)[-1])",
        "True",
        "api/test_dataset.py",
    ),
    Bug(
        "an exported file is not compared",
        "core/policies/export.py",
        "if not difference <= TOLERANCE:",
        "if difference < 0:",
        "api/test_export.py",
    ),
    Bug(
        "a video is of other episodes",
        f"{RUNS}/video.py",
        "int(starts[episode])",
        "int(starts[0])",
        "test_video.py",
    ),
    # Chains of stated steps, late and frozen ones.
    Bug(
        "a window's mean counts updates before the chain began",
        "core/problem/chain.py",
        "self.actor_0 if metric.startswith(f\"{actor_name(0)}/\") else self.chain",
        "self.actor_0",
        "core/learner/test_metrics.py",
    ),
    Bug(
        "a frozen chain waits for the actors' turn",
        "core/problem/chain.py",
        "begun and (due or chain.freeze) and chain.num_actors > 1",
        "begun and due and chain.num_actors > 1",
        "backends/test_phases.py",
    ),
    Bug(
        "a chain on another run keeps that run's chain",
        f"{RUNS}/base_run.py",
        "name.replace(network_of(name), actor_name(0), 1)",
        "name",
        "test_base_run.py",
    ),
    Bug(
        "a base of other hyperparameters is taken",
        f"{RUNS}/base_run.py",
        "if there[key] != value and key != follows_length",
        "if False",
        "test_base_run.py",
    ),
    Bug(
        "a row is its own neighbour",
        "core/learner/probe.py",
        "= np.inf  # a row",
        "= 0.0  # a row",
        "core/learner/test_probe.py",
    ),
    Bug(
        "an actor is far below by its episodes' spread, not by their differences'",
        f"{RUNS}/diagnosis.py",
        "float(differences.std(ddof=1))",
        "float(np.std(theirs.returns, ddof=1))",
        "core/runs/test_diagnosis.py",
    ),
    Bug(
        "a setting of the command line has no folder",
        "core/config/variant.py",
        "if value != default_of(algorithm, dataset, key):",
        "if value == default_of(algorithm, dataset, key):",
        "test_sweep.py -k folders_tell",
    ),
)  # fmt: skip
