"""Names of mmtf 0.1 that moved or were renamed: they work for one release, with a warning.

`import mmtf` installs the finder below. It answers for modules that are no longer there, and gives
modules that are there their old names.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
import warnings
from collections.abc import Sequence
from typing import Any

MODULES = {
    "mmtf.afterwards": "mmtf.runs.replay",
    "mmtf.attacks.apgd_targeted": "mmtf.attacks.apgd",
    "mmtf.attacks.decay": "mmtf.attacks.iterated",
    "mmtf.attacks.expectation": "mmtf.attacks.eot",
    "mmtf.attacks.fgm": "mmtf.attacks.single_step",
    "mmtf.attacks.fgsm": "mmtf.attacks.single_step",
    "mmtf.attacks.goals": "mmtf.attacks.criteria",
    "mmtf.attacks.gradient_step": "mmtf.attacks.single_step",
    "mmtf.attacks.ifgsm": "mmtf.attacks.iterated",
    "mmtf.attacks.learned": "mmtf.attacks.attack_network",
    "mmtf.attacks.losses": "mmtf.losses",
    "mmtf.attacks.none": "mmtf.attacks.single_step",
    "mmtf.attacks.pgd": "mmtf.attacks.iterated",
    "mmtf.attacks.restarts": "mmtf.attacks.criteria",
    "mmtf.attacks.standing": "mmtf.attacks.loop",
    "mmtf.command": "mmtf.cli.errors",
    "mmtf.cpu": "mmtf.runtime.cpu",
    "mmtf.curve": "mmtf.runs.curve",
    "mmtf.evaluation.blocks": "mmtf.storage.batch_cache",
    "mmtf.evaluation.checks": "mmtf.evaluation.gradient_masking",
    "mmtf.evaluation.columns": "mmtf.evaluation.attack_specs",
    "mmtf.evaluation.compare": "mmtf.stats.paired",
    "mmtf.evaluation.fresh": "mmtf.evaluation.fitted",
    "mmtf.evaluation.matrix": "mmtf.evaluation.payoff",
    "mmtf.evaluation.measure": "mmtf.evaluation.runner",
    "mmtf.evaluation.models": "mmtf.classifiers.loading",
    "mmtf.evaluation.nearest": "mmtf.evaluation.minimal_perturbation",
    "mmtf.evaluation.network_pair": "mmtf.evaluation.exploitability",
    "mmtf.evaluation.rounds": "mmtf.runs.rounds",
    "mmtf.evaluation.universal": "mmtf.evaluation.fitted_universal",
    "mmtf.experiment": "mmtf.runs.experiment",
    "mmtf.export": "mmtf.classifiers.export",
    "mmtf.flagged": "mmtf.cli.flags",
    "mmtf.lock": "mmtf.storage.lock",
    "mmtf.lookup": "mmtf.registry",
    "mmtf.nets.architecture": "mmtf.classifiers.fingerprint",
    "mmtf.nets.attack_conv": "mmtf.nets.conv_attacker",
    "mmtf.nets.attack_mlp": "mmtf.nets.mlp_attacker",
    "mmtf.nets.attack_unet": "mmtf.nets.unet_attacker",
    "mmtf.nets.attack_universal": "mmtf.nets.universal_attacker",
    "mmtf.nets.bilinear": "mmtf.kernels.bilinear",
    "mmtf.nets.block_products": "mmtf.kernels.conv_blocks",
    "mmtf.nets.cifar_cnn": "mmtf.nets.cifar",
    "mmtf.nets.dense_products": "mmtf.kernels.dense",
    "mmtf.nets.fused_gradients": "mmtf.kernels.fused_gradients",
    "mmtf.nets.mnist_cnn": "mmtf.nets.mnist",
    "mmtf.nets.outputs": "mmtf.classifiers.logits",
    "mmtf.nets.precision": "mmtf.classifiers.precision",
    "mmtf.nets.replaced": "mmtf.kernels.patching",
    "mmtf.nets.second_derivatives": "mmtf.kernels.second_derivatives",
    "mmtf.nets.thin_gradient": "mmtf.kernels.conv_rows",
    "mmtf.nets.twice_pools": "mmtf.kernels.max_pool",
    "mmtf.provenance": "mmtf.storage.provenance",
    "mmtf.quiet": "mmtf.runtime.startup",
    "mmtf.reports.intervals": "mmtf.stats.intervals",
    "mmtf.reports.record": "mmtf.storage.files",
    "mmtf.risks": "mmtf.losses",
    "mmtf.solvers.functional": "mmtf.functional",
    "mmtf.summary": "mmtf.cli.summary",
    "mmtf.training.adam": "mmtf.kernels.adam",
    "mmtf.training.clusters": "mmtf.distributed.clusters",
    "mmtf.training.devices": "mmtf.runtime.devices",
    "mmtf.training.distribution": "mmtf.distributed.strategy",
    "mmtf.training.randomness": "mmtf.training.dropout",
    "mmtf.training.rates": "mmtf.training.learning_rate",
    "mmtf.training.rendezvous": "mmtf.distributed.rendezvous",
    "mmtf.training.workers": "mmtf.distributed.workers",
    "mmtf.workdir": "mmtf.runs.workdir",
}
# Of a module of then: its name -> where it is now, "module:name".
NAMES: dict[str, dict[str, str]] = {
    "mmtf.attacks": {
        "MADE": "mmtf.attacks._names_0_1:MADE",
    },
    "mmtf.attacks.base": {
        "choose": "mmtf.attacks.base:where_per_example",
        "compiled": "mmtf.attacks._names_0_1:compiled",
        "judge": "mmtf.attacks.base:misclassified_fn",
        "run": "mmtf.attacks.loop:run",
    },
    "mmtf.attacks.decay": {
        "shares": "mmtf.attacks.iterated:decay_factors",
    },
    "mmtf.attacks.expectation": {
        "MeanClassifier": "mmtf.attacks._names_0_1:mean_classifier",
    },
    "mmtf.attacks.goals": {
        "AimedAttack": "mmtf.attacks.criteria:TargetableAttack",
        "Goal": "mmtf.attacks.criteria:Criterion",
    },
    "mmtf.attacks.losses": {
        "AIMED_LOSSES": "mmtf.attacks._names_0_1:AIMED_LOSSES",
        "aimed_dlr": "mmtf.losses:dlr_to_target",
        "refuse_few_classes": "mmtf.losses:require_classes",
    },
    "mmtf.attacks.restarts": {
        "classifier_classes": "mmtf.attacks.criteria:count_classes",
        "restarted": "mmtf.attacks.loop:restarted",
        "seed_of": "mmtf.attacks.loop:restart_seed",
    },
    "mmtf.attacks.standing": {
        "Standing": "mmtf.attacks.loop:ActiveSet",
    },
    "mmtf.config": {
        "ConfigError": "mmtf.errors:ConfigError",
        "reason_of": "mmtf.errors:reason_of",
    },
    "mmtf.cpu": {
        "BFLOAT16": "mmtf.runtime.cpu:BFLOAT16_SETS",
        "INSTRUCTIONS": "mmtf.runtime.cpu:INSTRUCTION_SETS",
        "computes_bfloat16": "mmtf.runtime.cpu:has_bfloat16",
        "instructions": "mmtf.runtime.cpu:instruction_set",
    },
    "mmtf.data.dataset": {
        "BOX": "mmtf.data.pixels:BOX",
    },
    "mmtf.evaluate": {
        "FITTED": "mmtf.cli.evaluate:FITTED",
        "FLAGS": "mmtf.cli.evaluate:FLAGS",
        "define_flags": "mmtf.cli.evaluate:define_flags",
        "main": "mmtf.cli.evaluate:main",
    },
    "mmtf.evaluation": {
        "Outcome": "mmtf.evaluation.results:Result",
        "check_classifier": "mmtf.evaluation.admission:validate_logits",
    },
    "mmtf.evaluation.best_response": {
        "FreshAttNet": "mmtf.evaluation.best_response:FittedAttNet",
        "model_digest": "mmtf.evaluation._names_0_1:digest_of",
    },
    "mmtf.evaluation.blocks": {
        "KeptBlocks": "mmtf.storage.batch_cache:BatchCache",
    },
    "mmtf.evaluation.checks": {
        "Sign": "mmtf.evaluation.gradient_masking:Finding",
        "check_defense": "mmtf.evaluation.gradient_masking:masking_in_classifier",
        "check_table": "mmtf.evaluation.gradient_masking:masking_in_table",
    },
    "mmtf.evaluation.columns": {
        "columns_of": "mmtf.evaluation._names_0_1:columns_of",
        "identity_of": "mmtf.evaluation._names_0_1:identity_of",
    },
    "mmtf.evaluation.fresh": {
        "Fresh": "mmtf.evaluation.fitted:FittedAttack",
    },
    "mmtf.evaluation.matrix": {
        "Cell": "mmtf.evaluation.results:Result",
        "SHOWN": "mmtf.evaluation._names_0_1:SHOWN",
        "payoff_matrix": "mmtf.evaluation._names_0_1:payoff_matrix",
    },
    "mmtf.evaluation.measure": {
        "BLOCK": "mmtf.evaluation.batching:LARGEST",
        "Outcome": "mmtf.evaluation.results:Result",
        "check_classifier": "mmtf.evaluation.admission:validate_logits",
        "worst": "mmtf.evaluation.results:worst",
    },
    "mmtf.evaluation.runner": {
        "worst": "mmtf.evaluation.results:worst",
    },
    "mmtf.evaluation.models": {
        "Defense": "mmtf.evaluation._names_0_1:Defense",
        "SCALES": "mmtf.evaluation._names_0_1:SCALES",
        "SCALE_EXAMPLES": "mmtf.evaluation.admission:SCALE_EXAMPLES",
        "ServedLogits": "mmtf.evaluation._names_0_1:served_logits",
        "admit": "mmtf.evaluation._names_0_1:admit",
        "attack_precision": "mmtf.evaluation.admission:attack_precision",
        "digest_of": "mmtf.evaluation._names_0_1:digest_of",
        "load_defense": "mmtf.evaluation._names_0_1:load_defense",
    },
    "mmtf.evaluation.nearest": {
        "smallest_broken": "mmtf.evaluation.minimal_perturbation:minimal_distance",
    },
    "mmtf.evaluation.payoff": {
        "as_result": "mmtf.evaluation._names_0_1:as_result",
    },
    "mmtf.evaluation.universal": {
        "FreshUniversal": "mmtf.evaluation.fitted_universal:FittedUniversal",
    },
    "mmtf.games.base": {
        "Turn": "mmtf.games.players:StepContext",
    },
    "mmtf.lookup": {
        "Members": "mmtf.registry:Registry",
        "options_of": "mmtf.registry:resolve_kwargs",
    },
    "mmtf.nets.block_products": {
        "MOST_TAPS": "mmtf.kernels.conv_blocks:MAX_KERNEL_SIZE",
        "PARTS": "mmtf.kernels.conv_blocks:MAX_PARTS",
        "block_products": "mmtf.kernels.conv_blocks:block_convolutions",
    },
    "mmtf.nets.dense_products": {
        "narrow_products": "mmtf.kernels.dense:narrow_dense_layers",
    },
    "mmtf.nets.precision": {
        "evaluating_in_float32": "mmtf.classifiers._names_0_1:evaluating_in_float32",
        "model_of": "mmtf.classifiers._names_0_1:model_of",
        "policies_of": "mmtf.classifiers._names_0_1:policies_of",
    },
    "mmtf.nets.replaced": {
        "replaced": "mmtf.kernels.patching:patched",
    },
    "mmtf.nets.second_derivatives": {
        "cheap_second_derivatives": "mmtf.kernels.second_derivatives:cpu_second_derivatives",
        "max_pool": "mmtf.kernels.max_pool:max_pool",
    },
    "mmtf.nets.thin_gradient": {
        "THIN": "mmtf.kernels.conv_rows:FEW_CHANNELS",
        "WIDTH": "mmtf.kernels.conv_rows:VECTOR_WIDTH",
        "is_thin": "mmtf.kernels.conv_rows:has_few_channels",
        "thin_conv": "mmtf.kernels.conv_rows:few_channel_conv",
        "thin_input_gradients": "mmtf.kernels.conv_rows:fast_input_gradients",
    },
    "mmtf.nets.twice_pools": {
        "is_max_pool": "mmtf.kernels.second_derivatives:is_max_pool",
        "max_pool": "mmtf.kernels.max_pool:xla_max_pool",
        "twice_differentiable_pools": "mmtf.kernels.second_derivatives:xla_second_derivatives",
    },
    "mmtf.presets": {
        "BRIEF": "mmtf._presets_0_1:BRIEF",
        "BRIEF_NET": "mmtf._presets_0_1:BRIEF_NET",
        "DEFAULT_ATTACKS": "mmtf._presets_0_1:DEFAULT_ATTACKS",
        "DEFAULT_ETA": "mmtf._presets_0_1:DEFAULT_ETA",
        "FAST": "mmtf._presets_0_1:FAST",
        "FAST_FOR": "mmtf._presets_0_1:FAST_FOR",
        "FAST_GAME": "mmtf._presets_0_1:FAST_GAME",
        "FAST_GAME_FOR": "mmtf._presets_0_1:FAST_GAME_FOR",
        "FAST_NET": "mmtf._presets_0_1:FAST_NET",
        "FAST_NETWORK": "mmtf._presets_0_1:FAST_NETWORK",
        "FAST_NETWORK_GAME": "mmtf._presets_0_1:FAST_NETWORK_GAME",
        "NETWORK_GAME_ATTACKS": "mmtf._presets_0_1:NETWORK_GAME_ATTACKS",
        "PAPER": "mmtf._presets_0_1:PAPER",
        "PAPER_ROUNDS": "mmtf._presets_0_1:PAPER_ROUNDS",
        "RATES": "mmtf._presets_0_1:RATES",
    },
    "mmtf.quiet": {
        "CACHES": "mmtf.runtime.startup:AUTOTUNE_CACHE_FLAGS",
        "DRIVER": "mmtf.runtime.startup:NVIDIA_DEVICE",
        "NO_TRITON": "mmtf.runtime.startup:DISABLE_TRITON_GEMM",
        "TRITON_FAILS": "mmtf.runtime.startup:FLAGS_FOR_TENSORFLOW",
        "keep_what_xla_tries": "mmtf.runtime.startup:cache_xla_autotuning",
        "settings": "mmtf.runtime.startup:environment",
    },
    "mmtf.reports.evaluation": {
        "COLOURS": "mmtf.reports.evaluation:COLORS",
    },
    "mmtf.run": {
        "BEGAN": "mmtf.cli.run:BEGAN",
        "FLAGS": "mmtf.cli.run:FLAGS",
        "main": "mmtf.cli.run:main",
    },
    "mmtf.training.loop": {
        "Events": "mmtf.training.callbacks:Callbacks",
    },
    "mmtf.training.randomness": {
        "make_global_generator": "mmtf.kernels.keras_internals:make_global_seed_generator",
        "seeded": "mmtf.training.dropout:seeded_dropout",
    },
    "mmtf.training.rates": {
        "Rate": "mmtf.training.learning_rate:WarmupCosine",
    },
    "mmtf.training.train": {
        "CHECKED": "mmtf.training.admission:CHECKED",
    },
    "mmtf.training.trainer": {
        "PROGRAM_STEPS": "mmtf.training.steps:PROGRAM_STEPS",
    },
}


class MovedFinder(importlib.abc.MetaPathFinder):
    """Finds modules of MODULES, and those of NAMES that are still there."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if fullname in MODULES:
            return importlib.machinery.ModuleSpec(fullname, _MovedLoader())
        if fullname not in NAMES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _RenamingLoader(spec.loader)
        return spec


class _MovedModule(types.ModuleType):
    """Called like the function of its name, which may have taken the module's place in its room."""

    def __call__(self, *arguments, **options):
        return getattr(self, self.__name__.rpartition(".")[2])(*arguments, **options)


class _MovedLoader(importlib.abc.Loader):
    """A module that hands out the attributes of the one that took its place."""

    def create_module(self, spec):
        return _MovedModule(spec.name)

    def exec_module(self, module):
        old, new = module.__name__, MODULES[module.__name__]
        _warn(old, new, stacklevel=3)
        module.__getattr__ = lambda name: _attribute(old, name, importlib.import_module(new))


class _RenamingLoader(importlib.abc.Loader):
    """Loads a module and adds its old names."""

    def __init__(self, loader):
        self._loader = loader

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        own = vars(module).get("__getattr__")
        module.__getattr__ = lambda name: _attribute(module.__name__, name, own)

    def __getattr__(self, name):  # get_source, get_code and the like
        return getattr(self._loader, name)


def _attribute(old: str, name: str, otherwise):
    """The attribute `name` of the module `old`: renamed, or `otherwise`'s, a module or function."""
    if name in NAMES.get(old, {}):
        place, _, renamed = NAMES[old][name].partition(":")
        _warn(f"{old}.{name}", f"{place}.{renamed}", stacklevel=4)
        return getattr(importlib.import_module(place), renamed)
    if isinstance(otherwise, types.ModuleType):
        return getattr(otherwise, name)
    if otherwise is not None:
        return otherwise(name)
    raise AttributeError(f"module {old!r} has no attribute {name!r}")


def _warn(old, new, stacklevel):
    message = f"{old} is {new} now; the old name works for one release."
    warnings.warn(message, DeprecationWarning, stacklevel=stacklevel)


def install() -> None:
    """Puts the finder before Python's own, once."""
    if not any(isinstance(one, MovedFinder) for one in sys.meta_path):
        sys.meta_path.insert(0, MovedFinder())
