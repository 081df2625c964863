"""Calls that are admitted, that wait, and that are refused, with the times that refusals name."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from service.errors import ServiceError
from service.inference.admission import Admission
from service.inference.rate import Rate
from service.inference.resources import Resources
from service.inference.results import Priority
from service.inference.wait_estimate import WaitEstimate

MEGABYTE = 2**20


def new_admission(
    items: int = 8, size: int = 100 * MEGABYTE, rate: float = 100.0, longest_wait: float = 60.0
) -> Admission:
    return Admission(Resources(items, size), WaitEstimate(4, rate), longest_wait)


async def enter(
    stack: AsyncExitStack, admission: Admission, items: int, priority: Priority, size: int = 0
) -> None:
    await stack.enter_async_context(admission.admit(Resources(items, size), priority))


async def refusal(admission: Admission, items: int, size: int = 0) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        async with admission.admit(Resources(items, size), Priority.INTERACTIVE):
            pass
    return caught.value


def test_a_call_is_admitted_whole_or_refused() -> None:
    async def scenario() -> None:
        admission = new_admission()
        async with AsyncExitStack() as stack:
            await enter(stack, admission, 5, Priority.INTERACTIVE)
            assert (await refusal(admission, 4)).code == "overloaded"
            assert admission.held.items == 5
            await enter(stack, admission, 3, Priority.INTERACTIVE)
        assert admission.held == Resources(0, 0)

    asyncio.run(scenario())


def test_bytes_count_like_images() -> None:
    async def scenario() -> None:
        admission = new_admission()
        async with AsyncExitStack() as stack:
            await enter(stack, admission, 1, Priority.INTERACTIVE, 90 * MEGABYTE)
            assert (await refusal(admission, 1, 11 * MEGABYTE)).code == "overloaded"
            await enter(stack, admission, 1, Priority.INTERACTIVE, 10 * MEGABYTE)

    asyncio.run(scenario())


def test_a_refusal_names_the_time_that_the_held_images_take() -> None:
    async def scenario() -> None:
        admission = new_admission(items=800, rate=100.0)
        async with AsyncExitStack() as stack:
            await enter(stack, admission, 800, Priority.INTERACTIVE)
            error = await refusal(admission, 1)
            assert error.status == 503
            assert error.retry_after == pytest.approx(8.0)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("load", "code", "setting"),
    [
        (Resources(9, 0), "too_many_items", "INFOMAX_QUEUE_ITEMS"),
        (Resources(1, 101 * MEGABYTE), "too_many_bytes", "INFOMAX_QUEUE_BYTES"),
    ],
)
def test_a_call_that_never_fits_is_refused_with_the_setting_that_raises_the_limit(
    load: Resources, code: str, setting: str
) -> None:
    async def scenario() -> None:
        error = await refusal(new_admission(), load.items, load.bytes)
        assert (error.status, error.code, error.setting) == (413, code, setting)
        assert error.retry_after is None

    asyncio.run(scenario())


def test_a_call_that_would_wait_too_long_is_refused_but_the_first_is_admitted_at_any_size() -> None:
    async def scenario() -> None:
        admission = new_admission(items=1000, rate=100.0, longest_wait=2.0)
        async with AsyncExitStack() as stack:
            await enter(stack, admission, 150, Priority.INTERACTIVE)
            await enter(stack, admission, 300, Priority.INTERACTIVE)
            # 450 images at 100 a second.
            error = await refusal(admission, 1)
            assert (error.status, error.code) == (503, "overloaded")
            assert error.retry_after == pytest.approx(4.5)
            early = admission.refusal()
            assert early is not None
            assert "Send it again in 4.5 seconds." in str(early)
        await enter(stack, admission, 900, Priority.INTERACTIVE)
        await stack.aclose()

    asyncio.run(scenario())


def test_refusals_that_say_the_same_are_one_and_what_is_raised_is_a_copy() -> None:
    async def scenario() -> None:
        admission = new_admission(items=1000, rate=100.0, longest_wait=2.0)
        async with AsyncExitStack() as stack:
            await enter(stack, admission, 450, Priority.INTERACTIVE)
            early = admission.refusal()
            assert early is not None
            assert admission.refusal() is early
            late = await refusal(admission, 1)
            assert late is not early
            assert (late.code, str(late), late.retry_after) == (early.code, str(early), early.retry_after)
            assert early.__traceback__ is None
            await stack.aclose()
            await enter(stack, admission, 900, Priority.INTERACTIVE)
            assert admission.refusal() is not early

    asyncio.run(scenario())


def test_images_of_streams_delay_an_interactive_call_by_their_share_only() -> None:
    async def scenario() -> None:
        admission = new_admission(items=1000, rate=100.0, longest_wait=2.0)
        async with AsyncExitStack() as stack:
            await enter(stack, admission, 500, Priority.BULK)
            await enter(stack, admission, 170, Priority.INTERACTIVE)
            # Streams keep an eighth of the rate: 170 images at 87.5 a second.
            assert admission.refusal() is None
            await enter(stack, admission, 10, Priority.INTERACTIVE)
            assert (await refusal(admission, 1)).code == "overloaded"

    asyncio.run(scenario())


def test_less_than_a_full_batch_is_never_too_long_a_wait() -> None:
    async def scenario() -> None:
        # Smaller loads are not measured: a rate that was low once could never be found to have risen.
        admission = new_admission(rate=0.001, longest_wait=2.0)
        async with AsyncExitStack() as stack:
            await enter(stack, admission, 3, Priority.INTERACTIVE)
            await enter(stack, admission, 3, Priority.INTERACTIVE)
            assert (await refusal(admission, 1)).code == "overloaded"

    asyncio.run(scenario())


def test_bulk_calls_leave_half_of_the_limit_and_wait_for_the_other_half() -> None:
    async def scenario() -> None:
        admission = new_admission()
        async with AsyncExitStack() as others, AsyncExitStack() as first, AsyncExitStack() as second:
            await enter(first, admission, 4, Priority.BULK)
            waiting = asyncio.create_task(enter(second, admission, 2, Priority.BULK))
            await asyncio.sleep(0)
            assert not waiting.done()
            await enter(others, admission, 2, Priority.INTERACTIVE)
            await first.aclose()
            await waiting
            assert admission.held.items == 4

    asyncio.run(scenario())


def test_bulk_calls_are_admitted_in_order_of_arrival() -> None:
    async def scenario() -> None:
        admission = new_admission()
        order: list[int] = []

        async def call(number: int, items: int) -> None:
            async with admission.admit(Resources(items, 0), Priority.BULK):
                order.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(call(0, 4), call(1, 4), call(2, 1), call(3, 4))
        assert order == [0, 1, 2, 3]

    asyncio.run(scenario())


def test_interactive_calls_do_not_starve_bulk_calls() -> None:
    async def scenario() -> None:
        admission = new_admission()
        async with AsyncExitStack() as first, AsyncExitStack() as second, AsyncExitStack() as bulk:
            await enter(first, admission, 4, Priority.INTERACTIVE)
            await enter(second, admission, 3, Priority.INTERACTIVE)
            waiting = asyncio.create_task(enter(bulk, admission, 4, Priority.BULK))
            await asyncio.sleep(0)
            assert (await refusal(admission, 1)).code == "overloaded"
            await first.aclose()
            await waiting

    asyncio.run(scenario())


def test_a_bulk_call_larger_than_the_limit_runs_alone() -> None:
    async def scenario() -> None:
        admission = new_admission()
        async with AsyncExitStack() as others, AsyncExitStack() as bulk:
            await enter(others, admission, 1, Priority.INTERACTIVE)
            waiting = asyncio.create_task(enter(bulk, admission, 64, Priority.BULK, 500 * MEGABYTE))
            await asyncio.sleep(0)
            assert not waiting.done()
            await others.aclose()
            await waiting

    asyncio.run(scenario())


def test_a_cancelled_bulk_call_makes_room() -> None:
    async def scenario() -> None:
        admission = new_admission()
        async with AsyncExitStack() as held, AsyncExitStack() as never, AsyncExitStack() as next_:
            await enter(held, admission, 3, Priority.BULK)
            gives_up = asyncio.create_task(enter(never, admission, 4, Priority.BULK))
            await asyncio.sleep(0)
            follows = asyncio.create_task(enter(next_, admission, 1, Priority.BULK))
            await asyncio.sleep(0)
            gives_up.cancel()
            await follows
            assert admission.held.items == 4
        assert admission.held == Resources(0, 0)

    asyncio.run(scenario())


def test_a_bulk_call_that_is_cancelled_while_it_is_admitted_holds_nothing() -> None:
    async def scenario() -> None:
        admission = new_admission()
        async with AsyncExitStack() as never:
            async with AsyncExitStack() as held:
                await enter(held, admission, 4, Priority.BULK)
                gives_up = asyncio.create_task(enter(never, admission, 4, Priority.BULK))
                await asyncio.sleep(0)
            gives_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gives_up
            assert admission.held == Resources(0, 0)

    asyncio.run(scenario())


def test_a_closed_admission_refuses_new_and_waiting_calls() -> None:
    async def scenario() -> None:
        admission = new_admission()
        async with AsyncExitStack() as held, AsyncExitStack() as other:
            await enter(held, admission, 4, Priority.BULK)
            waiting = asyncio.create_task(enter(other, admission, 4, Priority.BULK))
            await asyncio.sleep(0)
            admission.close()
            with pytest.raises(ServiceError, match="stopping"):
                await waiting
            assert (await refusal(admission, 1)).code == "shutting_down"
            empty = asyncio.create_task(admission.until_empty())
            await asyncio.sleep(0)
            assert not empty.done()
            await held.aclose()
            await empty

    asyncio.run(scenario())


def test_busy_and_idle_are_reported_by_turns() -> None:
    told: list[int] = []

    async def scenario() -> None:
        admission = Admission(Resources(8, MEGABYTE), WaitEstimate(4, 100.0), 60.0, told.append)
        async with AsyncExitStack() as empty, AsyncExitStack() as first, AsyncExitStack() as second:
            # A chunk without an image.
            await enter(empty, admission, 0, Priority.BULK)
            assert told == []
            await enter(first, admission, 20, Priority.BULK)
            waiting = asyncio.create_task(enter(second, admission, 20, Priority.BULK))
            await asyncio.sleep(0)
            assert told == [1]
            await first.aclose()
            await waiting
            assert told == [1, -1, 1]
            await second.aclose()
            assert told == [1, -1, 1, -1]
        assert told == [1, -1, 1, -1]

    asyncio.run(scenario())


def test_the_rate_follows_recent_answers_whatever_was_guessed() -> None:
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


def test_old_measurements_are_forgotten() -> None:
    rate = Rate(first_guess=1000.0)
    rate.pause(0.0)
    for step in range(1, 501):
        rate.add(2, step / 10)
    assert rate.per_second == pytest.approx(20, rel=0.1)
    rate.pause(60.0)
    assert rate.per_second < 500
    rate.pause(660.0)
    assert rate.per_second == pytest.approx(1000, rel=0.1)
