# SPDX-License-Identifier: Apache-2.0
"""What the last word of a command line may become."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from vneter_sdn.cli import line
from vneter_sdn.cli.terminal import plain

FILES = ":files"
"""Says to the shell: complete names of files, as you do."""
_MOST = 1000
"""Names that are offered."""
_NEWEST = 50
"""Revisions that are offered."""


class _Place(NamedTuple):
    """Where on the line the word is, and what there is before it."""

    command: Any
    words: tuple[str, ...]
    """Positional arguments before it."""
    options: Mapping[str, str]
    """Values of options before it, by parameter."""
    patience: float


def candidates(words: Sequence[str], patience: float) -> list[str]:
    """Words that begin as the last one does; a tab and a meaning behind each.

    Args:
        words: the line without the program; the last may be empty.
        patience: seconds that a server may take.
    """
    if "--" in words[:-1]:
        return [FILES]
    *before, word = words
    if before and before[-1] == "--context":
        return _matching(_contexts(), word)
    context, before = line.read(before)
    line.chosen.set(context)
    return _at(before, word, patience)


def _at(before: Sequence[str], word: str, patience: float) -> list[str]:
    from vneter_sdn.cli.main import NESTED, command, program

    if not before:
        group = program()
        offered = _options(group) if word.startswith("-") else _commands(group)
        return _matching(offered, word)
    name, rest = before[0], before[1:]
    if name not in NESTED:
        found = command(name)
    else:
        group = program(name)
        if not rest:
            return _matching(_commands(group), word)
        found, rest = group.commands.get(rest[0]), rest[1:]
    return _within(found, rest, word, patience) if found else []


def _within(command: Any, rest: Sequence[str], word: str, patience: float) -> list[str]:
    """Of one command."""
    by_flag = {flag: one for one in command.params for flag in (*one.opts, *one.secondary_opts)
               if one.param_type_name == "option"}  # fmt: skip
    positional, options, awaited = [], {}, None
    for one in rest:
        if awaited is not None:
            options[awaited.name], awaited = one, None
        elif one.startswith("-") and one != "-":
            flag, equals, value = one.partition("=")
            found = by_flag.get(flag)
            if found is not None and not found.is_flag:
                awaited = None if equals else found
                options |= {found.name: value} if equals else {}
        else:
            positional.append(one)
    place = _Place(command, tuple(positional), options, patience)
    if awaited is not None:
        return _matching(_values(awaited, place), word)
    flag, equals, value = word.partition("=")
    if equals and flag in by_flag:
        found = _matching(_values(by_flag[flag], place), value)
        return [one if one == FILES else f"{flag}={one}" for one in found]
    if word.startswith("-"):
        return _matching(_options(command), word)
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    if not arguments:
        return []
    return _matching(_values(arguments[min(len(positional), len(arguments) - 1)], place), word)


def _values(parameter: Any, place: _Place) -> Iterator[str]:
    """What a parameter may be."""
    find = _BY_NAME.get(parameter.name)
    if find is not None:
        yield from find(place)
        return
    choices = getattr(parameter.type, "choices", ())
    yield from (str(getattr(one, "value", one)) for one in choices)
    if not choices and parameter.name in _FILES:
        yield FILES


_FILES = frozenset({"file", "topology", "offline", "demands", "previous", "programs", "ca",
                    "certificate", "key", "token_file", "audit_file", "private_key",
                    "ca_certificate", "state_dir", "run_dir", "more"})  # fmt: skip


def _commands(group: Any) -> Iterator[str]:
    for name, command in group.commands.items():
        yield f"{name}\t{command.get_short_help_str(70)}"


def _options(command: Any) -> Iterator[str]:
    for one in command.params:
        if one.param_type_name == "option":
            told = (one.help or "").splitlines()
            yield from (f"{flag}\t{told[0] if told else ''}" for flag in one.opts)
    yield "--help\tShow this message and exit."


def _kinds(_place: _Place) -> Iterator[str]:
    from vneter_sdn.model.kinds import KINDS

    for kind in KINDS.values():
        yield f"{kind.name.lower()}\t{kind.plural}, {', '.join(kind.short)}"


def _names(place: _Place) -> Iterator[str]:
    """Of objects, when the kind is known: ``red/web``, or ``web`` behind ``-t red``."""
    arguments = [one.name for one in place.command.params if one.param_type_name == "argument"]
    told = dict(zip(arguments, place.words, strict=False))
    if not place.words:
        kind = {"move": "endpoint", "detach": "endpoint"}.get(place.command.name or "")
        yield from _objects(place, kind) if kind else _credentials(place)
    if len(place.words) != 1:
        return
    if "kind" in told:
        yield from _objects(place, told["kind"])
    elif "what" in told:  # drain
        yield from _objects(place, "link" if told["what"] == "link" else "host")


def _objects(place: _Place, word: str) -> Iterator[str]:
    from vneter_sdn.cli.targets import connect
    from vneter_sdn.northbound.resources import find_kind

    kind, tenant = find_kind(word), place.options.get("tenant", "")
    client = connect(place.options.get("server", _environment()), timeout=place.patience)
    for number, item in enumerate(client.iterate(kind.name, tenant or None)):
        metadata = item["metadata"]
        apart = kind.tenanted and not tenant
        yield f"{metadata['tenant']}/{metadata['name']}" if apart else metadata["name"]
        if number >= _MOST:
            return


def _credentials(place: _Place) -> Iterator[str]:
    from vneter_sdn.cli.targets import connect

    if place.command.name == "revoke":
        client = connect(place.options.get("server", _environment()), timeout=place.patience)
        yield from (str(one["name"]) for one in client.credentials())


def _ends(place: _Place) -> Iterator[str]:
    """Of a path hosts; of packets endpoints."""
    yield from _objects(place, "host" if place.command.name == "path" else "endpoint")


def _places(place: _Place) -> Iterator[str]:
    """Where `fleet exec` may run something."""
    if not place.words:
        yield from _objects(place, "host")
        yield from _objects(place, "endpoint")


def _networks(place: _Place) -> Iterator[str]:
    """Their names alone: the tenant is another option."""
    yield from (one.rpartition("/")[2] for one in _objects(place, "network"))


def _environment() -> str:
    import os

    return os.environ.get("VNETER_SERVER", "")


def _revisions(place: _Place) -> Iterator[str]:
    from vneter_sdn.cli.targets import connect

    client = connect(place.options.get("server", _environment()), timeout=place.patience)
    for one in client.revisions(_NEWEST):
        yield f"{one.number}\t{one.message or ', '.join(one.changes[:3])}"


def _tenants(place: _Place) -> Iterator[str]:
    yield from _objects(place, "tenant")


def _contexts(_place: _Place | None = None) -> Iterator[str]:
    from vneter_sdn.client.contexts import read_contexts

    for name, one in read_contexts().contexts.items():
        yield f"{name}\t{one.server}"


def _formats(place: _Place) -> Iterator[str]:
    option = next(one for one in place.command.params if one.name == "output")
    told = (option.help or "").partition(":")[0].replace(" or ", ", ").rstrip(".")
    for word in told.split(", "):
        name, equals, _ = word.partition("=")
        if name.isalnum():
            yield name + equals


def _subjects(_place: _Place) -> Iterator[str]:
    """``network.spec.mtu``: kinds, and their fields."""
    from vneter_sdn.model.kinds import KINDS
    from vneter_sdn.northbound.fields import field_rows

    for kind in KINDS.values():
        yield kind.name.lower()
        yield from (f"{kind.name.lower()}.{row.path}\t{row.type}" for row in field_rows(kind))


def _conditions(_place: _Place) -> Iterator[str]:
    yield from ("Ready", "deleted", "Holds", "InSync")


def _processes(_place: _Place) -> Iterator[str]:
    from vneter_sdn.telemetry.logs import PROCESSES

    yield from PROCESSES


_BY_NAME: Mapping[str, Callable[[_Place], Iterator[str]]] = {
    "kind": _kinds,
    "name": _names,
    "pairs": _names,
    "revision": _revisions,
    "tenant": _tenants,
    "context": _contexts,
    "output": _formats,
    "subject": _subjects,
    "condition": _conditions,
    "process": _processes,
    "what": lambda _place: iter(("link", "bridge")),
    "level": lambda _place: iter(("debug", "info", "warning", "error")),
    "policy": lambda place: _objects(place, "pathpolicy"),
    "host": lambda place: _objects(place, "host"),
    "source": _ends,
    "target": _ends,
    "where": _places,
    "network": _networks,
    "role": lambda _place: iter(("viewer", "editor", "admin")),
}


def _matching(offered: Iterator[str] | Sequence[str], word: str) -> list[str]:
    found = []
    for one in offered:
        name, tab, told = one.partition("\t")
        if one == FILES:
            return [FILES]
        if name.startswith(word) and name.isprintable():
            found.append(f"{name}{tab}{plain(told)}")
    return found
