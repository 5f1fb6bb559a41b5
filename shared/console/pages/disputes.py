"""Open disputes in the order in which people go through them: by deadline, then by what an answer is worth.

What is over is found by its id. A list is one query, and one read of the cases of its page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.console.site import Site, Visit, Went, address, done, fields, link
from shared.disputes.queue import place_of
from shared.domain.disputes import Dispute
from shared.domain.errors import Rejected
from shared.domain.events import DisputeStatus
from shared.domain.money import Money
from shared.domain.people import Role, colleague
from shared.flows import cases
from shared.flows.ports import Documents, Key
from shared.flows.teamwork import NotKept, assign, in_queue, keep_view, named, views

PATH = "/disputes"
PAGE = 50
FILTERS = ("provider", "status", "who", "due")
MINE, NOBODY = "me", "nobody"
STATUSES = {
    "": "to answer",
    DisputeStatus.EXPIRED.value: "missed, not ruled on",
    "all": "all that are open",
}
DUE = {"": "whenever", "over": "overdue", "24": "within 24 hours", "72": "within 72 hours", "168": "within a week"}
OWN_NAMES: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("All to answer", {}),
    ("Mine", {"who": MINE}),
    ("Nobody's", {"who": NOBODY}),
    ("Due within 24 hours", {"due": "24"}),
    ("Missed", {"status": DisputeStatus.EXPIRED.value}),
)


@dataclass(frozen=True, slots=True)
class Row:
    """refunded: what of the payment went back by our choice."""

    dispute: Dispute
    href: str
    name: str
    refunded: Money | None


def register(site: Site) -> None:
    site.page(PATH, "disputes", _look, title="Disputes")
    site.act(f"{PATH}/assign", "disputes_assign", Role.ANALYST, _assign)
    site.act(f"{PATH}/views", "disputes_view", Role.VIEWER, _keep)


def path_of(provider: str, dispute_id: str) -> str:
    return address("disputes", provider, dispute_id)


def _look(visit: Visit) -> Mapping[str, Any]:
    asked = _filters(visit)
    documents = visit.ports.documents
    place, last = visit.asked.get("after", ""), visit.asked.get("last", "")
    after = (place, last) if place and last else None
    found = in_queue(documents, _where(asked, visit), PAGE + 1, after)
    shown = found[:PAGE]
    before = _before(asked.get("due", ""), visit.now)
    # Of a list in order of deadlines the end is where the next one is later.
    within = [one for one in shown if before is None or (one.respond_by is not None and one.respond_by <= before)]
    more = None
    if len(found) > PAGE and len(within) == PAGE:
        end = within[-1]
        more = link(PATH, **asked, after=place_of(end), last=f"{end.provider}:{end.dispute_id}")
    return {
        "rows": _rows(documents, within),
        "asked": asked,
        "more": more,
        "first": link(PATH, **asked) if after else None,
        "names": [(name, link(PATH, **view), dict(view) == asked) for name, view in OWN_NAMES],
        "own": [
            (name, link(PATH, **_shortened(view, visit)))
            for name, view in sorted(views(documents, visit.person.email).items())
        ],
        "providers": visit.bench.settings.providers,
        "statuses": STATUSES,
        "dues": DUE,
        "may": visit.may(Role.ANALYST),
    }


def _where(asked: Mapping[str, str], visit: Visit) -> dict[str, str]:
    where: dict[str, str] = {}
    if provider := asked.get("provider"):
        where["provider"] = provider
    status = asked.get("status", "")
    if status != "all":
        missed = status == DisputeStatus.EXPIRED
        where["status"] = (DisputeStatus.EXPIRED if missed else DisputeStatus.NEEDS_RESPONSE).value
    if who := asked.get("who"):
        where["assignee"] = {MINE: visit.person.email, NOBODY: ""}.get(who, whole(who, visit))
    return where


def _before(due: str, now: datetime) -> datetime | None:
    if due not in DUE or not due:
        return None
    return now if due == "over" else now + timedelta(hours=int(due))


def _rows(documents: Documents, found: list[Dispute]) -> list[Row]:
    keys = [Key(cases.COLLECTION, f"{one.provider}:{name}") for one in found for name in one.filed_under[-1:]]
    filed = dict(zip(keys, map(cases.stored, documents.get(keys)), strict=True)) if keys else {}

    def refunded(one: Dispute) -> Money | None:
        case = next((filed[Key(cases.COLLECTION, f"{one.provider}:{name}")] for name in one.filed_under[-1:]), None)
        return case.refunded if case and case.refunded and case.refunded.minor else None

    return [
        Row(one, path_of(one.provider, one.dispute_id), f"{one.provider}:{one.dispute_id}", refunded(one))
        for one in found
    ]


def _assign(visit: Visit) -> Went:
    chosen = [value for name, value in visit.asked.items() if name.startswith("case:")]
    to = whose(visit)
    if not chosen:
        raise Rejected("no dispute is chosen: tick some in the list first", reason="nothing_chosen")
    named = [(provider, own) for one in chosen for provider, _, own in (one.partition(":"),)]
    count = assign(visit.acting("dispute assign", f"for {colleague(to) or 'nobody'}"), named, to)
    return done(_back(visit), f"{count} of {len(named)} now {f'with {colleague(to)}' if to else 'with nobody'}")


def whose(visit: Visit) -> str:
    """Whom a form names: oneself, nobody, or a colleague who may answer. Raises NotKept for anybody else."""
    told = visit.asked.get("to", "") or MINE
    if told in (MINE, NOBODY):
        return visit.person.email if told == MINE else ""
    to = named(whole(told, visit))
    if (visit.role_of(to) or Role.VIEWER) < Role.ANALYST:
        raise NotKept(
            "nobody of this name answers disputes: whoever is given one is in the group of analysts, or of approvers"
        )
    return to


def whole(name: str, visit: Visit) -> str:
    """An address; of a name alone, that of a colleague with the reader's own domain."""
    return (name if "@" in name else f"{name}@{_domain(visit)}").lower()


def _domain(visit: Visit) -> str:
    return visit.person.email.partition("@")[2]


def _filters(visit: Visit, *more: str) -> dict[str, str]:
    return _shortened(fields(visit.asked, (*FILTERS, *more)), visit)


def _shortened(asked: Mapping[str, str], visit: Visit) -> dict[str, str]:
    """As it stands in a URL, which logs and browsers keep: a colleague's name without the domain."""
    return {
        name: told.lower().removesuffix(f"@{_domain(visit)}") if name == "who" else told for name, told in asked.items()
    }


def _keep(visit: Visit) -> Went:
    name, asked = visit.asked.get("name", ""), _filters(visit)
    drops = visit.asked.get("drop") == "yes"
    keep_view(visit.acting("views", "a list of one's own"), visit.person.email, name, None if drops else asked)
    return done(link(PATH, **asked), f"the list {name} is {'gone' if drops else 'kept'}")


def _back(visit: Visit) -> str:
    """To the page of the list on which the form stood."""
    return link(PATH, **_filters(visit, "after", "last"))
