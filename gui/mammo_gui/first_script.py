"""A script of our own that the page runs before any of Gradio's.

Gradio puts what it is given as ``head`` into the page only after its own client has started. Some things must be there
earlier: a listener that was added first is called first. Knows nothing of what the script does.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEAD = b"<head>"


class FirstScript:
    """Puts a script, by its address, at the top of the page's own HTML."""

    def __init__(self, app: ASGIApp, address: str) -> None:
        self.app = app
        # No module: those run in their order after the page was read, this one before anything that comes after it.
        self._tag = f'<script src="{address}"></script>'.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, and the page with the script in it."""
        if scope["type"] != "http" or (scope["method"], scope["path"]) != ("GET", "/"):
            await self.app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def send_with_script(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if message.get("more_body", False):
                return
            if Headers(scope=start).get("content-type", "").startswith("text/html"):
                body = body.replace(_HEAD, _HEAD + self._tag, 1)
                MutableHeaders(scope=start)["content-length"] = str(len(body))
            await send(start)
            await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, send_with_script)
