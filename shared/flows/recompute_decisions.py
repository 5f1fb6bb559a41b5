"""Whether stored decisions still explain themselves: each computed again, from what it recorded, must be what it was."""

from collections import Counter
from collections.abc import Set
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cache

from shared.domain.codec import encode, from_document
from shared.domain.decisions import Decision
from shared.domain.errors import Misconfigured
from shared.domain.telemetry import alarm, fact
from shared.flows.book_of_rules import kept_book
from shared.flows.ports import Ports
from shared.fraud import model as artifacts
from shared.fraud.book import Book, book_shipped
from shared.fraud.decide import recompute
from shared.fraud.model import Model

NAMED = 20

NEWEST_SQL = """SELECT * FROM fraud_decisions
WHERE occurred_at >= @since AND occurred_at <= @until
QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id, occurred_at ORDER BY decided_at DESC) = 1
ORDER BY decided_at DESC, event_id
LIMIT @most"""


@dataclass(frozen=True, slots=True)
class Recomputed:
    """other_versions: made by rules, thresholds or a model that are not kept, or that look at what was not stored; not
    computed."""

    looked_at: int
    equal: int
    different: int
    other_versions: int


def recompute_decisions(ports: Ports, now: datetime, most: int, within: timedelta) -> Recomputed:
    """Compute the newest `most` decisions on payments of the time `within` now again, each with the model and the book that it
    names, from the vector that it stored: those of earlier releases by the features of their time.

    A difference is an alarm with the events' ids: damage, or a change of the code that its versions do not tell. Raises
    Unavailable.
    """

    @cache
    def model(digest: str, schema_version: str) -> Model | None:
        try:
            return artifacts.load(ports.models.load(digest), digest, schema_version)
        except Misconfigured:
            return None

    @cache
    def book_of(revision: int | None, rules_version: str, names: Set[str]) -> Book | None:
        if revision is None:
            return book_shipped(rules_version, names)
        return kept_book(ports.documents, revision, names)

    counts: Counter[str] = Counter()
    different: list[str] = []
    for row in ports.warehouse.query(NEWEST_SQL, {"since": now - within, "until": now, "most": most}):
        decision = from_document(row, Decision)
        counts["looked_at"] += 1
        made_by = model(decision.model_digest, decision.schema_version) if decision.model_digest else None
        if decision.model_digest and made_by is None:
            counts["other_versions"] += 1
            continue
        try:
            names = frozenset(feature.name for feature in decision.features)
            book = book_of(decision.book_revision, decision.rules_version, names)
            if book is None:
                counts["other_versions"] += 1
                continue
            again = recompute(decision, made_by, book)
        except ValueError:
            counts["other_versions"] += 1
            continue
        if encode(again) == encode(decision):
            counts["equal"] += 1
        else:
            different += [decision.event_id]
    told = Recomputed(counts["looked_at"], counts["equal"], len(different), counts["other_versions"])
    fact("decisions_recomputed", **asdict(told))
    if different:
        alarm("decisions_differ", decisions=len(different), event_ids=" ".join(different[:NAMED]))
    return told
