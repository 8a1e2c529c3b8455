"""One defense against several attackers at once, Eqs. 20 and 21."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from tensorflow import Tensor

from mmtf import losses
from mmtf.arguments import keyword_options
from mmtf.attacks.loop import restart_seed
from mmtf.attacks.queries import where_per_example
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import require, require_choice, require_int, require_number
from mmtf.games.base import Game
from mmtf.games.best_response import ascend
from mmtf.games.minimax_grad import watched_losses
from mmtf.games.players import Batch, Players, StepContext
from mmtf.games.union_attackers import make_attackers
from mmtf.games.union_rules import RULES, Tally, chosen_by
from mmtf.nets import ATTACK_NETS
from mmtf.solvers.base import cross_replica_sum
from mmtf.threat import ThreatModel


class Answered(NamedTuple):
    """The perturbed images that the defender answers.

    Attributes:
      x: float32 [M, H, W, C]; M = N, or K N if the rule mixes the K attackers.
      y: labels, int32 [M].
      share: weight of each image in the objective, float32 [M]; None: each is 1.
      eta: radius of the ball of each image's attacker, float32 [M].
      chosen: share of this replica's examples that each attacker was chosen for, float32 [K].
      risks: the latest f(u, Z_k) of each attacker, float32 [K], over all replicas.
    """

    x: Tensor
    y: Tensor
    share: Tensor | None
    eta: Tensor
    chosen: Tensor
    risks: Tensor


class Union(Game):
    """min_u max_k f(u, Z_k) over K attackers (Eqs. 20 and 21), computed or learned.

    In the max step every computed attacker makes its images Z_k against the classifier, and every
    learned one takes a step up its own risk f(u, v_k) (Eq. 9). A rule says what the defender
    descends:

    - `batch_max`: f(u, Z_k) of the attacker of greatest risk, the maximum of Eq. 20;
    - `example_max`: the mean of each example's greatest loss, an upper bound of Eq. 20;
    - `average`: the mean of f(u, Z_k) over the attackers;
    - `drawn`: f(u, Z_k) of an attacker drawn in each step: only this one is computed;
    - `weights`: sum_k w_k f(u, Z_k), where w follows the risks by multiplicative updates and no
      weight falls below a floor (`mmtf.games.union_rules`).

    Attackers are named as in `mmtf.attacks.ATTACKS` and `mmtf.nets.ATTACK_NETS`, with the norm of
    their ball where it is not their first: `pgd`, `pgd_l2`, `pgd_l1`, `unet`, `mlp_l2`. A ramp of
    the radius (`Schedule.eta_ramp`) is needed where several attackers are strong: without it the
    classifier may stay at chance.

    Args:
      threat: the l-infinity ball and the box.
      attackers: names, as a list or a text with commas.
      eta_l2: radius of the l2 ball, for attackers in it.
      eta_l1: radius of the l1 ball, for attackers in it.
      rule: see above.
      max_steps: steps of computed attackers that take several, > 0.
      gamma: >= 0, weight of the term of Eq. 8, (gamma / 2N) sum_i eta_i ||dl_i / dz_i||^2, where
        eta_i is the radius of the attacker that was chosen for example i.
      attacker_rate: learning rate of the learned attackers divided by the defender's, > 0.

    Raises:
      ConfigError: unknown or repeated attackers, a radius that is missing or that no attacker uses,
        or another value out of range.

    Example:
      >>> import mmtf
      >>> game = Union(mmtf.ThreatModel(eta=0.3), attackers="fgsm,fgm", eta_l2=2.0)
      >>> game.metrics
      ('risk', 'risk_fgsm', 'chosen_fgsm', 'risk_fgm', 'chosen_fgm')
      >>> schedule = mmtf.Schedule(steps=2, batch_size=16, eta_ramp=0.5)
      >>> mmtf.train(game, mmtf.load_data("digits"), schedule=schedule, progress=False).steps
      2
    """

    single_step = False  # several attackers

    def __init__(
        self,
        threat: ThreatModel,
        *,
        attackers: str | Sequence[str] = "fgsm,unet",
        eta_l2: Any = None,
        eta_l1: Any = None,
        rule: str = "batch_max",
        max_steps: int = 4,
        gamma: float = 0.0,
        attacker_rate: float = 10.0,
    ):
        super().__init__(threat)
        require(threat.norm == "linf", "norm linf, that of eta, beside eta_l2 and eta_l1", threat)
        require_choice("rule", rule, RULES)
        require_int("max_steps", max_steps)
        require_number("gamma", gamma, at_least=0)
        require_number("attacker_rate", attacker_rate, above=0)
        one_radius = gamma == 0 or isinstance(threat.eta, float)
        require(one_radius, "eta as one number with gamma > 0", threat)
        balls = {
            norm: None if eta is None else ThreatModel(eta=eta, norm=norm, box=threat.box)
            for norm, eta in (("l2", eta_l2), ("l1", eta_l1))
        }
        self.attackers = attackers
        self.eta_l2, self.eta_l1 = (ball and ball.eta for ball in balls.values())
        self.rule = rule
        self.max_steps = max_steps
        self.gamma = gamma
        self.attacker_rate = attacker_rate
        self.parts = make_attackers(attackers, {"linf": threat, **balls})
        used = {one.threat.norm for one in self.parts}
        for norm, ball in balls.items():
            needed = ball is None or norm in used
            require(needed, f"an attacker in the {norm} ball with eta_{norm}", attackers)
        self._attacks = [
            None if one.learned else one.training_attack(max_steps) for one in self.parts
        ]
        names = [f"{kind}_{one.name}" for one in self.parts for kind in ("risk", "chosen")]
        self.metrics = ("risk", *names, *(("sensitivity",) if gamma else ()))

    @property
    def mixes(self) -> bool:
        """Whether the defender descends a mixture of all attackers' risks."""
        return self.rule in ("average", "weights") and len(self.parts) > 1

    @property
    def trains_networks(self) -> bool:
        return any(one.learned for one in self.parts)

    def make_players(
        self,
        classifier: Classifier | keras.Model,
        make_optimizer: Callable[..., Any],
        image_shape: tuple[int, int, int],
        num_classes: int,
        seed: int = 0,
    ) -> Players:
        players = super().make_players(classifier, make_optimizer, image_shape, num_classes, seed)
        sizes = {"image_shape": image_shape, "num_classes": num_classes}
        for number, one in enumerate(self.parts):
            if one.learned:
                name = network_name(one.name)
                make = ATTACK_NETS[one.kind]
                # Of the outputs the one that neither saturates nor leaves part of the ball.
                full = {"output": "full"} if "output" in keyword_options(make) else {}
                net = make(one.threat, **sizes, seed=seed + number, **full)
                rate = {"scale": self.attacker_rate, "player": "attacker"}
                players.models[name] = net
                players.updaters[name] = make_optimizer(net.trainable_variables, **rate)
        players.updaters["tally"] = Tally(len(self.parts), seed)
        return players

    def max_step(
        self, players: Players, batch: Batch, context: StepContext
    ) -> tuple[Any, StepContext]:
        answered = self._answers(players, batch, context)
        z = context.shrink(answered.x, self.arranged(batch.x))
        return answered._replace(x=tf.stop_gradient(z)), context.select(self.arranged)

    def min_step(
        self,
        players: Players,
        clean: Batch,
        perturbed: Any,
        context: StepContext,
        at: Sequence[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        found = super().min_step(players, clean, perturbed, context, at)
        share = tf.cast(tf.shape(clean.y)[0], tf.float32) / context.global_batch_size
        for number, one in enumerate(self.parts):
            found[f"risk_{one.name}"] = perturbed.risks[number] / context.replicas
            found[f"chosen_{one.name}"] = perturbed.chosen[number] * share
        return found

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        answered = self._answers(players, batch, context)
        return Batch(answered.x, answered.y)

    def arranged(self, values: Tensor) -> Tensor:
        return tf.concat([values] * len(self.parts), 0) if self.mixes else values

    def objective(
        self, players: Players, clean: Batch, perturbed: Any, context: StepContext
    ) -> tuple[Tensor, dict[str, Tensor]]:
        z, y, share, eta = perturbed[:4]

        def mixed(each):
            return each if share is None else share * each

        if not self.gamma:
            logits = players.classifier(z, training=True)
            context.observe(logits, y)
            risk = context.mean(mixed(context.cross_entropy(logits, y)))
            return risk, {"risk": risk}
        tape, each, _, mean_loss = watched_losses(players.classifier, z, y, context)
        sensitivity = context.global_batch_size * tape.gradient(mean_loss, z)
        squares = tf.reduce_sum(tf.square(sensitivity), list(range(1, z.shape.rank)))
        if context.strength is not None:
            eta *= context.strength
        risk = context.mean(mixed(each))
        term = self.gamma / 2 * context.mean(mixed(eta * squares))
        return risk + term, {"risk": risk, "sensitivity": term}

    def _answers(self, players: Players, batch: Batch, context: StepContext) -> Answered:
        """Moves the learned attackers, and makes the images that the defender answers."""
        found = {
            number: self._learn(players, one.name, batch, context)
            for number, one in enumerate(self.parts)
            if one.learned
        }
        if self.rule == "drawn" and len(self.parts) > 1:
            return self._drawn(players, batch, context, found)
        for number, one in enumerate(self.parts):
            if not one.learned:
                found[number] = self._computed(players, number, batch, context)
        ordered = [found[number] for number in range(len(self.parts))]
        images, each = [z for z, _ in ordered], tf.stack([loss for _, loss in ordered])
        tally: Tally = players.updaters["tally"]
        (risks,) = cross_replica_sum([tf.stack([context.mean(one) for one in tf.unstack(each)])])
        tally.note(risks)
        if self.mixes:
            return self._mixture(tally, images, batch, risks)
        rule = "batch_max" if len(self.parts) == 1 else self.rule
        chosen, z = chosen_by(rule, each, risks), images[0]
        for number, one in enumerate(images[1:], 1):
            z = where_per_example(chosen == number, one, z)
        return self._answered(z, batch, chosen, risks)

    def _learn(self, players, name, batch, context) -> tuple[Tensor, Tensor]:
        """(images, losses) of a learned attacker before its step up its risk."""
        name = network_name(name)
        return ascend(players.models[name], players.updaters[name], players, batch, context)

    def _computed(self, players, number, batch, context) -> tuple[Tensor, Tensor]:
        """(images, losses) of a computed attacker."""
        z = self._attack(players, number, batch, context)
        logits = players.classifier(context.shrink(z, batch.x), training=False)
        return z, losses.cross_entropy(logits, batch.y)

    def _attack(self, players, number, batch, context) -> Tensor:
        attack, seed = self._attacks[number], restart_seed(context.seed, number)
        attacked = players.shrunk(batch.x, context).classifier
        return tf.stop_gradient(attack(attacked, batch.x, batch.y, seed=seed))

    def _drawn(self, players, batch, context, learned) -> Answered:
        tally: Tally = players.updaters["tally"]
        number = tally.draw(players.updaters["classifier"].iterations)

        def answer(one):
            if one in learned:
                return lambda: learned[one]
            return lambda: self._computed(players, one, batch, context)

        z, each = tf.switch_case(number, [answer(one) for one in range(len(self.parts))])
        z = tf.ensure_shape(z, batch.x.shape)
        rows = [learned[one][1] if one in learned else each for one in range(len(self.parts))]
        (risks,) = cross_replica_sum([tf.stack([context.mean(one) for one in rows])])
        known = tf.constant([one.learned for one in self.parts])
        tally.note(risks, known | (tf.range(len(self.parts)) == number))
        chosen = tf.fill(tf.shape(batch.y), number)
        return self._answered(z, batch, chosen, tf.convert_to_tensor(tally.risks))

    def _answered(self, z, batch, chosen, risks) -> Answered:
        hot = tf.one_hot(chosen, len(self.parts))
        return Answered(
            z, batch.y, None, tf.gather(self._radii(), chosen), tf.reduce_mean(hot, 0), risks
        )

    def _mixture(self, tally, images, batch, risks) -> Answered:
        """The images of all attackers, those of the first attacker first."""
        count = len(self.parts)
        weights = tf.fill([count], 1.0 / count)
        if self.rule == "weights":
            tally.reweigh(risks)
            weights = tf.convert_to_tensor(tally.weights)
        size = tf.shape(batch.y)[0]
        share, eta = tf.repeat(weights, size), tf.repeat(self._radii(), size)
        return Answered(tf.concat(images, 0), tf.tile(batch.y, [count]), share, eta, weights, risks)

    def _radii(self):
        return tf.constant([one.threat.radius for one in self.parts], tf.float32)


def network_name(attacker: str) -> str:
    """The name among the players' models of the network of a learned attacker.

    Example:
      >>> network_name("unet")
      'attacker_unet'
    """
    return f"attacker_{attacker}"
