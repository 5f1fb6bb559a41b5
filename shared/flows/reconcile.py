"""What never arrived: each provider's own list of what it told, held against our archive, and the gaps told as if they had come.

A gap enters by the normal path under the ids that it would have had, so that the webhook that comes late after all is a
duplicate: an event as the delivery that it was, through the same adapter; an object as a poke that has it read back. What
providers are still trying to deliver, and what the warehouse may not have yet, is no gap: nothing younger than SETTLES is
looked at, and what was healed lately is remembered beside the cursor.

A run is killed anywhere and goes on where it stopped. Before a gap is published it is written down, so that it is counted once
however often it is published; after that the page's cursor is. Whoever else is at the same provider meanwhile wins or loses a
whole page, by the document's version.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Protocol

import msgspec

from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.codec import from_document, to_document
from shared.domain.delivery import Credentials, Delivery, DeliveryOutcome, Verdict
from shared.domain.errors import Conflict, PayInError, Rejected, Unavailable, Unreadable
from shared.domain.events import KIND_OF, AnyEvent, ResourceChanged
from shared.domain.telemetry import alarm, fact
from shared.flows.apis import Api
from shared.flows.event_messages import event_message
from shared.flows.ports import Bus, Create, Documents, Key, Message, Ports, Replace, Snapshot
from shared.flows.receive_delivery import messages, understand
from shared.providers.kit.listing import Asked, Item, Page, Stream
from shared.providers.kit.protocol import Provider

COLLECTION = "reconciliations"
SETTLES: Final = timedelta(minutes=30)
"""Younger than that a thing may be on its way: through the provider's first tries, or from us to the warehouse."""
OVERLAP: Final = timedelta(minutes=10)
"""So much of what was looked at is looked at again: lists are eventually consistent."""
SLICE: Final = timedelta(hours=3)
"""The longest window that a list is looked through by: what we have of it is held at once, some hundred thousand ids."""
BATCH: Final = 1000
"""So many things are compared at once, for every question to the warehouse is paid for by the day that it is about."""
FIRST: Final = timedelta(days=1)
"""How far the first run ever looks back; a person asks for more."""
BACK: Final = timedelta(days=30)
AGAIN: Final = timedelta(hours=24)
LATE: Final = timedelta(hours=6)
"""Whoever is so far behind is told of: the list is longer than the budget, or the provider does not answer."""
REMEMBERED: Final = timedelta(hours=2)
MOST_REMEMBERED: Final = 2000
BY_HAND: Final = "by hand"
KEY_ID: Final = "listed"
"""Stands for the key that proved a delivery: its provider's own list did."""
MOST_STALE: Final = 50
"""So many pages with nothing new on them, one after the other, are of a list that has no end."""
NO_ENDPOINT: Final = "no_endpoint"
TOO_YOUNG: Final = "too_young"

# What we have of a window, by when it happened. What happened outside of it is asked for by its id.
HAD_SQL: Final = """SELECT DISTINCT event_id AS id
FROM payment_events
WHERE provider = @provider AND occurred_at >= @since AND occurred_at < @until"""

# An event that we have happened when this one did, for both are translated from the same bytes.
HELD_SQL: Final = """SELECT DISTINCT event_id AS id
FROM payment_events
WHERE provider = @provider AND kind = @kind AND occurred_at >= @since AND occurred_at < @until
  AND event_id IN UNNEST(SPLIT(@ids, '\\n'))"""

# Of what could not be read there are no events.
RECEIVED_SQL: Final = """SELECT DISTINCT delivery_id AS id
FROM deliveries
WHERE provider = @provider AND received_at >= @since AND delivery_id IN UNNEST(SPLIT(@ids, '\\n'))"""

ENDPOINT_SQL: Final = """SELECT endpoint_account, endpoint_live
FROM deliveries
WHERE provider = @provider AND received_at >= @since
ORDER BY received_at DESC
LIMIT 1"""


class Lister(Protocol):
    """A provider's module `listing`: see `shared.providers.kit.listing`."""

    NAME: str
    API_HOSTS: frozenset[str]
    STREAMS: tuple[Stream, ...]

    def list_request(self, asked: Asked, api: ApiCredentials) -> ApiRequest:
        """How to ask for the page."""

    def read_page(self, asked: Asked, body: bytes) -> Page:
        """What is on it."""


class Reader(Protocol):
    """What of a `fetch_resource.Fetcher` is needed to know which events an object stands for."""

    def read_resource(self, event: ResourceChanged, body: bytes) -> tuple[AnyEvent, ...]:
        """What the object says."""


@dataclass(frozen=True, slots=True)
class Source:
    """A provider, as it is asked and understood. reader: of one whose objects are listed."""

    lister: Lister
    adapter: Provider
    api: Api
    reader: Reader | None


@dataclass(frozen=True, slots=True)
class Ours:
    """What it is held against and healed through. bus: on which names are as `named` says that an id reads once it is published
    (`domain.pseudonyms`)."""

    ports: Ports
    bus: Bus
    named: Callable[[str], str]


@dataclass
class Budget:
    """What is left of a run: requests to the providers, and seconds by `clock`. common: what there is beside its own requests, shared
    by threads: at its end each may take one request more."""

    calls: int
    until: float
    clock: Callable[[], float]
    common: "Budget | None" = None

    def take(self) -> bool:
        if self.clock() >= self.until:
            return False
        if self.calls <= 0:
            return self.common is not None and self.common.take()
        self.calls -= 1
        return True

    def shares(self, number: int) -> tuple["Budget", ...]:
        """So many, which have half of it alike, that nobody else can use up; the other half is whose who needs it first."""
        own = self.calls // (2 * max(1, number))
        self.calls -= own * number
        return tuple(Budget(own, self.until, self.clock, common=self) for _ in range(number))

    def release(self) -> None:
        """What is left of its own is for the others."""
        if self.common is not None:
            self.common.calls += self.calls
            self.calls = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What is looked through now, and where in the provider's list."""

    since: datetime
    until: datetime
    cursor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Of one list. until: all before was held against ours. began: when the last look at the past 30 days was."""

    until: datetime | None = None
    window: Window | None = None
    began: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A gap that was counted. told: it was published, and the warehouse will have it."""

    id: str
    at: datetime
    told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """The document of a provider. account, live: its endpoint's, as the archive had them at `endpoint_at`. healed: of all time."""

    provider: str
    account: str = ""
    live: bool = False
    endpoint_at: datetime | None = None
    lists: dict[str, Progress] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    healed: int = 0
    healed_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What a run found. missing: gaps, of which `healed` were published now; `unread` are items that nobody can read. complete: no
    list was left before its end. gaps: their names, of a dry run. endless: lists that lead in a circle. not_asked: why no list was asked at all, `NO_ENDPOINT` or
    `TOO_YOUNG`: then nobody knows what is missing."""

    provider: str
    listed: int = 0
    missing: int = 0
    healed: int = 0
    unread: int = 0
    calls: int = 0
    complete: bool = True
    gaps: tuple[str, ...] = ()
    endless: tuple[str, ...] = ()
    not_asked: str = ""


class ReconcileRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of a tick: `calls` and `seconds` are what one run may take, over all providers."""

    calls: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 4000
    seconds: Annotated[float, msgspec.Meta(gt=0, le=1500)] = 120.0


def read(parameters: bytes) -> ReconcileRequest:
    """The request in a tick's JSON. Raises Rejected, naming the member that does not fit."""
    try:
        return msgspec.json.decode(parameters.strip() or b"{}", type=ReconcileRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected(f"not a request to reconcile: {error}", reason="bad_reconcile_request") from error


def reconcile(source: Source, ours: Ours, now: datetime, budget: Budget) -> Reconciled:
    """What the provider told since the last time, and once a day what it may have changed or lost in the last 30 days, as far as the
    budget goes; the next run goes on. Raises Unavailable, Misconfigured and Unreadable; what was healed until then stays."""
    run = _Run(source, ours, now, budget)
    try:
        for stream in source.lister.STREAMS:
            if not stream.by_hand:
                run.catch_up(stream)
        for stream in source.lister.STREAMS:
            if stream.again:
                run.look_again(stream)
    except Conflict:
        raise
    except PayInError:
        run.stop()
        raise
    return run.finish(by_hand=False)


def reconcile_by_hand(
    source: Source, ours: Ours, now: datetime, since: datetime, until: datetime | None, budget: Budget, *, dry_run: bool
) -> Reconciled:
    """The same of one time, whatever was looked at before, on every list that has everything. dry_run: nothing is written and
    nothing published, and the gaps are named. Raises Rejected for a time that the provider does not remember."""
    run = _Run(source, ours, now, budget, dry_run=dry_run)
    longest = [one for one in source.lister.STREAMS if one.by_hand] or list(source.lister.STREAMS)
    earliest = now - max(stream.back for stream in longest)
    if since < earliest:
        raise Rejected(
            f"{source.lister.NAME} remembers nothing before {earliest:%Y-%m-%dT%H:%MZ}", reason="too_long_ago"
        )
    for stream in longest:
        run.between(stream, since, min(until or now, now - SETTLES))
    return run.finish(by_hand=True)


@dataclass(frozen=True, slots=True)
class _Expected:
    """What an item should have left with us: `events`, or where nothing of it could be read the delivery itself, by its name.
    told: what heals it."""

    name: str
    events: tuple["_Event", ...]
    told: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class _Event:
    """As it is published: the same event has the same kind and instant wherever it is translated."""

    id: str
    kind: str
    at: datetime


class _Run:
    def __init__(self, source: Source, ours: Ours, now: datetime, budget: Budget, *, dry_run: bool = False) -> None:
        self._of, self._ours, self._now, self._budget, self._dry_run = source, ours, now, budget, dry_run
        self._provider = source.lister.NAME
        self._key = Key(COLLECTION, self._provider)
        self._snapshot: Snapshot | None = None
        self._state = Reconciliation(provider=self._provider)
        self._read()
        self._found = Reconciled(provider=self._provider)
        self._page: dict[str, int] = {}
        self._endpoint()

    # The document

    def _read(self) -> None:
        (self._snapshot,) = self._ours.ports.documents.get([self._key])
        if self._snapshot:
            self._state = from_document(self._snapshot.document, Reconciliation)

    def _write(self, state: Reconciliation) -> None:
        """Raises Conflict where somebody else is at this provider."""
        if self._dry_run:
            return
        document = to_document(state)
        version = self._snapshot.version if self._snapshot else None
        self._ours.ports.documents.commit(
            [Replace(self._key, document, version) if self._snapshot else Create(self._key, document)]
        )
        self._read()

    def _progress(self, name: str) -> Progress:
        return self._state.lists.get(name, Progress())

    def _with(self, name: str, progress: Progress) -> Reconciliation:
        """Of a person's window nothing is kept: the next one has another."""
        if name == BY_HAND:
            return self._state
        return replace(self._state, lists={**self._state.lists, name: progress})

    # Which endpoint

    def _endpoint(self) -> None:
        """Whose deliveries these are: the archive's newest delivery says it."""
        known = self._state.endpoint_at
        if known is not None and self._now - known < AGAIN:
            return
        back = AGAIN if known else BACK
        rows = self._ours.ports.warehouse.query(ENDPOINT_SQL, {"provider": self._provider, "since": self._now - back})
        if rows:
            self._state = replace(
                self._state,
                account=rows[0]["endpoint_account"],
                live=bool(rows[0]["endpoint_live"]),
                endpoint_at=self._now,
            )

    # Windows

    def catch_up(self, stream: Stream) -> None:
        """From where the last run ended to what has settled."""
        settled = _whole(self._now - SETTLES)
        earliest = self._now - min(stream.back, BACK)
        while (progress := self._progress(stream.name)).window or _before(progress.until, settled):
            window = progress.window
            if window is None:
                since = _whole(max(progress.until - OVERLAP, earliest) if progress.until else self._now - FIRST)
                window = Window(since=since, until=settled if stream.from_newest else min(settled, since + SLICE))
                self._state = self._with(stream.name, replace(progress, window=window))
            if not self._look(stream, stream.name, window):
                return
            until = max(window.until, progress.until or window.until)
            self._state = self._with(stream.name, Progress(until=until))

    def _tell_late(self) -> None:
        for stream in self._of.lister.STREAMS:
            progress = self._progress(stream.name)
            # Of a list that was never read to an end: where its first window ends.
            until = progress.until or (progress.window.until if progress.window else None)
            if until is not None and self._now - until > LATE:
                hours = round((self._now - until).total_seconds() / 3600, 1)
                alarm("reconcile_behind", provider=self._provider, reason=stream.name, hours=hours)

    def look_again(self, stream: Stream) -> None:
        """Through all that the list has of 30 days, once a day."""
        name = f"{stream.name} again"
        progress = self._progress(name)
        if progress.window is None:
            if progress.began is not None and self._now - progress.began < AGAIN:
                return
            since = _whole(self._now - min(stream.back, BACK) + OVERLAP)
            progress = Progress(began=self._now, window=Window(since=since, until=_whole(self._now - SETTLES)))
            self._state = self._with(name, progress)
        assert progress.window is not None, "there is one by now"
        if self._look(stream, name, progress.window):
            self._state = self._with(name, Progress(began=progress.began, until=progress.window.until))

    def between(self, stream: Stream, since: datetime, until: datetime) -> None:
        """A person's window, in slices; nothing of it is remembered but what was healed."""
        begins, until = _whole(max(since, self._now - stream.back)), _whole(until)
        if begins >= until:
            self._found = replace(self._found, not_asked=TOO_YOUNG)
        while begins < until:
            ends = until if stream.from_newest else min(until, begins + SLICE)
            if not self._look(stream, BY_HAND, Window(since=begins, until=ends)):
                return
            begins = ends

    def _look(self, stream: Stream, name: str, window: Window) -> bool:
        """Page by page. False: the budget ended before the list did, or it has no end: what is on it is healed, and the next run begins
        it anew."""
        if not self._state.account:
            fact("reconcile_ignored", provider=self._provider, reason=NO_ENDPOINT)
            self._found = replace(self._found, complete=False, not_asked=NO_ENDPOINT)
            return False
        had = _Had(self._ours, self._provider, window, part=stream.part)
        waiting: list[_Expected] = []
        trail = _Trail()
        while True:
            page = self._ask(stream, window, trail)
            if page is not None:
                waiting += self._expected(stream, page.items)
                self._found = replace(self._found, listed=self._found.listed + len(page.items))
                window = replace(window, cursor=page.cursor or "")
            ended = page is not None and page.cursor is None
            endless = page is not None and trail.leads_nowhere(page)
            if endless:
                window = replace(window, cursor="")
            if page is None or ended or endless or len(waiting) >= BATCH:
                self._heal(had.missing(waiting, self._now))
                # Kept with the next commit, and never before what was healed: a page that is read twice costs a request.
                self._state = self._with(name, replace(self._progress(name), window=None if ended else window))
                waiting = []
            if page is None:
                self._found = replace(self._found, complete=False)
                return False
            if endless:
                alarm("reconcile_endless", provider=self._provider, reason=stream.name, calls=self._found.calls)
                self._found = replace(self._found, complete=False, endless=(*self._found.endless, stream.name))
                return False
            if ended:
                return True

    def _ask(self, stream: Stream, window: Window, trail: "_Trail") -> Page | None:
        """A page; None where the budget is over. A page that is larger than an answer may be is asked for in halves."""
        lister, api = self._of.lister, self._of.api
        while True:
            if not self._budget.take():
                return None
            self._found = replace(self._found, calls=self._found.calls + 1)
            live = self._state.live
            size = self._page.get(stream.name, stream.page)
            asked = Asked(stream.name, window.since, window.until, window.cursor, size, live, self._state.account)
            try:
                answer = api.send(lister.list_request(asked, api.credentials(livemode=live)))
            except Unreadable as error:
                if error.reason != "answer_too_large" or size == 1:
                    raise
                self._page[stream.name] = max(1, size // 2)
                continue
            if answer.status == 200:
                return lister.read_page(asked, answer.body)
            if answer.status in (400, 404, 422) and window.cursor and not trail.begun_anew:
                # A cursor that the provider has forgotten: what is before it is known by now, and costs calls only.
                fact("reconcile_begun_anew", provider=self._provider, status=answer.status)
                window = replace(window, cursor="")
                trail.begin_anew()
                continue
            self._refused(stream, answer)

    def _refused(self, stream: Stream, answer: ApiAnswer) -> None:
        alarm("fetch_refused", provider=self._provider, resource=stream.name, status=answer.status)
        raise Unavailable(f"{self._provider} answered {answer.status}", reason="fetch_refused")

    # What should be there

    def _expected(self, stream: Stream, items: Iterable[Item]) -> Iterator[_Expected]:
        for item in items:
            found = self._of_object(stream, item) if item.resource else self._of_delivery(item)
            if found is not None:
                yield found

    def _of_delivery(self, item: Item) -> _Expected | None:
        """None for what nothing of ours follows, and for the other mode."""
        adapter, named = self._of.adapter, self._ours.named
        credentials = Credentials({}, live=self._state.live, account=self._state.account)
        delivery = Delivery(self._provider, item.body, {}, self._now, f"/{self._provider}")
        verdict = Verdict((KEY_ID,))
        understood = understand(delivery, adapter, verdict, credentials)
        name = understood.normalized.delivery_id
        if understood.outcome is DeliveryOutcome.MODE_MISMATCH:
            alarm("fetched_other_mode", provider=self._provider, event_id=name, resource="list")
            return None
        events = understood.events
        if not events and understood.outcome is not DeliveryOutcome.UNPARSED:
            return None
        told = messages(delivery, adapter, verdict, credentials, understood, name, self._now)
        return _Expected(named(name), self._told(events), tuple(told))

    def _told(self, events: Iterable[AnyEvent]) -> tuple["_Event", ...]:
        return tuple(_Event(self._ours.named(one.event_id), KIND_OF[type(one)], one.occurred_at) for one in events)

    def _of_object(self, stream: Stream, item: Item) -> _Expected | None:
        """An object stands for the events of its state; what has it read back is a poke, by its name and that state."""
        assert self._of.reader is not None, "whoever lists objects reads them"
        own = f"{self._provider}:{self._state.account}:{item.resource_id}.listed"
        poke = ResourceChanged(
            event_id=own,
            provider=self._provider,
            account=self._state.account,
            occurred_at=self._now,
            delivery_id=own,
            livemode=self._state.live,
            resource=item.resource,
            resource_id=item.resource_id,
        )
        try:
            events = self._of.reader.read_resource(poke, item.body)
        except Unreadable as error:
            self._found = replace(self._found, unread=self._found.unread + 1)
            fact("listed_unread", provider=self._provider, reason=error.reason, resource=stream.name)
            return None
        if any(one.livemode != self._state.live for one in events):
            alarm("fetched_other_mode", provider=self._provider, event_id=own, resource="list")
            return None
        # What it leads to is told by that.
        told = self._told(one for one in events if not isinstance(one, ResourceChanged))
        if not told:
            return None
        state = hashlib.sha256("\n".join(one.id for one in told).encode()).hexdigest()[:16]
        poke = replace(poke, event_id=f"{own}.{state}", delivery_id=f"{own}.{state}")
        return _Expected(self._ours.named(poke.event_id), told, (event_message(poke, self._now),))

    # Healing

    def _heal(self, missing: Sequence[_Expected]) -> None:
        """Counted, then published, then remembered. Raises Conflict and Unavailable."""
        claims = {one.id: one for one in self._state.claims if self._now - one.at < REMEMBERED or not one.told}
        missing = list(
            {one.name: one for one in missing if not (one.name in claims and claims[one.name].told)}.values()
        )
        if not missing:
            return
        new = [one for one in missing if one.name not in claims]
        self._found = replace(self._found, missing=self._found.missing + len(missing))
        if self._dry_run:
            self._found = replace(self._found, gaps=(*self._found.gaps, *(one.name for one in missing)))
            return
        claims |= {one.name: Claim(id=one.name, at=self._now) for one in new}
        kept = tuple(claims.values())
        self._write(replace(self._state, claims=kept, healed=self._state.healed + len(new), healed_at=self._now))
        self._ours.bus.publish([message for one in missing for message in one.told])
        told = {one.name for one in missing}
        done = tuple(replace(one, told=True) if one.id in told else one for one in kept)
        self._state = replace(self._state, claims=done[-MOST_REMEMBERED:])
        self._write(self._state)
        self._found = replace(self._found, healed=self._found.healed + len(missing))
        alarm("gaps_healed", provider=self._provider, count=len(missing), first=missing[0].name)

    def stop(self) -> None:
        """Keep how far it came."""
        self._write(self._state)
        self._tell_late()

    def finish(self, *, by_hand: bool) -> Reconciled:
        found = self._found
        whole = found.complete and not by_hand
        self._write(replace(self._state, finished_at=self._now if whole else self._state.finished_at))
        if not found.complete and not by_hand:
            self._tell_late()
        fact(
            "reconciled",
            provider=found.provider,
            listed=found.listed,
            missing=found.missing,
            healed=found.healed,
            unread=found.unread,
            calls=found.calls,
            complete=found.complete,
            not_asked=found.not_asked,
        )
        return found


@dataclass
class _Trail:
    """Where a look at a list came from: a list leads on, or it has no end. Begun anew, once, it may lead where it was."""

    begun_anew: bool = False
    _cursors: set[str] = field(default_factory=set)
    _pages: set[bytes] = field(default_factory=set)
    _stale: int = 0

    def begin_anew(self) -> None:
        self.begun_anew = True
        self._cursors.clear()
        self._pages.clear()
        self._stale = 0

    def leads_nowhere(self, page: Page) -> bool:
        """Whether `page` leads on where this has been, or is one of too many with nothing new; one may be the same again where what
        changes at one instant lies on two."""
        if page.cursor is None:
            return False
        content = hashlib.sha256(repr([(one.resource_id, one.body) for one in page.items]).encode()).digest()
        circles = page.cursor in self._cursors
        self._stale = self._stale + 1 if content in self._pages or not page.items else 0
        self._cursors.add(page.cursor)
        self._pages.add(content)
        return circles or self._stale > MOST_STALE


class _Had:
    """What we have of a window's events, learned when first asked: of a short window at once, of a long one by days, and where a
    list holds a part only, or a thing happened outside of the window, by ids."""

    def __init__(self, ours: Ours, provider: str, window: Window, *, part: bool) -> None:
        self._ours, self._provider, self._part = ours, provider, part
        self._since, self._until = window.since - OVERLAP, window.until + OVERLAP
        self._short = window.until - window.since <= SLICE
        self._blocks: dict[datetime, set[str]] = {}

    def missing(self, expected: Sequence[_Expected], now: datetime) -> list[_Expected]:
        """Those of which something is not there."""
        had: set[str] = set()
        by_id: defaultdict[tuple[str, datetime], list[_Event]] = defaultdict(list)
        for event in {event for one in expected for event in one.events}:
            if not self._part and self._since <= event.at < self._until:
                had |= {event.id} & self._block(event.at)
            else:
                by_id[event.kind, _day(event.at)] += [event]
        for (kind, day), events in by_id.items():
            between = {"kind": kind, "since": day, "until": day + timedelta(days=1)}
            had |= self._query(HELD_SQL, {**between, "ids": "\n".join(sorted(one.id for one in events))})
        silent = [one.name for one in expected if not one.events]
        if silent:
            had |= self._query(RECEIVED_SQL, {"since": now - BACK - AGAIN, "ids": "\n".join(silent)})
        return [
            one for one in expected if not {event.id for event in one.events or (_Event(one.name, "", now),)} <= had
        ]

    def _block(self, at: datetime) -> set[str]:
        """All that we have of the window, or of that day in it."""
        begins, ends = (self._since, self._until) if self._short else (_day(at), _day(at) + timedelta(days=1))
        if begins not in self._blocks:
            # A list is in order: two days that are next to each other are all that it is at.
            while len(self._blocks) > 1:
                self._blocks.pop(next(iter(self._blocks)))
            self._blocks[begins] = self._query(HAD_SQL, {"since": begins, "until": ends})
        return self._blocks[begins]

    def _query(self, sql: str, parameters: dict[str, Any]) -> set[str]:
        rows = self._ours.ports.warehouse.query(sql, {"provider": self._provider, **parameters})
        return {row["id"] for row in rows}


def _day(instant: datetime) -> datetime:
    return instant.replace(hour=0, minute=0, second=0, microsecond=0)


def _whole(instant: datetime) -> datetime:
    """Lists are asked by seconds."""
    return instant.replace(microsecond=0)


def _before(until: datetime | None, settled: datetime) -> bool:
    return until is None or until < settled


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """For people. finished_at: when a run last came to the end of every list. until: all that was told before is known to be here.
    healed: gaps, of all time."""

    finished_at: datetime | None
    until: datetime | None
    healed: int
    healed_at: datetime | None


def standings(documents: Documents, providers: Sequence[str]) -> dict[str, Standing]:
    """Of those of `providers` that were ever reconciled, by name. One read."""
    found = documents.get([Key(COLLECTION, name) for name in providers])
    return {one.key.id: _standing(from_document(one.document, Reconciliation)) for one in found if one is not None}


def _standing(one: Reconciliation) -> Standing:
    seen = [progress.until for progress in one.lists.values() if progress.until is not None and progress.began is None]
    return Standing(
        finished_at=one.finished_at, until=min(seen, default=None), healed=one.healed, healed_at=one.healed_at
    )
