# SPDX-License-Identifier: Apache-2.0
"""Every command explains itself, with examples that are command lines of ours."""

from __future__ import annotations

import re
import shlex

import pytest

from vneter_sdn.cli import line, main

PROGRAMS = {"vneterctl": main.program()} | {
    f"vneterctl {name}": main.program(name) for name in main.NESTED
}
COMMANDS = [
    (f"{title} {name}", command)
    for title, group in PROGRAMS.items()
    for name, command in group.commands.items()
    if name not in main.NESTED
]
_PROMPTS = re.compile(r"^(?:[A-Z_]+=\S+ )*(vneterctl .*)$")


def examples(text):
    """Command lines of an epilog: of each line what stands before two spaces, or all of it."""
    section = text.partition("Examples:\n")[2].partition("\n\n")[0]
    rows = [re.split(r"\s{2,}", row.strip())[0] for row in section.splitlines() if row.strip()]
    whole = "\n".join(row for row in rows if row).replace("\\\n", "")
    return whole.splitlines()


def plainly(text):
    """Of one line of shell, the words that our program gets, if any is ours."""
    for part in re.split(r"\s*(?:\|\||\||&&|;|&|<|>)\s*", text):
        match = _PROMPTS.match(part)
        if match:
            yield shlex.split(match[1])[1:]


def parses(words):
    """Whether typer takes them, short of running anything."""
    _, words = line.read(words)
    group = PROGRAMS["vneterctl"]
    if words and words[0] in main.NESTED:
        group, words = PROGRAMS[f"vneterctl {words[0]}"], words[1:]
    if not words:
        return True
    command = group.commands[words[0]]
    if "--" in words and words[0] == "run":
        words = words[: words.index("--")]
    return command.make_context(words[0], list(words[1:]), resilient_parsing=False) is not None


@pytest.mark.parametrize(("title", "command"), COMMANDS, ids=[title for title, _ in COMMANDS])
def test_every_command_shows_examples_that_parse(title, command):
    assert (command.help or "").strip(), "says what it does"
    found = examples(command.epilog or "")
    assert found, f"{title} --help shows no example"
    ours = [words for text in found for words in plainly(text)]
    assert any(words[: len(title.split()) - 1] == title.split()[1:] for words in ours)
    for words in ours:
        assert parses(words), words


@pytest.mark.parametrize("title", PROGRAMS)
def test_the_examples_of_programs_parse(title):
    found = [words for text in examples(PROGRAMS[title].epilog) for words in plainly(text)]
    assert found
    for words in found:
        assert parses(words), words


@pytest.mark.parametrize(("title", "command"), COMMANDS, ids=[title for title, _ in COMMANDS])
def test_help_says_the_same_in_a_terminal(title, command, vneterctl):
    ended = vneterctl(*title.split()[1:], "--help")
    assert ended.code == 0
    assert ended.out.startswith("Usage: " + title)
    assert "Examples:" in ended.out
    assert "\b" not in ended.out


def test_exit_codes_are_told_once_each(vneterctl):
    from vneter_sdn.cli.terminal import EXIT_CODES

    told = vneterctl("--help").out
    for code, meaning in EXIT_CODES:
        assert re.search(rf"^ *{code} +{re.escape(meaning)}$", told, re.MULTILINE)
