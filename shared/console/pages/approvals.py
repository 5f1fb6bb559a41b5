"""What one person asked for and another one has to agree to: read, agreed or refused, and carried out at once.

What an approval's `what` does stands in `Site.carries`, put there by the page on which it is asked for.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from shared.console.site import Site, Visit, Went, done
from shared.domain.errors import Rejected
from shared.domain.people import Role
from shared.domain.privacy import mask
from shared.flows.approvals import (
    CARRIED,
    Approval,
    ApprovalClosed,
    Stand,
    approval,
    carried_out,
    closes_at,
    decide,
    unfinished,
    withdraw,
)
from shared.flows.filing import dispute_of, key_of

PATH = "/approvals"


def register(site: Site) -> None:
    site.page(PATH, "approvals", _look, title="Approvals")
    site.act(f"{PATH}/<name>/agree", "approval_agree", Role.APPROVER, partial(_agree, site))
    site.act(f"{PATH}/<name>/refuse", "approval_refuse", Role.APPROVER, _refuse)
    site.act(f"{PATH}/<name>/withdraw", "approval_withdraw", Role.ANALYST, _withdraw)
    site.act(f"{PATH}/<name>/again", "approval_again", Role.APPROVER, partial(_again, site))


def _look(visit: Visit) -> Mapping[str, Any]:
    found = unfinished(visit.ports.documents, visit.now)
    deadlines = _deadlines(visit, found)
    return {
        "waiting": [one for one in found if one.stand is Stand.ASKED],
        "agreed": [one for one in found if one.stand is Stand.AGREED],
        "deadlines": deadlines,
        "closes": {one.id: closes_at(one, deadlines.get(one.id)) for one in found},
        "may": visit.may(Role.APPROVER),
    }


def _deadlines(visit: Visit, found: Sequence[Approval]) -> Mapping[str, datetime | None]:
    """Of the disputes that are asked about, as they stand now, by the approval's id. One read."""
    told = {one.id: one.parameters for one in found if "dispute_id" in one.parameters}
    keys = {name: key_of(one["provider"], one["dispute_id"]) for name, one in told.items()}
    names = list(dict.fromkeys(keys.values()))
    disputes = dict(zip(names, map(dispute_of, visit.ports.documents.get(names)), strict=True)) if names else {}
    return {name: dispute.respond_by for name, key in keys.items() if (dispute := disputes[key]) is not None}


def _agree(site: Site, visit: Visit) -> Went:
    ports = visit.acting("approval agree", visit.why)
    name = visit.asked["name"]
    deadline = _deadlines(visit, [approval(visit.ports.documents, name)]).get(name)
    told = decide(ports, name, visit.person.email, visit.now, agreed=True, why=mask(visit.why), deadline=deadline)
    return _carried(site, visit, told)


def _refuse(visit: Visit) -> Went:
    ports = visit.acting("approval refuse", visit.why)
    told = decide(ports, visit.asked["name"], visit.person.email, visit.now, agreed=False, why=mask(visit.why))
    return done(PATH, f"refused, and nothing is done: {told.says}")


def _withdraw(visit: Visit) -> Went:
    ports = visit.acting("approval withdraw", visit.why)
    told = withdraw(ports, visit.asked["name"], visit.person.email, visit.now, mask(visit.why))
    return done(PATH, f"withdrawn, and nothing is done: {told.says}")


def _again(site: Site, visit: Visit) -> Went:
    told = approval(visit.ports.documents, visit.asked["name"])
    if told.stand is not Stand.AGREED and told.stand not in CARRIED:
        raise ApprovalClosed(f"nobody has agreed to it: it is {told.stand}")
    return _carried(site, visit, told)


def _carried(site: Site, visit: Visit, told: Approval) -> Went:
    """What came of it, done now or before. What can never be done is over too, and says why; what cannot be done now (Unavailable)
    stays agreed to, and is carried out again by whoever asks for that."""
    if told.stand in CARRIED:
        return Went(PATH, told.outcome or "done", failed=told.stand is Stand.FAILED)
    carry, failed = site.carries.get(told.what), False
    try:
        if carry is None:
            raise Rejected(f"nothing here does what is called {told.what}", reason="unknown_act")
        outcome = carry(visit, told)
    except Rejected as error:
        outcome, failed = f"it could not be done: {error}", True
    ports = visit.acting("approval carried out", told.decided_why or told.why)
    carried_out(ports, told.id, outcome, failed=failed)
    return Went(PATH, outcome, failed=failed)
