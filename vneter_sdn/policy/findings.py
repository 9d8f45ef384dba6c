# SPDX-License-Identifier: Apache-2.0
"""Where the problems of one object are gathered, so that all of them are told at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from vneter_sdn.errors import IntentError, Problem

Read = TypeVar("Read")


class Findings:
    """Problems of one object, in the order in which they were found."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.problems: list[Problem] = []

    def add(self, path: str, reason: str, message: str) -> None:
        """Note a problem of a field."""
        self.problems.append(Problem(self.subject, path, reason, message))

    def reading(
        self, path: str, reason: str, read: Callable[[str], Read], text: str
    ) -> Read | None:
        """What ``read`` makes of a text; None, and a problem, when that is a ValueError."""
        try:
            return read(text)
        except ValueError as error:
            self.add(path, reason, str(error))
            return None

    def close(self) -> None:
        """Go on only when there was none.

        Raises:
            IntentError: with every problem.
        """
        if self.problems:
            raise IntentError(*self.problems)
