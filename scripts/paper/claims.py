"""The paper's claims as checks of records, each of which holds, fails or is undecided.

claims.md states each claim, the tables by which it is tested and how; claim_rules.py has the rules.
"""

import dataclasses
import re
from collections.abc import Callable

from mmtf.stats.estimates import FAILS, together
from scripts.paper.checks import Check
from scripts.paper.claim_rules import RULES
from scripts.paper.texts import sections
from scripts.paper.views import View


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Attributes:
      number: its number in claims.md.
      text: the claim.
      tables: the paper's tables by which it is tested; empty for a claim on figures.
      checks: checks(view) -> list of Check; empty if the claim is not about the view's dataset.
    """

    number: int
    text: str
    tables: tuple[int, ...]
    checks: Callable[[View], list[Check]]

    def judged(self, checks: list[Check]) -> list[tuple[Check, str]]:
        """Returns each check with its verdict.

        A claim fails if one of its checks fails; with many checks one would fail by chance. A check
        therefore fails only by intervals that hold for all counted checks together with 95 %. For
        the claim to hold, all checks must hold, so 95 % for each of them is enough.
        """
        counted = max(1, sum(not check.beyond for check in checks))
        found = []
        for check in checks:
            verdict = check.verdict
            if verdict == FAILS and not check.beyond:
                verdict = check.judge(counted)
            found.append((check, verdict))
        return found

    def verdict(self, checks: list[Check]) -> str:
        """Returns the claim's verdict, from those of `checks` that count."""
        return together([verdict for check, verdict in self.judged(checks) if not check.beyond])


def _claims() -> tuple[Claim, ...]:
    texts = sections("claims.md")
    if list(texts) != list(RULES):
        raise ValueError(f"Expected claims.md to have {list(RULES)}. Received: {list(texts)}.")
    found = []
    for number, section in texts.items():
        tables = section.paragraphs[0].removeprefix("Tables: ").rstrip(".")
        numbers = tuple(map(int, tables.split(", "))) if re.match(r"\d", tables) else ()
        found.append(Claim(number, section.title, numbers, RULES[number]))
    return tuple(found)


CLAIMS = _claims()
