"""Everything outside, on one machine: a SQL database, files, DuckDB. Nothing to install, safe for several processes."""

from pathlib import Path

from shared.backends.once import Once, deferred
from shared.flows.ports import Bus, Documents, Models, Ports, Warehouse
from shared.settings import Settings


def connect(settings: Settings) -> Ports:
    """The local backend. Imports and touches nothing until a part is used."""
    home = Path(settings.home)

    def connected() -> "tuple[Documents, Bus]":
        from shared.backends.local.bus import LocalBus
        from shared.backends.local.documents import SqlDocuments
        from shared.backends.local.sql import Database

        database = Database(settings.database_url)
        return SqlDocuments(database), LocalBus(database)

    def artifacts(folder: str) -> Models:
        from shared.backends.local.models import FileModels

        return FileModels(home / folder)

    def warehouse() -> Warehouse:
        from shared.backends.local.warehouse import LocalWarehouse

        return LocalWarehouse(home / "warehouse")

    sql = Once(connected)
    return Ports(
        documents=deferred(lambda: sql()[0]),
        bus=deferred(lambda: sql()[1]),
        models=deferred(lambda: artifacts("models")),
        warehouse=deferred(warehouse),
        evidence=deferred(lambda: artifacts("evidence")),
    )
