"""What scripts/build_files.py writes for a small repository, and that ours is up to date."""

import pathlib

import pytest

from scripts import build_files
from scripts.build_files import BuildError

ROOT = pathlib.Path(__file__).resolve().parent.parent

SOURCES = {
    "mmtf/__init__.py": "NAMES = {'build': 'mmtf.nets.cnn:build'}\n",
    "mmtf/registry.py": "",
    "mmtf/run.py": "if __name__ == '__main__':\n    pass\n",
    "mmtf/nets/__init__.py": "from mmtf.registry import R\nNETS = R('mmtf.nets.cnn:build')\n",
    "mmtf/nets/cnn.py": "def build():\n    from mmtf.nets import layers\n\nTABLE = 'paper.csv'\n",
    "mmtf/nets/layers.py": "import numpy\nimport mmtf\n",
    "mmtf/nets/paper.csv": "",
    "tests/conftest.py": "",
    "tests/run_pytest.py": "if __name__ == '__main__':\n    pass\n",
    "tests/nets/__init__.py": "",
    "tests/nets/helper.py": "",
    "tests/nets/test_cnn.py": "from mmtf.nets.cnn import build\nfrom . import helper\n",
    "tests/nets/test_run.py": "import mmtf\nA = 'mmtf.run', 'flags/a'\nM = pytest.mark.slow\n",
}
CNN = """\
py_library(
    name = "cnn",
    srcs = ["cnn.py"],
    data = ["paper.csv"],
    deps = [":layers"],
)"""
RUN = """\
py_test(
    name = "test_run",
    timeout = "eternal",
    srcs = [
        "test_run.py",
        "//tests:run_pytest.py",
    ],
    args = ["$(location test_run.py)"],
    data = [
        "//:flags",
        "//mmtf:run",
        "//tests:conftest",
    ],
    main = "//tests:run_pytest.py",
    tags = ["slow"],
    deps = [
        "//:mmtf",
        "//tests:run_pytest",
    ],
)"""


@pytest.fixture
def checkout(tmp_path):
    """A small repository without BUILD files."""
    for name, text in SOURCES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_repositorys_own_are_up_to_date():
    assert sorted(build_files.differing(ROOT)) == [], "Run: python -m scripts.build_files --write"


def test_rules_follow_from_imports_registries_and_names(checkout):
    files = build_files.build_files(checkout)
    folders = ("mmtf", "mmtf/nets", "tests", "tests/nets")
    assert sorted(files) == ["BUILD", *(f"{folder}/BUILD" for folder in folders)]
    rules = {name: text.strip().split("\n\n") for name, text in files.items()}
    assert all(
        text[:2] == [build_files.HEADER.strip(), build_files.PACKAGE] for text in rules.values()
    )
    assert CNN in rules["mmtf/nets/BUILD"]
    assert RUN in rules["tests/nets/BUILD"]
    assert 'data = [":cnn"],\n    deps = ["//mmtf:registry"]' in rules["mmtf/nets/BUILD"][2]
    # `import mmtf` inside the library is the module alone: what it names would import it again.
    assert 'py_library(\n    name = "mmtf",\n    srcs = ["__init__.py"],\n)' in rules["mmtf/BUILD"]
    assert 'deps = ["//mmtf"]' in rules["mmtf/nets/BUILD"][-1]
    assert '":helper",\n        "//mmtf/nets:cnn"' in files["tests/nets/BUILD"]
    assert rules["mmtf/BUILD"][-1].startswith("py_binary(")
    assert 'exports_files(["run_pytest.py"])' in rules["tests/BUILD"]
    whole = ("mmtf", "mmtf/nets", "mmtf/nets:cnn", "mmtf/nets:layers", "mmtf:registry")
    assert rules["BUILD"][-1].count('"//') == len(whole)
    assert all(f'"//{label}",' in rules["BUILD"][-1] for label in whole)


def test_checks_writes_and_removes(checkout, capsys):
    assert build_files.main(checkout, []) == 1
    assert "Run: python -m scripts.build_files --write" in capsys.readouterr().out
    assert not (checkout / "BUILD").exists()
    assert build_files.main(checkout, ["--write"]) == 0
    assert build_files.main(checkout, []) == 0
    (checkout / "mmtf/layers").mkdir()
    for name in ("__init__.py", "cnn.py", "layers.py", "paper.csv"):
        (checkout / "mmtf/nets" / name).rename(checkout / "mmtf/layers" / name)
    for name in ("mmtf/layers/__init__.py", "mmtf/layers/cnn.py", "tests/nets/test_cnn.py"):
        text = (checkout / name).read_text()
        (checkout / name).write_text(text.replace("mmtf.nets", "mmtf.layers"))
    assert build_files.differing(checkout)["mmtf/nets/BUILD"] is None
    assert build_files.main(checkout, ["--write"]) == 0
    assert not (checkout / "mmtf/nets/BUILD").exists()
    assert CNN in (checkout / "mmtf/layers/BUILD").read_text()
    assert build_files.differing(checkout) == {}


@pytest.mark.parametrize(
    "text, message",
    [
        ("from mmtf.nothing import x\n", "mmtf/nets/layers.py: mmtf.nothing"),
        ("import mmtf.nets.cnn\n", "//mmtf/nets:cnn -> //mmtf/nets:layers -> //mmtf/nets:cnn"),
    ],
)
def test_refuses_what_bazel_would(text, message, checkout, capsys):
    (checkout / "mmtf/nets/layers.py").write_text(text)
    with pytest.raises(BuildError, match=message):
        build_files.build_files(checkout)
    assert build_files.main(checkout, ["--write"]) == 1
    assert message in capsys.readouterr().out


def test_files_to_read_in_a_folder_named_data_go_with_its_targets(checkout):
    (checkout / "tests/nets/data").mkdir()
    (checkout / "tests/nets/data/kept.json").write_text("{}")
    (checkout / "tests/data").mkdir()
    (checkout / "tests/data/test_source.py").write_text("")  # a package, no files to read
    files = build_files.build_files(checkout)
    assert 'name = "data",\n    srcs = glob(["data/**"]),' in files["tests/nets/BUILD"]
    assert '":data",' in files["tests/nets/BUILD"]
    assert "data/**" not in files["tests/BUILD"]
