"""A canary at a webhook: proved, and published as a delivery is, so that it goes the way of all deliveries."""

from shared.domain.canaries import HEADER, CanaryKeys, prove
from shared.domain.codec import encode
from shared.domain.delivery import Credentials, Delivery, DeliveryOutcome, DeliveryRow
from shared.domain.errors import Rejected
from shared.domain.events import CanarySent
from shared.domain.telemetry import fact
from shared.flows.event_messages import event_message
from shared.flows.ports import Bus, Message

TYPE = "canary"


def receive_canary(delivery: Delivery, credentials: Credentials, keys: CanaryKeys, bus: Bus) -> None:
    """Take one canary: to `deliveries` and to `payment-events`, in one confirmed publish; subscriptions of the warehouse
    leave it out of both. No adapter is asked, so that nothing in it can become a business event.

    Raises Rejected for what we did not send, or not lately, and Unavailable when the bus is down.
    """
    try:
        proved = prove(keys, delivery)
    except Rejected as error:
        fact("delivery_refused", provider=delivery.provider, reason=error.reason)
        raise
    name = f"{delivery.provider}:{credentials.account}:canary-{proved.canary_id}"
    row = DeliveryRow(
        delivery_id=name,
        provider=delivery.provider,
        received_at=delivery.received_at,
        signed_at=proved.sent_at,
        outcome=DeliveryOutcome.CANARY,
        reason="",
        key_ids=(proved.key_id,),
        unsigned=(),
        types=(TYPE,),
        unreadable=(),
        unknown=(),
        livemode=None,
        endpoint_live=credentials.live,
        endpoint_account=credentials.account,
        adapter_version="",
        payload_version=None,
        headers=encode({HEADER: delivery.headers[HEADER]}).decode(),
        query="",
        body=delivery.body,
    )
    event = CanarySent(
        event_id=name,
        provider=delivery.provider,
        account=credentials.account,
        occurred_at=proved.sent_at,
        delivery_id=name,
        livemode=credentials.live,
    )
    attributes = {"provider": delivery.provider, "outcome": row.outcome.value, "delivery_id": name}
    bus.publish([Message("deliveries", encode(row), attributes), event_message(event, delivery.received_at)])
