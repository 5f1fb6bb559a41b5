"""Errors say whose turn it is; one table in `shared.runtime.entry` maps them to HTTP and Pub/Sub answers.

Every error carries a `reason`: a stable, machine-readable token for logs and metrics. The message is for
engineers reading logs; it never holds a secret, a header, a body or personal data, and never reaches a sender.
"""


class PayInError(Exception):
    """Base of the three kinds below. `reason` is a stable snake_case token."""

    reason: str = "error"

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class Rejected(PayInError):
    """The sender's turn: this request will never be accepted as it is. `status` is the HTTP answer."""

    reason = "rejected"
    status = 400


class SignatureInvalid(Rejected):
    """Nothing proves that the provider sent these bytes, recently. Answered 401 with an empty body."""

    reason = "signature_invalid"
    status = 401


class MethodNotAllowed(Rejected):
    """Deliveries, messages and ticks are posted. Answered 405, with what is `allowed`."""

    reason = "method_not_allowed"
    status = 405

    def __init__(self, message: str, *, allowed: tuple[str, ...] = ("POST",)) -> None:
        super().__init__(message)
        self.allowed = allowed


class PathUnknown(Rejected):
    """No provider that is served here has this path. Answered 404."""

    reason = "unknown_path"
    status = 404


class PayloadTooLarge(Rejected):
    """The request body is longer than any real delivery. Answered 413 before the body is buffered."""

    reason = "too_large"
    status = 413


class UsedOtherwise(Rejected):
    """What names this request brought something else before, which stands. Answered 409; nothing was changed."""

    reason = "used_otherwise"
    status = 409


class Unreadable(PayInError):
    """Authentic, but not in a shape we can read. Stored as `unparsed`, alarmed, acknowledged; never raised to a sender."""

    reason = "unreadable"


class Unavailable(PayInError):
    """Time's turn: a dependency is down or too contended. Answered 503, so that the sender tries again."""

    reason = "unavailable"


class Conflict(Unavailable):
    """Somebody else wrote the document first: read again, decide again, write again."""

    reason = "conflict"


class Misconfigured(PayInError):
    """An operator's turn. Raised at start-up, with a sentence that says what to set."""

    reason = "misconfigured"
