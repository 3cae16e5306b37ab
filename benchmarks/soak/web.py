"""What a client does over HTTP: OpenAI's form, the tools of agents, the page of a browser; and how it goes away."""

from __future__ import annotations

import http.client
import json
import select
import socket
import struct
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import urlencode, urlsplit

from benchmarks.soak.tally import Broken

PATIENCE = 600.0  # seconds for one answer
TOKENS = 16
PAGES = ("", "/tell", "/conversations", "/sleep", "/sleeps", "/versions", "/checkpoint", "/export", "/fork", "/chat")
JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
AT_ONCE = struct.pack("ii", 1, 0)  # of SO_LINGER: closing a connection resets it


class Web:
    """The HTTP connections of one client to one memory."""

    def __init__(self, url: str, memory: str, random: Random) -> None:
        self._place = urlsplit(url).netloc
        self._memory = memory
        self._random = random
        self._connection = self._connected()

    def ways(self) -> dict[str, tuple[float, Callable[[], object]]]:
        """Returns the operations, each with how often it is drawn."""
        return {
            "HTTP chat": (5, self._chat),
            "HTTP chat, streamed": (5, lambda: self._chat(stream=True)),
            "HTTP completion, streamed": (3, self._complete),
            "HTTP chat, left": (3, self._leave),
            "HTTP chat, left unanswered": (2, lambda: self._leave(answered=False)),
            "HTTP request, half sent": (1, self._half),
            "models": (2, lambda: self._get("/v1/models")),
            "metrics": (1, lambda: self._get("/metrics")),
            "probes": (1, lambda: self._get("/readyz")),
            "tools": (2, self._tools),
            "page": (8, self._page),
            "page, chat": (1, self._page_chat),
            "page, preview": (1, self._page_preview),
        }

    def close(self) -> None:
        self._connection.close()

    def _connected(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._place, timeout=PATIENCE)

    def _get(self, path: str) -> str:
        return self._call("GET", path)

    def _call(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> str:
        """Returns the body of the response. Raises Broken where its status says that it failed."""
        if (kept := self._connection.sock) is not None and select.select([kept], [], [], 0)[0]:
            self._connection.close()  # the server has closed what was idle for seconds; the next request connects anew
        try:
            self._connection.request(method, path, body, headers or {})
            response = self._connection.getresponse()
            text = response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Broken(f"{type(error).__name__} {error}") from error
        if response.status >= 400:
            raise Broken(f"status {response.status}: {text[:100]}")
        return text

    def _asked(self, **fields: Any) -> str:
        messages = [{"role": "user", "content": "Where does Ann Lee live?"}]
        return json.dumps({"model": self._memory, "messages": messages, "max_tokens": TOKENS, **fields})

    def _chat(self, stream: bool = False) -> None:
        text = self._call("POST", "/v1/chat/completions", self._asked(stream=stream), JSON)
        if stream:
            _check_end(text)
        else:
            json.loads(text)["choices"][0]["message"]

    def _complete(self) -> None:
        body = {"model": self._memory, "prompt": "Ann Lee lives in", "max_tokens": TOKENS, "stream": True}
        _check_end(self._call("POST", "/v1/completions", json.dumps(body), JSON))

    def _leave(self, answered: bool = True) -> None:
        """Goes away after the first chunk of an answer, or before it; half of the times by a reset."""
        connection = self._connected()
        connection.request("POST", "/v1/chat/completions", self._asked(stream=answered, max_tokens=200), JSON)
        if answered:
            response = connection.getresponse()
            if response.status != 200:
                raise Broken(f"status {response.status}")
            response.read(1)
        if self._random.random() < 0.5:
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        if answered:
            response.close()
        connection.close()

    def _half(self) -> None:
        """Goes away in the middle of a request."""
        connection = self._connected()
        connection.putrequest("POST", "/v1/chat/completions")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b'{"model": ')
        connection.close()

    def _tools(self) -> None:
        asked = {"name": "facts", "arguments": {"memory": self._memory, "limit": 5}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": asked}
        text = self._call("POST", "/mcp", json.dumps(body), JSON)
        if "structuredContent" not in text:
            raise Broken(f"a tool has not answered: {text[:100]}")

    def _page(self) -> None:
        page = self._random.choice(PAGES)
        self._get(f"/memories/{self._memory}{page}" if self._random.random() < 0.9 else "/")

    def _page_chat(self) -> None:
        self._send("/chat", question="Where does Ann Lee live?", at="")

    def _page_preview(self) -> None:
        self._send("/tell", subject="Ann Lee", relation="lives in", object="Rome", do="look")

    def _send(self, page: str, **fields: str) -> None:
        self._call("POST", f"/memories/{self._memory}{page}", urlencode(fields), FORM)


def _check_end(events: str) -> None:
    if not events.endswith("data: [DONE]\n\n"):
        raise Broken(f"a stream has no end: {events[-100:]}")
