"""Names of mmtf 0.1 that moved or were renamed: they work for one release, with a warning.

`import mmtf` installs the import hook below. It makes removed modules importable, as aliases of the
modules that replaced them, and adds the old names to modules that still exist.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
import warnings
from collections.abc import Sequence
from typing import Any

# A line for each module of mmtf 0.1 that was removed (`old -> new`), or whose names moved or were
# renamed; all modules are in `mmtf`. The names follow as `OLD=NEW@module`: without `=NEW` if the
# name is unchanged, without `@module` if it is in the new module (in the old one if that still
# exists). An indented line continues the one above.
TABLE = """
afterwards -> runs.replay
attacks MADE@attacks._names_0_1
attacks.apgd_targeted -> attacks.apgd
attacks.base choose=where_per_example@attacks.queries compiled@attacks._names_0_1
    errors_at@attacks.queries gradient_of@attacks.queries input_gradient@attacks.queries
    judge=misclassified_fn@attacks.queries per_example@attacks.queries program@attacks.queries
    run@attacks.loop where_per_example@attacks.queries
attacks.decay -> attacks.iterated shares=decay_factors
attacks.expectation -> attacks.eot MeanClassifier=mean_classifier@attacks._names_0_1
attacks.fgm -> attacks.single_step
attacks.fgsm -> attacks.single_step
attacks.goals -> attacks.criteria AimedAttack=TargetableAttack Goal=Criterion
attacks.gradient_step -> attacks.single_step
attacks.ifgsm -> attacks.iterated
attacks.learned -> attacks.attack_network
attacks.losses -> losses AIMED_LOSSES@attacks._names_0_1 aimed_dlr=dlr_to_target
    refuse_few_classes=require_classes
attacks.none -> attacks.single_step
attacks.pgd -> attacks.iterated
attacks.restarts -> attacks.criteria classifier_classes=count_classes restarted@attacks.loop
    seed_of=restart_seed@attacks.loop
attacks.standing -> attacks.loop Standing=ActiveSet
command -> cli.errors
config BEFORE=ADDED_OPTIONS ConfigError@errors DECAYS@schedule
    as_before=without_added_defaults reason_of@errors
cpu -> runtime.cpu BFLOAT16=BFLOAT16_SETS INSTRUCTIONS=INSTRUCTION_SETS
    computes_bfloat16=has_bfloat16 instructions=instruction_set
curve -> runs.curve
evaluate FITTED@cli.evaluate_flags FLAGS@cli.evaluate define_flags@cli.evaluate main@cli.evaluate
evaluation Outcome=Result@evaluation.runner
    check_classifier=validate_logits@evaluation.admission
evaluation.best_response FreshAttNet=FittedAttNet model_digest=digest_of@evaluation._names_0_1
evaluation.blocks -> storage.batch_cache KeptBlocks=BatchCache
evaluation.checks -> evaluation.gradient_masking Sign=Finding
    check_defense=masking_in_classifier check_table=masking_in_table
evaluation.columns -> evaluation.attack_specs columns_of@evaluation._names_0_1
    identity_of@evaluation._names_0_1
evaluation.compare -> stats.paired
evaluation.fresh -> evaluation.fitted Fresh=FittedAttack
evaluation.matrix -> evaluation.payoff Cell=Result@evaluation.runner SHOWN@evaluation._names_0_1
    payoff_matrix@evaluation._names_0_1
data.dataset BOX@data.pixels
evaluation.measure -> evaluation.runner BLOCK=LARGEST@evaluation.batching Outcome=Result
    worst@evaluation.results
    check_classifier=validate_logits@evaluation.admission
evaluation.models -> classifiers.loading Defense@evaluation._names_0_1
    SCALES@evaluation._names_0_1 SCALE_EXAMPLES@evaluation.admission
    ServedLogits=served_logits@evaluation._names_0_1 admit@evaluation._names_0_1
    attack_precision@evaluation.admission digest_of@evaluation._names_0_1
    load_defense@evaluation._names_0_1
evaluation.nearest -> evaluation.minimal_perturbation smallest_broken=minimal_distance
evaluation.network_pair -> evaluation.exploitability
evaluation.payoff COLUMNS@evaluation.frame TARGETED@evaluation.frame as_result@evaluation._names_0_1
    evaluate@evaluation.frame
evaluation.rounds -> runs.rounds
evaluation.universal -> evaluation.fitted_universal FreshUniversal=FittedUniversal
experiment -> runs.experiment
export -> classifiers.export
flagged -> cli.flags
games.base Turn=StepContext@games.players
lock -> storage.lock
lookup -> registry Members=Registry options_of=resolve_kwargs@arguments
nets.architecture -> classifiers.fingerprint
nets.attack_conv -> nets.conv_attacker
nets.attack_mlp -> nets.mlp_attacker
nets.attack_unet -> nets.unet_attacker
nets.attack_universal -> nets.universal_attacker
nets.bilinear -> kernels.bilinear
nets.block_products -> kernels.conv_blocks MOST_TAPS=MAX_KERNEL_SIZE PARTS=MAX_PARTS
    block_products=block_convolutions
nets.cifar_cnn -> nets.cifar
nets.dense_products -> kernels.dense narrow_products=narrow_dense_layers
nets.fused_gradients -> kernels.fused_gradients
nets.mnist_cnn -> nets.mnist
nets.outputs -> classifiers.logits
nets.precision -> classifiers.precision evaluating_in_float32@classifiers._names_0_1
    model_of@classifiers._names_0_1 policies_of@classifiers._names_0_1
nets.replaced -> kernels.patching replaced=patched
nets.second_derivatives -> kernels.second_derivatives
    cheap_second_derivatives=cpu_second_derivatives max_pool@kernels.max_pool
nets.thin_gradient -> kernels.conv_rows THIN=FEW_CHANNELS WIDTH=VECTOR_WIDTH
    is_thin=has_few_channels thin_conv=few_channel_conv
    thin_input_gradients=fast_input_gradients
nets.twice_pools -> kernels.max_pool is_max_pool@kernels.second_derivatives
    max_pool=xla_max_pool
    twice_differentiable_pools=xla_second_derivatives@kernels.second_derivatives
presets BRIEF@_presets_0_1 BRIEF_NET@_presets_0_1 DEFAULT_ATTACKS@_presets_0_1
    DEFAULT_ETA@_presets_0_1 FAST@_presets_0_1 FAST_FOR@_presets_0_1 FAST_GAME@_presets_0_1
    FAST_GAME_FOR@_presets_0_1 FAST_NET@_presets_0_1 FAST_NETWORK@_presets_0_1
    FAST_NETWORK_GAME@_presets_0_1 NETWORK_GAME_ATTACKS@_presets_0_1 PAPER@_presets_0_1
    PAPER_ROUNDS@_presets_0_1 RATES@_presets_0_1
provenance -> storage.provenance
quiet -> runtime.startup CACHES=AUTOTUNE_CACHE_FLAGS DRIVER=NVIDIA_DEVICE
    NO_TRITON=DISABLE_TRITON_GEMM TRITON_FAILS=FLAGS_FOR_TENSORFLOW
    keep_what_xla_tries=cache_xla_autotuning settings=environment
reports.evaluation COLOURS=COLORS@reports.plots evaluation_html@reports.page
reports.intervals -> stats.intervals
reports.record -> storage.files
risks -> losses
run BEGAN@cli.run FLAGS@cli.run main@cli.run
runs.experiment require_possible@runs.admission
solvers.functional -> functional
summary -> cli.summary
threat L2_SLACK@norms.sizes ROUNDS@norms.l2 TINY@norms.l2
training.adam -> kernels.adam
training.checkpoints CheckpointError@storage.checkpoint_files
training.clusters -> distributed.clusters
training.devices -> runtime.devices
training.distribution -> distributed.strategy
training.loop Events=Callbacks@training.callbacks
training.randomness -> training.dropout
    make_global_generator=make_global_seed_generator@kernels.keras_internals
    seeded=seeded_dropout
training.rates -> training.learning_rate Rate=WarmupCosine
training.rendezvous -> distributed.rendezvous
training.train CHECKED@training.admission
training.trainer PROGRAM_STEPS@training.steps
training.workers -> distributed.workers
workdir -> runs.workdir
"""


def _read(table: str) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Returns old module -> new module, and old module -> {old name: "new module:new name"}."""
    modules: dict[str, str] = {}
    names: dict[str, dict[str, str]] = {}
    for line in table.strip().replace("\n   ", "").splitlines():
        old, *words = line.split()
        old = home = f"mmtf.{old}"
        if words[0] == "->":
            home = modules[old] = f"mmtf.{words[1]}"
            words = words[2:]
        for word in words:
            name, _, module = word.partition("@")
            name, _, renamed = name.partition("=")
            place = f"mmtf.{module}" if module else home
            names.setdefault(old, {})[name] = f"{place}:{renamed or name}"
    return modules, names


MODULES, NAMES = _read(TABLE)


class MovedFinder(importlib.abc.MetaPathFinder):
    """Import hook for the modules in MODULES, and for those in NAMES that still exist."""

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
    """A removed module that can be called like the function of the same name.

    `mmtf.nets.mnist_cnn` was a module and is now a function. Importing the old module sets the
    attribute `mnist_cnn` of `mmtf.nets` to the module, and `mmtf.nets.mnist_cnn()` must still work.
    """

    def __call__(self, *arguments, **options):
        return getattr(self, self.__name__.rpartition(".")[2])(*arguments, **options)


class _MovedLoader(importlib.abc.Loader):
    """Loads a removed module as an alias of the module that replaced it."""

    def create_module(self, spec):
        return _MovedModule(spec.name)

    def exec_module(self, module):
        old, new = module.__name__, MODULES[module.__name__]
        _warn(old, new, stacklevel=3)
        module.__getattr__ = lambda name: _attribute(old, name, importlib.import_module(new))


class _RenamingLoader(importlib.abc.Loader):
    """Loads a module that still exists and adds its old names."""

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
    """The attribute `name` of the module `old` of mmtf 0.1.

    If NAMES does not have it, it is looked up in `otherwise`: a module, or a module's __getattr__.
    """
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
    message = f"{old} was renamed to {new}; the old name works for one release."
    warnings.warn(message, DeprecationWarning, stacklevel=stacklevel)


def install() -> None:
    """Adds MovedFinder to `sys.meta_path`, before Python's own finders, unless it is there."""
    if not any(isinstance(one, MovedFinder) for one in sys.meta_path):
        sys.meta_path.insert(0, MovedFinder())
