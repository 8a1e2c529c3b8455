"""The nets of `python -m mmtf.mixture`: loaded, trained, and grown by double oracle."""

import dataclasses
from typing import Any

from absl import flags

from mmtf.errors import require_choice
from mmtf.runtime.console import say

Values = flags.FlagValues


@dataclasses.dataclass(frozen=True)
class Trained:
    """A net that the command trained.

    Attributes:
      classifier: around the net.
      about: its game and configuration, for the record.
    """

    classifier: Any
    about: dict[str, Any]


def first_models(values: Values, names: list[str]) -> list[str]:
    """The models with which double oracle begins."""
    start = values.grow_from or names[:2]
    for one in start:
        require_choice("--grow_from", one, names)
    return start


def trained_net(values: Values, game: str, data: Any, eta: Any, cells: str | None) -> Trained:
    """The net of a game of --train, from the folder `cells` if it is kept there.

    Args:
      values: `flags.FLAGS`.
      game: its name.
      data: the dataset without the held-out images.
      eta: radius.
      cells: folder in which trained networks are kept; None: they are not.
    """
    from mmtf.classifiers.classifier import Classifier
    from mmtf.mixtures.training_oracles import kept_model
    from mmtf.presets import run_config
    from mmtf.runs.games import make_game, net_maker
    from mmtf.training.progress import Progress
    from mmtf.training.train import train

    config = run_config(
        game=game,
        dataset=data.name,
        eta=eta,
        norm=values.norm,
        net=values.net,
        schedule_options={
            name: values[name].value for name in ("steps", "learning_rate", "eta_ramp")
        },
        seed=values.seed,
    )

    def play() -> Any:
        return train(
            make_game(config),
            data,
            schedule=config.schedule,
            model=net_maker(config, data),
            seed=config.seed,
            progress=Progress(config.schedule.total_steps(make_game(config).rounds), label=game),
        ).model

    about = config.to_dict()
    model = kept_model(cells, ["train", repr(sorted(about.items())), data.training_digest], play)
    return Trained(Classifier(model, name=game), {"game": game, "config": about})


def attacker_recipe(values: Values) -> Any:
    """The recipe of the attack networks of attnet@MODEL and of double oracle."""
    from mmtf.mixtures.training_oracles import ATTACKER

    schedule = dataclasses.replace(ATTACKER.schedule, steps=values.attacker_steps)
    return dataclasses.replace(ATTACKER, net=values.attacker_net, schedule=schedule)


def grown(
    values: Values,
    held: Any,
    data: Any,
    threat: Any,
    start: list[str],
    attacks: dict[str, Any],
    cells: str | None,
) -> Any:
    """Double oracle from the nets `start` and FGSM and PGD frozen on the first of them.

    Args:
      values: `flags.FLAGS`.
      held: the PayoffTable of held-out images, to which new nets and attacks are added.
      data: the dataset without the held-out images.
      threat: the ball and the box.
      start: names of nets in the table.
      attacks: the columns that exist.
      cells: folder in which trained networks are kept; None: they are not.
    """
    from mmtf.mixtures.frozen import frozen_attacks
    from mmtf.mixtures.growing import double_oracle
    from mmtf.mixtures.training_oracles import DEFENDER, OracleSettings, TrainingOracles

    first = [f"{'fgsm' if values.norm == 'linf' else 'fgm'}@{start[0]}", f"pgd@{start[0]}"]
    missing = [one for one in first if one not in attacks]
    options = {"pgd": {"steps": values.pgd_steps}}
    held.add(attacks=frozen_attacks(missing, held.defenses, threat, data, options=options))
    defender = dataclasses.replace(DEFENDER, steps=values.defender_steps)
    settings = OracleSettings(
        attacker=attacker_recipe(values),
        defender=defender,
        pgd_steps=values.pgd_steps,
        seed=values.seed,
        cache_dir=cells,
        progress=True,
    )
    oracles = TrainingOracles(held, data, threat, settings)
    limits = {"gap": values.gap, "rounds": values.grow, "seconds": values.grow_seconds}
    return double_oracle(
        held.error,
        start,
        first,
        oracles.best_defense,
        oracles.best_attack,
        **limits,
        say=lambda one: say(
            f"double oracle: value {one.value:.3f}, bracket [{one.lower:.3f}, {one.upper:.3f}], "
            f"{one.seconds:.0f} s"
        ),
    )
