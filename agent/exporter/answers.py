"""Which request gets which answer.  Bytes in, bytes out; runs in a worker thread and waits for nobody on the network."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Optional
from urllib.parse import parse_qs

from prometheus_client.exposition import choose_encoder

from agent import metrics
from agent.exporter.listeners import is_loopback
from agent.exporter.logins import Busy, Logins
from agent.exporter.report_file import ReportFile
from agent.exporter.requests import Refused, Request, parse
from agent.exporter.responses import Response, packed, plain, refusal, wire
from agent.exporter.security import Guard, Security

_ACCEPT = re.compile(r"[\w/*+.;=, -]*", re.ASCII)
_ASK = {"WWW-Authenticate": 'Basic realm="resize-agent", charset="UTF-8"'}
_PRIVATE = (
    "The status page and the report name peers, files and commands: they are shown to who asks from this host itself, at "
    "localhost or a loopback address (ssh -L does), and to who is authenticated (basic_auth_users or a verified client "
    "certificate in the web configuration). /metrics is open here."
)


@dataclass(frozen=True)
class Caller:
    """What the connection says about who asks: both its ends are loopback; showed a verified certificate."""

    loopback: bool
    certified: bool
    security: Security


class Answers:
    """Safe to use from several threads."""

    def __init__(self, report: ReportFile, guard: Guard) -> None:
        self._report = report
        self._guard = guard
        self._logins = Logins()
        self._last: Optional[tuple[metrics.Facts, tuple[object, ...], bytes]] = None
        self._pages: Mapping[str, Callable[[Request], Response]] = {
            "/metrics": self._metrics,
            "/-/healthy": lambda _request: plain(200, "healthy"),
            "/-/ready": self._ready,
            "/": self._page,
            "/api/v1/report": self._raw_report,
        }

    def to(self, received: bytes, caller: Caller) -> bytes:
        """The whole response to what one client has sent."""
        now = datetime.now(timezone.utc)
        try:
            request = parse(received)
        except Refused as refused:
            return wire(refusal(refused), now)
        try:
            response = packed(self._response(request, caller), request)
        except Refused as refused:
            response = refusal(refused)
        return wire(response, now, head_only=request.method == "HEAD")

    def _response(self, request: Request, caller: Caller) -> Response:
        """Raises Refused."""
        known = self._authenticated(request, caller)
        answer = self._pages.get(request.path)
        if answer is None:
            raise Refused(404, "not found; /metrics is what is here")
        if request.method not in ("GET", "HEAD"):
            raise Refused(405, "only GET and HEAD", {"Allow": "GET, HEAD"})
        here = caller.loopback and _asked_for_this_host(request)
        if request.path in ("/", "/api/v1/report") and not (known or here):
            raise Refused(403, _PRIVATE)
        return answer(request)

    def _authenticated(self, request: Request, caller: Caller) -> bool:
        """Where users are configured nobody gets past without being one, whatever the path."""
        users = caller.security.users
        if not users:
            return caller.certified
        try:
            if self._logins.right(users, request.fields.get("authorization", "")):
                return True
        except Busy:
            raise Refused(503, "too many passwords to check", {"Retry-After": "1"}) from None
        raise Refused(401, "unauthorized", _ASK)

    def _metrics(self, request: Request) -> Response:
        known = self._report.facts()
        if not self._guard.reloaded:
            known = replace(known, config_valid=False)
        now = datetime.now(timezone.utc)
        names = frozenset(_fields(request).get("name[]", []))
        encode, kind = _encoder(request.fields.get("accept", ""))
        key = (known.valid(now), names, kind)
        # Nothing else changes the text, and a crowd that asks at once is what must stay cheap.
        last = self._last
        if last is not None and last[0] is known and last[1] == key:
            return Response(200, last[2], kind)
        found = metrics.Families(tuple(metrics.families(known, now)))
        body = encode(found.named(names) if names else found)
        self._last = (known, key, body)
        return Response(200, body, kind)

    def _ready(self, _request: Request) -> Response:
        if self._report.readable:
            return plain(200, "ready")
        return plain(503, "there is no report yet that can be read")

    def _page(self, _request: Request) -> Response:
        from agent import page  # few ask for it, and it costs memory

        text = page.html(self._report.document(), datetime.now(timezone.utc))
        kind = "text/html; charset=utf-8"
        fields = {
            "Content-Security-Policy": page.CONTENT_SECURITY_POLICY,
            "Referrer-Policy": "no-referrer",
        }
        return Response(200, text.encode("utf-8", "replace"), kind, fields)

    def _raw_report(self, _request: Request) -> Response:
        content = self._report.raw()
        if content is None:
            raise Refused(503, "there is no report yet that can be read", {"Retry-After": "60"})
        return Response(200, content, "application/json")


def _asked_for_this_host(request: Request) -> bool:
    """A page from elsewhere, whose name suddenly means 127.0.0.1, has a browser send that name (DNS rebinding)."""
    host = request.fields.get("host", "localhost").lower()
    name = re.sub(r":[0-9]*\Z", "", host)
    return name == "localhost" or is_loopback(name.strip("[]"))


def _fields(request: Request) -> dict[str, list[str]]:
    try:
        return parse_qs(request.query, max_num_fields=100)
    except ValueError:
        raise Refused(400, "a query may have 100 fields") from None


def _encoder(accept: str) -> tuple[Callable[[metrics.Families], bytes], str]:
    """Format and content type belong together; prometheus_client chooses both."""
    try:
        # It repeats the version that was asked for, and stumbles over one that is no number.
        return choose_encoder(accept if _ACCEPT.fullmatch(accept) else "")
    except (ValueError, TypeError):
        return choose_encoder("")
