"""Generated blocks of pages, `<!-- name -->` to `<!-- /name -->`, and texts that they share."""

import pathlib
import shlex
import statistics
from collections.abc import Callable

from mmtf.reports.markdown import replace_block

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS, DOCS = ROOT / "results", ROOT / "docs"
FIGURES = DOCS / "figures"
# Printed below tables of errors.
ACCURACY = "Test errors; robust accuracy is 1 - error."


def rendered(page: pathlib.Path, blocks: dict[str, str]) -> str:
    """Returns the text of `page`, its blocks replaced by those of `blocks` (name -> Markdown)."""
    text = page.read_text()
    for name, content in blocks.items():
        if f"<!-- {name} -->" in text:
            text = replace_block(text, name, content)
    return text


def rewrite(page: pathlib.Path, blocks: dict[str, str]) -> None:
    """Writes `rendered` to the page and prints its path."""
    page.write_text(rendered(page, blocks))
    print(f"rendered {page.relative_to(ROOT)}")


def command(record: dict, module: str = "mmtf.run") -> str:
    """Returns the command line that made the record, as one types it in a shell."""
    return shlex.join(["python", "-m", module, *record["command"][1:]])


def commands(records: list[dict], module: str = "mmtf.run") -> str:
    """Returns a Markdown list of the records' commands, each once, with versions and machines."""
    lines = (f"- `{command(record, module)}`: {where(record)}" for record in records)
    return "\n".join(dict.fromkeys(lines))


def where(record: dict) -> str:
    """Returns versions, machine, precision, seed and commit of a record, those that it has."""
    versions, hardware = record["versions"], record["hardware"]
    commit, plus, changes = (record["commit"] or "unknown").partition("+")
    instructions = hardware.get("instructions")  # not in older records
    cores = f"{hardware['cores']} cores of {hardware['cpu']}"
    cores += f" ({instructions})" if instructions else ""
    parts = [f"TensorFlow {versions['tensorflow']}, Keras {versions['keras']}, {cores}"]
    if "precision" in record:
        parts.append(f"training in {record['precision']['training']}")
    if "seeds" in record:
        parts.append(f"seed {record['seeds'][0]}")
    return ", ".join([*parts, f"commit {commit[:12]}{plus}{changes}"])


def listed(names: list[str]) -> str:
    """Names as code, in a sentence.

    Example:
      >>> listed(["lwa", "ibp", "free"])
      '`lwa`, `ibp` and `free`'
    """
    quoted = [f"`{name}`" for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]]) if quoted[1:] else quoted[0]


def error_text(cell: dict, digits: int = 4) -> str:
    """Formats an error with its 95 % interval.

    Example:
      >>> error_text({"error": 0.1, "ci_low": 0.08, "ci_high": 0.12}, 2)
      '0.10 [0.08, 0.12]'
    """
    error, low, high = (f"{cell[name]:.{digits}f}" for name in ("error", "ci_low", "ci_high"))
    return f"{error} [{low}, {high}]"


def spread_text(
    values: list[float], digits: int, middle: Callable[[list[float]], float] = statistics.mean
) -> str:
    """Formats the mean (or `middle`) of values with [least, largest]; one value stands alone.

    Example:
      >>> spread_text([1.0, 2.0], 1), spread_text([1.0], 1)
      ('1.5 [1.0, 2.0]', '1.0')
    """
    ends = f" [{min(values):.{digits}f}, {max(values):.{digits}f}]" if len(values) > 1 else ""
    return f"{middle(values):.{digits}f}{ends}"
