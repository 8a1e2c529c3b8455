"""One line for what a user can mend, a traceback for the rest, a word after a signal."""

import signal

import pytest

from mmtf.cli.errors import about, in_one_line
from mmtf.errors import ConfigError, Interrupted, RunError
from mmtf.storage.lock import InUse


@pytest.mark.parametrize("error", [ConfigError("no"), RunError("no"), OSError("no"), InUse("no")])
def test_a_mistake_is_one_line_and_status_1(error, capsys):
    @in_one_line("tool")
    def main():
        raise error

    assert main() == 1
    assert capsys.readouterr().err == "tool: no\n"


def test_another_error_keeps_its_traceback():
    @in_one_line("tool")
    def main():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        main()


@pytest.mark.parametrize(
    "error, told",
    [
        (KeyboardInterrupt(), (signal.SIGINT, None)),
        (KeyboardInterrupt(signal.SIGTERM), (signal.SIGTERM, None)),
        (Interrupted(signal.SIGTERM, 7, True), (signal.SIGTERM, 7)),
    ],
)
def test_a_signal_is_answered(error, told):
    seen = []

    def stopped(number, interrupted):
        seen.append((number, interrupted and interrupted.step))
        return 128 + number

    @in_one_line("tool", stopped=stopped)
    def main():
        raise error

    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main() == 128 + told[0] and seen == [told]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_flag_is_named_and_the_kind_of_error_kept():
    with pytest.raises(InUse, match="^--workdir: in use$"), about("--workdir"):
        raise InUse("in use")
