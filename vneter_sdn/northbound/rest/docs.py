# SPDX-License-Identifier: Apache-2.0
"""The page that shows ``/openapi.json`` in a browser, and asks what it describes.

It is our own, a few hundred lines: nothing is loaded from elsewhere, and nothing of what it shows
is taken for markup. Its policy (CSP) lets it do no more than that, should it be wrong.
"""

from __future__ import annotations

from importlib.resources import files

from flask import Response
from werkzeug.exceptions import NotFound

from vneter_sdn.northbound.rest import requests
from vneter_sdn.northbound.routes import Route

_PAGE = "page.html"
_ASSETS = {"page.js": "text/javascript", "page.css": "text/css"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Docs:
    """Handlers of the page and of what it consists of."""

    def __init__(self) -> None:
        """Read all of it."""
        folder = files(__package__) / "browse"
        self._content = {name: (folder / name).read_bytes() for name in (_PAGE, *_ASSETS)}

    def page(self, route: Route) -> Response:
        """The page."""
        requests.query(route)
        return self._given(_PAGE, "text/html")

    def asset(self, route: Route, file: str) -> Response:
        """Its script, or its style."""
        requests.query(route)
        if file not in _ASSETS:
            raise NotFound
        return self._given(file, _ASSETS[file])

    def _given(self, name: str, media: str) -> Response:
        response = Response(self._content[name], content_type=f"{media}; charset=utf-8")
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        return response
