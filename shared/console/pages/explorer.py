"""Anything by any id: what it means, its story, the bytes it came in, and what telling it again would change."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from shared.console.site import Site, Visit, fields, link
from shared.domain.codec import encode, utc_text
from shared.domain.delivery import DeliveryOutcome
from shared.domain.errors import Rejected
from shared.domain.people import Role
from shared.flows.pseudonyms import PseudonymousBus
from shared.flows.replay_deliveries import replay_deliveries
from shared.operations import archive
from shared.operations.archive import listed as received
from shared.operations.explaining import explain, otherwise
from shared.operations.finding import AHEAD, WITHIN, Found, Kind, decision_on, find
from shared.operations.rehearsal import SHOWN_FIRST
from shared.operations.stories import pauses, payment_of_dispute, story
from shared.providers import load, names
from shared.runtime.rehearsing import rehearsal_on

DAYS: Mapping[str, str] = {"1": "a day", "7": "a week", "30": "a month", "90": "three months"}
LISTED = 100
SHOWN = 100


class NoDelivery(Rejected):
    """Answered 404."""

    reason = "unknown_delivery"
    status = 404


def register(site: Site) -> None:
    site.page("/find", "find", _find, title="Explorer")
    site.page("/why", "why", _why)
    site.page("/deliveries", "deliveries", _deliveries)
    site.page("/delivery", "delivery", _delivery)
    site.page("/rehearsal", "rehearsal", _rehearsal, role=Role.ANALYST)


def _days(visit: Visit, usual: str) -> str:
    asked = visit.asked.get("days", "")
    return asked if asked in DAYS else usual


def _find(visit: Visit) -> Mapping[str, Any]:
    name, asked = visit.asked.get("id", "").strip()[:1000], visit.asked.get("days", "")
    days = asked if asked in DAYS else ""
    shown: dict[str, Any] = {
        "id": name,
        "days": days,
        "choices": DAYS,
        "found": [],
        "told": None,
        "within": WITHIN.days,
    }
    if not name:
        return shown
    since = visit.now - timedelta(days=int(days)) if days else None
    found = find(visit.ports, name, visit.now, since=since)
    if len(found) != 1:
        return {**shown, "found": found}
    [one] = found
    visit.saw(f"{one.kind}:{one.name}")
    told = story(visit.ports, one, visit.now)
    return {
        **shown,
        "found": found,
        "one": one,
        "told": told,
        "moments": pauses(told.moments),
        "decided": _decided(visit, one),
    }


def _decided(visit: Visit, found: Found) -> str | None:
    """The payment of which somebody decided, by the name that `why` takes."""
    payment = payment_of_dispute(visit.ports, found) if found.kind is Kind.DISPUTE else found.id
    if found.kind not in (Kind.PAYMENT, Kind.DISPUTE) or not payment:
        return None
    return f"{found.provider}:{payment}" if decision_on(visit.ports.documents, found.provider, payment) else None


def _why(visit: Visit) -> Mapping[str, Any]:
    provider, payment = archive.of_provider(visit.asked.get("payment", ""))
    judged = decision_on(visit.ports.documents, provider, payment) if payment else None
    if judged is None:
        raise Rejected("nobody decided on a payment of this name: its story says what happened", reason="no_decision")
    visit.saw(f"decisions:{provider}:{payment}")
    told = explain(visit.ports, judged)
    rules, model = visit.asked.get("rules", "").strip(), visit.asked.get("model", "").strip()
    trouble = ""
    if rules or model:
        try:
            told = replace(
                told, otherwise=otherwise(visit.ports, judged.decision, rules=rules or None, model=model or None)
            )
        except Rejected as error:
            trouble = str(error)
    return {"told": told, "payment": f"{provider}:{payment}", "rules": rules, "model": model, "trouble": trouble}


def _deliveries(visit: Visit) -> Mapping[str, Any]:
    days = _days(visit, "1")
    asked = fields(visit.asked, ("provider", "outcome", "kind", "key_id"))
    found = received(
        visit.ports.warehouse, visit.now - timedelta(days=int(days)), visit.now + AHEAD, **asked, most=LISTED
    )
    return {
        "deliveries": found,
        "asked": asked,
        "days": days,
        "choices": DAYS,
        "providers": names(),
        "outcomes": list(DeliveryOutcome),
        "most": len(found) == LISTED,
    }


def _delivery(visit: Visit) -> Mapping[str, Any]:
    days = _days(visit, "7")
    since = visit.now - timedelta(days=int(days))
    name = visit.asked.get("id", "")
    called = archive.meant(visit.ports.warehouse, name, since, visit.now + AHEAD) if name else []
    looked = archive.looked_into(visit.ports.warehouse, called[0]) if len(called) == 1 else None
    if looked is None and len(called) < 2:
        raise NoDelivery(f"no delivery of the last {days} days is called {name[:200]}: look for it in a longer time")
    if looked is not None:
        visit.saw(f"deliveries:{looked.kept.delivery_id}")
    return {"called": called, "looked": looked, "days": days, "choices": DAYS, "id": name}


def _rehearsal(visit: Visit) -> Mapping[str, Any]:
    """What telling one delivery again would change, on documents that forget. Nothing is written."""
    provider, delivery = visit.asked.get("provider", ""), visit.asked.get("delivery", "")
    if provider not in names() or not delivery:
        raise Rejected("say which delivery: its page has the link", reason="no_delivery")
    days = _days(visit, "7")
    asked = {
        "provider": provider,
        "since": utc_text(visit.now - timedelta(days=int(days))),
        "until": utc_text(visit.now + timedelta(microseconds=1)),
        "delivery_id": delivery,
        "again": True,
        "outcome": visit.asked.get("outcome", ""),
    }
    rehearsal = rehearsal_on(visit.bench)
    bus = PseudonymousBus(rehearsal, visit.bench.keyring)
    replayed = replay_deliveries(encode(asked), load, visit.ports.warehouse, bus, visit.now)
    found = rehearsal.result()
    return {
        "replayed": replayed,
        "found": found,
        "provider": provider,
        "delivery": delivery,
        "shown": found.payments[:SHOWN],
        "beside": len(found.changes) - len(found.payments),
        "first": SHOWN_FIRST,
        "command": f"payin replay {provider} --delivery {delivery} --again --since {days}d --reason ...",
        "back": link("/delivery", id=delivery, days=days),
    }
