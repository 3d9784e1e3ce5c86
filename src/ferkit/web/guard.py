"""Who may talk to the page: one Host, one origin, and beyond this machine only those who hold the token."""

import hmac
import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from http.cookies import SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_COOKIE = "ferkit-token"
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True)
class Door:
    """By which addresses the page is reached."""

    names: Collection[str]  # host names that stand in a Host header, in lower case
    port: int  # the port beside them
    # what the link of a page that others can reach must carry; None where only this machine can
    token: str | None = None
    # whether a numeric address may stand in place of a name. It cannot be made to point elsewhere
    any_address: bool = False

    def admits(self, host: str) -> bool:
        """Say whether ``host`` is what a browser sends that was given one of the page's own addresses."""
        name, _, port = host.rpartition(":")
        if not name or name.endswith(":") or port != str(self.port):
            return False
        return name.lower() in self.names or (self.any_address and _is_address(name.strip("[]")))


class Guard:
    """Middleware that turns away what a foreign page, a rebound name or a stranger sends.

    Args:
        app: what is guarded.
        door: the addresses and the token.
    """

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._door.admits(hosts[0]):
            return PlainTextResponse("this address is not the page's; open the link that ferkit printed", 421)
        if self._is_foreign(scope, headers, hosts[0]):
            return PlainTextResponse("another site asked for this; only the page itself may", 403)
        return self._without_token(scope, headers)

    def _is_foreign(self, scope: Scope, headers: Headers, host: str) -> bool:
        safe = scope["method"] in ("GET", "HEAD")
        origin = headers.get("origin")
        if origin is not None or not safe:
            return origin != f"http://{host}"
        site = headers.get("sec-fetch-site", "same-origin")
        return site not in ("same-origin", "none") and headers.get("sec-fetch-mode") != "navigate"

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        """Ask for the token where there is one; a link that carries it leaves it in a cookie and out of the address."""
        token = self._door.token
        if token is None:
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        shown = dict(query).get("token", "")
        if scope["method"] == "GET" and _equal(shown, token):
            rest = urlencode([pair for pair in query if pair[0] != "token"])
            response = RedirectResponse(scope["path"] + (f"?{rest}" if rest else ""), 303)
            response.set_cookie(_COOKIE, token, httponly=True, samesite="strict")
            return response
        kept = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
        if kept is not None and _equal(kept.value, token):
            return None
        return PlainTextResponse("this page needs the link that ferkit printed, with its token", 401)


def _equal(shown: str, token: str) -> bool:
    return hmac.compare_digest(shown.encode(), token.encode())


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
