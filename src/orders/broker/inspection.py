"""A look at the broker, for whoever asks what is wrong with it. It leaves nothing behind."""

from __future__ import annotations

from uuid import uuid4

from aiormq.exceptions import AMQPError, ChannelInvalidStateError, ChannelNotFoundEntity
from msgspec import Struct

from orders.broker.bounds import CONNECT_TIMEOUT_S
from orders.broker.errors import BrokerAway
from orders.broker.link import Session, as_broker_error, open_session
from orders.broker.topology import DEAD_QUEUE, WORK_QUEUES


class Inspection(Struct, frozen=True):
    """`declared`: whether the queues of adapter work are there; `dead`: messages that could not be decoded."""

    declared: bool
    dead: int


async def inspect(url: str, name: str) -> Inspection:
    """Logs in, tries the right to declare with a queue that goes with the connection, and looks at the work queues.

    Raises BrokerAway, BrokerRefuses.
    """
    session = await open_session(url, name)
    try:
        return await _look(session)
    except TimeoutError:
        raise BrokerAway(f"no answer within {CONNECT_TIMEOUT_S:g} s") from None
    except (AMQPError, OSError, ChannelInvalidStateError) as error:
        raise as_broker_error(error) from error
    finally:
        await session.close()


async def _look(session: Session) -> Inspection:
    passing = f"orders.work.look-{uuid4()}"
    await session.channel.declare_queue(passing, exclusive=True, auto_delete=True, timeout=CONNECT_TIMEOUT_S)
    dead = await _depth(session, DEAD_QUEUE)
    shards = await _depth(session, WORK_QUEUES[0].name)
    return Inspection(declared=shards is not None, dead=dead or 0)


async def _depth(session: Session, queue: str) -> int | None:
    """How many messages wait in it; None where it is not there."""
    channel = session.connection.channel()
    await channel.initialize()
    try:
        declared = await channel.declare_queue(queue, passive=True, timeout=CONNECT_TIMEOUT_S)
    except ChannelNotFoundEntity:
        return None
    return declared.declaration_result.message_count
