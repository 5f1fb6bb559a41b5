"""The console: the frame with every screen in it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from shared.backends.gcp.tokens import access_tokens
from shared.console.pages import (
    approvals,
    audit,
    dispute,
    disputes,
    explorer,
    letters,
    models,
    providers,
    reviews,
    rules,
    today,
)
from shared.console.site import Site
from shared.runtime.admission import Doorman
from shared.runtime.entry import Handler, Response
from shared.runtime.workbench import Workbench
from shared.settings import BackendName

if TYPE_CHECKING:
    from flask import Request

SCREENS: tuple[Callable[[Site], None], ...] = (
    today.register,
    disputes.register,
    dispute.register,
    reviews.register,
    approvals.register,
    explorer.register,
    providers.register,
    letters.register,
    rules.register,
    models.register,
    audit.register,
)
"""In the order of the navigation."""


def console(bench: Workbench) -> Handler:
    """Raises Misconfigured."""
    tokens = access_tokens(bench.settings.metadata_host) if bench.settings.backend is BackendName.GCP else None
    site = Site(bench, Doorman(bench.settings.admission(), tokens))
    for register in SCREENS:
        register(site)

    def handle(request: "Request") -> Response:
        answered = site.answer(request.environ)
        return answered.get_data(), answered.status_code, dict(answered.headers)

    return handle
