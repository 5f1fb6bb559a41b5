"""What was given up after all its tries, by what it has in common; and providers whose deliveries nothing acts on."""

from collections.abc import Mapping
from typing import Any

from shared.console.site import Site, Visit, Went, done
from shared.domain.errors import Misconfigured
from shared.domain.people import Role
from shared.flows.audit import Errand
from shared.operations.dead_letters import dead_letters, drop, requeue
from shared.operations.parking import Parked, ongoing, parked
from shared.providers import names
from shared.runtime import topology
from shared.runtime.rehearsing import diagnosing

HERE = "/letters"
PORTION = 200
"""Of each consumer: what a page looks at while somebody waits."""


def register(site: Site) -> None:
    site.page(HERE, "letters", _look, title="Given up")
    site.act(f"{HERE}/requeue", "letters_requeue", Role.ANALYST, _requeue)
    site.act(f"{HERE}/drop", "letters_drop", Role.APPROVER, _drop)


def _look(visit: Visit) -> Mapping[str, Any]:
    bench = visit.bench
    stopped = parked(bench.ports.documents, names())
    found = dead_letters(bench.subscriptions, topology.dead_letters(), diagnosing(bench), PORTION)
    return {
        "groups": found.groups,
        "unseen": found.unseen,
        "parked": stopped,
        "pushed": {name: _pushed(one, visit) for name, one in stopped.items()},
    }


def _pushed(one: Parked, visit: Visit) -> str:
    """What a parked provider's words still reach; or why nobody can say."""
    try:
        found = ongoing(one, visit.bench.subscriptions)
    except Misconfigured as error:
        return f"Nobody can say whether all of it is stopped: {error}."
    return f"But pushed all the same: {', '.join(found)}." if found else ""


def _errand(visit: Visit, act: str) -> Errand:
    return Errand(who=visit.person.email, why=visit.why, what=f"dead-letters {act}", at=visit.now)


def _requeue(visit: Visit) -> Went:
    bench, topics = visit.bench, {name: topic for name, (_, topic) in topology.given_up_from().items()}
    named = (bench.subscriptions, bench.ports.bus, bench.ports.documents, topics, visit.asked.get("group", ""))
    found = requeue(*named, diagnosing(bench), _errand(visit, "requeue"), PORTION)
    return done(HERE, f"{found.count} published again.")


def _drop(visit: Visit) -> Went:
    bench = visit.bench
    named = (bench.subscriptions, bench.ports.documents, topology.dead_letters(), visit.asked.get("group", ""))
    found = drop(*named, diagnosing(bench), _errand(visit, "drop"), PORTION)
    return done(HERE, f"{found.count} dropped for good; the audit has their ids.")
