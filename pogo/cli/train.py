"""pogo-train: train a chain of actors."""

import shlex
import sys
from collections.abc import Sequence

from pogo.cli.common import run_command
from pogo.cli.train_options import TrainOptions
from pogo.core.errors import EXIT_DONE

HELP = """\
pogo-train: train an offline-RL algorithm, or SAC online, and a JKO chain of actors on top of it.

  pogo-train backend=jax   algorithm=rebrac
  pogo-train backend=torch algorithm=iql dataset=hopper-medium-v2 seed=1
  pogo-train dataset.path=FILE.hdf5 env=Hopper-v5 train.updates=50000
  pogo-train algorithm=sac env=Pendulum-v1 train.env_steps=15000 train.learning_starts=1000

Options are key=value; the most used, with their defaults:

  backend=torch             torch | jax
  algorithm=iql             iql | td3_bc | cql | awac | sac_n | edac | rebrac | fql | pogo | sac
  dataset=pendulum-medium-replay      shipped; or a D4RL name such as hopper-medium-v2
  dataset.path=FILE env=ENV_ID        a file of your own in D4RL's HDF5 layout or OGBench's .npz
  seed=0  device=auto  dtype=float32  threads=null (all)
  train.updates, train.batch_size     the algorithm's published ones
  train.num_seeds=1         with backend=jax: seed, seed + 1, ... side by side in one program, each in its own folder
  algorithm=sac env=ID                online, without a dataset; every and steps then count environment steps:
  train.env_steps=300000  train.num_envs=1  train.random_steps, learning_starts=10000  updates_per_step=1
  train.replay_capacity=1000000  train.save_replay=FILE  collect.actor=0  resume_from=RUN_DIR (its actors and critics)
  eval.every=5000  eval.episodes=10  eval.processes=null (by threads; 0: simulators in this process)
  checkpoint.every=5000  checkpoint.keep=3  log.every=1000
  chain.num_actors=3 (or as many as the weights or kinds ask for)  chain.w2_weights=[10,10]
  chain.actors=[{kind: stochastic},{kind: gaussian}]
  chain.energy=value        value | loss | advantage (iql, awac)
  w2.solver=fused           fused | library | exact | geomloss | ott     w2.noise=common | independent
  w2.num_samples=4  w2.blur=0.05
  run.dir=runs/<dataset>/<algorithm>_<backend>/w2_<weights>/seed_<n>
  resume=auto               auto | never | must
  experiment=NAME           settings of a study in conf/experiment, with -m its runs
  algorithm.<hyperparameter>          see docs/hyperparameters.md

  -m         many runs: a key takes several values (seed=0,1,2  algorithm=iql,td3_bc  seed=range(0,10)), and there is a
             run for each combination, one after another or, with --jobs N, N side by side; experiment=NAME names a
             study of conf/experiment. What is finished is not run again.
  --cfg      print the whole config that these options make, and where each setting comes from; with -m, the runs;
             --cfg hydra prints Hydra's own part, --cfg all both
  --info     print the list of defaults that the config is composed of; --info searchpath: where groups are found
  --config-dir DIR          a folder of groups of your own, beside pogo's: DIR/dataset/mydata.yaml is dataset=mydata
  --config-name NAME        a primary file there in place of pogo's: NAME.yaml, whose defaults begin with config
  -sc install=bash          print what completes these options: eval "$(pogo-train -sc install=bash)"
  --help     this text          --version     pogo's version

Exit codes: 0 done; 1 failed while running (with -m: some runs did), also where all is trained and saved and only the
last evaluation failed, which the same command makes again; 2 bad input; 130 and 143 stopped by a signal after saving.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command("pogo-train", HELP, _train, sys.argv[1:] if arguments is None else arguments)


def _train(arguments: Sequence[str]) -> int:
    # Late: --help answers without these.
    from pogo.core.config.compose import compose_config
    from pogo.core.config.inspection import complete_shell, hydra_yaml, information
    from pogo.core.config.provenance import annotated_yaml
    from pogo.core.runs.plan import check_settings
    from pogo.core.runs.training import train

    options = TrainOptions.read(arguments)
    if options.completion is not None:
        complete_shell(options.completion)
        return EXIT_DONE
    if options.many:
        return _sweep(options)
    if options.info is not None:
        print(information(options.info, options.overrides), end="")
        return EXIT_DONE
    asked = compose_config(options.overrides, options.in_sweep)
    if options.cfg is None:
        return train(asked)
    if options.cfg in ("job", "all"):
        print(annotated_yaml(check_settings(asked, to_run=False).config), end="")
    if options.cfg in ("hydra", "all"):
        print(hydra_yaml(options.overrides), end="")
    return EXIT_DONE


def _sweep(options: TrainOptions) -> int:
    from pogo.core.runs.sweep import plan_sweep, run_sweep, share_threads

    cells = plan_sweep(share_threads(options.overrides, options.num_jobs))
    if options.cfg is not None:
        for cell in cells:
            print(shlex.join(("pogo-train", *cell.arguments)), f" # {cell.run_dir}")
        return EXIT_DONE
    return run_sweep(cells, options.num_jobs)


if __name__ == "__main__":
    sys.exit(main())
