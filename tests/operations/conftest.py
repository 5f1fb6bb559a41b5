"""The local backend, where operations are tried, as flows are."""

from tests.flows.conftest import ports, shared_ports

__all__ = ["ports", "shared_ports"]
