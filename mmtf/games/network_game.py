"""What the games between two networks share, section 4."""

import inspect
import math

import tensorflow as tf

from mmtf import losses
from mmtf.errors import require, require_choice
from mmtf.games.base import Game, Players, regularization
from mmtf.nets import ATTACK_NETS
from mmtf.registry import resolve_kwargs
from mmtf.solvers import SOLVERS
from mmtf.solvers.sensitivity import ORDERS
from mmtf.threat import ThreatModel


class NetworkGame(Game):
    """min_u max_v f(u, v) over the mean risk of the classifier u on the attacker's images z(x; v).

    The defender's risk runs its own dropout, the attacker's does not (only the min step does);
    the attack network's dropout is on for both.

    Args:
      threat: the constraint of Eq. 5.
      net: name in `mmtf.nets.ATTACK_NETS`; the paper's is `mlp`.
      net_options: keyword arguments of that net.
      solver: name in `mmtf.solvers.SOLVERS`: the update rule.
      gamma: weight of the sensitivity term of Eq. 16, >= 0, for the rule `sensitivity`; of the
        consensus term for `consensus`.
      order: of Algorithm 1's two steps, `simultaneous` as printed or `sequential`; for the rule
        `sensitivity`.
      attacker_rate: the attacker's learning rate over the defender's, > 0; the paper has 1e-3
        over 1e-4.
    """

    metrics = ("risk", "sensitivity")
    learns_attacker = True
    default_solver = "alternating"
    risk_sign = 1.0

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
        require(0 <= gamma < math.inf, "gamma >= 0, finite", gamma)
        require(attacker_rate > 0, "attacker_rate > 0", attacker_rate)
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

    def make_players(self, classifier, make_optimizer, image_shape, num_classes, seed=0):
        attacker = ATTACK_NETS[self.net](
            self.threat,
            image_shape=image_shape,
            num_classes=num_classes,
            seed=seed,
            **self.net_options,
        )
        u, v = classifier.trainable_variables, attacker.trainable_variables
        updates = SOLVERS[self.solver].updates
        descent = make_optimizer(updates=updates)
        ascent = make_optimizer(scale=self.attacker_rate, updates=updates)
        first, second = self.order_players((u, descent), (v, ascent))
        solver = SOLVERS[self.solver](u_optimizer=first[1], v_optimizer=second[1], **self._own())
        solver.build(first[0], second[0])
        return Players({"classifier": classifier, "attacker": attacker}, {"solver": solver})

    def _own(self):
        """The rule's options among the game's."""
        takes = inspect.signature(SOLVERS[self.solver].__init__).parameters
        return {name: getattr(self, name) for name in ("gamma", "order") if name in takes}

    def order_players(self, defender, attacker):
        """(leader, follower): who descends with the other's answer in mind."""
        return defender, attacker

    def step(self, players, x, y, turn):
        risk_of = _risks(players, x, y, turn)
        found = self.solve(players.optimizers["solver"], risk_of)
        return {
            "risk": tf.cast(self.risk_sign * found["value"], tf.float32) / turn.replicas,
            "sensitivity": tf.cast(found["penalty"], tf.float32) / turn.replicas,
        }

    def solve(self, solver, risk_of):
        """One step of the rule: u descends its risk, v ascends the one without dropout."""
        return solver.step(
            lambda u, v: risk_of(u, v, training=True), lambda u, v: risk_of(u, v, training=False)
        )


def _risks(players: Players, x, y, turn):
    """risk_of(u, v, training): this replica's part of f at tensors u and v."""
    classifier, attacker = players.classifier, players.models["attacker"]
    variables = [*classifier.trainable_variables, *attacker.trainable_variables]

    def risk_of(u, v, training):
        with turn.randomness(classifier, attacker, also=zip(variables, [*u, *v], strict=True)):
            z = attacker([x, y], training=True)
            risk = turn.mean(losses.cross_entropy(classifier(z, training=training), y))
            if training:
                risk += regularization(classifier) / turn.replicas
        return risk

    return risk_of
