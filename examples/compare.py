"""Two algorithms on the same arrays, three seeds each: which is better, and what does the chain add?"""

import h5py
import numpy as np

import pogo

with h5py.File("pogo/data/pendulum-medium-replay.hdf5") as file:  # any arrays will do
    arrays = {name: file[name][:] for name in ("observations", "actions", "rewards", "terminals", "timeouts")}
dataset = pogo.Dataset.from_arrays(**arrays, env="Pendulum-v1", name="mine")

for algorithm in ("iql", "td3_bc"):
    scores = []
    for seed in range(3):
        run = pogo.train(
            algorithm,
            backend="jax",
            dataset=dataset,
            seed=seed,
            overrides={"train.updates": 3000, "eval.every": 0, "eval.episodes": 20},
            progress=False,
        )
        evaluations = run.evaluations
        is_mean = evaluations["mode"] == "deterministic"
        scores.append(evaluations["return_mean"][is_mean])  # of actors 0, 1, 2
    for actor, returns in enumerate(np.transpose(scores)):
        print(f"{algorithm:7} actor {actor}: {returns.mean():8.1f} +- {returns.std():5.1f} over {len(returns)} seeds")
