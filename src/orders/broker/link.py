"""One supervised connection to RabbitMQ: opened again whenever it is lost, for as long as is wanted.

Plain connections of aio-pika, not its robust ones: those may hang in a publish until the broker is back. Whoever works
with the broker gives a coroutine that works over one session; it is cancelled when the session is lost, and called
anew with the next one. A publish returns when the broker has confirmed it, within a bound, or raises.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import aio_pika
from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractConnection, ConnectionParameter
from aio_pika.connection import make_url
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, DeliveryError, ProbableAuthenticationError
from aiormq import spec
from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelPreconditionFailed,
    ConnectionNotAllowed,
    PublishError,
)
from msgspec import Struct

from orders.broker.bounds import (
    BLOCKED_LOOK_S,
    CLOSE_TIMEOUT_S,
    CONNECT_TIMEOUT_S,
    DECLARE_TIMEOUT_S,
    HEARTBEAT_S,
    PUBLISH_TIMEOUT_S,
    RECONNECT_S,
)
from orders.broker.errors import (
    BrokerAway,
    BrokerBlocked,
    BrokerError,
    BrokerRefuses,
    BrokerSlow,
    NotConfirmed,
    Unroutable,
)
from orders.broker.outage import Outage
from orders.broker.topology import DEAD_EXCHANGE, WORK_EXCHANGE, WORK_QUEUES, Queue, dead_queue

T = TypeVar("T")

_CLIENT_ERRORS = (*CONNECTION_EXCEPTIONS, asyncio.InvalidStateError)
"""What the client raises where a connection or channel cannot be used."""


class Outgoing(Struct, frozen=True, kw_only=True):
    """A message to be published; it survives a restart of the broker in a durable queue."""

    routing_key: str
    body: bytes
    message_id: str
    content_type: str = "application/json"
    headers: Mapping[str, Any] = {}
    timestamp: datetime | None = None


class _Wire(TransportFactory):
    """Keeps the socket at hand. The client leaves it open where a login is given up, and would wait for a frozen broker
    to take its goodbye."""

    def __init__(self, *, tls: bool) -> None:
        self._sockets = TLSTransportFactory() if tls else TCPTransportFactory()
        self._writer: asyncio.StreamWriter | None = None

    async def create(self, url: Any, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, self._writer = await self._sockets.create(url, **options)
        return reader, self._writer

    def cut(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()


class _Connection(aio_pika.Connection):
    """Takes a transport of ours. It is closed by whom it was opened: when it is collected, in whatever thread that may
    be, there is nothing left to do."""

    PARAMETERS = (
        *aio_pika.Connection.PARAMETERS,
        ConnectionParameter(name="transport_factory", parser=lambda given: given, is_kwarg=True),
    )

    def __del__(self) -> None:
        pass


async def _close(connection: AbstractConnection | None, wire: _Wire) -> None:
    try:
        if connection is not None:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await connection.close()
    except _CLIENT_ERRORS:
        pass  # it was lost before
    finally:
        wire.cut()


class Session:
    """One connection, from its opening to its end. For one event loop."""

    def __init__(self, connection: AbstractConnection, channel: AbstractChannel, wire: _Wire) -> None:
        self.connection = connection
        self._wire = wire
        self.channel = channel
        """For declaring and publishing; consumers open their own, so that an error of theirs loses no publish."""
        self.lost: asyncio.Future[BrokerError] = asyncio.get_running_loop().create_future()
        """Done, with the reason, once connection or channel is closed, by whomever."""
        connection.close_callbacks.add(self._closed)
        channel.close_callbacks.add(self._closed)

    async def declare(self, *queues: Queue) -> None:
        """Each queue, and its binding. Their exchanges exist by now. Has no bound, and raises the client's errors: for
        what `keep_connected` prepares."""
        for queue in queues:
            declared = await self.channel.declare_queue(queue.name, durable=True, arguments=queue.arguments)
            await declared.bind(queue.exchange, queue.routing_key)

    async def publish(
        self, exchange: str, messages: Sequence[Outgoing], *, routed: bool = True, timeout_s: float = PUBLISH_TIMEOUT_S
    ) -> None:
        """Returns when the broker has confirmed all. `routed`: a message without a queue is refused too.

        Raises: NotConfirmed and BrokerBlocked (the session goes on), BrokerAway (it is lost). Some may have arrived
        then; of a plain NotConfirmed all but what found a queue full.
        """
        await self._unblocked(timeout_s)
        through = await self.channel.get_exchange(exchange, ensure=False)
        publishing = [through.publish(_message(one), one.routing_key, mandatory=routed) for one in messages]
        try:
            async with asyncio.timeout(timeout_s):
                outcomes = await asyncio.gather(*publishing, return_exceptions=True)
        except TimeoutError:
            await self._unblocked(BLOCKED_LOOK_S)
            silent = BrokerSlow(f"it has not confirmed what was published within {timeout_s:g} s")
            self.lose(silent)
            raise silent from None
        failures = [as_broker_error(outcome) for outcome in outcomes if isinstance(outcome, BaseException)]
        if failures:
            worst = next((one for one in failures if type(one) is not NotConfirmed), failures[0])
            raise self.lost.result() if self.lost.done() else worst

    async def close(self) -> None:
        """Consumers are cancelled and their handlers done by now: acknowledgements in flight would end it badly."""
        self.lose(BrokerAway("closed by us"))
        await _close(self.connection, self._wire)

    async def _unblocked(self, timeout_s: float) -> None:
        transport = self.connection.transport
        if transport is None:
            raise BrokerAway("the connection is closed")
        try:
            await asyncio.wait_for(transport.ready(), timeout_s)
        except TimeoutError:
            raise BrokerBlocked("it takes no messages at the moment: it is low on memory or disk") from None

    def _closed(self, _: object, error: BaseException | None) -> None:
        self.lose(BrokerAway("the connection was closed") if error is None else as_broker_error(error))

    def lose(self, reason: BrokerError) -> None:
        """Gives it up: who keeps connected opens and prepares the next one."""
        if not self.lost.done():
            self.lost.set_result(reason)


async def declare_work(session: Session) -> None:
    """Everything that adapter work needs in the broker. What is there already stays as it is."""
    await session.channel.declare_exchange(DEAD_EXCHANGE, ExchangeType.FANOUT, durable=True)
    await session.channel.declare_exchange(WORK_EXCHANGE, ExchangeType.DIRECT, durable=True)
    await session.declare(dead_queue(), *WORK_QUEUES)


async def open_session(url: str, name: str) -> Session:
    """`name` is shown in the broker's list of connections. Raises BrokerAway, BrokerRefuses."""
    address = make_url(url).update_query(heartbeat=HEARTBEAT_S, name=name)
    wire, connection = _Wire(tls=address.scheme == "amqps"), None
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            connection = await aio_pika.connect(address, connection_class=_Connection, transport_factory=wire)
            channel = connection.channel(publisher_confirms=True, on_return_raises=True)
            await channel.initialize()
    except BaseException as error:
        await _close(connection, wire)
        if isinstance(error, TimeoutError):
            raise BrokerAway(f"no answer within {CONNECT_TIMEOUT_S:g} s") from None
        if _is_of_client(error):
            raise as_broker_error(error) from error
        raise
    return Session(connection, channel, wire)


async def keep_connected(
    url: str,
    name: str,
    stop: asyncio.Event,
    *,
    prepare: Callable[[Session], Awaitable[None]],
    work: Callable[[Session], Coroutine[Any, Any, None]],
) -> None:
    """Until `stop` is set: opens a session, prepares it (declares), and works over it until it is lost.

    `work` is to return soon once `stop` is set, with its consumers cancelled and their handlers done; where the session
    is lost it is cancelled. A BrokerError of either ends the session, and everything begins again after a pause. An
    outage is one line in the log, its end another. For a task of its own.
    """
    outage, pause_s = Outage(name), RECONNECT_S[0]
    stopping = asyncio.ensure_future(stop.wait())
    try:
        while not stop.is_set():
            began_at = time.monotonic()
            try:
                if (session := await _opened(url, name, stopping)) is not None:
                    await _work_over(session, prepare, work, outage, stopping)
            except BrokerError as error:
                outage.begin(error)
            if time.monotonic() - began_at > RECONNECT_S[1]:
                pause_s = RECONNECT_S[0]
            await asyncio.wait({stopping}, timeout=pause_s)
            pause_s = min(pause_s * 2, RECONNECT_S[1])
    finally:
        stopping.cancel()


async def _opened(url: str, name: str, stopping: asyncio.Future[Any]) -> Session | None:
    """None where it is told to stop meanwhile."""
    opening = await _run_until(open_session(url, name), stopping)
    return None if opening.cancelled() else opening.result()


async def _work_over(
    session: Session,
    prepare: Callable[[Session], Awaitable[None]],
    work: Callable[[Session], Coroutine[Any, Any, None]],
    outage: Outage,
    stopping: asyncio.Future[Any],
) -> None:
    try:
        _judge(await _run_until(_prepared(session, prepare), session.lost, stopping), session)
        if not stopping.done():
            outage.end()
            _judge(await _run_until(work(session), session.lost), session)
    finally:
        await session.close()


async def _prepared(session: Session, prepare: Callable[[Session], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(DECLARE_TIMEOUT_S):
            await prepare(session)
    except TimeoutError:
        raise BrokerAway(f"it has not declared exchanges and queues within {DECLARE_TIMEOUT_S:g} s") from None


async def _run_until(doing: Coroutine[Any, Any, T], *ends: asyncio.Future[Any]) -> asyncio.Task[T]:
    """The task, done: by itself, or cancelled since one of `ends` was."""
    task = asyncio.ensure_future(doing)
    try:
        await asyncio.wait({task, *ends}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
    return task


def _judge(task: asyncio.Task[None], session: Session) -> None:
    """Raises BrokerError where the session was lost, or the client's error says so; anything else as it is."""
    error = None if task.cancelled() else task.exception()
    lost = session.lost.done()
    if error is not None and not isinstance(error, BrokerError) and not _is_of_client(error, lost=lost):
        raise error
    if lost:
        raise session.lost.result()
    if error is not None:
        raise as_broker_error(error) from error


def _is_of_client(error: BaseException, *, lost: bool = False) -> bool:
    """Whether it says that a connection or channel cannot be used. A plain RuntimeError does so only of a lost one."""
    if isinstance(error, RuntimeError) and not lost:
        return isinstance(error, ChannelInvalidStateError)
    return isinstance(error, _CLIENT_ERRORS)


def as_broker_error(error: BaseException) -> BrokerError:
    """One of the client's errors, in a person's words."""
    match error:
        case BrokerError():
            return error
        case ProbableAuthenticationError():
            return BrokerRefuses("it refuses the user or the password of AMQP_URL")
        case ConnectionNotAllowed(args=(reason,)) | BaseException(args=(_, spec.Connection.Close(reply_text=reason))):
            return BrokerRefuses(f"it refuses the virtual host of AMQP_URL ({reason})")
        case ChannelAccessRefused():
            return BrokerRefuses(f"the user of AMQP_URL lacks a right ({_said(error)})")
        case ChannelPreconditionFailed():
            return BrokerRefuses(f"what is declared there differs from what this release declares ({_said(error)})")
        case PublishError():
            return Unroutable("there is no queue for a message")
        case DeliveryError():
            return NotConfirmed("it has refused a message: its queue is full")
    return BrokerAway(_said(error))


def _said(error: BaseException) -> str:
    text = " ".join(str(part) for part in error.args) or type(error).__name__
    return " ".join(text.split())


def _message(outgoing: Outgoing) -> aio_pika.Message:
    return aio_pika.Message(
        outgoing.body,
        message_id=outgoing.message_id,
        content_type=outgoing.content_type,
        headers=dict(outgoing.headers),
        timestamp=outgoing.timestamp,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )
