"""Who is let in, who waits, who is refused, and what the refused are told."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from service.errors import ServiceError
from service.inference.admission import Admission, Load, Rate
from service.inference.results import Priority

MEGABYTE = 2**20


def admission(
    items: int = 8, size: int = 100 * MEGABYTE, rate: float = 100.0, longest_wait: float = 60.0
) -> Admission:
    return Admission(Load(items, size), full_batch=4, first_rate=rate, longest_wait=longest_wait)


async def enter(
    stack: AsyncExitStack, door: Admission, items: int, priority: Priority, size: int = 0
) -> None:
    await stack.enter_async_context(door.admit(Load(items, size), priority))


async def refusal(door: Admission, items: int, size: int = 0) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        async with door.admit(Load(items, size), Priority.INTERACTIVE):
            pass
    return caught.value


def test_a_call_is_let_in_whole_or_not_at_all() -> None:
    async def scenario() -> None:
        door = admission()
        async with AsyncExitStack() as stack:
            await enter(stack, door, 5, Priority.INTERACTIVE)
            assert (await refusal(door, 4)).code == "overloaded"
            assert door.held.items == 5
            await enter(stack, door, 3, Priority.INTERACTIVE)
        assert door.held == Load(0, 0)

    asyncio.run(scenario())


def test_bytes_count_like_images() -> None:
    async def scenario() -> None:
        door = admission()
        async with AsyncExitStack() as stack:
            await enter(stack, door, 1, Priority.INTERACTIVE, 90 * MEGABYTE)
            assert (await refusal(door, 1, 11 * MEGABYTE)).code == "overloaded"
            await enter(stack, door, 1, Priority.INTERACTIVE, 10 * MEGABYTE)

    asyncio.run(scenario())


def test_the_refused_are_told_when_what_is_held_will_be_done() -> None:
    async def scenario() -> None:
        door = admission(items=800, rate=100.0)
        async with AsyncExitStack() as stack:
            await enter(stack, door, 800, Priority.INTERACTIVE)
            error = await refusal(door, 1)
            assert error.status == 503
            assert error.retry_after == pytest.approx(8.0)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("load", "code", "setting"),
    [
        (Load(9, 0), "too_many_items", "INFOMAX_QUEUE_ITEMS"),
        (Load(1, 101 * MEGABYTE), "too_many_bytes", "INFOMAX_QUEUE_BYTES"),
    ],
)
def test_what_never_fits_is_refused_at_once_with_the_setting_that_raises_the_limit(
    load: Load, code: str, setting: str
) -> None:
    async def scenario() -> None:
        error = await refusal(admission(), load.items, load.bytes)
        assert (error.status, error.code, error.setting) == (413, code, setting)
        assert error.retry_after is None

    asyncio.run(scenario())


def test_nobody_is_let_in_who_would_wait_too_long_and_whoever_is_first_is_whatever_he_brings() -> None:
    async def scenario() -> None:
        door = admission(items=1000, rate=100.0, longest_wait=2.0)
        async with AsyncExitStack() as stack:
            await enter(stack, door, 150, Priority.INTERACTIVE)
            await enter(stack, door, 300, Priority.INTERACTIVE)
            # 450 images at 100 a second.
            error = await refusal(door, 1)
            assert (error.status, error.code) == (503, "overloaded")
            assert error.retry_after == pytest.approx(4.5)
            with pytest.raises(ServiceError, match=r"4\.5 seconds"):
                door.check_wait()
        await enter(stack, door, 900, Priority.INTERACTIVE)
        await stack.aclose()

    asyncio.run(scenario())


def test_what_streams_hold_makes_an_interactive_call_wait_no_longer_than_their_share() -> None:
    async def scenario() -> None:
        door = admission(items=1000, rate=100.0, longest_wait=2.0)
        async with AsyncExitStack() as stack:
            await enter(stack, door, 500, Priority.BULK)
            await enter(stack, door, 170, Priority.INTERACTIVE)
            # An eighth of the rate is theirs: 170 images at 87.5 a second.
            door.check_wait()
            await enter(stack, door, 10, Priority.INTERACTIVE)
            assert (await refusal(door, 1)).code == "overloaded"

    asyncio.run(scenario())


def test_less_than_a_full_batch_is_never_too_long_a_wait() -> None:
    async def scenario() -> None:
        # Only more than that is measured: a rate that was low once could never be found to have risen.
        door = admission(rate=0.001, longest_wait=2.0)
        async with AsyncExitStack() as stack:
            await enter(stack, door, 3, Priority.INTERACTIVE)
            await enter(stack, door, 3, Priority.INTERACTIVE)
            assert (await refusal(door, 1)).code == "overloaded"

    asyncio.run(scenario())


def test_bulk_leaves_half_of_the_room_to_others_and_waits_for_its_own() -> None:
    async def scenario() -> None:
        door = admission()
        async with AsyncExitStack() as others, AsyncExitStack() as first, AsyncExitStack() as second:
            await enter(first, door, 4, Priority.BULK)
            waiting = asyncio.create_task(enter(second, door, 2, Priority.BULK))
            await asyncio.sleep(0)
            assert not waiting.done()
            await enter(others, door, 2, Priority.INTERACTIVE)
            await first.aclose()
            await waiting
            assert door.held.items == 4

    asyncio.run(scenario())


def test_bulk_is_let_in_in_order_of_arrival() -> None:
    async def scenario() -> None:
        door = admission()
        order: list[int] = []

        async def call(number: int, items: int) -> None:
            async with door.admit(Load(items, 0), Priority.BULK):
                order.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(call(0, 4), call(1, 4), call(2, 1), call(3, 4))
        assert order == [0, 1, 2, 3]

    asyncio.run(scenario())


def test_interactive_calls_do_not_keep_bulk_out_for_ever() -> None:
    async def scenario() -> None:
        door = admission()
        async with AsyncExitStack() as first, AsyncExitStack() as second, AsyncExitStack() as bulk:
            await enter(first, door, 4, Priority.INTERACTIVE)
            await enter(second, door, 3, Priority.INTERACTIVE)
            waiting = asyncio.create_task(enter(bulk, door, 4, Priority.BULK))
            await asyncio.sleep(0)
            assert (await refusal(door, 1)).code == "overloaded"
            await first.aclose()
            await waiting

    asyncio.run(scenario())


def test_a_bulk_call_larger_than_the_room_goes_alone() -> None:
    async def scenario() -> None:
        door = admission()
        async with AsyncExitStack() as others, AsyncExitStack() as bulk:
            await enter(others, door, 1, Priority.INTERACTIVE)
            waiting = asyncio.create_task(enter(bulk, door, 64, Priority.BULK, 500 * MEGABYTE))
            await asyncio.sleep(0)
            assert not waiting.done()
            await others.aclose()
            await waiting

    asyncio.run(scenario())


def test_a_bulk_call_that_gives_up_makes_way() -> None:
    async def scenario() -> None:
        door = admission()
        async with AsyncExitStack() as held, AsyncExitStack() as never, AsyncExitStack() as next_:
            await enter(held, door, 3, Priority.BULK)
            gives_up = asyncio.create_task(enter(never, door, 4, Priority.BULK))
            await asyncio.sleep(0)
            follows = asyncio.create_task(enter(next_, door, 1, Priority.BULK))
            await asyncio.sleep(0)
            gives_up.cancel()
            await follows
            assert door.held.items == 4
        assert door.held == Load(0, 0)

    asyncio.run(scenario())


def test_a_bulk_call_that_gives_up_in_the_moment_it_is_let_in_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        door = admission()
        async with AsyncExitStack() as never:
            async with AsyncExitStack() as held:
                await enter(held, door, 4, Priority.BULK)
                gives_up = asyncio.create_task(enter(never, door, 4, Priority.BULK))
                await asyncio.sleep(0)
            gives_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gives_up
            assert door.held == Load(0, 0)

    asyncio.run(scenario())


def test_a_closed_door_refuses_those_who_come_and_those_who_wait() -> None:
    async def scenario() -> None:
        door = admission()
        async with AsyncExitStack() as held, AsyncExitStack() as other:
            await enter(held, door, 4, Priority.BULK)
            waiting = asyncio.create_task(enter(other, door, 4, Priority.BULK))
            await asyncio.sleep(0)
            door.close()
            with pytest.raises(ServiceError, match="stopping"):
                await waiting
            assert (await refusal(door, 1)).code == "shutting_down"
            empty = asyncio.create_task(door.until_empty())
            await asyncio.sleep(0)
            assert not empty.done()
            await held.aclose()
            await empty

    asyncio.run(scenario())


def test_work_begins_and_ends_by_turns_whoever_comes_and_goes() -> None:
    told: list[int] = []

    async def scenario() -> None:
        door = Admission(Load(8, MEGABYTE), 4, 100.0, 60.0, told.append)
        async with AsyncExitStack() as empty, AsyncExitStack() as first, AsyncExitStack() as second:
            # A chunk in which nothing is an image.
            await enter(empty, door, 0, Priority.BULK)
            assert told == []
            await enter(first, door, 20, Priority.BULK)
            waiting = asyncio.create_task(enter(second, door, 20, Priority.BULK))
            await asyncio.sleep(0)
            assert told == [1]
            await first.aclose()
            await waiting
            assert told == [1, -1, 1]
            await second.aclose()
            assert told == [1, -1, 1, -1]
        assert told == [1, -1, 1, -1]

    asyncio.run(scenario())


def test_the_rate_is_what_was_answered_lately_whatever_was_guessed() -> None:
    rate = Rate(first_guess=5000.0)
    rate.pause(0.0)
    for step in range(1, 501):
        rate.add(10, step / 10)
    assert rate.per_second == pytest.approx(100, rel=0.1)
    for step in range(501, 1001):
        rate.add(50, step / 10)
    assert rate.per_second == pytest.approx(500, rel=0.1)


def test_pauses_do_not_lower_the_rate() -> None:
    rate = Rate(first_guess=100.0)
    now = 0.0
    for _ in range(300):
        rate.pause(now)
        rate.add(10, now + 0.1)
        now += 60
    assert rate.per_second == pytest.approx(100, rel=0.1)


def test_what_was_measured_long_ago_is_forgotten() -> None:
    rate = Rate(first_guess=1000.0)
    rate.pause(0.0)
    for step in range(1, 501):
        rate.add(2, step / 10)
    assert rate.per_second == pytest.approx(20, rel=0.1)
    rate.pause(60.0)
    assert rate.per_second < 500
    rate.pause(660.0)
    assert rate.per_second == pytest.approx(1000, rel=0.1)
