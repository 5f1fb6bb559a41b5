"""The pages' frame: who is there and what they may do, forms that are ours, errors that say what to do next, and headers that
let no script in but our own.

A page is `site.page(path, name, look)`: `look(visit)` answers what its template shows. An act is `site.act(path, role, do)`:
a form posted there reaches `do(visit)` only from somebody of that role, with a token that we handed to them; it answers where to go
next, as every form does (https://en.wikipedia.org/wiki/Post/Redirect/Get), so that neither reload nor the back button acts again.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from flask import Flask, Request, Response, g, redirect, render_template, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.routing import PathConverter, ValidationError

from shared.console import words
from shared.console.forms import Forms, FormStale
from shared.console.words import Reader
from shared.domain.errors import PayInError, Rejected, Unavailable
from shared.domain.people import Admission, NotAllowed, Person, Role
from shared.domain.privacy import mask
from shared.domain.telemetry import fact, failure
from shared.flows.approvals import Approval
from shared.flows.audit import Errand, audited, seen
from shared.flows.ports import Ports
from shared.runtime import logs
from shared.runtime.admission import HEADER, Doorman
from shared.runtime.workbench import Workbench

HERE = Path(__file__).parent
LARGEST = 8 << 20
"""Bytes of a form, with the file that is put to an answer."""
LONGEST_WHY = 1000
LONGEST_KEPT = 40_000
"""Characters of a field that are shown to whoever has to send it again."""
ZONE, DONE, FAILED, SEAL = "zone", "done", "failed", "seal"
LONGEST_WORD = 300
CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none';"
    " base-uri 'none'"
)
SANDBOX = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'; sandbox"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",  # what stands there is about persons, and old by the next look
}
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Visit:
    """One request of one person."""

    bench: Workbench
    admission: Admission
    person: Person
    now: datetime
    reader: Reader
    asked: Mapping[str, str] = field(default_factory=dict)
    """What stands in the URL; of a posted form, its fields, without the space at their ends."""
    files: Mapping[str, tuple[str, str, bytes]] = field(default_factory=dict)
    """Of a form: a file's own name, its media type as the browser says it, and its bytes."""
    once: str = ""
    """Names what is sent by this form: the same for each copy of it."""
    role_of: Callable[[str], Role | None] = field(default=lambda _: None, repr=False)
    """What the person of an address may do here; None where they are in none of the groups. Raises Unavailable."""

    @property
    def ports(self) -> Ports:
        return self.bench.ports

    def may(self, role: Role) -> bool:
        return self.person.role >= role

    def acting(self, what: str, why: str) -> Ports:
        """`ports`, every commit of which is audited as this person's. Raises Rejected where nobody says why."""
        return audited(self.ports, Errand(who=self.person.email, why=why, what=what, at=self.now))

    def saw(self, *names: str) -> None:
        """This person is shown what is known of a person, by documents' names."""
        seen(self.ports.documents, self.person.email, self.now, names)

    @cached_property
    def why(self) -> str:
        """Whole, for it is kept as it stands. Raises Rejected for more than anybody would read."""
        told = self.asked.get("why", "")
        if len(told) > LONGEST_WHY:
            raise Rejected(f"say why in {LONGEST_WHY} characters at most: these are {len(told)}", reason="why_too_long")
        return told


@dataclass(frozen=True, slots=True)
class File:
    """To be kept on the reader's device: shown in a page of ours it could be a page of ours."""

    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Went:
    """Where an act leads next, an own path, and a word on what came of it."""

    path: str
    word: str
    failed: bool = False


Look = Callable[[Visit], Mapping[str, Any]]
Do = Callable[[Visit], Went]
Give = Callable[[Visit], File]
Carry = Callable[[Visit, Approval], str]
"""Does what two people have agreed on, once however often it is asked for, and answers what came of it, in words."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the navigation."""

    path: str
    title: str


class Site:
    """A Flask application inside of the function's own. Raises Misconfigured."""

    def __init__(self, bench: Workbench, doorman: Doorman) -> None:
        self.bench, self.admission, self._doorman = bench, bench.settings.admission(), doorman
        self._forms = Forms(self.admission.key)
        self._static = {file.name: file.read_bytes() for file in sorted((HERE / "static").iterdir())}
        self._stamps = {name: hashlib.sha256(data).hexdigest()[:12] for name, data in self._static.items()}
        self.entries: list[Entry] = []
        self.carries: dict[str, Carry] = {}
        """What takes two, by `Approval.what`."""
        flask = self.flask = Flask("console", template_folder=str(HERE / "templates"), static_folder=None)
        flask.url_map.converters["name"] = Wrapped
        flask.config.update(MAX_CONTENT_LENGTH=LARGEST, MAX_FORM_MEMORY_SIZE=LARGEST, TRAP_HTTP_EXCEPTIONS=False)
        flask.jinja_env.trim_blocks = flask.jinja_env.lstrip_blocks = True
        flask.jinja_env.filters.update(words.filters())
        flask.before_request(self._admit)
        flask.after_request(_guarded)
        flask.register_error_handler(Exception, self._failed)
        # functions-framework's own application has /static.
        flask.add_url_rule("/assets/<stamp>/<name>", "static", self._file, methods=["GET"])
        flask.add_url_rule("/zone", "zone", self._zone, methods=["POST"])

    def page(self, path: str, name: str, look: Look, *, title: str = "", role: Role = Role.VIEWER) -> None:
        """What `look` answers, shown by the template `<name>.html`. title: it stands in the navigation."""
        if title:
            self.entries.append(Entry(path, title))

        def shown(**named: str) -> str:
            visit = self._visit({**request.args.to_dict(), **named}, role)
            return self._render(name, visit, look(visit))

        self.flask.add_url_rule(path, name, shown, methods=["GET"])

    def document(self, path: str, name: str, give: Callable[[Visit], bytes]) -> None:
        """A whole page of somebody else's making, with its own styles and pictures: shown as if from nowhere, without scripts."""

        def given(**named: str) -> Response:
            visit = self._visit({**request.args.to_dict(), **named}, Role.VIEWER)
            headers = {"Content-Security-Policy": SANDBOX}
            return Response(give(visit), content_type="text/html; charset=utf-8", headers=headers)

        self.flask.add_url_rule(path, name, given, methods=["GET"])

    def file(self, path: str, name: str, give: Give, *, role: Role = Role.VIEWER) -> None:
        """What `give` answers, to be kept."""

        def given(**named: str) -> Response:
            found = give(self._visit({**request.args.to_dict(), **named}, role))
            answered = Response(found.data, content_type=found.media_type)
            answered.headers["Content-Disposition"] = _kept_as(found.name)
            return answered

        self.flask.add_url_rule(path, name, given, methods=["GET"])

    def act(self, path: str, name: str, role: Role, do: Do) -> None:
        """What a form at `path` does, and where that leads. The word on what came of it goes along sealed: nobody else's words are
        ever shown as ours."""

        def done(**named: str) -> Response:
            fields = {key: _written(value) for key, value in request.form.items()}
            files = {
                key: (one.filename or "", one.mimetype, one.read())
                for key, one in request.files.items()
                if one.filename
            }
            self._same_site()
            visit = self._visit({**fields, **named}, role)
            once = self._forms.once(fields.get("form", ""), visit.person.email, visit.now)
            went = do(replace(visit, files=files, once=once))
            word, name = mask(went.word)[:LONGEST_WORD], FAILED if went.failed else DONE
            seal = self._forms.sealed(f"{name}:{word}", visit.person.email)
            return _to(f"{went.path}{'&' if '?' in went.path else '?'}{urlencode({name: word, SEAL: seal})}")

        self.flask.add_url_rule(path, name, done, methods=["POST"])

    def answer(self, environ: dict[str, Any]) -> Response:
        """Of the whole site, to a WSGI request."""
        return Response.from_app(self.flask.wsgi_app, environ)  # type: ignore[return-value]

    def _visit(self, asked: Mapping[str, str], role: Role) -> Visit:
        person: Person = g.person
        if person.role < role:
            raise NotAllowed(f"that takes the role {role.name.lower()}; yours is {person.role.name.lower()}")
        return Visit(
            self.bench, self.admission, person, self.bench.now(), _reader(request), asked, role_of=self._doorman.role_of
        )

    def _admit(self) -> None:
        if request.endpoint != "static":
            g.person = self._doorman.admit(request.headers.get(HEADER, ""))

    def _same_site(self) -> None:
        """Raises FormStale for what another site's page has sent (https://www.w3.org/TR/fetch-metadata/)."""
        told, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        foreign = told not in (None, "same-origin") or (
            origin is not None
            and urlsplit(origin).netloc not in (request.host, request.headers.get("X-Forwarded-Host"))
        )
        if foreign:
            raise FormStale("that was sent by another site's page: open the page here, and send it from there")

    def _render(self, name: str, visit: Visit, shown: Mapping[str, Any]) -> str:
        reader, now = visit.reader, visit.now
        frame = {
            "visit": visit,
            "person": visit.person,
            "now": now,
            "entries": self.entries,
            "here": request.path,
            "done": self._said(DONE, visit.person.email),
            "failed": self._said(FAILED, visit.person.email),
            "token": lambda: self._forms.handed_to(visit.person.email, now),
            "static": lambda file: f"/assets/{self._stamps[file]}/{file}",
            "money": reader.money,
            "instant": reader.instant,
            "day": reader.day,
            "number": reader.number,
            "percent": reader.percent,
            "until": lambda at: words.until(at, now),
            "ago": lambda at: words.ago(at, now),
            "link": link,
            "address": address,
            "roles": Role,
        }
        assert not frame.keys() & shown.keys(), "a page has no words of the frame's own"
        return render_template(f"{name}.html", **frame, **shown)

    def _said(self, name: str, email: str) -> str:
        """What we have told this person on their way here; nothing where the words are not ours."""
        word = request.args.get(name, "")
        return word if self._forms.are_ours(f"{name}:{word}", email, request.args.get(SEAL, "")) else ""

    def _file(self, stamp: str, name: str) -> Response:
        data = self._static.get(name)
        if data is None or stamp != self._stamps[name]:
            return Response(status=404)
        kept = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(data, content_type=_TYPES[Path(name).suffix], headers=kept)

    def _zone(self) -> Response:
        self._same_site()
        zone = request.form.get("zone", "")
        back = _split(request.form.get("back", "/"))
        if zone not in words.zones():
            raise Rejected(f"there is no time zone called {zone[:60]}: Europe/Berlin, for one", reason="bad_zone")
        answered = _to(back.path + (f"?{back.query}" if back.query else ""))
        answered.set_cookie(ZONE, zone, max_age=31_536_000, secure=request.is_secure, httponly=True, samesite="Strict")
        return answered

    def _failed(self, error: Exception) -> Response:
        """A page that says what is the matter, and what to do next."""
        kept: Mapping[str, str] = {}
        match error:
            case RequestEntityTooLarge():
                status, told = 413, f"That is too large: {LARGEST >> 20} MB at most."
            case HTTPException():
                status, told = (
                    error.code or 500,
                    "There is no such page." if error.code == 404 else str(error.description),
                )
            case Rejected():
                fact("request_refused", reason=error.reason, status=error.status, path=mask(request.path[:1024])[:64])
                status, told = error.status, mask(str(error))
                kept = _typed() if request.method == "POST" else {}
            case Unavailable():
                fact("dependency_unavailable", reason=error.reason, detail=mask(str(error))[:300])
                status, told = (
                    503,
                    f"Something that this needs does not answer now. Try again in a minute. ({mask(str(error))})",
                )
            case PayInError():
                failure("request_failed", error, reason=error.reason)
                status, told = 500, mask(str(error))
            case _:
                failure("request_failed", error, reason="bug")
                status, told = 500, "That is a fault of ours. Its stack is in the log, under the trace below."
        if request.path.startswith("/assets/"):
            return Response(status=status)
        person = g.get("person")
        trace = logs.traceparent.get().split("-")[1:2]
        page = render_template(
            "error.html",
            status=status,
            told=told,
            trace=trace[0] if trace else "",
            person=person,
            entries=self.entries if person else (),
            here=request.path,
            static=lambda file: f"/assets/{self._stamps[file]}/{file}",
            back=_back(),
            done="",
            failed="",
            kept=kept,
            roles=Role,
        )
        return Response(page, status=status, content_type="text/html; charset=utf-8")


def address(*names: str) -> str:
    """Of what is called so: `/disputes/stripe/dp_1`, whatever stands in the names."""
    return "/" + "/".join(map(_segment, names))


def _segment(name: str) -> str:
    """`name` as one step of a path. Browsers and proxies take dots for a step up, and slashes for steps of their own: what has
    such is wrapped, as `Wrapped` reads it."""
    if name.startswith("~") or name in (".", "..") or _STEPS.search(name):
        return "~" + base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
    return quote(name, safe=":")


_STEPS = re.compile(r"[/\\\x00-\x1f\x7f]")


class Wrapped(PathConverter):
    """A step of a path as `address` writes it."""

    def to_python(self, value: str) -> str:
        if not value.startswith("~"):
            return value
        try:
            return base64.b64decode(value[1:] + "=" * (-len(value[1:]) % 4), b"-_", validate=True).decode()
        except ValueError:
            raise ValidationError(value) from None


def link(path: str, **query: object) -> str:
    """`path` with what of `query` is said."""
    told = {name: str(value) for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(told)}" if told else path


def done(path: str, word: str) -> Went:
    """Where to go after an act, and what was done."""
    return Went(path, word)


_OUTSIDE = re.compile(r"[^A-Za-z0-9._-]+")


def _kept_as(name: str) -> str:
    """A header has Latin-1 alone: whoever reads RFC 6266 has the whole name, others what of it ASCII has."""
    told = _STEPS.sub("_", name.encode(errors="replace").decode())
    plain = _OUTSIDE.sub("_", told)
    return f'attachment; filename="{plain}"' + ("" if plain == told else f"; filename*=UTF-8''{quote(told, safe='')}")


def _to(path: str) -> Response:
    # An own path, whatever was put into it: two slashes would name another host.
    own = "/" + path.lstrip("/\\")
    return redirect(own, 303)  # type: ignore[return-value]


def _split(url: str) -> SplitResult:
    """What is no address leads nowhere."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("/")


def _back() -> str:
    told = _split(request.headers.get("Referer", ""))
    if told.netloc == request.host and told.path and (request.method == "POST" or told.path != request.path):
        return "/" + told.path.lstrip("/") + (f"?{told.query}" if told.query else "")
    return "/"


def _typed() -> dict[str, str]:
    """What somebody wrote into a form that is refused: it is shown, so that nobody writes it again. What we wrote there ourselves
    begins with `_`."""
    own = {name: value for name, value in request.form.items() if name != "form" and not name.startswith("_")}
    return {name: value[:LONGEST_KEPT] for name, value in own.items() if value.strip()}


def _written(value: str) -> str:
    """As a browser counts it: one character for an end of line, whatever it is sent as."""
    return value.replace("\r\n", "\n").strip()


def _guarded(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _reader(told: Request) -> Reader:
    from babel import negotiate_locale

    wanted = [one.replace("-", "_") for one in told.accept_languages.values()]
    zone = told.cookies.get(ZONE, words.UTC_NAME)
    locale = negotiate_locale(wanted, words.LOCALES) if wanted else None
    return Reader(locale or "en_GB", zone if zone in words.zones() else words.UTC_NAME)


def whole_number(text: str, most: int) -> int | None:
    """The number from 0 to `most` that `text` writes in digits; None for anything else, however long."""
    fits = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    return number if fits and (number := int(text)) <= most else None


def fields(asked: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Those of `names` that are said."""
    return {name: asked[name] for name in names if asked.get(name)}
