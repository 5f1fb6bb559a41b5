"""What every decision of one instance is made with: the champion of its features and the book of rules, as the registry has them."""

from collections.abc import Collection
from datetime import datetime, timedelta
from threading import Lock

from shared.domain.errors import Misconfigured, PayInError
from shared.domain.telemetry import alarm, fact
from shared.flows.book_of_rules import BOOK, book_in
from shared.flows.champions import RULES_ALONE, Line, line_of
from shared.flows.committing import Seen
from shared.flows.ports import Key, Models, Ports, Snapshot
from shared.fraud import model as artifacts
from shared.fraud.book import SHIPPED, Book
from shared.fraud.features import SCHEMA_VERSION
from shared.fraud.judges import Judges
from shared.fraud.model import Model

CHAMPION = Key("registry", "champion")
REFRESH = timedelta(minutes=1)


class Scorer:
    """The champion model and the book of this instance, kept up to date at most once a minute, in the flow's own read.

    Until a first book is published what is shipped decides. A book that cannot be read is alarmed at every look, and the one
    before it goes on.

    Until a first champion of this release's features is chosen rules alone decide, and every look at the registry alarms: a payment that waits for
    training is worse than one that rules decide, and an alarm wakes somebody where a crash would hold up the queue. The
    same where an operator has said `rules_alone` in the registry.

    A challenger is asked beside the champion where the registry names one. One that cannot be loaded is alarmed, once an
    instance, and is not there: nothing waits for it.
    """

    def __init__(self, *, use_model: bool = True, assessments: bool = True) -> None:
        """assessments: payments are assessed before authorisation, and found again by their merchant reference."""
        self._use_model = use_model
        self.assessments = assessments
        self._model: Model | None = None
        self._challenger: Model | None = None
        self._canary = 0.0
        self._unloadable: str | None = None
        self._asked_at: datetime | None = None
        self._book = SHIPPED
        self._book_asked_at: datetime | None = None
        self._lock = Lock()
        if not use_model:
            alarm("scoring_without_model")

    def start(self, ports: Ports, now: datetime) -> None:
        """Load the champion, if there is one, and the book with it. Raises Misconfigured when it cannot be used, Unavailable
        when nobody answers. Where rules alone shall decide nobody is asked, and the first payment brings the book."""
        if self._use_model:
            champion, book = ports.documents.get([CHAMPION, BOOK])
            self.book(book, now)
            self.model(champion, ports.models, now)

    def keys(self, now: datetime) -> list[Key]:
        """What to read along with a payment: of the registry, what was last looked at a minute ago."""
        champion = [CHAMPION] if self._use_model and not _fresh(self._asked_at, now) else []
        return champion if _fresh(self._book_asked_at, now) else [*champion, BOOK]

    def at(self, seen: Seen, registry: Collection[Key], models: Models, now: datetime) -> tuple[Judges, Book]:
        """What to judge by, after a look at what was read of the `registry` (`keys`). Raises as `model`, the book taken in."""
        book = self.book(seen.glance(BOOK), now) if BOOK in registry else self._book
        if CHAMPION in registry:
            self.model(seen.glance(CHAMPION), models, now)
        with self._lock:
            return Judges(self._model, self._challenger, self._canary), book

    def book(self, found: Snapshot | None, now: datetime) -> Book:
        """The book to judge by, after a look at the registry."""
        with self._lock:
            self._book_asked_at = now
            if found is None:
                self._book = SHIPPED
            elif found.document.get("revision") != self._book.revision:
                try:
                    self._book = book_in(found.document)
                except PayInError as error:
                    alarm("book_not_loaded", reason=error.reason, kept=self._book.revision)
                else:
                    fact("book_loaded", revision=self._book.revision, rules_version=self._book.table.version)
            return self._book

    def current_book(self) -> Book:
        return self._book

    def model(self, champion: Snapshot | None, models: Models, now: datetime) -> Model | None:
        """The model to score with, after a look at the registry; None when rules alone shall decide, or nothing else can.

        A new champion that cannot be loaded is alarmed and the old one goes on. Without an old one it is Misconfigured.
        """
        if not self._use_model:
            return None
        with self._lock:
            document = champion.document if champion else None
            # What a document of the earlier form names is of our schema until loading it says otherwise.
            line = line_of(document, SCHEMA_VERSION, lambda _: True)
            digest = line.current.digest if line.current else None
            self._asked_at = now
            self._challenge(line, models)
            if document and document.get(RULES_ALONE):
                self._model = None
                alarm("scoring_without_model", reason="rules_alone")
            elif self._model is None and digest is None:
                alarm("scoring_without_model", reason="no_champion", schema_version=SCHEMA_VERSION)
            elif self._model is None or digest != self._model.digest:
                try:
                    self._model = self._load(digest, models)
                except PayInError as error:
                    if self._model is None and error.reason == "model_schema":
                        # A champion of another release's features is none of ours: the same as before a first one.
                        alarm("scoring_without_model", reason="no_champion", schema_version=SCHEMA_VERSION)
                        return None
                    if self._model is None:
                        # Nothing to fall back on: the next payment asks again.
                        self._asked_at = None
                        raise
                    alarm("champion_not_loaded", reason=error.reason, digest=digest, kept=self._model.digest)
            return self._model

    def _challenge(self, line: Line, models: Models) -> None:
        wanted = line.challenger.digest if line.challenger else None
        self._canary = line.canary.share if line.canary else 0.0
        if wanted == (self._challenger.digest if self._challenger else None):
            return
        self._challenger = None
        if wanted is None or wanted == self._unloadable:
            return
        try:
            self._challenger = artifacts.load(models.load(wanted), wanted)
        except PayInError as error:
            self._unloadable = wanted
            alarm("challenger_not_loaded", reason=error.reason, digest=wanted)
        else:
            fact("challenger_loaded", digest=wanted)

    @staticmethod
    def _load(digest: str | None, models: Models) -> Model:
        if digest is None:
            raise Misconfigured(
                "there is no champion model any more: run train_model, or set PAYIN_MODEL=none to decide by rules alone",
                reason="no_champion",
            )
        model = artifacts.load(models.load(digest), digest)
        fact("champion_loaded", digest=digest, schema_version=model.schema_version)
        return model


def _fresh(asked_at: datetime | None, now: datetime) -> bool:
    return asked_at is not None and timedelta(0) <= now - asked_at < REFRESH
