# SPDX-License-Identifier: Apache-2.0
"""``ryu.app.wsgi``: REST servers in programs, as Ryu documents them; os-ken has none any more.

Written against Ryu's documentation ("REST Linkage" of the Ryu book). A program names
`WSGIApplication` in its ``_CONTEXTS``, registers controllers with routes, and answers with
`Response`. WebSockets by `websocket` work; JSON-RPC over them is left out.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from typing import Any

import webob.dec
import webob.exc
from os_ken.lib import hub
from routes import Mapper
from routes.util import URLGenerator

_LOG = logging.getLogger(__name__)
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8080
HEX_PATTERN = r"0x[0-9a-z]+"
DIGIT_PATTERN = r"[1-9][0-9]*"


class Request(webob.Request):
    """A request; its text is UTF-8 unless it says otherwise."""

    DEFAULT_CHARSET = "UTF-8"


class Response(webob.Response):
    """An answer; a body may be text."""

    DEFAULT_CHARSET = "UTF-8"

    def __init__(self, body: Any = None, charset: str = DEFAULT_CHARSET, **rest: Any) -> None:
        if isinstance(body, str):
            body = body.encode(charset)
        super().__init__(body=body, charset=charset, **rest)


def route(
    name: str,
    path: str,
    methods: Iterable[str] | None = None,
    requirements: dict[str, str] | None = None,
) -> Callable[[Any], Any]:
    """Have a method of a `ControllerBase` answer requests for a path.

    Args:
        name: Of the route.
        path: ``/switches/{dpid}``.
        methods: GET, PUT and so on; all when absent.
        requirements: Regular expressions of parts of the path, by name.
    """

    def mark(method: Any) -> Any:
        method.routing_info = {
            "name": name,
            "path": path,
            "methods": methods,
            "requirements": requirements,
        }
        return method

    return mark


def websocket(name: str, path: str) -> Callable[[Any], Any]:
    """Have a method of a `ControllerBase`, called with the socket, serve a WebSocket path."""

    def mark(method: Any) -> Any:
        def serve(self: Any, request: Any, **_parts: Any) -> Any:
            def closed_after(socket: Any) -> None:
                self.parent.websocketmanager.add_connection(socket)
                try:
                    method(self, socket)
                finally:
                    self.parent.websocketmanager.delete_connection(socket)

            server = hub.WebSocketWSGI(closed_after)
            return WebSocketResponse(server, request)

        serve.__name__ = method.__name__
        return route(name, path, methods=["GET"])(serve)

    return mark


class WebSocketResponse:
    """An answer that takes the connection over."""

    def __init__(self, server: Any, request: Any) -> None:
        self._server, self._request = server, request

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Speak WSGI."""
        return self._server(environ, start_response)


class WebSocketManager:
    """WebSockets that are open."""

    def __init__(self) -> None:
        self._connections: list[Any] = []

    def add_connection(self, socket: Any) -> None:
        """Remember one."""
        self._connections.append(socket)

    def delete_connection(self, socket: Any) -> None:
        """Forget one."""
        self._connections.remove(socket)

    def broadcast(self, message: str) -> None:
        """Send text to all."""
        for socket in tuple(self._connections):
            socket.send(message)


class ControllerBase:
    """Answers one request; programs derive from it."""

    special_vars = ("action", "controller")

    def __init__(self, req: Any, link: Any, data: Any, **config: Any) -> None:
        self.req, self.link, self.data = req, link, data
        self.parent: Any = None
        for name, value in config.items():
            setattr(self, name, value)

    def __call__(self, req: Any) -> Any:
        """Call the method of the route with the parts of the path."""
        parts = dict(req.urlvars)
        action = parts.get("action", "index")
        for name in self.special_vars:
            parts.pop(name, None)
        return getattr(self, action)(req, **parts)


class WSGIApplication:
    """Routes to controllers; a context of programs."""

    def __init__(self, **config: Any) -> None:
        self.config = config
        self.mapper = Mapper()
        self.registory: dict[str, Any] = {}
        self.websocketmanager = WebSocketManager()

    def register(self, controller: type[ControllerBase], data: Any = None) -> None:
        """Add the routes that a controller's methods are marked with, and what it is given."""
        if data is not None:
            self.registory[controller.__name__] = data
        for name, method in inspect.getmembers(controller, inspect.isfunction):
            told = getattr(method, "routing_info", None)
            if told is None:
                continue
            conditions = {"method": list(told["methods"])} if told["methods"] else {}
            self.mapper.connect(
                told["name"],
                told["path"],
                controller=controller,
                requirements=told["requirements"] or {},
                action=name,
                conditions=conditions,
            )

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Speak WSGI."""
        request = Request(environ)
        try:
            answer = self._answer(request, environ)
        except webob.exc.HTTPException as refused:
            answer = refused
        except Exception:  # noqa: BLE001 - a program is anybody's code
            _LOG.exception("%s %s failed", request.method, request.path)
            answer = webob.exc.HTTPInternalServerError("the program failed; its log says how")
        return answer(environ, start_response)

    def _answer(self, request: Any, environ: Any) -> Any:
        match = self.mapper.match(environ=environ)
        if match is None:
            raise webob.exc.HTTPNotFound
        kind = match["controller"]
        request.urlvars = match
        link = URLGenerator(self.mapper, environ)
        controller = kind(request, link, self.registory.get(kind.__name__), **self.config)
        controller.parent = self
        answer = controller(request)
        return Response(status=200) if answer is None else answer


class WSGIServer(hub.WSGIServer):
    """Serves an application."""

    def __init__(self, application: WSGIApplication, **config: Any) -> None:
        host = config.pop("host", DEFAULT_HOST)
        port = config.pop("port", DEFAULT_PORT)
        super().__init__((host, port), application, **config)

    def __call__(self) -> None:
        """Serve until killed."""
        self.serve_forever()
