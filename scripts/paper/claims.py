"""The paper's claims as checks over records: each holds, does not hold, or is undecided.

claims.md says what each claims, by which tables it is judged and how; claim_rules.py has the rules.
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
    """Attributes:
    number: as in claims.md.
    text: what is claimed.
    tables: of the paper, by which it is judged; none for a claim on its figures.
    checks: checks(view) -> list of Check; none where the claim is not about the view's dataset.
    """

    number: int
    text: str
    tables: tuple[int, ...]
    checks: Callable[[View], list[Check]]

    def judged(self, checks: list[Check]) -> list[tuple[Check, str]]:
        """Each check with its verdict.

        One check that fails is enough for the claim to fail, so that of many one would by
        chance: to fail it takes an interval at the level of all that count. To hold takes all of
        them, and for that 95 % each is enough.
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
        """Of the claim, from those of `checks` that count."""
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
