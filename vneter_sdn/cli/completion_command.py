# SPDX-License-Identifier: Apache-2.0
"""``vneterctl completion``: what a shell needs to complete our command lines.

The scripts ask ``vneterctl __complete WORD…``, whose last word is the one to complete; how it
answers is in `vneter_sdn.cli.completing`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from vneter_sdn.cli.options import Command

PATIENCE = 1.0
"""Seconds after which nothing is offered: whoever pressed the key waits."""

_BASH = r"""_vneterctl() {
    local line IFS=$'\n'
    local cur words cword
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref -n =: cur words cword
    else
        cur=${COMP_WORDS[COMP_CWORD]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
    fi
    COMPREPLY=()
    while IFS=$'\t' read -r line _; do
        case $line in
            :files) compopt -o default 2>/dev/null; COMPREPLY=(); return ;;
            *) COMPREPLY+=("$line") ;;
        esac
    done < <("${words[0]}" __complete "${words[@]:1:cword}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
    declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$cur"
    return 0
}
complete -F _vneterctl vneterctl
"""
_ZSH = r"""#compdef vneterctl
_vneterctl() {
    local line
    local -a found
    while IFS= read -r line; do
        if [[ $line == :files ]]; then _files; return; fi
        found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    _describe -V vneterctl found
}
if [[ ${funcstack[1]} == _vneterctl ]]; then _vneterctl "$@"; else compdef _vneterctl vneterctl; fi
"""
_FISH = r"""function __vneterctl_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found (command $words[1] __complete $words[2..-1] 2>/dev/null)
    if test "$found" = :files
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $found
    end
end
complete -c vneterctl -f -a '(__vneterctl_complete)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="bash, zsh or fish.")],
) -> None:
    """Print what makes a shell complete commands, kinds and names."""
    print(SCRIPTS[shell], end="")


def answer(words: Sequence[str]) -> int:
    """Print what the last word may become: a word a line, a tab, what it means.

    Whatever goes wrong, nothing is said, and it is over soon: a shell is waiting.
    """
    quiet = os.open(os.devnull, os.O_WRONLY)
    try:
        signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        from vneter_sdn.cli.completing import candidates

        found = candidates(list(words) or [""], PATIENCE)
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.write("".join(f"{line}\n" for line in found))
        sys.stdout.flush()
    except Exception:  # noqa: BLE001 -- no shell shows what is wrong in the middle of a line
        os.dup2(quiet, 2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.close(quiet)
    return 0


COMMANDS = (
    Command(
        "completion",
        completion,
        (
            ("vneterctl completion bash", "prints the script"),
            ("vneterctl completion zsh", ""),
            ("vneterctl completion fish", ""),
        ),
        "\b\nTo have it in every shell:\n"
        "  bash: vneterctl completion bash > ~/.local/share/bash-completion/completions/vneterctl\n"
        "  zsh:  vneterctl completion zsh > a directory of $fpath, as _vneterctl\n"
        "  fish: vneterctl completion fish > ~/.config/fish/completions/vneterctl.fish\n"
        "\n\b\nNames of objects are asked of the controller; where it does not answer within a "
        "second,\nnone are offered.",
    ),
)
