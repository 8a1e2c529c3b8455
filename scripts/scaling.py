"""Scaling efficiency of runs of one job on increasing numbers of replicas.

    python -m scripts.scaling runs/one runs/two runs/four

Reads the workdirs' records and prints images/s over all replicas and, against the first run,
efficiency = (images/s per replica) / (images/s per replica of the first). Imports no TensorFlow.
"""

import os

from absl import app

from mmtf.cli.errors import in_one_line
from mmtf.errors import ConfigError, reason_of
from mmtf.reports import read_json

# Settings that may differ between compared runs, besides the replicas. --jit_compile is one because
# the record's jit_compile, which it resolves to, is compared instead.
MAY_DIFFER = ("seed", "attacks", "max_examples", "pgd_steps", "pgd_restarts", "schedule")
MAY_DIFFER += ("jit_compile",)


def rows(records: dict[str, dict]) -> list[dict]:
    """Returns one row for each run; the first run is the baseline.

    Args:
      records: name of the run -> its record, which must have a throughput.

    Raises:
      ConfigError: fewer than two runs, a run without a throughput, or runs of different jobs.
    """
    if len(records) < 2:
        raise ConfigError(f"Expected two runs or more. Received: {len(records)}.")
    first = next(iter(records.values()))
    table = []
    for name, record in records.items():
        rate = _rate(record)
        if not rate:
            raise ConfigError(
                f"Expected records of mmtf.run, of more than ten steps after the last start. "
                f"Received: {name}, which has no images_per_second."
            )
        if _job(record) != _job(first):
            raise ConfigError(
                "Expected runs of one job (game, net, data, precision, compiler). "
                f"Received: {name}, another."
            )
        table.append(
            {
                "run": name,
                "workers": record["workers"],
                "replicas": record["replicas"],
                "batch": record["config"]["schedule"]["batch_size"],
                "images/s": rate,
                "efficiency": rate / record["replicas"] * first["replicas"] / _rate(first),
            }
        )
    return table


def _rate(record):
    return record.get("training", {}).get("images_per_second")


def _job(record):
    config = {name: x for name, x in record["config"].items() if name not in MAY_DIFFER}
    hardware = {**record["hardware"], "gpus": sorted(set(record["hardware"]["gpus"]))}
    return config, record["precision"], record.get("jit_compile"), hardware


@in_one_line("scripts.scaling", takes_arguments=True)
def main(argv: list[str]) -> int:
    """Prints the table of the workdirs that the command line names; returns the exit status."""
    try:
        table = rows({path: read_json(os.path.join(path, "record.json")) for path in argv[1:]})
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"Expected record.json as mmtf.run writes it. Received: another ({reason_of(error)})."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"Expected workdirs of finished runs. Received: {error.filename} ({error.strerror})."
        ) from error
    print(f"{'run':24} workers replicas batch  images/s  efficiency")
    for row in table:
        print(
            f"{row['run']:24} {row['workers']:7} {row['replicas']:8} {row['batch']:5} "
            f"{row['images/s']:9,.0f}  {row['efficiency']:10.2f}"
        )
    return 0


if __name__ == "__main__":
    app.run(main)
