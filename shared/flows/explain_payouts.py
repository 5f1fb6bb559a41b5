"""Every two hours: what providers have paid out is read line by line, and what no line explains is kept and ages.

| kept | where |
|---|---|
| each payout: its totals by kind, what was exchanged, its rest and since when | `payouts/<provider>:<account>:<payout id>`, and a row of `payouts` |
| lines that have to be payments of ours | rows of `payouts`, thousands in one: no line is a document or a message of its own |
| which of them are none (`payout_links`), and what of ours is in no payout | the payout's document; `registry/payouts`; once a week |

A payout is read once, when it is paid; again each day while it has a rest, and when its provider says another amount. A
reading counts as a whole or not at all: rows first, the document last, and what breaks off is read anew. What is read
later takes the place of what was read before.

What cannot be read stays to be read: it is asked for at each run for `TRIED_FOR`, however long ago it was paid. No other provider
waits for one that does not answer. A report that its provider tells of again is read again, for it was corrected.

Alarms: `payout_unexplained` for a rest older than `MAY_REST`; `captures_unpaid` at each run until it is paid or somebody
accepts it; `payouts_unread` where a provider's report cannot be read; `payouts_delayed` where a provider, or what is to be read
there, has not been read for `MAY_WAIT`, and `payout_given_up` for what is not asked for any more.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from shared.domain.api import ApiCredentials, ApiRequest
from shared.domain.codec import encode, from_document, to_document
from shared.domain.errors import Misconfigured, Rejected, Unavailable, Unreadable
from shared.domain.money import Money
from shared.domain.payouts import (
    LINES_EACH,
    LineKind,
    Lines,
    LinkedLine,
    Listed,
    PaidOut,
    Payout,
    PayoutExplained,
    Reading,
    Unlinked,
    name_of,
    rest_of,
)
from shared.domain.telemetry import alarm, fact
from shared.flows.apis import ReportApi
from shared.flows.committing import Decision, Seen, change, write
from shared.flows.payout_links import Owed, linked, owed
from shared.flows.ports import Bus, Documents, Key, Message, Ports, Snapshot

TOPIC = "payouts"
COLLECTION = "payouts"
STATE = Key("registry", "payouts")
ANSWERED = Key("registry", "payouts_answered")
"""By provider: when it last answered all that it was asked."""

LOOK_BACK = timedelta(days=30)
HEARD_SINCE = timedelta(days=3)
"""The same for what messages name (`HEARD`): a day of the warehouse costs a cent, and each run looks again; further where the
provider has not answered for longer."""

AGAIN = timedelta(hours=20)
MAY_REST = timedelta(days=3)
MAY_WAIT = timedelta(hours=12)
TRIED_FOR = timedelta(days=30)
LINKED_EVERY = timedelta(days=7)
MOST_PAGES = 2000
MOST_UNREAD = 500
MAY_FAIL = 3
"""After so many payouts that a provider did not answer for it is not asked for more in this run; one alone is no reason."""

HEARD_SQL = """SELECT account, payout_id, MIN(occurred_at) AS at, MAX(occurred_at) AS told_at
FROM payment_events
WHERE occurred_at >= @since AND occurred_at < @until AND provider = @provider AND kind = 'payout' AND livemode = @livemode
GROUP BY account, payout_id
ORDER BY at, account, payout_id"""


class PayoutReader(Protocol):
    """What a provider's module offers as well, where we explain its payouts: how they are listed, and what is in one.

    HEARD: nothing lists them; they are those that its messages have named (`PayoutChanged`). NAMED: lines name the payments that
    they pay, so that one can be missed. API_HOSTS: the only hosts that a request of its own may go to. Every `read_...` raises
    Unreadable, and nothing else.
    """

    NAME: str
    API_HOSTS: frozenset[str]
    HEARD: bool
    NAMED: bool

    def payouts_request(
        self, since: datetime, until: datetime, after: str | None, api: ApiCredentials, *, livemode: bool
    ) -> ApiRequest:
        """How to ask for what was paid from `since` to before `until`; `after`: for the page after that one."""

    def read_payouts(self, after: str | None, body: bytes) -> Listed:
        """A page of them. Ones of another time may be among them."""

    def lines_request(self, paid: PaidOut, after: str | None, api: ApiCredentials, *, livemode: bool) -> ApiRequest:
        """How to ask for the lines of `paid`; `after`: for what comes after that."""

    def read_lines(self, paid: PaidOut, after: str | None, pieces: Iterable[bytes]) -> Lines:
        """What was answered when it was asked for by `after`."""


class PayoutsRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """days: how far to look back, `LOOK_BACK` and `HEARD_SINCE` where it is not said. provider: this one alone. link: look for lines
    among our events now, and not when a week is over."""

    days: int | None = None
    provider: str | None = None
    link: bool = False


@dataclass(frozen=True, slots=True)
class _World:
    """What a run has in its hands."""

    ports: Ports
    bus: Bus
    now: datetime
    livemode: bool


def explain_payouts(
    ports: Ports,
    bus: Bus,
    readers: Mapping[str, PayoutReader],
    apis: Callable[[PayoutReader], ReportApi],
    now: datetime,
    parameters: bytes = b"",
    *,
    livemode: bool,
) -> None:
    """Read what is due at each of `readers`, look for rests that are old and, once a week, for payments.

    bus: for what providers say. parameters: JSON of `PayoutsRequest`. livemode: of live or of test data. A repeat reads again what
    has a rest or was not read, and nothing else. Raises Rejected for parameters that do not fit, Unavailable when a part of our own
    world is down.
    """
    asked = _read(parameters)
    if asked.provider is not None and asked.provider not in readers:
        raise Rejected(f"payouts of {asked.provider} are not read here", reason="bad_payouts_request")
    world = _World(ports, bus, now, livemode)
    unread = _payouts(ports.documents.due(COLLECTION, "unread_since", now, MOST_UNREAD))
    answered = _answered(ports.documents)
    now_answered: dict[str, datetime] = {}
    for name, reader in readers.items():
        if asked.provider in (None, name):
            since = _since(reader, now, asked.days, answered.get(name))
            tried = [one.paid_at for one in unread if one.provider == name and _is_tried(world, one)]
            if _provider(world, reader, apis, min([since, *tried])):
                now_answered[name] = now
            elif name not in answered or now - answered[name] > MAY_WAIT:
                hours = round((now - answered[name]).total_seconds() / 3600) if name in answered else None
                alarm("payouts_delayed", provider=name, reason="no_answer", hours=hours)
    _note_answers(ports.documents, now_answered)
    _old_rests(world)
    _old_unread(world)
    _link(world, [name for name, reader in readers.items() if reader.NAMED], at_once=asked.link)
    fact("payouts_asked", providers=len(readers) if asked.provider is None else 1)


def _answered(documents: Documents) -> dict[str, datetime]:
    [stored] = documents.get([ANSWERED])
    return dict(stored.document) if stored else {}


def _note_answers(documents: Documents, answered: Mapping[str, datetime]) -> None:
    def effect(seen: Seen) -> Decision[None]:
        before = seen[ANSWERED]
        return Decision(None, [write(ANSWERED, before, {**(before.document if before else {}), **answered})])

    change(documents, [ANSWERED], effect)


def _since(reader: PayoutReader, now: datetime, days: int | None, answered: datetime | None) -> datetime:
    if days is not None:
        return now - timedelta(days=days)
    if not reader.HEARD or answered is None:
        return now - LOOK_BACK
    # What it said meanwhile was looked for by nobody, where it was us who stood still.
    return min(now, answered + AGAIN) - HEARD_SINCE


def _read(parameters: bytes) -> PayoutsRequest:
    try:
        asked = msgspec.json.decode(parameters or b"{}", type=PayoutsRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected(f"not a request for payouts: {error}", reason="bad_payouts_request") from error
    if asked.days is not None and not 1 <= asked.days <= 180:
        raise Rejected("days are from 1 to 180", reason="bad_payouts_request")
    return asked


def key_of(name: str) -> Key:
    return Key(COLLECTION, name)


@dataclass(frozen=True, slots=True)
class _Due:
    """What is to be read, and what is known of it."""

    paid: PaidOut
    before: Payout | None


def _provider(world: _World, reader: PayoutReader, apis: Callable[[PayoutReader], ReportApi], since: datetime) -> bool:
    """One provider's trouble is no other's, and what it keeps from being read stays to be read. Whether it answered all."""
    due: list[_Due] = []
    try:
        # What was heard of is known without its API, and must not be lost with it.
        if reader.HEARD:
            due = _due(world, reader, _heard(world, reader, since))
        api = apis(reader)
        if not reader.HEARD:
            due = _due(world, reader, _listed(world, reader, api, since))
    except (Unreadable, Misconfigured) as error:
        alarm("payouts_unread", provider=reader.NAME, reason=error.reason)
        _keep(world, due)
        return True
    except Unavailable as error:
        fact("payouts_put_off", provider=reader.NAME, reason=error.reason)
        _keep(world, due)
        return False
    left: list[_Due] = []
    failed = 0
    for one in due:
        if failed >= MAY_FAIL:
            left.append(one)
            continue
        try:
            _explain(world, reader, api, one.paid, one.before)
        except (Unreadable, Misconfigured) as error:
            alarm("payouts_unread", provider=reader.NAME, reason=error.reason, payout_id=one.paid.payout_id)
            # The next one may be readable; and what was prepared for this one is asked for anew.
            left.append(_Due(one.paid, replace(one.before, waits_for=None) if one.before else None))
        except Unavailable as error:
            fact("payouts_put_off", provider=reader.NAME, reason=error.reason, payout_id=one.paid.payout_id)
            left.append(one)
            failed += 1
    _keep(world, left)
    return failed == 0


def _keep(world: _World, left: list[_Due]) -> None:
    """They stay to be read."""
    for begin in range(0, len(left), 100):
        page = left[begin : begin + 100]
        _commit(
            world,
            [_begun(world, one.paid, one.before, one.before.waits_for if one.before else None) for one in page],
        )


def _heard(world: _World, reader: PayoutReader, since: datetime) -> Iterator[PaidOut]:
    asked = {
        "since": since,
        "until": world.now,
        "provider": reader.NAME,
        "livemode": world.livemode,
    }
    for row in world.ports.warehouse.query(HEARD_SQL, asked):
        yield PaidOut(
            provider=reader.NAME,
            account=row["account"],
            payout_id=row["payout_id"],
            paid_at=row["at"],
            status="heard",
            told_at=row["told_at"],
        )


def _listed(world: _World, reader: PayoutReader, api: ReportApi, since: datetime) -> Iterator[PaidOut]:
    after: str | None = None
    asked: set[str | None] = set()
    while after not in asked:
        asked.add(after)
        credentials = api.credentials(livemode=world.livemode)
        request = reader.payouts_request(since, world.now, after, credentials, livemode=world.livemode)
        answer = api.send(request)
        _accepted(reader, "payouts", answer.status)
        page = reader.read_payouts(after, answer.body)
        of_the_time = [one for one in page.payouts if since <= one.paid_at < world.now]
        yield from of_the_time
        # Where all of time is listed, newest first, what is older ends it.
        if page.after is None or (page.payouts and not of_the_time):
            return
        after = page.after
    raise Unreadable(f"{reader.NAME} lists in a circle", reason="endless_pages")


def _accepted(reader: PayoutReader, what: str, status: int) -> None:
    if status != 200:
        alarm("fetch_refused", provider=reader.NAME, resource=what, status=status)
        raise Unavailable(f"{reader.NAME} answered {status}", reason="fetch_refused")


def _due(world: _World, reader: PayoutReader, payouts: Iterable[PaidOut]) -> list[_Due]:
    """The oldest first, each once."""
    unique = {name_of(one.provider, one.account, one.payout_id): one for one in payouts}
    ordered = sorted(unique.items(), key=lambda one: (one[1].paid_at, one[0]))
    due: list[_Due] = []
    for begin in range(0, len(ordered), 100):
        page = ordered[begin : begin + 100]
        found = world.ports.documents.get([key_of(name) for name, _ in page])
        for (_, paid), snapshot in zip(page, found, strict=True):
            before = _before(snapshot)
            if reader.HEARD and before is not None:
                # When it was first heard of may lie before what was looked through now.
                paid = replace(paid, paid_at=before.paid_at)
            if _is_due(world, paid, before):
                due.append(_Due(paid, before))
    return due


def _is_due(world: _World, paid: PaidOut, before: Payout | None) -> bool:
    if before is None:
        return True
    if paid.told_at is not None and paid.told_at > (before.told_at or before.read_at or before.heard_at):
        return True
    if before.forgone:
        return False
    if before.read_at is None or before.unread_since is not None:
        return True
    if paid.paid is not None and paid.paid != before.paid:
        return True
    if before.read_at > world.now - AGAIN:
        return False
    if not before.currencies:
        return before.rest not in (0, before.accepted)
    children = world.ports.documents.get([key_of(f"{before.name}/{one}") for one in before.currencies])
    return any(one is not None and one.document["rest_since"] is not None for one in children)


@dataclass(slots=True)
class _Told:
    """Rows of one payout, told as they fill."""

    world: _World
    paid: PaidOut
    waiting: dict[tuple[str, LineKind, str], list[LinkedLine]] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)

    def add(self, currency: str, kind: LineKind, reference: str, charged: Money) -> None:
        alike = currency, kind, charged.currency
        waiting = self.waiting.setdefault(alike, [])
        waiting += [LinkedLine(reference=reference, minor=charged.minor)]
        if len(waiting) >= LINES_EACH:
            self._flush(alike)

    def flush(self) -> None:
        """Tell what waits."""
        for alike in list(self.waiting):
            self._flush(alike)

    def _flush(self, alike: tuple[str, LineKind, str]) -> None:
        currency, kind, charged_in = alike
        self.parts[currency] = part = self.parts.get(currency, 0) + 1
        lines = tuple(self.waiting.pop(alike))
        self.publish(currency, part, kind=kind, charged_in=charged_in, lines=lines)

    def publish(self, currency: str, part: int, **members: Any) -> None:
        paid = self.paid
        payout_id = _id_of(paid, currency)
        row = PayoutExplained(
            row_id=f"{name_of(paid.provider, paid.account, payout_id)}#{part}",
            provider=paid.provider,
            account=paid.account,
            payout_id=payout_id,
            part=part,
            paid_at=paid.paid_at,
            read_at=self.world.now,
            status=paid.status,
            currency=currency,
            **members,
        )
        self.world.bus.publish([Message(TOPIC, encode(row), {"provider": paid.provider})])


def _id_of(paid: PaidOut, currency: str) -> str:
    return paid.payout_id if paid.paid is not None else f"{paid.payout_id}/{currency}"


def _explain(world: _World, reader: PayoutReader, api: ReportApi, paid: PaidOut, before: Payout | None) -> None:
    readings: dict[str, Reading] = {}
    told = _Told(world, paid)
    waits_for = None
    for page in _pages(world, reader, api, paid, before.waits_for if before else None):
        if page.waits:
            waits_for = page.after
            break
        for line in page.found:
            if line.currency not in readings:
                readings[line.currency] = Reading(line.currency)
            charged = readings[line.currency].add(line)
            if charged is not None and line.reference is not None:
                told.add(line.currency, line.kind, line.reference, charged)
    if waits_for is not None:
        _commit(world, [_begun(world, paid, before, waits_for)])
        return
    if paid.paid is not None:
        readings = readings or {paid.currency or "": Reading(paid.currency or "")}
        if len(readings) != 1 or "" in readings or paid.currency not in (None, *readings):
            raise Unreadable(f"lines of {reader.NAME} in another currency than its payout", reason="mixed_currencies")
    told.flush()
    payouts = [_explained(world, paid, reading) for _, reading in sorted(readings.items())]
    if paid.paid is None:
        marker = _begun(world, paid, before, None)
        payouts += [
            replace(marker, read_at=world.now, currencies=tuple(sorted(readings)), unread_since=None, forgone=False)
        ]
    for stored in _commit(world, payouts, told):
        fact(
            "payout_explained",
            provider=stored.provider,
            payout_id=stored.payout_id,
            outcome="explained" if stored.rest == 0 else "unexplained",
            rest=stored.rest,
            currency=stored.currency,
            lines=stored.lines,
        )


def _pages(world: _World, reader: PayoutReader, api: ReportApi, paid: PaidOut, after: str | None) -> Iterator[Lines]:
    asked: set[str | None] = set()
    while after not in asked:
        asked.add(after)
        if len(asked) > MOST_PAGES:
            raise Unreadable(f"a payout of {reader.NAME} has more than {MOST_PAGES} pages", reason="payout_too_long")
        credentials = api.credentials(livemode=world.livemode)
        answer = api.stream(reader.lines_request(paid, after, credentials, livemode=world.livemode))
        if answer.status in (404, 410) and len(asked) == 1 and after is not None:
            raise Unreadable(f"{reader.NAME} has no more what it prepared", reason="report_gone")
        _accepted(reader, "payout", answer.status)
        page = reader.read_lines(paid, after, answer.pieces)
        yield page
        if page.after is None or page.waits:
            return
        after = page.after
    raise Unreadable(f"lines of {reader.NAME} lead in a circle", reason="endless_pages")


def _begun(world: _World, paid: PaidOut, before: Payout | None, waits_for: str | None) -> Payout:
    """What is to be read, and is not yet."""
    if before is not None:
        since = before.unread_since or world.now
        return replace(before, waits_for=waits_for, unread_since=since, told_at=paid.told_at, forgone=False)
    return Payout(
        provider=paid.provider,
        account=paid.account,
        payout_id=paid.payout_id,
        paid_at=paid.paid_at,
        status=paid.status,
        heard_at=world.now,
        waits_for=waits_for,
        unread_since=world.now,
        told_at=paid.told_at,
    )


def _explained(world: _World, paid: PaidOut, reading: Reading) -> Payout:
    amount = reading.paid_out if paid.paid is None else paid.paid
    rest = rest_of(amount, reading.totals)
    return Payout(
        provider=paid.provider,
        account=paid.account,
        payout_id=_id_of(paid, reading.currency),
        paid_at=paid.paid_at,
        status=paid.status,
        heard_at=world.now,
        read_at=world.now,
        currency=reading.currency,
        paid=amount,
        arrives=paid.arrives,
        told_at=paid.told_at,
        rest=rest,
        rest_since=world.now if rest else None,
        totals=reading.totals,
        exchanged=reading.exchanged,
        words=reading.words,
        lines=reading.lines,
    )


def _commit(world: _World, payouts: list[Payout], told: _Told | None = None) -> list[Payout]:
    """Write what was read, where nobody has read later; the rows of it first, so that no document tells what they do not.
    Answers those that tell a payout."""
    keys = [key_of(one.name) for one in payouts]

    def effect(seen: Seen) -> Decision[list[Payout]]:
        found = [(key, _after(one, _before(seen[key]))) for key, one in zip(keys, payouts, strict=True)]
        newer = [
            (key, one)
            for key, one in found
            if (before := _before(seen[key])) is None or before.read_at is None or before.read_at <= world.now
        ]
        writes = [write(key, seen[key], to_document(one)) for key, one in newer]
        return Decision([one for _, one in newer if one.currency], writes)

    for one, snapshot in zip(payouts, world.ports.documents.get(keys) if told else (), strict=False):
        if told is not None and one.currency:
            row = _after(one, _before(snapshot))
            members = {name: getattr(row, name) for name in ("paid", "rest", "rest_since", "totals", "exchanged")}
            told.publish(one.currency, 0, **members)
    return change(world.ports.documents, keys, effect)


def _before(snapshot: Snapshot | None) -> Payout | None:
    return from_document(snapshot.document, Payout) if snapshot else None


def _after(one: Payout, before: Payout | None) -> Payout:
    """`one`, with what the document before it knows: since when there is a rest, and what was found among our events."""
    if before is None or one.read_at is None:
        return one
    accepted = before.accepted if one.rest == before.accepted else None
    since = before.rest_since or one.rest_since if one.rest and one.rest != accepted else None
    return replace(
        one,
        heard_at=before.heard_at,
        rest_since=since,
        accepted=accepted,
        linked_at=before.linked_at,
        unlinked=before.unlinked,
    )


def accept_rest(documents: Documents, name: str, rest: int) -> Payout:
    """Somebody knows what the `rest` (minor units) of the payout called `name` is: it ages no more, and alarms no more. One that could
    not be read, and has none, or one that is accepted, is not asked for any more. Raises Rejected where there is none, or another one by now."""
    key = key_of(name)

    def effect(seen: Seen) -> Decision[Payout]:
        before = _before(seen[key])
        if before is None or not (before.rest or before.unread_since):
            raise Rejected(f"{name} has no rest", reason="no_rest")
        if before.rest != rest:
            raise Rejected(f"the rest of {name} is another one by now: look at it again", reason="other_rest")
        if before.unread_since is not None and before.rest in (0, before.accepted):
            after = replace(before, waits_for=None, unread_since=None, forgone=True)
        else:
            after = replace(before, accepted=before.rest, rest_since=None)
        return Decision(after, [write(key, seen[key], to_document(after))])

    return change(documents, [key], effect)


def _old_rests(world: _World) -> None:
    """Somebody is called while a rest is older than it may be."""
    found = world.ports.documents.due(COLLECTION, "rest_since", world.now - MAY_REST, 100)
    for provider, payouts in _by_provider(_payouts(found)):
        oldest = payouts[0]
        alarm(
            "payout_unexplained",
            provider=provider,
            payouts=len(payouts),
            payout_id=oldest.payout_id,
            rest=oldest.rest,
            currency=oldest.currency,
            days=(world.now - (oldest.rest_since or world.now)).days,
        )


def _old_unread(world: _World) -> None:
    """And while something waits to be read for longer than it may, or is not even asked for any more."""
    found = _payouts(world.ports.documents.due(COLLECTION, "unread_since", world.now - MAY_WAIT, MOST_UNREAD))
    for provider, payouts in _by_provider(one for one in found if _is_tried(world, one)):
        oldest = payouts[0]
        waited = world.now - (oldest.unread_since or world.now)
        alarm(
            "payouts_delayed",
            provider=provider,
            payouts=len(payouts),
            payout_id=oldest.payout_id,
            hours=round(waited.total_seconds() / 3600),
        )
    for provider, payouts in _by_provider(one for one in found if not _is_tried(world, one)):
        alarm("payout_given_up", provider=provider, payouts=len(payouts), payout_id=payouts[0].payout_id)


def _is_tried(world: _World, one: Payout) -> bool:
    return one.unread_since is not None and world.now - one.unread_since <= TRIED_FOR


def _payouts(found: Iterable[Snapshot]) -> list[Payout]:
    return [from_document(one.document, Payout) for one in found]


def _by_provider(payouts: Iterable[Payout]) -> list[tuple[str, list[Payout]]]:
    found: dict[str, list[Payout]] = {}
    for one in payouts:
        found.setdefault(one.provider, []).append(one)
    return sorted(found.items())


def _link(world: _World, providers: list[str], *, at_once: bool) -> None:
    known = owed_to_us(world.ports.documents)
    if known.linked_at is None or world.now - known.linked_at >= LINKED_EVERY or at_once:
        known = _looked(world, providers)
    # It is looked for once a week, and somebody is called until it is paid.
    for one in known.found:
        alarm(
            "captures_unpaid",
            provider=one.provider,
            payments=one.payments,
            minor=one.minor,
            currency=one.currency,
            payment_id=one.example,
            days=(world.now - one.oldest).days,
        )


def _looked(world: _World, providers: list[str]) -> Owed:
    found = linked(world.ports.warehouse, world.now, livemode=world.livemode)
    for name, lines in found.items():
        _note(world, name, lines)

    def effect(seen: Seen) -> Decision[Owed]:
        before = _owed(seen[STATE])
        after = owed(world.ports.warehouse, world.now, before, providers, livemode=world.livemode)
        return Decision(after, [write(STATE, seen[STATE], to_document(after))])

    after = change(world.ports.documents, [STATE], effect)
    lost = sum(one.lines for lines in found.values() for one in lines)
    fact("payouts_linked", payouts=len(found), unlinked=lost, unpaid=sum(one.payments for one in after.found))
    if lost:
        worst = max(found, key=lambda name: sum(one.lines for one in found[name]))
        alarm("payout_unlinked", lines=lost, payout_id=worst)
    return after


def _owed(state: Snapshot | None) -> Owed:
    return from_document(state.document, Owed) if state else Owed()


def owed_to_us(documents: Documents) -> Owed:
    """What was captured and is in no payout, as of the last look."""
    [state] = documents.get([STATE])
    return _owed(state)


def accept_unpaid(documents: Documents, name: str, payments: int, minor: int) -> Owed:
    """Somebody knows why what is called `name` (`Unpaid.name`) is not paid, as it was seen: it is listed no more, and alarms no
    more. Raises Rejected where there is none, or another by now."""

    def effect(seen: Seen) -> Decision[Owed]:
        after = _owed(seen[STATE]).accept(name, payments, minor)
        return Decision(after, [write(STATE, seen[STATE], to_document(after))])

    return change(documents, [STATE], effect)


def _note(world: _World, name: str, lines: tuple[Unlinked, ...]) -> None:
    key = key_of(name)

    def effect(seen: Seen) -> Decision[None]:
        snapshot = seen[key]
        if snapshot is None:
            return Decision(None)
        one = replace(from_document(snapshot.document, Payout), linked_at=world.now, unlinked=lines)
        return Decision(None, [write(key, snapshot, to_document(one))])

    change(world.ports.documents, [key], effect)
