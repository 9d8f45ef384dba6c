# SPDX-License-Identifier: Apache-2.0
"""How long a probe waits: nobody is taken to be silent for what kept the prober itself."""

import asyncio
import time

import pytest

from vneter_sdn.fleet.probe import _Patience


async def limited(seconds, work):
    patience = _Patience(seconds)
    passing = asyncio.create_task(patience.run())
    try:
        await asyncio.sleep(0)
        async with patience.limit():
            return await work()
    finally:
        passing.cancel()


def test_what_keeps_the_loop_busy_is_not_counted():
    async def answered_in_the_end():
        for _ in range(5):
            time.sleep(0.3)  # as other questions of the same process do
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return "answer"

    assert asyncio.run(limited(1.0, answered_in_the_end)) == "answer"


def test_who_says_nothing_is_given_up():
    async def silent():
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(limited(0.2, silent))
