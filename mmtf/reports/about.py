"""How an evaluation was made: its settings, versions and hardware, as names and texts."""

from typing import Any

from mmtf.reports.measured import record_radius
from mmtf.reports.result_tables import value_text

# What a record holds besides: shown elsewhere on the page.
PLACED = {
    "dataset", "note", "preprocess", "n", "norm", "etas", "seed", "attacks", "eot_samples",
    "attack_precision", "transfer_from", "bounds", "batch_size", "cells", "signs", "comparisons",
    "versions", "hardware", "environment", "commit", "command", "date", "models", "class_names",
    "certified", "certified_parts", "certified_radius", "unions",
}  # fmt: skip


def facts(record: dict[str, Any]) -> dict[str, str]:
    """Date, versions, commit, hardware and settings; entries that the record lacks are left out.

    Other entries of the record, such as peak memory, come last.
    """
    versions, hardware = record.get("versions", {}), record.get("hardware", {})
    known = {"mmtf": "mmtf", "tensorflow": "TensorFlow", "keras": "Keras", "python": "Python"}
    kept = [
        f"{known.get(name, name)} {versions[name]}"
        for name in (*known, "numpy")
        if name in versions
    ]
    devices = [*hardware.get("gpus", []), hardware.get("cpu"), hardware.get("instructions")]
    if hardware.get("cores"):
        devices.append(f"{hardware['cores']} cores")
    bounds = record.get("bounds", {})
    samples = record.get("eot_samples", 1)
    found = {
        "Date": record.get("date"),
        "Versions": ", ".join(kept),
        "Commit": record.get("commit"),
        "Hardware": ", ".join(str(one) for one in devices if one),
        "Environment": ", ".join(f"{k}={v}" for k, v in record.get("environment", {}).items()),
        "Data": f"{record['dataset']}, {record['n']:,} test images"
        + _in_brackets(record.get("note")),
        "Preprocessing": record.get("preprocess"),
        "Pixel range": ", ".join(
            f"{name} [{low:g}, {high:g}]" for name, (low, high) in bounds.items()
        ),
        "Norm": record.get("norm"),
        "Radii": ", ".join(record_radius(record, eta) for eta in record["etas"]),
        "Seed": str(record["seed"]) if "seed" in record else None,
        "Images attacked together": str(record["batch_size"]) if record.get("batch_size") else None,
        "Precision of attacks": record.get("attack_precision"),
        "Calls averaged": f"{samples}, by gradient-based attacks" if samples > 1 else None,
        "Surrogates": ", ".join(record.get("transfer_from", [])),
    }
    for key, value in record.items():
        title = key.replace("_", " ").capitalize()
        if key in PLACED:
            continue
        if isinstance(value, dict):
            texts = ((name, value_text(key, one)) for name, one in value.items())
            found[title] = ", ".join(f"{name} {text}" for name, text in texts if text)
        elif not isinstance(value, list):
            found[title] = value_text(key, value)
    return {name: str(text) for name, text in found.items() if text}


def attack_settings(record: dict[str, Any]) -> dict[str, str]:
    """What each attack was given that is not its default, empty for an attack without any.

    Example:
      >>> attack_settings({"attacks": {"fgsm": {}, "pgd": {"steps": 40, "restarts": 2}}})
      {'pgd': 'steps 40, restarts 2'}
    """
    told = {}
    for name, options in record["attacks"].items():
        if "schedule" in options:
            told[name] = f"{options['net']}, {options['schedule']['steps']:,} steps"
        elif options:
            shown = {key: _option(key, one, record) for key, one in options.items()}
            told[name] = ", ".join(f"{key} {one}" for key, one in shown.items())
    return told


def _option(key, value, record):
    """An option's value; of a target class also its name, if the record has it."""
    names = record.get("class_names")
    if key == "target" and names and value in range(len(names)):
        return f"{value} ({names[value]})"
    return value


def _in_brackets(note: str | None) -> str:
    return f" ({note})" if note else ""
