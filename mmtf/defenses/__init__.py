"""Defenses of other authors as games: TRADES, MART, AWP, fast adversarial training, regularizers.

They are in `mmtf.games.GAMES` and attributes of `mmtf.games`, too: `--game=trades`,
`mmtf.games.Trades`. `AWP` wraps another game. docs/defenses.md has a table of what each minimizes.
"""

from typing import Any

from mmtf import games

__all__ = [*games.DEFENSES]


def __getattr__(name: str) -> Any:
    if name in games.DEFENSES:
        return getattr(games, name)
    raise AttributeError(f"module 'mmtf.defenses' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
