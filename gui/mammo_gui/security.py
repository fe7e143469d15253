"""Who may talk to the app, and what a page of it may do: middleware around every request.

The app has no login: it answers this machine only, and to no web page but its own. Knows nothing of routes.
"""

import socket

import psutil
from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")

# Gradio compiles its templates in the page, hence 'unsafe-inline' and 'unsafe-eval' for scripts; everything that
# could carry data out of the machine stays on 'self'.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def is_loopback(host: str) -> bool:
    """Whether a server bound to ``host`` is reached from this machine alone."""
    return host in LOOPBACK or host.startswith("127.")


def allowed_hosts(host: str) -> list[str]:
    """Names in a Host header that are answered by a server bound to ``host``.

    A name outside this list is refused, so that a web page whose name is made to point here (DNS rebinding) gets
    nothing.
    """
    if is_loopback(host):
        return [*LOOPBACK, host]
    addresses = [found.address.split("%")[0] for card in psutil.net_if_addrs().values() for found in card]
    bracketed = [f"[{address}]" for address in addresses if ":" in address]
    return [*LOOPBACK, host, socket.gethostname(), socket.getfqdn(), *addresses, *bracketed]


def secure(app: FastAPI, host: str) -> None:
    """Put every guard around ``app``, outermost first: headers, host, origin.

    ``CORSMiddleware`` with no allowed origin also keeps Gradio from adding its own, which reflects any origin.
    """
    app.add_middleware(CORSMiddleware, allow_origins=[])
    app.add_middleware(SameOrigin)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts(host), www_redirect=False)
    app.add_middleware(SecurityHeaders)


class SameOrigin:
    """Refuse what another site's page sends here: every method but GET, HEAD and OPTIONS, and every websocket.

    A browser always names the page's origin on such requests (Fetch standard, "append a request Origin header"); a
    program that is no browser sends none and is let through, because it runs on this machine already.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 to a request of another origin, else pass it on."""
        if scope["type"] == "websocket" and _is_foreign(Headers(scope=scope)):
            await send({"type": "websocket.close", "code": 1008})
            return
        writes = scope["type"] == "http" and scope["method"] not in {"GET", "HEAD", "OPTIONS"}
        if writes and _is_foreign(Headers(scope=scope)):
            await PlainTextResponse("a request from another site is refused", 403)(scope, receive, send)
            return
        await self.app(scope, receive, send)


class SecurityHeaders:
    """Put ``HEADERS`` on every response, also on errors and on streams; a response may be stricter or looser itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers when the response starts."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _is_foreign(headers: Headers) -> bool:
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}
    return origin not in {f"{scheme}://{headers.get('host')}" for scheme in ("http", "https")}
