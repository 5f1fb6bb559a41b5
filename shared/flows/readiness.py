"""How many subscribers' payments could be defended by a network's own rule, were they called fraud today.

Each of a panel is looked at by the rule itself, over their payments at all providers as they are stored. The warehouse could tell
of everybody, at a year of events each night.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from shared.disputes.compelling import Finding, readiness
from shared.disputes.strategy import beta_quantile
from shared.flows.ports import Ports
from shared.flows.subscribers import purchases_of

PANEL = 400
"""A share lies within a twentieth of what is measured of so many."""

UNPROVEN = 0.05
"""What an interval leaves out, on each side."""

# By a hash of who paid, so that the panel of a day is much the same subscribers a month later, and no provider's more than another's.
PANEL_SQL = """SELECT customer_id FROM payment_events
WHERE occurred_at >= @since AND occurred_at < @until AND kind = 'payment' AND step = 'captured' AND customer_id IS NOT NULL
GROUP BY customer_id ORDER BY TO_HEX(MD5(customer_id)), customer_id LIMIT @panel"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Of the `subscribers` of the panel who pay through the rule's network: those `ready`, as a share with its interval, and how
    many of the others have an earlier payment that cannot be used, by why."""

    rule: str
    subscribers: int
    ready: int
    low: float
    high: float
    unfit: Mapping[str, int]

    @property
    def share(self) -> float:
        return self.ready / self.subscribers

    @classmethod
    def of(cls, rule: str, findings: Sequence[Finding]) -> "Readiness":
        ready = sum(one.evidence is not None for one in findings)
        # Jeffreys' interval.
        alpha, beta = ready + 0.5, len(findings) - ready + 0.5
        short = [one for one in findings if one.evidence is None]
        return cls(
            rule=rule,
            subscribers=len(findings),
            ready=ready,
            low=beta_quantile(UNPROVEN, alpha, beta) if ready else 0.0,
            high=beta_quantile(1 - UNPROVEN, alpha, beta) if short else 1.0,
            unfit=Counter(why for one in short for why in set(one.unfit.values())),
        )


def panel_readiness(ports: Ports, since: datetime, until: datetime, now: datetime) -> list[Readiness]:
    """Of PANEL of those who paid from `since` to before `until`, by rule, as their payments are stored `now`. One query of the
    warehouse, and a query and a read for each of them. Raises Unavailable."""
    rows = ports.warehouse.query(PANEL_SQL, {"since": since, "until": until, "panel": PANEL})
    found = [one for row in rows for one in readiness(purchases_of(row["customer_id"], ports), now)]
    by_rule = groupby(sorted(found, key=_rule), key=_rule)
    return [Readiness.of(rule, list(findings)) for rule, findings in by_rule]


def _rule(finding: Finding) -> str:
    return finding.rule or ""
