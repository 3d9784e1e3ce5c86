import asyncio
import threading

import pytest

from ferkit.web.turns import BusyError, Turns


def test_what_does_not_fit_is_turned_away_and_the_rest_is_done():
    turns, go_on = Turns(at_once=1, most=3), threading.Event()

    async def main():
        asked = [
            asyncio.ensure_future(turns.run(lambda number=number: (go_on.wait(20), number))) for number in range(5)
        ]
        await asyncio.sleep(0)  # each takes its place, or finds none
        go_on.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = asyncio.run(main())
    assert answers[:3] == [(True, 0), (True, 1), (True, 2)]
    assert [type(answer) for answer in answers[3:]] == [BusyError, BusyError]


def test_work_that_fails_gives_its_place_back():
    turns = Turns(at_once=1, most=1)

    async def main():
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await turns.run(lambda: 1 / 0)

    asyncio.run(main())
