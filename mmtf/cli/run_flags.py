"""The flags of `python -m mmtf.run`, and what they say together."""

from collections.abc import Sequence
from typing import Any

from absl import flags

from mmtf.attacks import ATTACKS, NETWORK_ATTACKS
from mmtf.cli.defining import Definer
from mmtf.cli.flags import (
    define_settings,
    given_settings,
    origins,
    require_options,
    require_pixel_scale,
    require_used,
)
from mmtf.config import CLUSTERS, DISTRIBUTIONS, RunConfig
from mmtf.errors import ConfigError, require_choice
from mmtf.games import GAMES
from mmtf.nets import NETS
from mmtf.runtime import startup

# --helpshort shows flags as those of the command that defines them.
flags.disclaim_key_flags()


def define_flags() -> None:
    """Defines the flags of `python -m mmtf.run`."""
    define_settings()
    define = Definer()
    define.switch(
        "print_config", False, "Print every setting with the origin of its value, and exit."
    )
    define.data_dir()
    define.text("workdir", None, "Folder of the run; default: runs/<name made of the settings>.")
    define.number("checkpoint_seconds", 30.0, "Seconds between two checkpoints.")
    define.whole(
        "curve_every",
        None,
        "Steps between two points of the curve of test error; default: a tenth of the steps.",
    )
    define.whole(
        "curve_examples", 500, "Number of test examples of the curve, from the first; 0 for all.", 0
    )
    define.switch(
        "in_memory",
        None,
        "Hold training images in memory, or stream them by tf.data; default: in memory if they "
        "fit.",
    )
    define.text(
        "replay",
        None,
        "Workdir of a finished adv_fgsm run, whose attacks FGSM1, FGSM2, ... are also measured "
        "against this run's classifier.",
    )
    define.words(
        "replay_rounds", None, "The k of each FGSM k to replay; default: 1, 2 and the last."
    )
    define.switch(
        "exploitability",
        False,
        "After a network game: train new best responses of both players, and check Lemma 1.",
    )
    define.text(
        "distribution",
        "auto",
        f"Devices to train on, see docs/scaling.md. One of: {', '.join(DISTRIBUTIONS)}.",
    )
    define.text(
        "cluster",
        "tf_config",
        f"Source of the workers' addresses (multiworker). One of: {', '.join(CLUSTERS)}.",
    )
    define.whole("workers", 0, "Required number of workers; 0: all that are found.", least=None)
    define.whole(
        "port",
        8888,
        "Port of the workers (--cluster=kubernetes), or of the first worker of each node (slurm).",
        most=65535,
    )
    define.text(
        "pods", "job-name=mmtf", "Label selector of the workers' pods (--cluster=kubernetes)."
    )


def chosen_config(
    values: flags.FlagValues, arguments: Sequence[str]
) -> tuple[RunConfig, dict[str, str]]:
    """Returns the flags' configuration, and place of a setting -> origin of its value.

    Args:
      values: `flags.FLAGS`.
      arguments: command line of the process, `sys.argv`.

    Raises:
      ConfigError: a setting cannot be, or a flag would have no effect.
    """
    given = given_settings(values)
    _require_names(given)
    if given["dataset"] is not None:  # the default is only scaled
        require_pixel_scale(values, given["dataset"])
    startup.import_tensorflow()
    from mmtf.presets import merged_config

    require_options(given)
    config, sources = merged_config(given)
    _refuse_idle(values, config)
    asked = origins(values, arguments)
    sources = {
        place: asked.get(place, "default") if source == "given" else source
        for place, source in sources.items()
    }
    return config, sources


def _require_names(given: dict[str, Any]) -> None:
    """Rejects unknown names before TensorFlow is imported."""
    GAMES.require_known(given["game"])
    if given["net"] is not None:
        NETS.require_known(given["net"])
    for name in given["attacks"] or ():
        ATTACKS.require_known(name, others=NETWORK_ATTACKS)


def _refuse_idle(values: flags.FlagValues, config: RunConfig) -> None:
    """Rejects flags that would have no effect and that the configuration does not check."""
    with_pgd = "pgd" in (*config.attacks, *_attack_kinds(config))
    solver = config.game_options.get("solver")
    require_used(
        values,
        {
            "pgd_steps": (with_pgd, "pgd among --attacks"),
            "pgd_restarts": (with_pgd, "pgd among --attacks"),
            "replay_rounds": (bool(values.replay), "--replay"),
            "extra_share": (bool(config.schedule.extra_data), "--extra_data"),
            "awp_after": (bool(config.awp_gamma), "--awp_gamma"),
            "order": (solver == "sensitivity", "--solver=sensitivity"),
        },
    )


def _attack_kinds(config: RunConfig) -> list[str]:
    """The attacks by which a union game's attackers are measured, without their norms."""
    from mmtf.games.union_attackers import attacker_names, split_name

    attackers = config.game_options.get("attackers")
    return [split_name(name)[0] for name in attacker_names(attackers)] if attackers else []


def chosen_cluster(values: flags.FlagValues) -> Any:
    """Returns the cluster that this process belongs to; None for a single process.

    Raises:
      ConfigError: flags that contradict each other, or no cluster is found.
    """
    require_choice("distribution", values.distribution, DISTRIBUTIONS)
    require_choice("cluster", values.cluster, CLUSTERS)
    several = values.distribution == "multiworker"
    needs = "--distribution=multiworker"
    on_pods, addressed = values.cluster == "kubernetes", values.cluster != "tf_config"
    require_used(
        values,
        {
            "cluster": (several, needs),
            "workers": (several, needs),
            "pods": (several and on_pods, f"{needs} --cluster=kubernetes"),
            "port": (several and addressed, f"{needs} --cluster=slurm or kubernetes"),
        },
    )
    if values.jit_compile and values.distribution != "auto":
        raise ConfigError(
            "Expected --jit_compile with --distribution=auto on one device. "
            f"Received: --distribution={values.distribution}."
        )
    if not several:
        return None
    if values.replay or values.exploitability:
        raise ConfigError(
            "Expected --replay and --exploitability in a single process. Received: "
            "--distribution=multiworker. Repeat the command with them, and without "
            "--distribution, once the workers are done."
        )
    from mmtf.distributed.clusters import find_cluster

    return find_cluster(values.cluster, workers=values.workers, pods=values.pods, port=values.port)
