"""Who changed what, when and why; and who was shown what is known of a person."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from shared.console.site import Site, Visit
from shared.flows.audit import SEEN, records

DAYS = {"1": "a day", "7": "a week", "30": "a month", "90": "three months"}
MOST = 500


def register(site: Site) -> None:
    site.page("/audit", "audit", _look, title="Audit")


def _look(visit: Visit) -> Mapping[str, Any]:
    days = visit.asked.get("days", "")
    days = days if days in DAYS else "7"
    who, what = visit.asked.get("who", "").strip().lower(), visit.asked.get("what", "")
    since = visit.now - timedelta(days=int(days))
    found = records(visit.ports.documents, since, MOST)
    shown = [
        one
        for one in reversed(found)
        if (not who or who in one.who.lower())
        and (what != "changes" or one.what != SEEN)
        and (what != "reads" or one.what == SEEN)
    ]
    return {"records": shown, "days": days, "who": who, "what": what, "choices": DAYS, "most": len(found) == MOST}
