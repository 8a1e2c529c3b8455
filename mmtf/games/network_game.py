"""Games between a classifier and an attack network, section 4."""

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import tensorflow as tf

from mmtf import losses
from mmtf.arguments import resolve_kwargs
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.errors import require, require_choice, require_number
from mmtf.games.base import Game, regularization
from mmtf.games.players import Batch, Players, StepContext
from mmtf.nets import ATTACK_NETS
from mmtf.solvers import SOLVERS
from mmtf.solvers.base import Solver
from mmtf.solvers.sensitivity import ORDERS
from mmtf.threat import ThreatModel


class NetworkGame(Game):
    """min_u max_v f(u, v) over the mean risk of the classifier u on the attacker's images z(x; v).

    The classifier's dropout is active in the defender's step and not in the attacker's; the attack
    network's dropout is active in both.

    Args:
      threat: the constraint of Eq. 5.
      net: name of the attack network in `mmtf.nets.ATTACK_NETS`; the paper's is `mlp`.
      net_options: keyword arguments of that net.
      solver: name of the update rule in `mmtf.solvers.SOLVERS`; None: `default_solver`.
      gamma: >= 0; for the solver `sensitivity`, weight of the sensitivity term of Eq. 16; for the
        solver `consensus`, weight of the consensus term.
      order: order of the two steps of Algorithm 1, `simultaneous` as printed or `sequential`; for
        the solver `sensitivity`.
      attacker_rate: learning rate of the attacker divided by that of the defender, > 0; the paper
        uses 1e-3 / 1e-4.

    Attributes:
      default_solver: name of the solver that the game uses by default.
      risk_sign: -1 where the solver descends minus the risk, else 1.
    """

    metrics = ("risk", "sensitivity")
    learns_attacker = True
    default_solver: ClassVar[str] = "alternating"
    risk_sign: ClassVar[float] = 1.0

    def __init__(
        self,
        threat: ThreatModel,
        *,
        net: str = "mlp",
        net_options: dict | None = None,
        solver: str | None = None,
        gamma: float = 1.0,
        order: str = "simultaneous",
        attacker_rate: float = 10.0,
    ):
        super().__init__(threat)
        solver = solver or self.default_solver
        require_choice("solver", solver, SOLVERS)
        require_choice("order", order, ORDERS)
        require_number("gamma", gamma, at_least=0)
        require_number("attacker_rate", attacker_rate, above=0)
        require(isinstance(net_options or {}, dict), "net_options as a dict", net_options)
        without = ("image_shape", "num_classes", "seed")
        self.net = net
        self.net_options = resolve_kwargs(net, ATTACK_NETS[net], net_options or {}, without)
        self.solver = solver
        self.gamma = gamma
        self.order = order
        self.attacker_rate = attacker_rate
        for name, default in (("gamma", 1.0), ("order", ORDERS[0])):
            if name not in self._own():
                value = getattr(self, name)
                require(value == default, f"{name} with a rule that has one, not {solver}", value)

    def make_players(
        self,
        classifier: Classifier | keras.Model,
        make_optimizer: Callable[..., Any],
        image_shape: tuple[int, int, int],
        num_classes: int,
        seed: int = 0,
    ) -> Players:
        attacker = ATTACK_NETS[self.net](
            self.threat,
            image_shape=image_shape,
            num_classes=num_classes,
            seed=seed,
            **self.net_options,
        )
        classifier = as_classifier(classifier)
        u, v = classifier.trainable_variables, attacker.trainable_variables
        updates = SOLVERS[self.solver].updates
        descent = make_optimizer(updates=updates)
        ascent = make_optimizer(scale=self.attacker_rate, updates=updates, player="attacker")
        first, second = self.order_players((u, descent), (v, ascent))
        solver = SOLVERS[self.solver](u_optimizer=first[1], v_optimizer=second[1], **self._own())
        solver.build(first[0], second[0])
        models = {"classifier": classifier.model, "attacker": attacker}
        return Players(models, {"solver": solver}, classifier)

    def _own(self):
        """The options of the game that its solver accepts."""
        takes = inspect.signature(SOLVERS[self.solver].__init__).parameters
        return {name: getattr(self, name) for name in ("gamma", "order") if name in takes}

    def trainable(self, players: Players) -> list[keras.Variable]:
        _, attacker = players.networks
        return [*players.classifier.trainable_variables, *attacker.trainable_variables]

    def order_players(self, defender: tuple, attacker: tuple) -> tuple[tuple, tuple]:
        """(leader, follower): the leader descends; the follower ascends in response.

        Args:
          defender, attacker: (variables, optimizer) of each.
        """
        return defender, attacker

    def step(self, players: Players, batch: Batch, context: StepContext) -> dict[str, tf.Tensor]:
        found = self.solve(players.updaters["solver"], _risks(players, batch, context))
        risk = tf.cast(self.risk_sign * found["value"], tf.float32) / context.replicas
        penalty = tf.cast(found["penalty"], tf.float32) / context.replicas
        if context.observed is not None:
            # The penalty is the leader's. Of several evaluations of f the last one is reported.
            context.observed.loss = risk + penalty if self.risk_sign > 0 else risk
            context.observed.outputs = context.observed.outputs[-1:]
        return {"risk": risk, "sensitivity": penalty}

    def solve(self, solver: Solver, risk_of: Callable[..., tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step of the solver: u descends the risk with dropout, v ascends it without dropout.

        Args:
          solver: built for the players in the order of `order_players`.
          risk_of: risk_of(u, v, training=...), this replica's share of f at two lists of tensors.
        """
        return solver.step(
            lambda u, v: risk_of(u, v, training=True), lambda u, v: risk_of(u, v, training=False)
        )


def _risks(players, batch, context):
    """risk_of(u, v, training): this replica's share of f at two lists of tensors u and v."""
    model, attacker = players.models["classifier"], players.models["attacker"]
    variables = [*players.classifier.trainable_variables, *attacker.trainable_variables]

    def risk_of(u, v, training):
        with context.dropout(model, attacker, also=zip(variables, [*u, *v], strict=True)):
            z = context.shrink(attacker([*batch], training=True), batch.x)
            logits = players.classifier(z, training=training)
            if training:
                context.observe(logits, batch.y)
            loss = context.cross_entropy if training else losses.cross_entropy
            risk = context.mean(loss(logits, batch.y))
            if training:
                risk += regularization(model) / context.replicas
        return risk

    return risk_of
