"""`python -m mmtf.evaluate`: robust accuracy of Keras models under many attacks.

    python -m mmtf.evaluate --model=runs/minimax_grad-mnist-eta0.3-seed0 \\
        --attacks=none,fgsm,pgd,autoattack --eta=0.3 --max_examples=1000 --output=report

Prints test errors with confidence intervals, the worst case over all attacks, and checks for
gradient masking. Several models and radii make a payoff matrix. With --output a stopped evaluation
resumes from its finished cells. From Python: `mmtf.evaluate`,
`mmtf.evaluation.payoff.payoff_matrix`.
"""

import os

from absl import flags

from mmtf.cli.certified_flags import certifies, other_radii
from mmtf.cli.errors import in_one_line, refuse_empty, says_kept
from mmtf.cli.evaluate_data import chosen_dataset, workdir_of
from mmtf.cli.evaluate_flags import (
    BOX,
    attack_names,
    attack_options,
    define_flags,
    path_and_name,
    pixel_ranges,
    radii,
    radius_order,
)
from mmtf.cli.flags import require_pixel_scale
from mmtf.cli.models import by_name, given_models, load_model
from mmtf.cli.output_folder import claimed
from mmtf.cli.smoothed_flags import noise_of, smooths
from mmtf.radius import Radius, radius_entry
from mmtf.runtime import startup
from mmtf.runtime.console import say

__all__ = ["define_flags", "main"]

REPORT_FILES: tuple[str, ...] = (
    "record.json",
    "images.json",
    "examples.npz",
    "table.csv",
    "table.md",
)
REPORT_FILES += ("report.html", "brackets.png")
SHOWN_IMAGES = 8
FLAGS = flags.FLAGS


@in_one_line(
    "mmtf.evaluate", stopped=says_kept("Finished cells and batches of images", lambda: FLAGS.output)
)
def main(argv: list[str]) -> int:
    """Evaluates the models that the flags name and prints the tables; returns the exit status."""
    return _run()


def _run() -> int:
    refuse_empty(FLAGS)
    etas, names = radii(FLAGS), attack_names(FLAGS)
    with claimed(FLAGS.output, REPORT_FILES):
        return _evaluate(names, etas)


def _evaluate(names: list[str], etas: list[Radius]) -> int:
    startup.import_tensorflow()
    from mmtf.data import load_data
    from mmtf.evaluation.admission import attack_precision
    from mmtf.evaluation.best_response import ATTNET, ATTNET_PAPER, ATTNET_PAPER_FAST
    from mmtf.evaluation.certified import Certification, with_certificates
    from mmtf.evaluation.options import EvalOptions
    from mmtf.evaluation.payoff import payoff_matrix
    from mmtf.evaluation.report import (
        evaluation_record,
        evaluation_text,
        log_brackets,
        model_source,
        write_report,
    )
    from mmtf.evaluation.unions import balls_of, make_attacks_in
    from mmtf.smoothing.columns import l2_radii, with_smoothed
    from mmtf.smoothing.settings import Settings

    attacks = attack_options(FLAGS, names)
    others = other_radii(FLAGS, radius_order(FLAGS))
    paths = [path_and_name(given)[0] for given in FLAGS.model]
    sigmas = noise_of(FLAGS.sigma, paths) if smooths(FLAGS) else []
    for balls in balls_of(etas, FLAGS.norm, others).values():
        make_attacks_in(balls, attacks)  # what cannot be made shows before models and data are read
    classifiers = given_models(FLAGS)
    found = dict(zip(classifiers, map(model_source, paths), strict=True))
    shared = pixel_ranges(FLAGS)[0] if len(FLAGS.bounds) == 1 else BOX
    chosen = FLAGS.model_output[0] if len(FLAGS.model_output) == 1 else None
    surrogates = [load_model(FLAGS, one, shared, chosen) for one in FLAGS.transfer_from]
    sources = by_name("transfer_from", surrogates)
    name = chosen_dataset(FLAGS.dataset, paths, classifiers.values())
    require_pixel_scale(FLAGS, name, FLAGS.preprocess)
    dataset = load_data(name, FLAGS.data_dir, preprocess=FLAGS.preprocess)
    attacks = attack_options(FLAGS, names, dataset.class_names)
    precision = attack_precision(FLAGS.attack_precision, list(classifiers.values()))
    how = Certification(
        verifiers=FLAGS.verifiers,
        seconds_per_image=FLAGS.seconds_per_image,
        dear_examples=FLAGS.dear_examples,
        radius_tolerance=FLAGS.radius_tolerance if FLAGS.certified_radius else None,
    )
    graphs = how.graphs(classifiers, etas, FLAGS.norm, others) if certifies(FLAGS) else {}
    noise = {
        name: Settings(
            sigma=sigma,
            n=FLAGS.certificate_draws,
            n0=FLAGS.selection_draws,
            alpha=FLAGS.alpha,
            attack_steps=0,
            seed=FLAGS.seed,
        )
        for name, sigma in zip(classifiers, sigmas, strict=False)
    }
    slow = FLAGS.schedule == "paper"
    recipes = {"attnet": ATTNET, "attnet_paper": ATTNET_PAPER if slow else ATTNET_PAPER_FAST}
    options = EvalOptions(
        max_examples=FLAGS.max_examples,
        seed=FLAGS.seed,
        batch_size=FLAGS.batch_size or None,
        precision=precision,
        eot_samples=FLAGS.eot_samples,
        keep=SHOWN_IMAGES,
        distances=True,
        skip_certified=FLAGS.skip_certified,
        cache_dir=FLAGS.output and os.path.join(FLAGS.output, "cells"),
        progress=True,
    )

    matrix = payoff_matrix(
        classifiers,
        attacks,
        dataset,
        etas=etas,
        norm=FLAGS.norm,
        others=others,
        recipes=recipes,
        sources=sources,
        options=options,
        say=say,
    )
    if graphs:
        matrix = with_certificates(
            matrix,
            graphs,
            dataset,
            how,
            etas=etas,
            norm=FLAGS.norm,
            others=others,
            options=options,
            say=say,
        )
    settings = {
        "norm": FLAGS.norm,
        "etas": [radius_entry(eta) for eta in etas],
        "seed": FLAGS.seed,
        "attacks": {
            name: recipes[name].to_dict() if name in recipes else options
            for name, options in attacks.items()
        },
        "eot_samples": FLAGS.eot_samples,
        "attack_precision": precision,
        "transfer_from": list(sources),
        "models": found,
        "bounds": {name: list(one.bounds) for name, one in classifiers.items()},
        "batch_size": FLAGS.batch_size or None,
    }
    if graphs:
        settings["verifiers"] = FLAGS.verifiers
        settings["seconds_per_image"] = FLAGS.seconds_per_image
        settings["dear_examples"] = FLAGS.dear_examples
    if noise:
        l2 = l2_radii(etas, FLAGS.norm, others)
        matrix, settings["smoothed"] = with_smoothed(
            matrix, classifiers, dataset, noise, radii=l2, options=options, say=say
        )
    if FLAGS.skip_certified:
        settings["skip_certified"] = True
    if others:
        settings["unions"] = {
            str(eta): {ball.norm: ball.eta for ball in balls[1:]}
            for eta, balls in balls_of(etas, FLAGS.norm, others).items()
        }
    if FLAGS.model_output:
        settings["outputs"] = {name: one.output for name, one in classifiers.items()}
    record = evaluation_record(matrix, dataset, settings)
    print(evaluation_text(record))
    if FLAGS.output:
        names = write_report(FLAGS.output, record, matrix, dataset, classifiers)
        log_brackets(record, [folder for folder in map(workdir_of, paths) if folder])
        print(f"\nEverything is in {FLAGS.output}: {', '.join(names)}.")
    return 0
