"""Who changed what, when and why; and who was shown what is known of a person."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.console.site import Site, Visit, link
from shared.domain.people import colleague
from shared.flows.audit import SEEN, Record, newest

DAYS = {"1": "a day", "7": "a week", "30": "a month", "90": "three months"}
MOST = 50
SOON = timedelta(seconds=1)


def register(site: Site) -> None:
    site.page("/audit", "audit", _look, title="Audit")


def _look(visit: Visit) -> Mapping[str, Any]:
    days = visit.asked.get("days", "")
    days = days if days in DAYS else "7"
    # What stands in a URL is kept by logs and browsers: no address.
    who, what = colleague(visit.asked.get("who", "").strip().lower()), visit.asked.get("what", "")
    since = visit.now - timedelta(days=int(days))
    before = _before(visit)

    def wanted(one: Record) -> bool:
        return (
            (not who or who in one.who.lower())
            and (what != "changes" or one.what != SEEN)
            and (what != "reads" or one.what == SEEN)
        )

    shown, left = newest(visit.ports.documents, before, since, MOST, wanted)
    asked = {"days": days, "who": who, "what": what}
    older = link("/audit", **asked, before=left.isoformat()) if left > since else ""
    return {"records": shown, **asked, "choices": DAYS, "older": older}


def _before(visit: Visit) -> datetime:
    """From where the page goes back."""
    try:
        told = datetime.fromisoformat(visit.asked.get("before", ""))
        return told.astimezone(UTC) if told.tzinfo else visit.now + SOON
    except (ValueError, OverflowError):
        return visit.now + SOON
