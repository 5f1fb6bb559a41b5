"""Which model decides, for each schema of features: one document that the scorer looks at and training writes.

While a release rolls out, two schemas are served at once, and a model scores only its own. So each has its line of
champions, `schemas.<schema version>`, and none ends another's. Documents of before that have one line at the top,
`digest`, `judged`, `since` and `former`; it is read for the schema that its champion scores and never written again, so
that a release that knows no other form goes on with it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from shared.domain.codec import from_document
from shared.domain.errors import Misconfigured
from shared.domain.telemetry import fact
from shared.domain.timeline import compact
from shared.flows.ports import Document, Key, Models
from shared.fraud import model as artifacts
from shared.fraud.model import Model

KEPT = 50
SCHEMAS = "schemas"
RULES_ALONE = "rules_alone"

TRAINED: Final = Key("registry", "training")
"""`trained_at`: when a training came to its end last, whatever it said of its model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    """A model that decides, or did, since the instant `since`. judged: the digest of the model that stood the gate for it,
    fitted without what it was tested on; None: itself. estimator, judged_estimator: the trainer's own of the two, by digest,
    where they were kept. card, page: what people read of it, as JSON and for a browser. reference: what it was judged on, to
    tell when payments become others (`shared.learning.health.Reference`). quality: what the judged one came to."""

    digest: str
    since: datetime
    judged: str | None = None
    estimator: str | None = None
    judged_estimator: str | None = None
    card: str | None = None
    page: str | None = None
    reference: str | None = None
    quality: Mapping[str, float] = field(default_factory=dict)

    @property
    def stood(self) -> str:
        return self.judged or self.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """The challenger decides for a `share` of the customers, 0 to 1, since the instant `since`."""

    share: float
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The champions of one schema. former: those before, the last one last. pinned: an operator wants the present one to
    stay, whatever training finds. challenger: a model that is asked beside the champion (`since`: from when on) and decides
    nothing, but for those whom a canary gives to it."""

    current: Champion | None = None
    former: tuple[Champion, ...] = ()
    pinned: bool = False
    challenger: Champion | None = None
    canary: Canary | None = None

    def called(self, beginning: str) -> list[str]:
        """Digests that begin so, of the models that decide, decided or are asked beside."""
        known = {one.digest for one in (self.current, self.challenger, *self.former) if one}
        return sorted(one for one in known if one.startswith(beginning))

    def crowned(self, champion: Champion) -> "Line":
        """`champion` decides from now on; where it was the challenger, there is none any more."""
        past = (*self.former, self.current) if self.current else ()
        crowned = replace(self, current=champion, former=past[-KEPT:])
        is_challenger = self.challenger is not None and self.challenger.digest == champion.digest
        return crowned.challenged(None) if is_challenger else crowned

    def challenged(self, challenger: Champion | None) -> "Line":
        """`challenger` is asked beside the champion from now on, and decides for nobody."""
        return replace(self, challenger=challenger, canary=None)

    def rolled_back(self, now: datetime) -> "Line":
        """The one before decides again, alone, and stays until the pin is taken out. There has to be one."""
        *former, again = self.former
        return Line(current=replace(again, since=now), former=tuple(former), pinned=True)


def line_of(document: Document | None, schema: str, scores: Callable[[str], bool]) -> Line:
    """The champions of `schema`. scores: whether the model of a digest scores this schema; asked only of the champion in a
    document of the earlier form, which does not say."""
    if document is None:
        return Line()
    if (own := document.get(SCHEMAS, {}).get(schema)) is not None:
        return from_document(own, Line)
    if "digest" not in document or not scores(document["digest"]):
        return Line()
    told = {name: document[name] for name in ("digest", "since", "judged", "quality") if name in document}
    return Line(
        current=from_document(told, Champion),
        former=from_document({"former": document.get("former", [])}, Line).former,
    )


def with_line(document: Document | None, schema: str, line: Line) -> Document:
    """`document` with `line` for `schema`; what it says of other schemas, and what an operator said, stays."""
    before = document or {}
    return {**before, SCHEMAS: {**before.get(SCHEMAS, {}), schema: compact(line)}}


def usable(models: Models, digest: str) -> Model | None:
    """The model `digest`; None, and a fact, where it cannot decide in this release: another feature schema, damage."""
    try:
        return artifacts.load(models.load(digest), digest)
    except Misconfigured as error:
        fact("champion_not_comparable", reason=error.reason, digest=digest)
        return None
