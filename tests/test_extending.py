"""docs/extending.md: its files are short, and its commands run with them."""

import pathlib
import re
import shlex
import sys

import pytest
from commands import call

from mmtf.data import load_data
from mmtf.errors import ConfigError
from mmtf.presets import run_config

pytestmark = pytest.mark.usefixtures("few_checks", "narrow_net")
ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text()
FILES = dict(re.findall(r"^```python\n# (my_package/\w+\.py)\n(.*?)^```", PAGE, re.M | re.S))
# In their order, for a later one evaluates what an earlier one trained.
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"^```bash\n(.*?)^```", PAGE, re.M | re.S)
    for line in block.replace("\\\n", "").splitlines()
]
# The last one of two equal flags counts.
SHORTER = {
    "mmtf.run": ["--steps=2", "--batch_size=16", "--max_examples=16"],
    "mmtf.evaluate": ["--max_examples=16"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the page's my_package in it."""
    folder = tmp_path_factory.mktemp("extending")
    (folder / "my_package").mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


def test_an_attack_a_game_a_net_and_a_dataset_in_less_than_40_lines_each():
    names = [f"my_package/{name}.py" for name in ("attacks", "games", "nets", "data")]
    assert list(FILES) == names
    assert all(len(text.splitlines()) < 40 for text in FILES.values())


def test_every_command_of_the_page_runs(folder):
    assert {command[2] for command in COMMANDS} == set(SHORTER)
    printed = []
    for _, _, module, *flags in COMMANDS:
        done = call(module, *flags, *SHORTER[module], cwd=folder)
        assert done.returncode == 0, f"{module} {flags}: {done.stderr[-3000:]}"
        printed.append(done.stdout)
    trained, measured = printed[0], printed[1]
    assert re.search(r"^ *random_search_curr", trained, re.M)
    assert "lwa on digits, linf, eta 0.298039 (eps 38/255)" in trained
    assert re.search(r"random_search\b", measured)
    assert "19/255)" in measured and "38/255)" in measured
    assert (folder / "runs" / "logit_pairing-digits-eta0.3-seed0" / "record.json").exists()
    assert "logit_pairing on even_or_odd" in printed[-2]
    shown = {line.split()[0]: line.split()[1:] for line in printed[-1].splitlines()}
    assert shown["game"] == ["my_package.games:LogitPairing", "flag", "--game"]
    assert shown["game_options.gamma"] == ["0.5", "default"]


@pytest.fixture
def importable(folder, monkeypatch):
    """my_package can be imported, as from its folder."""
    monkeypatch.syspath_prepend(folder)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_package"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "given, message",
    [
        ({"game": "my_games:Mine"}, r"'my_games:Mine' \(no module 'my_games'\)"),
        ({"game": "my_package.games:Mine"}, r"\(no 'Mine' in 'my_package.games'\)"),
        ({"game": "my_package.nets:small_net"}, "game as a subclass of Game. Received: 'my_pack"),
        ({"attacks": ("my_package.games:LogitPairing",)}, "attack as a subclass of Attack or"),
        ({"net": "my_package.attacks:losses"}, "net as a function with keywords image_shape"),
    ],
)
def test_what_is_not_there_or_is_another_thing_is_refused(importable, given, message):
    with pytest.raises(ConfigError, match=message):
        run_config(**given)


def test_what_is_no_dataset_is_refused(importable):
    with pytest.raises(ConfigError, match="dataset as an mmtf.Dataset, or as a function"):
        load_data("my_package.nets:keras")
    assert load_data("my_package.data:even_or_odd").name == "my_package.data:even_or_odd"
    boxed = load_data("my_package.data:even_or_odd", preprocess="per_image")
    assert "standardized" in boxed.note


def test_a_mistake_gets_one_line(folder):
    flags = ["--attacks=my_package.attacks:Search", "--dataset=digits"]
    done = call("mmtf.run", *flags, cwd=folder)
    assert done.returncode == 1 and "no 'Search' in 'my_package.attacks'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
