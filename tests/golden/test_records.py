"""The committed records render the same numbers; words around them may change."""

import json

import forked
import pytest
import readings
from readings import DATA

STORED = json.loads((DATA / "tables.json").read_text())


def within(stored, now):
    """Whether `stored` are among `now` in this order: a row may gain numbers, but lose none."""
    rest = iter(now)
    return all(number in rest for number in stored)


@pytest.mark.parametrize("module", readings.TABLES)
def test_a_table_prints_its_rows(module):
    printed = readings.table_rows(forked.call(module).stdout)
    stored = [line.rpartition(": ") for line in STORED["tables"][module]]
    assert [key for key, _ in printed] == [key for key, _, _ in stored]
    for (key, now), (_, _, numbers) in zip(printed, stored, strict=True):
        assert within(numbers.split(), now), f"{key}: {numbers} -> {' '.join(now)}"


def test_pages_have_their_rows(tmp_path):
    assert sum(map(len, STORED["pages"].values())) > 800
    missing = []
    for command, rows in readings.render_pages(tmp_path).items():
        rest = list(rows)
        # One page is enough for a row that several had.
        for line in dict.fromkeys(STORED["pages"][command]):
            found = next((row for row in rest if within(line.split(), row)), None)
            if found is None:
                missing.append(f"{command}: {line}")
            else:
                rest.remove(found)
    assert not missing
