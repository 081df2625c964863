"""Order of the queue between two stages."""

import asyncio
from collections.abc import Iterator
from threading import Thread

import pytest

from service.inference.calls import Call, Item
from service.inference.decode_cost import DecodeCost, SizeClass
from service.inference.priority_queue import PriorityQueue
from service.inference.results import Priority, Stages, Want

COST = DecodeCost(SizeClass.SMALL, "PNG", 1, 0)
INTERACTIVE, BULK = Priority.INTERACTIVE, Priority.BULK


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def items(loop: asyncio.AbstractEventLoop, priority: Priority, count: int) -> list[Item]:
    call = Call([None] * count, count, loop.create_future(), Stages())
    return [Item(call, position, Want.EMBEDDING, priority, b"", COST) for position in range(count)]


def taken(queue: PriorityQueue, count: int) -> list[tuple[Priority, int]]:
    return [(item.priority, item.position) for item in queue.take(lambda waiting: min(waiting, count))]


def test_interactive_goes_before_bulk_that_came_earlier(loop: asyncio.AbstractEventLoop) -> None:
    queue = PriorityQueue("test")
    queue.put(items(loop, BULK, 3))
    queue.put(items(loop, INTERACTIVE, 2))
    assert taken(queue, 4) == [(INTERACTIVE, 0), (INTERACTIVE, 1), (BULK, 0), (BULK, 1)]
    assert taken(queue, 4) == [(BULK, 2)]


def test_bulk_does_not_starve_while_interactive_images_keep_coming(loop: asyncio.AbstractEventLoop) -> None:
    queue = PriorityQueue("test")
    queue.put(items(loop, BULK, 2))
    queue.put(items(loop, INTERACTIVE, 100))
    priorities = [priority for priority, _ in taken(queue, 16)]
    assert (priorities.count(INTERACTIVE), priorities.count(BULK)) == (14, 2)


def test_items_that_are_put_back_come_first_and_in_order(loop: asyncio.AbstractEventLoop) -> None:
    queue = PriorityQueue("test")
    queue.put(items(loop, BULK, 4))
    queue.put_back(queue.take(lambda _: 2))
    assert taken(queue, 4) == [(BULK, 0), (BULK, 1), (BULK, 2), (BULK, 3)]


def test_abandoned_images_are_skipped(loop: asyncio.AbstractEventLoop) -> None:
    queue = PriorityQueue("test")
    abandoned, wanted = items(loop, INTERACTIVE, 3), items(loop, INTERACTIVE, 2)
    queue.put([abandoned[0], wanted[0], abandoned[1], wanted[1], abandoned[2]])
    abandoned[0].call.abandoned = "client_gone"
    assert queue.take(lambda _: 5) == wanted


def test_the_oldest_is_the_one_that_waits_longest(loop: asyncio.AbstractEventLoop) -> None:
    queue = PriorityQueue("test")
    assert queue.oldest() is None
    (bulk,), (interactive,) = items(loop, BULK, 1), items(loop, INTERACTIVE, 1)
    bulk.queued_at, interactive.queued_at = 1.0, 2.0
    queue.put([bulk, interactive])
    assert queue.oldest() is bulk


def test_a_held_batch_gets_the_images_that_come(loop: asyncio.AbstractEventLoop) -> None:
    queue = PriorityQueue("test")
    more = items(loop, BULK, 3)
    queue.put(more[:1])
    asked: list[int] = []

    def hold(waiting: int, seconds: float) -> bool:
        assert seconds > 0
        asked.append(waiting)
        if waiting < 3:
            queue.put(more[waiting : waiting + 1])
        return waiting < 3

    assert queue.take(lambda waiting: waiting, hold) == more
    assert asked == [1, 2, 3]


def test_holding_a_batch_ends_though_nothing_comes(loop: asyncio.AbstractEventLoop) -> None:
    queue = PriorityQueue("test")
    alone = items(loop, BULK, 1)
    queue.put(alone)
    answers = iter([True, True, False])
    assert queue.take(lambda waiting: waiting, lambda *_: next(answers)) == alone


def test_closing_wakes_a_thread_that_holds_a_batch(loop: asyncio.AbstractEventLoop) -> None:
    queue = PriorityQueue("test")
    queue.put(items(loop, BULK, 1))
    answers: list[list[Item]] = []
    thread = Thread(target=lambda: answers.append(queue.take(lambda waiting: waiting, lambda *_: True)))
    thread.start()
    queue.close()
    thread.join(timeout=20)
    assert answers == [[]]


def test_closing_wakes_a_thread_that_waits() -> None:
    queue = PriorityQueue("test")
    answers: list[list[Item]] = []
    thread = Thread(target=lambda: answers.append(queue.take(lambda waiting: waiting)))
    thread.start()
    queue.close()
    thread.join(timeout=20)
    assert answers == [[]]
