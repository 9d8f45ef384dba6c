# SPDX-License-Identifier: Apache-2.0
"""Whom and what a question is about, as written on a command line: endpoints, addresses, ports."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import TYPE_CHECKING

from vneter_sdn.cli.terminal import NOT_FOUND, Answer, Usage
from vneter_sdn.errors import IntentError
from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.northbound.selectors import Selector, parse_selector

if TYPE_CHECKING:
    from vneter_sdn.daemon.picture import End, Picture
    from vneter_sdn.daemon.reachability import Port

_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "icmpv6": 58}
_PORT = re.compile(r"(?:([46]):)?([a-z0-9]+)(?:/([0-9]{1,5}))?(?:/([0-9]{1,3}))?", re.ASCII)
_HINT = "write NS/POD, an address, a DNS name, LABEL=VALUE, ns:LABEL=VALUE or label:LABEL"
DOMAIN = re.compile(
    r"(?=.*[a-z])[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\.?"
)
_CONDITION = re.compile(r"[=!]|\s(in|notin)\s*\(")


class Who:
    """A selector, read."""

    def __init__(self, text: str) -> None:
        """Of a text as ``vneterctl reachability --help`` explains it.

        Raises:
            Usage: it is not written so.
        """
        self.text = text
        self.names: list[str] = []
        self.addresses: list[IPAddress] = []
        self.domains: list[str] = []
        self.labels: list[Selector] = []
        self.namespaces: list[Selector] = []
        for part in filter(None, map(str.strip, _parts(text))):
            self._read(part)
        selects = self.names, self.addresses, self.domains, self.labels, self.namespaces
        if not any(selects):
            raise Usage("an empty selector selects nobody", f"{_HINT}, or * for everybody")

    def _read(self, part: str) -> None:
        prefix, _, rest = part.partition(":")
        if (address := _address(part)) is not None:
            self.addresses.append(address)
        elif rest.strip() and prefix in {"ns", "label"}:
            (self.namespaces if prefix == "ns" else self.labels).append(_selector(rest, part))
        elif _CONDITION.search(part):
            self.labels.append(_selector(part, part))
        elif part == "*" or (part.count("/") in (1, 2) and all(part.split("/"))):
            self.names.append(part)
        elif "." in part and DOMAIN.fullmatch(part.lower()):
            self.domains.append(part.lower().rstrip("."))
        else:
            raise Usage(f"{part!r} names nobody", _HINT)

    def of(self, picture: Picture) -> list[End]:
        """The endpoints selected, by name, then addresses outside.

        Raises:
            Answer: nobody is.
        """
        from vneter_sdn.daemon.picture import End

        named = [address for name in self.domains for address in _known(picture, name)]
        addresses = [*self.addresses, *named]
        owners = {a: picture.owners.get(a, ()) for a in addresses}
        owned = {end for ends in owners.values() for end in ends}
        everybody = not (self.names or addresses)
        found = [
            end
            for end in picture.ends
            if (everybody or end in owned or self._named(end)) and self._labelled(picture, end)
        ]
        outside = [a for a in addresses if not owners[a]]
        found += [End(str(address), address=address) for address in dict.fromkeys(outside)]
        if not found:
            raise Answer(NOT_FOUND, f"{self.text!r} selects nobody", f"{_HINT}, or * for everybody")
        return found

    def _named(self, end: End) -> bool:
        names = {end.name}
        if end.key is not None:
            names |= {f"{end.key.tenant}/{end.key.name}", f"{end.key.tenant}/{end.name}"}
        return any(
            pattern == "*" or (pattern.count("/") == name.count("/") and fnmatchcase(name, pattern))
            for pattern in self.names
            for name in names
        )

    def _labelled(self, picture: Picture, end: End) -> bool:
        if end.key is None:
            return not (self.labels or self.namespaces)
        labels = picture.snapshot.objects[end.key].labels
        if not all(selector.selects(labels) for selector in self.labels):
            return False
        if not self.namespaces:
            return True
        within = picture.namespace_labels(end.key)
        return all(selector.selects(within) for selector in self.namespaces)


def _known(picture: Picture, name: str) -> tuple[IPAddress, ...]:
    """Addresses of a DNS name.

    Raises:
        Answer: nobody was told any.
    """
    found = picture.named(name)
    if not found:
        hint = f"no endpoint under rules about it was; say what it is: --resolve {name}=ADDRESS"
        raise Answer(NOT_FOUND, f"nobody was told what {name} is", hint)
    return found


def _parts(text: str) -> Iterator[str]:
    """What commas separate, but for those in brackets."""
    depth, start = 0, 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth <= 0:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _address(text: str) -> IPAddress | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _selector(text: str, whole: str) -> Selector:
    try:
        return parse_selector(text)
    except IntentError:
        raise Usage(
            f"{whole!r} is no condition on labels",
            "write a=b, a!=b, a in (b,c), a notin (b), !a; label:a for one that is there",
        ) from None


def selected(picture: Picture, texts: Sequence[str]) -> list[End]:
    """Whom some selectors select, together; every endpoint where there are none."""
    if not texts:
        return list(picture.ends)
    return list(dict.fromkeys(end for text in texts for end in Who(text).of(picture)))


def one(picture: Picture, text: str) -> End:
    """The one end that a text names.

    Raises:
        Usage: it selects several.
        Answer: it selects nobody.
    """
    found = Who(text).of(picture)
    if len(found) > 1:
        names = ", ".join(end.name for end in found[:5])
        raise Usage(f"{text!r} selects {len(found)} ends: {names}", "name one of them")
    return found[0]


def ports(text: str) -> list[Port]:
    """``tcp/80,udp/53``: what each means, once.

    Raises:
        Usage: it is not written so.
    """
    return list(dict.fromkeys(port(word) for word in text.split(",") if word.strip()))


def port(word: str) -> Port:
    """``tcp/80``, ``icmp/8``, ``6:udp/53`` (by IPv6).

    Raises:
        Usage: it is not written so.
    """
    from vneter_sdn.daemon.reachability import Port
    from vneter_sdn.simulate.attempts import Wanted

    found = _PORT.fullmatch(word.strip().lower())
    protocol = _PROTOCOLS.get(found[2]) if found else None
    if found is None or protocol is None:
        raise _no_port(word)
    name = word.strip().lower()
    version = int(found[1]) if found[1] else None
    first = int(found[3]) if found[3] else None
    if found[2].startswith("icmp"):
        kind = first if first is not None else (8 if found[2] == "icmp" else 128)
        code = int(found[4] or 0)
        if kind > 255 or code > 255:
            raise _no_port(word)
        return Port(name, Wanted(protocol, icmp_type=kind, icmp_code=code, version=version))
    if first is None or found[4] or not 1 <= first <= 65535:
        raise _no_port(word)
    return Port(name, Wanted(protocol, first, version=version))


def _no_port(word: str) -> Usage:
    hint = "write tcp/80, udp/53, sctp/9, icmp, icmp/8, icmpv6/128; 6:tcp/80 goes by IPv6"
    return Usage(f"{word.strip()!r} is no port", hint)


def resolved(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """``example.com=192.0.2.80``, repeated: addresses by DNS name.

    Raises:
        Usage: it is not written so.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, _, rest = text.partition("=")
        addresses = [_address(word.strip()) for word in rest.split(",")]
        if not name.strip() or None in addresses:
            raise Usage(f"{text!r} resolves nothing", "write NAME=ADDRESS[,ADDRESS]")
        key = name.strip().lower().rstrip(".")
        found[key] = (*found.get(key, ()), *map(str, addresses))
    return found
