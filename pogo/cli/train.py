"""pogo-train: train a chain of actors."""

import sys
from collections.abc import Sequence

from pogo.cli.common import run_command

HELP = """\
pogo-train: train an offline-RL algorithm and a JKO chain of actors on top of it.

  pogo-train backend=jax   algorithm=rebrac
  pogo-train backend=torch algorithm=iql dataset=hopper-medium-v2 seed=1
  pogo-train dataset.path=FILE.hdf5 env=Hopper-v5 train.updates=50000

Options are key=value; the most used, with their defaults:

  backend=torch             torch | jax
  algorithm=iql             iql | td3_bc | cql | awac | sac_n | edac | rebrac | fql | pogo
  dataset=pendulum-medium-replay      shipped; or a D4RL name such as hopper-medium-v2
  dataset.path=FILE env=ENV_ID        a file of your own in D4RL's HDF5 layout or OGBench's .npz
  seed=0  device=auto  dtype=float32  threads=null (all)
  train.updates, train.batch_size     the algorithm's published ones
  eval.every=5000  eval.episodes=10  checkpoint.every=5000  checkpoint.keep=3  log.every=1000
  chain.num_actors=3  chain.w2_weights=[10,10]  chain.actors=[{kind: stochastic},{kind: gaussian}]
  chain.energy=value        value | loss | advantage (iql, awac)
  w2.solver=fused           fused | library | exact     w2.noise=common | independent
  w2.num_samples=4  w2.blur=0.05
  run.dir=runs/<dataset>/<algorithm>_<backend>/w2_<weights>/seed_<n>
  resume=auto               auto | never | must
  algorithm.<hyperparameter>          see docs/hyperparameters.md

  --cfg      print the whole config that these options make, and stop
  --help     this text          --version     pogo's version

Exit codes: 0 done, 1 failed while running, 2 bad input, 130 and 143 stopped by a signal after saving.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command("pogo-train", HELP, _train, sys.argv[1:] if arguments is None else arguments)


def _train(arguments: Sequence[str]) -> int:
    # Late: --help answers without these.
    from pogo.core.config.compose import compose_config
    from pogo.core.config.plan import resolve
    from pogo.core.training import train

    if "--cfg" in arguments:
        from omegaconf import OmegaConf

        config = resolve(compose_config([argument for argument in arguments if argument != "--cfg"]))
        print(OmegaConf.to_yaml(config), end="")
        return 0
    return train(compose_config(arguments))


if __name__ == "__main__":
    sys.exit(main())
