"""The local backend in a folder, for tests that look at everything in it afterwards."""

from pathlib import Path
from typing import Any, cast

import msgspec

from shared import settings
from shared.backends.local import connect
from shared.backends.local.bus import LocalBus
from shared.flows.ports import Delete, Key, Ports
from tests.contracts.fitting import misfits

COLLECTIONS = ("payments", "payment_aliases", "disputes", "cases")
TOPICS = (
    "payment-events",
    "dispute-updates",
    "dispute-actions",
    "fraud-decisions",
    "payment-actions",
    "fraud-labels",
    "model-health",
    "provider-traffic",
    "payouts",
)


def local_ports(folder: Path) -> Ports:
    """Real documents and bus on SQLite in `folder`; every topic has a subscription of its own name."""
    ports = connect(settings.read({"PAYIN_HOME": str(folder)}))
    for topic in TOPICS:
        _bus(ports).subscribe(topic, topic)
    return ports


def everything(ports: Ports, collections: tuple[str, ...] = COLLECTIONS) -> dict[Key, dict[str, Any]]:
    """Every document there is."""
    return {
        snapshot.key: snapshot.document for name in collections for snapshot in ports.documents.scan(name, limit=10_000)
    }


def wipe(ports: Ports, collections: tuple[str, ...] = COLLECTIONS) -> dict[Key, dict[str, Any]]:
    """Everything, and nothing is left of it."""
    found = everything(ports, collections)
    ports.documents.commit([Delete(key) for key in found])
    return found


def published(ports: Ports, topic: str) -> list[dict[str, Any]]:
    """The messages on `topic` since the last time we asked, as JSON objects, oldest first: each as its contract promises."""
    found = []
    while pulled := _bus(ports).pull(topic, limit=1000, lease_seconds=60):
        assert not [wrong for one in pulled for wrong in misfits(topic, one.data, one.attributes)]
        found += [msgspec.json.decode(message.data) for message in pulled]
        _bus(ports).ack(topic, [message.ack_id for message in pulled])
    return found


def _bus(ports: Ports) -> LocalBus:
    return cast(LocalBus, ports.bus)
