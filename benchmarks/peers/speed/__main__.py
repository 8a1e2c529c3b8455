"""`python -m benchmarks.peers.speed`: speed of mmtf and its peers, measured side by side.

    pip install '.[bench]'
    python -m benchmarks.peers.speed --model=runs/minimax_grad-mnist-eta0.3-seed0

Every variant runs in its own process; blocks of one work alternate between its variants, so that
other load affects all of them alike. Medians are reported. Variants whose library is not installed
are left out, which the record states; so is bfloat16 on a CPU without such instructions.
With ONEDNN_MAX_CPU_ISA=AVX2 in the environment, mmtf and its peers use AVX2 on a wider CPU.
Writes results/benchmarks/peers-INSTRUCTIONS.json, one record for each kind of CPU, e.g. peers-avx2;
`python -m scripts.performance` renders docs/performance.md from them.
"""

import functools
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import app, flags

from benchmarks.interleave import TimedProcess, interleaved
from benchmarks.peers.speed.works import BATCH, ETA, WORKS
from benchmarks.records import write_record
from mmtf.cli.errors import in_one_line

FLAGS = flags.FLAGS
NEEDS = {
    "cleverhans": ["cleverhans"],
    "torch": ["torch"],
    "foolbox": ["foolbox"],
    "foolbox_torch": ["foolbox", "torch"],
    "art": ["art", "torch"],
    "art_function": ["art"],
    "autoattack": ["pyautoattack", "torch"],
}
PACKAGES = {
    "cleverhans": "cleverhans",
    "torch": "torch",
    "foolbox": "foolbox",
    "art": "adversarial-robustness-toolbox",
    "autoattack": "pyautoattack",
}
OUTPUT = "results/benchmarks/peers-{instructions}.json"
# Version of the peers' code, stored in records; to be raised when a peer's computation changes.
PEERS_CODE = 2
# Forward pass of mnist_cnn, multiplications and additions: 28^2 x 25 x 32, 14^2 x 800 x 64,
# 3136 x 512, 512 x 10.
FORWARD_FLOPS = 2 * (28**2 * 25 * 32 + 14**2 * 800 * 64 + 3136 * 512 + 512 * 10)


def worker(work: str, variant: str, precision: str, count: int, folder: str) -> TimedProcess:
    """Starts a variant's process, which runs one block at each `go()`."""
    fresh = WORKS[work].fresh
    warm = "cold" if WORKS[work].once or fresh else "warm"
    module = "benchmarks.peers.speed.worker"
    named = [fresh or work, variant, precision, str(count), warm, folder]
    return TimedProcess(variant, ["-m", module, *named])


def whole(one: TimedProcess) -> dict:
    """Runs the only block of a process; its time counts from the start of the process."""
    answer = one.go()
    wall = time.perf_counter() - one.began
    one.close()
    return answer | {"wall": wall, "cpu": answer["cpu_total"]}


def matmul_peak(precision: str) -> float:
    """Returns GFLOP/s of a 2048 x 2048 x 2048 product, the best of 5 blocks, in its own process."""
    code = (
        "import time, tensorflow as tf\n"
        f"a = tf.cast(tf.random.normal([2048, 2048]), '{precision}')\n"
        "f = tf.function(lambda: tf.reduce_sum(a @ a))\n"
        "f(); best = 1e9\n"
        "for _ in range(5):\n"
        "    t = time.perf_counter(); [f() for _ in range(4)]; f().numpy()\n"
        "    best = min(best, (time.perf_counter() - t) / 5)\n"
        "print(2 * 2048**3 / best / 1e9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def time_work(
    name: str, precision: str, folder: str, counts: dict[str, int], peak: float
) -> list[dict]:
    """Times one work; returns a row for each variant."""
    work = WORKS[name]
    count = counts.get(name, work.count)
    variants = [one for one in work.variants[precision] if _installed(one)]
    make = {one: functools.partial(worker, name, one, precision, count, folder) for one in variants}
    workers = {} if work.fresh else {one: make[one]() for one in variants}
    blocks = {one: [] for one in variants}
    for one in interleaved(variants, 1 if work.once else FLAGS.blocks):
        blocks[one].append(whole(make[one]()) if work.fresh else workers[one].go())
    for one in workers.values():
        one.close()
    ours = statistics.median(one["wall"] for one in blocks["mmtf"])
    rows = []
    for variant in variants:
        walls = sorted(one["wall"] for one in blocks[variant])
        wall = statistics.median(walls)
        images = count * (BATCH if work.unit == "step" else 1)
        forwards = work.forwards - work.saved.get(variant, 0)
        flops = forwards * FORWARD_FLOPS * images / wall / 1e9
        rows.append(
            {
                "work": name,
                "precision": precision,
                "variant": variant,
                "unit": work.unit,
                "count": count,
                "per_second": count / wall,
                "times_ours": wall / ours,
                "wall": walls,
                "cpu": statistics.median(one["cpu"] for one in blocks[variant]),
                "peak_mib": max(one["peak_mib"] for one in blocks[variant]),
                "of_peak": flops / peak if work.forwards else None,
                "error": blocks[variant][-1]["error"],
            }
        )
        print(
            f"{name:18} {precision:9} {variant:14} {count / wall:9.2f} {work.unit}s/s   "
            f"mmtf is {wall / ours:.2f} x as fast",
            flush=True,
        )
    return rows


def limits_of_pytorch(instructions: str) -> dict[str, str]:
    """Environment variables with which PyTorch uses the same vector instructions as TensorFlow.

    ONEDNN_MAX_CPU_ISA holds the oneDNN of both to them, but PyTorch also has kernels of its own and
    MKL's.

    Args:
      instructions: see `mmtf.runtime.cpu.instruction_set`.

    Example:
      >>> limits_of_pytorch("avx2")
      {'ATEN_CPU_CAPABILITY': 'avx2', 'MKL_ENABLE_INSTRUCTIONS': 'AVX2'}
      >>> limits_of_pytorch("avx512f")
      {}
    """
    if instructions != "avx2":
        return {}
    return {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}


def missing() -> dict[str, list[str]]:
    """Returns variant -> its packages that are not installed."""
    return {name: _lacks(name) for name in NEEDS if _lacks(name)}


def _lacks(variant):
    return [one for one in NEEDS.get(variant, []) if importlib.util.find_spec(one) is None]


def _installed(variant):
    return not _lacks(variant)


def _prepare(folder):
    from mmtf.classifiers.loading import load_classifier
    from mmtf.data import load_data

    data = load_data("mnist")
    model = load_classifier(FLAGS.model).model
    model.save(os.path.join(folder, "classifier.keras"))
    weights = {str(i): value for i, value in enumerate(model.get_weights())}
    np.savez(os.path.join(folder, "weights.npz"), **weights)
    x, y = data.test(1280)
    np.savez(os.path.join(folder, "data.npz"), images=x, labels=y)


def counts_of(given: list[str]) -> dict[str, int] | None:
    """Parses WORK=UNITS into {WORK: UNITS}; returns None if the format or a name is wrong.

    Example:
      >>> counts_of(["pgd=200"]), counts_of(["pgd"]), counts_of(["pdg=200"])
      ({'pgd': 200}, None, None)
    """
    pairs = [one.partition("=") for one in given]
    counted = [name for name, work in WORKS.items() if not work.fresh]
    if all(name in counted and count.isdigit() and int(count) for name, _, count in pairs):
        return {name: int(count) for name, _, count in pairs}
    return None


def define_flags() -> None:
    """Defines the command's flags; a function, because one test may import several scripts."""
    flags.DEFINE_string("model", None, "Workdir of mmtf.run or .keras file with an mnist_cnn.")
    flags.mark_flag_as_required("model")
    flags.DEFINE_list(
        "works", list(WORKS), f"Works, separated by commas. Any of: {', '.join(WORKS)}."
    )
    flags.register_validator(
        "works",
        lambda names: len(names) > 0 and set(names) <= set(WORKS),
        message=f"Expected any of {', '.join(WORKS)}, separated by commas.",
    )
    flags.DEFINE_integer(
        "blocks", 5, "Timed blocks of each variant, of which the median is reported.", lower_bound=1
    )
    flags.DEFINE_list(
        "counts", [], "WORK=UNITS: units in a block of a work, in place of the default."
    )
    flags.register_validator(
        "counts",
        lambda given: counts_of(given) is not None,
        message="Expected WORK=UNITS, separated by commas, e.g. pgd=200.",
    )
    flags.DEFINE_string("output", None, f"Path of the record; default {OUTPUT}.")
    flags.register_multi_flags_validator(
        ["works", "output"],
        lambda given: given["output"] or set(given["works"]) == set(WORKS),
        message="Expected --output=FILE with a part of the works: the committed record has all.",
    )


@in_one_line("peers")
def main(_: list[str]) -> None:
    """Times all works and writes the record after each."""
    from importlib.metadata import version

    from mmtf.runtime import cpu, startup

    startup.import_tensorflow()
    from mmtf.storage.provenance import provenance

    os.environ.update(limits_of_pytorch(cpu.instruction_set()))  # of the workers
    rows, peaks, counts = [], {}, counts_of(FLAGS.counts)
    precisions = ["float32", *(["bfloat16"] if cpu.has_bfloat16() else [])]
    output = FLAGS.output or OUTPUT.format(instructions=cpu.instruction_set() or "other")
    with tempfile.TemporaryDirectory() as folder:
        _prepare(folder)
        for name in FLAGS.works:
            for precision in (one for one in precisions if one in WORKS[name].variants):
                if precision not in peaks:
                    peaks[precision] = matmul_peak(precision)
                rows += time_work(name, precision, folder, counts, peaks[precision])
                record = {
                    "peers_code": PEERS_CODE,
                    "batch": BATCH,
                    "eta": ETA,
                    "blocks": FLAGS.blocks,
                    "matmul_gflops": peaks,
                    "rows": rows,
                    "left_out": missing(),
                    "precisions": precisions,
                    "peers": {n: version(p) for n, p in PACKAGES.items() if _installed(n)},
                    **provenance(),
                }
                write_record(output, record)
    print(f"wrote {output}")


if __name__ == "__main__":
    define_flags()
    app.run(main)
