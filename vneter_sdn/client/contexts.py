# SPDX-License-Identifier: Apache-2.0
"""Several controllers by name, in one file of the user's: where each is, and how to be let in.

``$XDG_CONFIG_HOME/vneter/contexts.toml`` (``~/.config`` where that is not set), readable by its
owner only, since it may hold tokens; ``VNETER_CONFIG`` names another::

    current = "lab"

    [contexts.lab]
    server = "http://127.0.0.1:8181"

    [contexts.production]
    server = "https://sdn.example.com:8181"
    ca = "/etc/vneter/ca.pem"
    token_file = "/etc/vneter/token"
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from vneter_sdn.errors import IntentError, NotFound, Problem

NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.@]{0,62}")
_MAX_BYTES = 1024 * 1024
_MAX_TOKEN = 8192


@dataclass(frozen=True, slots=True)
class Context:
    """One controller."""

    server: str = ""
    """As `transport.address_of` reads it."""
    ca: str = ""
    certificate: str = ""
    key: str = ""
    token: str = ""
    token_file: str = ""
    """File that holds the token, for those that something else renews."""

    def bearer(self) -> str:
        """The token; empty where there is none.

        Raises:
            IntentError: its file cannot be read.
        """
        return self.token or (read_token(self.token_file) if self.token_file else "")


@dataclass(frozen=True, slots=True)
class Contexts:
    """The file."""

    current: str = ""
    contexts: Mapping[str, Context] = field(default_factory=dict)

    def named(self, name: str) -> Context:
        """One of them.

        Raises:
            NotFound: there is none of that name.
        """
        if name not in self.contexts:
            known = ", ".join(self.contexts) or "none"
            raise NotFound(f"there is no context {name!r}; there are: {known}")
        return self.contexts[name]


SECRETS = frozenset({"token"})
"""Fields that nobody is shown."""
FIELDS = tuple(one.name for one in fields(Context))


def contexts_file() -> Path:
    """Where the file is."""
    named = os.environ.get("VNETER_CONFIG")
    if named:
        return Path(named)
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return Path(home) / "vneter" / "contexts.toml"


def read_contexts(path: Path | None = None) -> Contexts:
    """The file as it is; nothing where there is none.

    Raises:
        IntentError: it cannot be read, is malformed, or others may read the tokens in it.
    """
    path = path or contexts_file()
    try:
        with path.open("rb") as file:
            mode, data = os.fstat(file.fileno()).st_mode, file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return Contexts()
    except OSError as error:
        raise _wrong(path, "", "Unreadable", f"cannot be read: {error.strerror}") from None
    if len(data) > _MAX_BYTES:
        raise _wrong(path, "", "TooLarge", f"larger than {_MAX_BYTES} bytes")
    found = _parsed(path, data)
    if mode & 0o077 and any(one.token for one in found.contexts.values()):
        message = f"holds tokens, and others may read it; chmod 600 {path}"
        raise _wrong(path, "", "NotPrivate", message)
    return found


def change_contexts(change: Callable[[Contexts], Contexts], path: Path | None = None) -> Contexts:
    """Replace the file by what a function makes of it; those who do so at once take turns.

    Raises:
        IntentError: it cannot be read or written.
    """
    path = path or contexts_file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(path.parent):
            made = change(read_contexts(path))
            _write(path, _text(made))
    except OSError as error:
        raise _wrong(path, "", "Unwritable", f"cannot be written: {error.strerror}") from None
    return made


def without(found: Contexts, name: str) -> Contexts:
    """All but one of them.

    Raises:
        NotFound: there is none of that name.
    """
    found.named(name)
    left = {one: context for one, context in found.contexts.items() if one != name}
    return Contexts("" if found.current == name else found.current, left)


def with_context(found: Contexts, name: str, values: Mapping[str, str]) -> Contexts:
    """With some fields of a context as given, which may be new; the first becomes the current one.

    Raises:
        IntentError: that is no name for one.
    """
    if not NAME.fullmatch(name):
        message = f"{name!r} is no name: letters, digits, and -_.@ within, at most 63"
        raise IntentError(Problem("context", "name", "InvalidValue", message))
    before = found.contexts.get(name, Context())
    made = {**found.contexts, name: replace(before, **values)}
    return Contexts(found.current or name, made)


def read_token(path: str) -> str:
    """The token that a file holds.

    Raises:
        IntentError: it cannot be read, or holds none.
    """
    try:
        with open(path, encoding="ascii") as file:
            found = file.read(_MAX_TOKEN + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not ASCII"
        message = f"cannot be read: {reason}"
        raise _wrong(Path(path), "", "Unreadable", message) from None
    if not found or len(found) > _MAX_TOKEN:
        raise _wrong(Path(path), "", "InvalidToken", "holds no token")
    return found


def _parsed(path: Path, data: bytes) -> Contexts:
    import tomllib

    try:
        value = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise _wrong(path, "", "Malformed", f"not TOML: {error}") from None
    for name in value:
        if name not in {"current", "contexts"}:
            raise _wrong(path, name, "UnknownField", "no such field; known: current, contexts")
    current, tables = value.get("current", ""), value.get("contexts", {})
    if not isinstance(current, str) or not isinstance(tables, dict):
        raise _wrong(path, "", "WrongType", "current is text, contexts are tables")
    return Contexts(current, {name: _context(path, name, one) for name, one in tables.items()})


def _context(path: Path, name: str, table: object) -> Context:
    where = f"contexts.{name}"
    if not isinstance(table, dict):
        raise _wrong(path, where, "WrongType", "expected a table")
    for key, value in table.items():
        if key not in FIELDS:
            known = f"no such field; known: {', '.join(FIELDS)}"
            raise _wrong(path, f"{where}.{key}", "UnknownField", known)
        if not isinstance(value, str):
            raise _wrong(path, f"{where}.{key}", "WrongType", "expected text")
    return Context(**table)


def _text(found: Contexts) -> str:
    lines = [f"current = {_quoted(found.current)}"] if found.current else []
    for name, context in found.contexts.items():
        lines += ["", f"[contexts.{_quoted(name)}]"]
        lines += [f"{key} = {_quoted(value)}" for key, value in asdict(context).items() if value]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's, but for those of halves of characters, which files cannot hold.
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False).replace(
        "\x7f", "\\u007f"
    )


def _write(path: Path, text: str) -> None:
    import tempfile

    made, name = tempfile.mkstemp(prefix=".contexts", dir=path.parent)  # of mode 0600
    try:
        with os.fdopen(made, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _wrong(path: Path, where: str, reason: str, message: str) -> IntentError:
    return IntentError(Problem(str(path), where, reason, message))
