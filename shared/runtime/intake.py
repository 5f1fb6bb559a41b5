"""The webhook function: which providers an instance serves, and how a request becomes a delivery."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from shared.domain.canaries import HEADER as CANARY
from shared.domain.canaries import derived
from shared.domain.delivery import Credentials, Delivery
from shared.domain.errors import MethodNotAllowed, Misconfigured, PathUnknown, Rejected
from shared.flows.receive_canary import receive_canary
from shared.flows.receive_delivery import receive
from shared.providers import load, names
from shared.providers.kit.protocol import Answer, Provider
from shared.runtime.app import App
from shared.runtime.certificates import Certificates
from shared.runtime.entry import Handler, Response, body_of
from shared.settings import Settings

if TYPE_CHECKING:
    from flask import Request


def largest(settings: Settings) -> int:
    """The largest delivery."""
    return settings.max_body_bytes


def webhook(app: App) -> Handler:
    """POST /<provider>: one delivery, or a canary of ours. GET /<provider>?…: a challenge, of a provider that sends them."""
    served = served_providers(app.settings)
    bus = app.pseudonymous_bus()
    canaries = derived(app.settings.keyring())
    certificates = {name: Certificates(app.settings.certificates(name)) for name in served}

    def handle(request: "Request") -> Response:
        name = request.path.strip("/")
        if request.method == "GET" and name in served:
            return _challenged(request, *served[name])
        if request.method != "POST":
            raise MethodNotAllowed("a delivery is posted")
        if name not in served:
            raise PathUnknown("no provider is served at this path")
        delivery = Delivery(
            provider=name,
            body=body_of(request, largest(app.settings)),
            headers=_headers(request),
            received_at=app.now(),
            path=request.path,
            query=request.query_string.decode("ascii", "replace"),
        )
        provider, credentials = served[name]
        if CANARY in delivery.headers:
            receive_canary(delivery, credentials, canaries, bus())
            return b"", 204, {}
        answer = receive(delivery, provider, credentials, bus(), certificates[name])
        return answer.body, answer.status, {"Content-Type": answer.content_type}

    return handle


def _challenged(request: "Request", provider: Provider, credentials: Credentials) -> Response:
    challenge: Callable[[str, Credentials], Answer | None] | None = getattr(provider, "challenge", None)
    if challenge is None:
        raise MethodNotAllowed("this provider sends no challenges")
    answer = challenge(request.query_string.decode("ascii", "replace"), credentials)
    if answer is None:
        raise Rejected("not a challenge", reason="malformed_challenge")
    return answer.body, answer.status, {"Content-Type": answer.content_type}


def served_providers(settings: Settings) -> dict[str, tuple[Provider, Credentials]]:
    """The providers in `PROVIDERS`, or else every one whose secret is set, with their checked credentials."""
    wanted = settings.providers
    if not wanted:
        if settings.deployed:
            raise Misconfigured("PROVIDERS is not set: name the one provider that this deployment serves")
        wanted = tuple(name for name in names() if settings.environment.get(f"WEBHOOK_{name.upper()}"))
    if not wanted:
        raise Misconfigured(
            "no provider can be served: set PROVIDERS and WEBHOOK_<PROVIDER>, for example "
            'WEBHOOK_STRIPE={"keys": {"k1": "whsec_..."}}',
            reason="missing_secret",
        )
    served = {}
    for name in wanted:
        provider = load(name)
        credentials = settings.credentials(name)
        provider.check_credentials(credentials)
        served[name] = (provider, credentials)
    return served


def _headers(request: "Request") -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in request.headers:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers
