"""Where it is written down that a provider is parked; who parks it is `shared.operations.parking`."""

from shared.flows.ports import Key


def parked_key(provider: str) -> Key:
    """The document that there is while `provider` is parked, and no longer."""
    return Key("registry", f"parked:{provider}")
