"""Requests and messages in, statuses out: the same code under functions-framework here and on Cloud Run.

A consumer takes the POST of a Pub/Sub push subscription and of Eventarc alike: both carry
`{"message": {"data", "attributes", "messageId", "publishTime"}, "subscription"}`, Eventarc in a CloudEvent of either mode:
as the body, or as the `data` of a JSON that has `specversion`. Answers, for both kinds:

| outcome | HTTP sender | Pub/Sub |
|---|---|---|
| done, or done before | provider's own answer | 204: acknowledged |
| Rejected | its status, empty body | not raised by consumers |
| Unreadable | never: stored as unparsed, 2xx | 400: redelivered, then dead-lettered for a person |
| Unavailable | 503 | 503: redelivered with backoff |
| anything else | 500 | 500: redelivered, then dead-lettered |

Our own people, who call jobs and repairs directly, get a problem document (RFC 9457) with each of these statuses.
"""

import base64
import io
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import msgspec

from shared.domain.codec import decode_event, encode
from shared.domain.errors import (
    MethodNotAllowed,
    Misconfigured,
    PathUnknown,
    PayInError,
    PayloadTooLarge,
    Rejected,
    Unavailable,
    Unreadable,
)
from shared.domain.events import AnyEvent
from shared.domain.privacy import mask
from shared.domain.telemetry import alarm, fact, failure
from shared.runtime import logs, server, spans
from shared.runtime.app import App
from shared.settings import Settings

if TYPE_CHECKING:
    from flask import Request

Response = tuple[bytes, int, dict[str, str]]
Handler = Callable[["Request"], Response]

# Pub/Sub's own limit on a message is 10 MB; base64 and the envelope add a third.
LARGEST_PUSH = 14 << 20
# Longer than a tick is repeated while a job fails for a while; the next one comes in its time.
FARTHEST_TICK = timedelta(hours=1)

# In a request's environment: whoever called is one of us.
_TELLS = "payin.tells"

# https://www.w3.org/TR/trace-context/#traceparent-header-field-values. It is logged: nothing else may pass for one.
_TRACEPARENT = re.compile("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_EXECUTION_ID = re.compile("[0-9A-Za-z]{12}", flags=re.ASCII)


@dataclass(frozen=True, slots=True)
class Received:
    """A Pub/Sub message as pushed; a direct call's JSON body is `data` with no attributes."""

    data: bytes
    attributes: Mapping[str, str]
    message_id: str
    published_at: datetime | None = None


class _PushedMessage(msgspec.Struct):
    # A message may have no data or no attributes, which some writers say by null.
    data: str | None = None
    attributes: dict[str, str] | None = None
    messageId: str | None = None  # noqa: N815 - Pub/Sub's own name
    publishTime: str | None = None  # noqa: N815


class _Push(msgspec.Struct):
    message: _PushedMessage | None = None
    # https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md: the push, in structured mode.
    data: "_Push | None" = None
    data_base64: str | None = None


# Made here, by the one thread that imports: see `shared.domain.codec` on what msgspec learns of a class.
_PUSH = msgspec.json.Decoder(_Push)


A = TypeVar("A", bound=App)


def start(
    function: str,
    build: Callable[[App], Handler],
    environment: Mapping[str, str] | None = None,
    largest: Callable[[Settings], int] = lambda _: LARGEST_PUSH,
) -> Handler:
    """`start_on` an `App`."""
    return start_on(App, function, build, environment, largest)


def start_on(
    kind: Callable[[str, Mapping[str, str] | None], A],
    function: str,
    build: Callable[[A], Handler],
    environment: Mapping[str, str] | None = None,
    largest: Callable[[Settings], int] = lambda _: LARGEST_PUSH,
) -> Handler:
    """The handler of `function`, built at import, so that a bad revision never serves. No body over `largest` is held.

    What keeps it from starting is one sentence on standard error, no stack trace, and an exit code (sysexits.h): 78 for
    Misconfigured, which an operator mends, 75 for Unavailable, which time does.
    """
    try:
        app = kind(function, environment)
        handle = _answering(function, build(app), app.spans)
        server.install(largest(app.settings), app.settings.threads)
        return handle
    except Misconfigured as error:
        alarm("misconfigured", function=function, reason=error.reason)
        _leave(78, function, error)
    except Unavailable as error:
        fact("dependency_unavailable", reason=error.reason, detail=mask(str(error))[:300])
        _leave(75, function, error)


def _leave(code: int, function: str, error: PayInError) -> NoReturn:
    sys.stderr.write(f"{function} cannot start: {error}\n")
    sys.stderr.flush()
    # functions-framework's worker would be restarted for ever on an exception; leave for good, as Cloud Run expects.
    os._exit(code)


def consume(
    act: Callable[[Any], object], read: Callable[[bytes], Any] | None = None, action: str | None = None
) -> Handler:
    """A consumer: `act` takes what `read` finds in a message, of `payment-events` the event. action: a message whose `action`
    is another one is acknowledged and left alone, as the subscription's filter would have done."""

    def handle(request: "Request") -> Response:
        received = _received(request)
        if action is None or received.attributes.get("action", action) == action:
            act((read or event_in)(received.data))
        return b"", 204, {}

    return handle


def event_in(data: bytes) -> AnyEvent:
    """The event in a message of `payment-events`. Raises Unreadable."""
    return _named(decode_event(data))


# What documents are named by; where an event has one of them, it is never the empty text.
_NAMES = ("event_id", "provider", "payment_id", "dispute_id", "warning_id", "payout_id", "resource_id")


def _named(event: AnyEvent) -> AnyEvent:
    """`event`. Raises Unreadable when something that it is about has no name."""
    aliases = (*getattr(event, "aliases", ()), *getattr(event, "payment_aliases", ()))
    if "" in aliases or any(getattr(event, name, None) == "" for name in _NAMES):
        raise Unreadable("an event of something without a name", reason="no_name")
    return event


def on_tick(job: str, act: Callable[[bytes], object], clock: Callable[[], datetime] | None = None) -> Handler:
    """A scheduled job: a message of `ticks` whose `job` attribute is `job`, or a direct authenticated call.

    `act` takes the JSON parameters (empty for the defaults). Another job's tick is acknowledged and left alone, as
    the subscription's filter would have done. `clock` is by which the job is about to act: a tick that Pub/Sub took in
    far from it is alarmed and left alone, for one of the two clocks is wrong, or the tick is so old that others came.
    A run that came to its end says `job_ended`, by which `payin jobs show` and alerts know of it.
    """
    return _on_tick(job, lambda parameters, _: act(parameters), clock)


def on_dated_tick(
    job: str, act: Callable[[bytes, datetime | None], object], clock: Callable[[], datetime] | None = None
) -> Handler:
    """As `on_tick`, and `act` is told when Pub/Sub took the tick in, which is the same however often it is delivered. None:
    it was called directly, or there is no clock to hold that instant to."""
    return _on_tick(job, act, clock)


@dataclass(frozen=True, slots=True)
class Job:
    """One of several that a function has, by its `job` attribute. `act` takes the JSON parameters."""

    name: str
    act: Callable[[bytes], object]


def on_ticks(jobs: Sequence[Job], clock: Callable[[], datetime] | None = None) -> Handler:
    """As `on_tick`, for a function with several jobs: each message says which. A direct call says none, and is refused."""

    def taking(act: Callable[[bytes], object]) -> Callable[[bytes, datetime | None], object]:
        return lambda parameters, _: act(parameters)

    return _on_jobs({one.name: taking(one.act) for one in jobs}, clock)


def _on_tick(
    job: str, act: Callable[[bytes, datetime | None], object], clock: Callable[[], datetime] | None
) -> Handler:
    return _on_jobs({job: act}, clock)


def _on_jobs(
    jobs: Mapping[str, Callable[[bytes, datetime | None], object]], clock: Callable[[], datetime] | None
) -> Handler:
    only = next(iter(jobs)) if len(jobs) == 1 else ""

    def handle(request: "Request") -> Response:
        parameters, asked_for, published_at = _parameters(request)
        job = asked_for or only
        if not job:
            raise Unreadable(f"this does several jobs, and a call names none: {', '.join(jobs)}", reason="no_job")
        if job not in jobs:
            return b"", 204, {}
        apart = clock() - published_at if clock and published_at else timedelta(0)
        if abs(apart) > FARTHEST_TICK:
            alarm("clocks_disagree", job=job, seconds=apart.total_seconds())
        else:
            jobs[job](parameters, published_at if clock else None)
            fact("job_ended", job=job)
        return b"", 204, {}

    return _telling(handle)


def on_call(act: Callable[["Call"], object]) -> Handler:
    """An operator's call: the body is `act`'s JSON parameters, the answer what it returns, as JSON."""

    def handle(request: "Request") -> Response:
        return encode(act(Call(_posted(request), _tokens(request)))), 200, {"Content-Type": "application/json"}

    return _telling(handle)


Answer = tuple[bytes, str]
"""A body and its media type."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a contract of ours: its whole body, and the tokens that Google Cloud let in."""

    body: bytes
    tokens: tuple[str, ...] = ()

    def known_caller(self) -> str | None:
        """`caller`; None where nobody says who calls."""
        try:
            return self.caller()
        except Unidentified:
            return None

    def caller(self) -> str:
        """Who calls: the e-mail address in their ID token, in lower case. Raises Unidentified.

        Cloud Run has verified the token before the request is here, and passes it on without its signature. Of the two
        headers that may carry one it looks at X-Serverless-Authorization alone where both are there, so that the other
        one is then anybody's word: https://cloud.google.com/run/docs/authenticating/service-to-service.
        """
        token = next(iter(self.tokens), "")
        kind, _, jwt = token.partition(" ")
        parts = jwt.split(".")
        if kind.lower() != "bearer" or len(parts) != 3:
            raise Unidentified("no ID token says who calls")
        try:
            claims = _CLAIMS.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise Unidentified("the ID token cannot be read") from None
        if not claims.email or not claims.email_verified:
            raise Unidentified("the ID token has no verified e-mail address: ask for one with --include-email")
        return claims.email.lower()


class Unidentified(Rejected):
    """Nobody says who calls, where a person answers for what is done. Answered 401."""

    reason = "unidentified"
    status = 401


class _Claims(msgspec.Struct):
    email: str = ""
    email_verified: bool = False


_CLAIMS = msgspec.json.Decoder(_Claims)


def on_paths(
    paths: Mapping[str, Mapping[str, Callable[[Call], Answer]]], most: int, larger: Mapping[str, int] | None = None
) -> Handler:
    """A contract with other systems of ours: what answers each path by its methods, given a body of at most `most` bytes, or
    where `larger` names the path of so many.

    They are told what does not fit, as our own people are."""
    limits = larger or {}

    def handle(request: "Request") -> Response:
        methods = paths.get(request.path)
        if methods is None:
            raise PathUnknown(f"there are: {', '.join(paths)}")
        act = methods.get(request.method)
        if act is None:
            raise MethodNotAllowed(f"only {', '.join(methods)}", allowed=tuple(methods))
        body, kind = act(Call(body_of(request, limits.get(request.path, most)), _tokens(request)))
        return body, 200, {"Content-Type": kind}

    return _telling(handle)


def _tokens(request: "Request") -> tuple[str, ...]:
    sent = (request.headers.get(name) for name in ("X-Serverless-Authorization", "Authorization"))
    return tuple(token for token in sent if token is not None)


def _telling(handle: Handler) -> Handler:
    """`handle`, called by our own people: they are told what does not fit. Strangers never are."""

    def told(request: "Request") -> Response:
        request.environ[_TELLS] = True
        return handle(request)

    return told


def _parameters(request: "Request") -> tuple[bytes, str, datetime | None]:
    """A job's JSON parameters, the job that a tick names and when Pub/Sub took the tick in; a direct call's body is the
    parameters themselves."""
    body = _posted(request)
    if not body.strip():
        return b"", "", None
    try:
        direct = not {"message", "specversion"} & msgspec.json.decode(body, type=dict[str, msgspec.Raw]).keys()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable("not a JSON object", reason="malformed_push") from error
    if direct:
        return body, "", None
    received = pushed(body)
    return received.data, received.attributes.get("job", ""), received.published_at


def _received(request: "Request") -> Received:
    return pushed(_posted(request))


def _posted(request: "Request") -> bytes:
    if request.method != "POST":
        raise MethodNotAllowed("messages and ticks are posted")
    return body_of(request, LARGEST_PUSH)


def pushed(body: bytes) -> Received:
    """The message in a push request's body. Raises Unreadable."""
    try:
        push = _PUSH.decode(body)
        if push.data_base64 is not None:
            push = _PUSH.decode(base64.b64decode(push.data_base64, validate=True))
        message = (push.data or push).message
        if message is None:
            raise Unreadable("not a Pub/Sub push request", reason="malformed_push")
        data = base64.b64decode(message.data or "", validate=True)
        received = Received(
            data, message.attributes or {}, message.messageId or "", _instant(message.publishTime or "")
        )
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        # ValueError: not UTF-8, not base64, not even ASCII.
        raise Unreadable("not a Pub/Sub push request", reason="malformed_push") from error
    if _TRACEPARENT.fullmatch(trace := received.attributes.get("traceparent", "")):
        logs.traceparent.set(spans.joined(trace, pushed=True))
    return received


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def body_of(request: "Request", most: int) -> bytes:
    """The body, exactly as received and whole. Raises PayloadTooLarge before more than `most` bytes are held."""
    from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

    too_large = PayloadTooLarge(f"the body is longer than {most} bytes")
    ended_early = Rejected("the body ended early", reason="disconnected")
    announced = request.content_length or 0
    if announced > most:
        raise too_large
    # A chunked body announces no length. Werkzeug cuts it off at this limit and says nothing, hence the one byte more.
    request.max_content_length = most + 1
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge as error:
        raise too_large from error
    except ClientDisconnected as error:
        raise ended_early from error
    if len(body) > most:
        raise too_large
    if len(body) < announced:
        raise ended_early
    return body


def _answering(function: str, handle: Handler, kept: spans.Spans) -> Handler:
    """`handle` with the table at the top of this module around it, and a span around that."""

    def answer(request: "Request") -> Response:
        with kept.request() as told:
            answered = _answered(request)
            told(answered[1])
            return answered

    def _answered(request: "Request") -> Response:
        _distrust_the_frameworks_labels()
        token = logs.traceparent.set(_trace_of(request))
        try:
            return handle(request)
        except Rejected as error:
            # Masked before it is cut: half a card number is none that the log would know.
            fact("request_refused", reason=error.reason, status=error.status, path=mask(request.path[:1024])[:64])
            allow = {"Allow": ", ".join(error.allowed)} if isinstance(error, MethodNotAllowed) else {}
            return _problem(request, error.status, error, allow)
        except Unreadable as error:
            alarm("message_unreadable", reason=error.reason, detail=mask(str(error))[:300])
            return _problem(request, 400, error)
        except Unavailable as error:
            fact("dependency_unavailable", reason=error.reason, detail=mask(str(error))[:300])
            return _problem(request, 503, error, {"Retry-After": "1"})
        except PayInError as error:
            failure("request_failed", error, reason=error.reason)
            return _problem(request, 500, error)
        except Exception as error:  # noqa: BLE001 - the boundary: logged with its traceback, answered 500, redelivered
            failure("request_failed", error, reason="bug")
            return _problem(request, 500, PayInError("a fault of ours: its stack is in the log", reason="bug"))
        finally:
            # functions-framework reads what is left of a body before it answers, and answers 500 in our place when it
            # may not.
            request.stream = io.BytesIO()
            logs.traceparent.reset(token)

    return answer


def _distrust_the_frameworks_labels() -> None:
    """functions-framework writes two of the sender's headers, Function-Execution-Id and the span of X-Cloud-Trace-Context,
    into every line: what has not the form of Google's own ids (its twelve characters) is left out, and the span is ours."""
    from functions_framework.execution_id import execution_context_var

    context = execution_context_var.get()
    if context is not None:
        context.span_id = None
        if not _EXECUTION_ID.fullmatch(context.execution_id or ""):
            context.execution_id = None


def _problem(request: "Request", status: int, error: PayInError, headers: Mapping[str, str] | None = None) -> Response:
    """Nothing but the status; to our own people a problem document (RFC 9457)."""
    if _TELLS not in request.environ:
        return b"", status, {**(headers or {})}
    trace = logs.traceparent.get().split("-")[1]
    told = {
        "type": "about:blank",  # the status says what kind it is, `reason` which of ours
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": mask(str(error))[:1000],
        "reason": error.reason,
        "trace": trace,
    }
    return encode(told), status, {**(headers or {}), "Content-Type": "application/problem+json"}


def _trace_of(request: "Request") -> str:
    """The sender's trace, if it has the W3C form, or a new one: webhook senders rarely have any."""
    text = request.headers.get("traceparent", "")
    if _TRACEPARENT.fullmatch(text):
        return spans.joined(text)
    return spans.joined(f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01", first=True)
