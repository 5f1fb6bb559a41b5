"""A contract of ours, attacked as its own document says that it may be called, and as it says that it may not."""

from collections.abc import Mapping
from typing import Any

import schemathesis
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode


def attack(
    client: FlaskClient, method: str, path: str, mode: GenerationMode, examples: int, headers: Mapping[str, str]
) -> None:
    """Whatever is sent is answered as the document says."""
    contract = schemathesis.openapi.from_wsgi("/openapi.json", client.application)
    # What no schema says is refused all the same: an address that is none, a provider that is not served.
    beyond = schemathesis.checks.CHECKS.get_one("positive_data_acceptance")

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(contract[path][method].as_strategy(generation_mode=mode))
    def sent(case: schemathesis.Case[Any]) -> None:
        case.headers.update(headers)
        case.call_and_validate(excluded_checks=[beyond])  # type: ignore[list-item]

    sent()


def attack_desk(client: FlaskClient, path: str, act: str, examples: int, headers: Mapping[str, str]) -> None:
    """The list at GET `path`, or what is posted below it."""
    modes = list(GenerationMode) if act else [GenerationMode.POSITIVE]
    for mode in modes:
        attack(client, "POST" if act else "GET", path + act, mode, examples, headers)
