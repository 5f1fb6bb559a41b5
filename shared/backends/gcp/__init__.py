"""Everything outside, on Google Cloud: Firestore, Pub/Sub, Cloud Storage, BigQuery; or their emulators."""

from typing import TYPE_CHECKING

from shared.backends.once import deferred
from shared.domain.errors import Misconfigured
from shared.flows.ports import Bus, Documents, Models, Ports, Warehouse
from shared.settings import FirestoreTransport, Settings

if TYPE_CHECKING:
    from shared.backends.gcp.tokens import Tokens


def connect(settings: Settings) -> Ports:
    """The Google Cloud backend. A client's library is imported when its part is used; a function pays for no other."""
    for variable, bucket in (("PAYIN_MODEL_BUCKET", settings.bucket), ("PAYIN_EVIDENCE_BUCKET", settings.evidence)):
        if settings.deployed and bucket.startswith("file://"):
            raise Misconfigured(
                f"{variable} is a folder, which an instance takes with it when it ends: set a bucket's name",
                reason="local_only_setting",
            )

    def access_tokens() -> "Tokens":
        from shared.backends.gcp.tokens import access_tokens

        return access_tokens(settings.metadata_host)

    tokens = deferred(access_tokens)

    def documents() -> Documents:
        if settings.firestore is FirestoreTransport.REST:
            from shared.backends.gcp.rest_documents import RestDocuments

            return RestDocuments(settings.project, settings.database, settings.firestore_emulator, tokens)
        from shared.backends.gcp.documents import FirestoreDocuments

        return FirestoreDocuments(settings.project, settings.database, settings.firestore_emulator)

    def bus() -> Bus:
        from shared.backends.gcp.bus import PubSubBus

        return PubSubBus(settings.project, settings.pubsub_emulator, None if settings.pubsub_emulator else tokens)

    def models() -> Models:
        return artifacts(settings.model_bucket())

    def artifacts(bucket: str) -> Models:
        if bucket.startswith("file://"):
            from pathlib import Path

            from shared.backends.local.models import FileModels

            return FileModels(Path(bucket.removeprefix("file://")))
        from shared.backends.gcp.models import BucketModels

        return BucketModels(bucket, tokens)

    def warehouse() -> Warehouse:
        from shared.backends.gcp.warehouse import BigQueryWarehouse

        return BigQueryWarehouse(settings.project, settings.dataset, settings.bigquery_emulator)

    return Ports(
        documents=deferred(documents),
        bus=deferred(bus),
        models=deferred(models),
        warehouse=deferred(warehouse),
        evidence=deferred(lambda: artifacts(settings.evidence_bucket())),
    )
