"""Flags keep their names and defaults, and every documented command line its module and flags."""

import functools
import importlib.util
import json
import shlex

import pytest
import readings
from readings import DATA, ROOT

STORED = json.loads((DATA / "flags.json").read_text())
COMMANDS = (DATA / "readme_commands.txt").read_text().splitlines()
OF_ABSL = {"flagfile", "undefok"}  # which every command takes and --helpxml leaves out
flags_of = functools.cache(readings.flags_of)


@pytest.mark.parametrize("module", STORED)
def test_every_flag_is_there_with_its_default(module):
    assert len(STORED[module]) > 10
    now = {name: flag["default"] for name, flag in flags_of(module).items()}
    changed = {
        name: f"{default!r} -> {now.get(name, 'gone')!r}"
        for name, default in STORED[module].items()
        if now.get(name) != default
    }
    assert not changed


def test_documented_commands_have_their_modules_and_flags():
    assert len(COMMANDS) > 80
    unknown = []
    for line in COMMANDS:
        _, _, module, *given = shlex.split(line)
        if importlib.util.find_spec(module) is None:
            unknown.append(f"{module} of {line}")
            continue
        unknown += [f"{flag} of {line}" for flag in _names(given) if not _knows(module, flag)]
    assert not unknown


def _names(arguments):
    """Names of the flags among arguments, those of a flagfile too."""
    for one in arguments:
        if one.startswith("--"):
            name, _, value = one[2:].partition("=")
            yield name
            if name == "flagfile":
                lines = (ROOT / value).read_text().splitlines()
                yield from _names([line.strip() for line in lines])


def _knows(module, name):
    known = {*flags_of(module), *OF_ABSL}
    # Absl's own name for a false flag; a flag may itself begin with no.
    return name in known or name.removeprefix("no") in known
