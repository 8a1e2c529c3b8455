"""Compares mmtf's attacks with those of ART, Foolbox and the original AutoAttack, on equal weights.

    python -m scripts.attack_comparison --model=NAME=PATH [--model=...] [--max_examples=200]
    python -m scripts.attack_comparison --render

PATH is a model as `mmtf.evaluate` takes it. Requires the extra `peers`. Writes
results/evaluation/comparison.json after every row and resumes from its rows; `--render` only makes
the block of docs/evaluation.md from the record. On a busy machine set OMP_NUM_THREADS=1, because
PyTorch's threads wait for each other in busy loops.
"""

import importlib.util
import os

from absl import app, flags

from mmtf.cli.errors import in_one_line
from mmtf.config import NORMS
from mmtf.errors import ConfigError, require_choice
from mmtf.reports import read_json, write_json
from mmtf.reports.markdown import markdown_table
from mmtf.runtime import startup
from mmtf.storage.lock import hold_file
from scripts.blocks import ACCURACY, DOCS, RESULTS, rewrite

RECORD = RESULTS / "evaluation" / "comparison.json"
PAGE = DOCS / "evaluation.md"
NEEDS = ("torch", "art", "foolbox", "pyautoattack")
SHARED = ("dataset", "max_examples", "seed")

FLAGS = flags.FLAGS


@in_one_line("scripts.attack_comparison")
def main(_: list[str]) -> None:
    """Runs the comparisons that the record lacks, and renders the tables."""
    if not FLAGS.render:
        run()
    if FLAGS.output == str(RECORD):
        rewrite(PAGE, blocks())
    else:
        print(block(read_json(FLAGS.output)))


def blocks() -> dict[str, str]:
    """Returns name -> Markdown of the page's block, from the committed record."""
    return {"peers": block(read_json(RECORD))}


def run() -> None:
    """Runs the comparisons that the record lacks, and writes it after each.

    Raises:
      ConfigError: no --model, a peer that is not installed, or a record with other settings.
    """
    if not FLAGS.model:
        raise ConfigError("Expected --model=NAME=PATH, once or more, or --render. Received: none.")
    lacks = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if lacks:
        raise ConfigError(
            f"Expected the peers: pip install '.[peers]'. Received: no {', '.join(lacks)}."
        )
    startup.import_tensorflow()
    from benchmarks.peers.comparison import COMPARISONS, compare
    from benchmarks.peers.subject import Settings, subject_of
    from benchmarks.peers.torch_copy import check_copy
    from mmtf import load_data
    from mmtf.classifiers.loading import load_classifier
    from mmtf.evaluation.admission import validate_classifier

    titles = [one.title for one in COMPARISONS]
    for title in FLAGS.only:
        require_choice("--only", title, titles)
    data = load_data(FLAGS.dataset)
    x, y = data.test(FLAGS.max_examples)
    settings = Settings(steps=FLAGS.steps, queries=FLAGS.queries)
    radii = {"linf": FLAGS.eta, "l2": FLAGS.eta_l2}
    lock = hold_file(FLAGS.output)
    record = _opened()
    for one in FLAGS.model:
        name, _, path = one.rpartition("=")
        classifier = load_classifier(path, name or None)
        validate_classifier(classifier, data)
        subject = subject_of(classifier.model, FLAGS.seed)
        kept = {"name": classifier.name, "digest": classifier.fingerprint}
        kept["logits_difference"] = check_copy(classifier.model, subject.torch_copy, x)
        record["classifiers"] = _replaced(record["classifiers"], kept, ("name",))
        # Drops the rows of another classifier that had this name before.
        record["rows"] = [
            row
            for row in record["rows"]
            if row["classifier"] != kept["name"] or row["digest"] == kept["digest"]
        ]
        for comparison in COMPARISONS:
            if FLAGS.only and comparison.title not in FLAGS.only:
                continue
            eta, options = radii[comparison.norm], comparison.options(settings)
            key = {
                "classifier": classifier.name,
                "digest": kept["digest"],
                "attack": comparison.title,
                "norm": comparison.norm,
                "eta": eta,
                "iterations": options,
                "seeds": comparison.seeds,
            }
            if any(key.items() <= row.items() for row in record["rows"]):
                continue
            print(f"{classifier.name}: {comparison.title}, {comparison.norm}", flush=True)
            row = key | compare(subject, x, y, comparison, eta, settings) | _where()
            record["rows"] = _replaced(record["rows"], row, ("classifier", "attack", "norm"))
            print(_told(row), flush=True)
            write_json(FLAGS.output, record)
    lock.close()


def _opened() -> dict:
    """Returns the record to resume from, or an empty one; rejects one with other settings."""
    shared = {name: getattr(FLAGS, name) for name in SHARED}
    if not os.path.exists(FLAGS.output):
        return {**shared, "classifiers": [], "rows": []}
    record = read_json(FLAGS.output)
    found = {name: record[name] for name in SHARED}
    if found != shared:
        raise ConfigError(f"Expected {found}, as in {FLAGS.output}. Received: {shared}.")
    return record


def _where() -> dict:
    import torch

    from mmtf.storage.provenance import provenance

    found = provenance()
    found["versions"]["torch"] = torch.__version__
    found["hardware"]["torch_threads"] = torch.get_num_threads()
    return {name: found[name] for name in ("versions", "hardware", "environment", "commit")}


def _replaced(rows, new, names):
    def same(row):
        return all(row[name] == new[name] for name in names)

    return [*(row for row in rows if not same(row)), new]


def _told(row):
    peers = ", ".join(f"{cell['peer']} {cell['error']:.3f}" for cell in row["peers"])
    return f"  mmtf {row['ours']['error']:.3f}, {peers}"


def block(record: dict) -> str:
    """Returns Markdown: the tables of every classifier in the record, and their versions."""
    parts = []
    for one in record["classifiers"]:
        name, digest = one["name"], one["digest"]
        rows = [
            row for row in record["rows"] if (row["classifier"], row["digest"]) == (name, digest)
        ]
        if not rows:
            continue
        rows.sort(key=lambda row: (NORMS.index(row["norm"]), row["attack"]))
        parts.append(f"`{one['name']}`, clean error {rows[0]['clean']:.3f}:")
        parts.append(table(rows))
    parts += [_distances(record["rows"]), _pixels(record["rows"])]
    violations = sum(cell["violations"] for row in record["rows"] for cell in row["peers"])
    commits = sorted({(row["commit"] or "none").partition("+")[0][:7] for row in record["rows"]})
    versions = record["rows"][0]["versions"]
    parts.append(
        f"n = {record['rows'][0]['n']}, the first test images of {record['dataset']}; images of "
        f"peers outside the ball or the box: {violations}. {ACCURACY} "
        f"TensorFlow {versions['tensorflow']}, Keras {versions['keras']}, commit "
        f"{', '.join(commits)}."
    )
    return "\n\n".join(part for part in parts if part)


def table(rows: list[dict]) -> str:
    """Returns a Markdown table with a line for each attack and peer."""
    header = ["attack", "norm, eta", "iterations", "runs", "mmtf", "peer", "its error"]
    header += ["images more", "mmtf alone", "peer alone", "s", "peer's s"]
    lines = []
    for row in rows:
        given = ", ".join(f"{name} {value}" for name, value in row["iterations"].items())
        for cell in row["peers"]:
            lines.append(
                [
                    row["attack"],
                    f"{row['norm']}, {row['eta']:g}",
                    given,
                    str(row["seeds"]),
                    f"{row['ours']['error']:.3f}",
                    f"{cell['peer']} {cell['version']}",
                    f"{cell['error']:.3f}",
                    _gain(cell),
                    f"{cell['ours_alone']:.3g}",
                    f"{cell['theirs_alone']:.3g}",
                    f"{row['ours']['seconds']:.0f}",
                    f"{cell['seconds']:.0f}",
                ]
            )
    return markdown_table(header, lines)


def _gain(cell: dict) -> str:
    """By how many more images than the peer's mmtf's attack succeeds, with its standard error."""
    gain = cell["ours_alone"] - cell["theirs_alone"]
    error = cell.get("gain_se")
    return f"{gain:+.3g}" + (f" ± {error:.2g}" if error else "")


def _distances(rows: list[dict]) -> str:
    """Median distances of the minimal-perturbation attacks, run without a radius."""
    lines = []
    for row in rows:
        for one in [{"peer": "mmtf", **row["ours"]}, *row["peers"]]:
            if one.get("median_distance") is not None:
                name, median = one["peer"], f"{one['median_distance']:.3f}"
                where = [row["classifier"], row["attack"], row["norm"]]
                lines.append([*where, name, median, str(one["broke_at_all"])])
    if not lines:
        return ""
    header = ["classifier", "attack", "norm", "by", "median distance", "images broken"]
    return "Without a ball:\n\n" + markdown_table(header, lines)


def _pixels(rows: list[dict]) -> str:
    told = []
    for row in rows:
        for cell in row["peers"]:
            if "pixels" in cell:
                told.append(
                    f"{row['classifier']}, {cell['peer']}: largest difference "
                    f"{cell['largest_difference']:.1e}; {cell['pixels_differing']} of "
                    f"{cell['pixels']:,} pixels differ by more than 1e-5, "
                    f"{cell['pixels_unexplained']} of them with a gradient above rounding "
                    f"({cell['pixels_in_doubt']:,} are below)"
                )
    return "FGSM pixel by pixel: " + ". ".join(told) + "." if told else ""


def define_flags() -> None:
    """Defines the command's flags; a function, because one test may import several scripts."""
    flags.DEFINE_multi_string("model", [], "NAME=PATH of a classifier. Repeat for several.")
    flags.DEFINE_string("dataset", "mnist", "Dataset, as in mmtf.run.")
    flags.DEFINE_integer(
        "max_examples", 200, "Number of test examples, from the first.", lower_bound=1
    )
    flags.DEFINE_float("eta", 0.3, "l-infinity radius, for pixels in [-1, 1].")
    flags.DEFINE_float("eta_l2", 2.0, "l2 radius, for pixels in [-1, 1].")
    flags.DEFINE_integer(
        "steps", 50, "Steps of APGD, and of APGD-T and FAB-T for each target.", lower_bound=1
    )
    flags.DEFINE_integer("queries", 500, "Queries of Square.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Seed of random starts.")
    flags.DEFINE_list("only", [], "Titles of attacks; default: all.")
    flags.DEFINE_string("output", str(RECORD), "Path of the record.")
    flags.DEFINE_bool("render", False, "Only make the tables from the record.")


if __name__ == "__main__":
    define_flags()
    app.run(main)
