"""Lanes on libcurl's multi interface: total timeouts, counted connections, no silent re-send.

A call goes through these moments, all in the thread that runs the lane: a free handle is set up and
added; libcurl finds or opens a connection (each new address passes the guard in ``OPENSOCKET``);
``PREREQ`` fires when the connection stands and nothing of the request was written, and is the
call's start; the answer is read; ``run_once`` hands out the reply and the handle is free again.

libcurl repeats a request by itself when a kept-alive connection turns out to be closed. It asks
``PREREQ`` again then, and the second question is answered with an abort: the attempt is doubtful,
and only the caller may decide to repeat it.

Over HTTP/2 all of this holds for each stream. A slot is a connection, and a call is a stream of it;
what a connection may not take yet is held here, still unsent, until its first answer.

Source: libcurl, CURLOPT_PREREQFUNCTION, CURLOPT_OPENSOCKETFUNCTION, CURLMOPT_MAX_TOTAL_CONNECTIONS,
CURLMOPT_MAX_CONCURRENT_STREAMS;
service/decisions/0008-attempt-states.md.
"""

import select
from dataclasses import replace

import pycurl

from service.outbound.egress import AddressGuard, Resolver, system_resolver
from service.outbound.transport import (
    Call,
    HttpVersion,
    Lane,
    LaneFullError,
    LaneOptions,
    OnStart,
    Reply,
    ReplyKind,
    Trouble,
)
from service.outbound.transport_handle import CurlHandle
from service.outbound.transport_proxy import Pins
from service.outbound.transport_sockets import Sockets
from service.outbound.transport_streams import Streams

_SELECTABLE = 1000  # select() sees descriptors below 1024 only
_BLIND_WAIT_S = 0.002


class CurlTransport:
    """Opens lanes whose every connection passes the guard.

    ``ca_file`` holds the certificates to trust where a lane names none of its own.
    """

    def __init__(
        self,
        guard: AddressGuard,
        resolve: Resolver = system_resolver,
        *,
        ca_file: str | None = None,
    ) -> None:
        self._guard = guard
        self._resolve = resolve
        self._ca_file = ca_file

    def open_lane(self, options: LaneOptions, on_start: OnStart) -> Lane:
        """Return a lane without connections; the thread that uses it closes it."""
        if options.ca_file is None:
            options = replace(options, ca_file=self._ca_file)
        return CurlLane(self._guard, self._resolve, options, on_start)


class CurlLane:
    """One ``CurlMulti`` and its reusable handles; used by one thread."""

    def __init__(
        self, guard: AddressGuard, resolve: Resolver, options: LaneOptions, on_start: OnStart
    ) -> None:
        self._options = options
        self._on_start = on_start
        self._slots = options.slots
        is_multiplexed = options.http_version is HttpVersion.HTTP_2
        self._streams = Streams(options.slots, options.streams) if is_multiplexed else None
        self._multi = self._new_multi()
        self._idle: list[CurlHandle] = []
        self._busy: dict[pycurl.Curl, CurlHandle] = {}
        self._held: list[CurlHandle] = []
        self._opener: CurlHandle | None = None
        self._ended: list[Reply] = []
        self._sockets = Sockets(guard)
        self._pins = Pins(guard, resolve) if options.proxy else None

    @property
    def free_slots(self) -> int:
        """How many calls may be submitted now."""
        width = self._slots if self._streams is None else self._streams.width
        return width - len(self._busy)

    @property
    def in_flight(self) -> int:
        """How many submitted calls have not been replied to."""
        return len(self._busy) + len(self._ended)

    def submit(self, call: Call) -> None:
        """Start a call as soon as ``run_once`` runs.

        Raises:
            LaneFullError: No slot is free.
            ValueError: A header holds a control character.
        """
        if self.free_slots <= 0:
            raise LaneFullError(f"All slots of the lane are taken: {len(self._busy)}.")
        pin = None
        if self._pins is not None:
            pin = self._pins.find(call.url)
            if isinstance(pin, Trouble):
                self._ended.append(_unsent(call, pin))
                return
        handle = (
            self._idle.pop()
            if self._idle
            else CurlHandle(self._sockets, self._options, self._on_start, self._streams)
        )
        handle.prepare(call, pin)
        self._busy[handle.curl] = handle
        self._multi.add_handle(handle.curl)

    def run_once(self, timeout: float) -> list[Reply]:
        """Move bytes, and return the calls that ended; wait up to ``timeout`` seconds for one.

        Returns at once when nothing is in flight.
        """
        self._multi.perform()
        if not self._collect() and self._busy and timeout > 0:
            self._wait(timeout)
            self._multi.perform()
            self._collect()
        ended, self._ended = self._ended, []
        return ended

    def resize(self, slots: int) -> None:
        """Change the number of connections; a smaller number closes every connection first.

        libcurl keeps idle connections when its limits shrink, and a lease covers idle ones. What
        was in flight while shrinking is replied to, as by ``close``, in the next ``run_once``.
        """
        if slots < self._slots:
            self._ended = self.close()
            self._slots = slots
            self._multi = self._new_multi()
        else:
            self._slots = slots
            _limit(self._multi, slots)
        if self._streams is not None:
            self._streams.resize(slots)

    def close(self) -> list[Reply]:
        """Close every connection; what was in flight ends as ``NOT_SENT`` or ``UNKNOWN``."""
        ended, self._ended = self._ended, []
        for handle in self._busy.values():
            if handle not in self._held:
                self._multi.remove_handle(handle.curl)
            ended.append(handle.abandon())
            handle.curl.close()
        self._busy.clear()
        self._held.clear()
        self._opener = None
        for handle in self._idle:
            handle.curl.close()
        self._idle.clear()
        self._multi.close()
        self._slots = 0
        return ended

    def _wait(self, timeout: float) -> None:
        due_ms = self._multi.timeout()
        if due_ms >= 0:
            timeout = min(timeout, due_ms / 1000)
        if self._sockets.highest >= _SELECTABLE:
            timeout = min(timeout, _BLIND_WAIT_S)
        if self._multi.select(timeout) == 0 and not any(map(len, self._multi.fdset())):
            select.select((), (), (), min(timeout, _BLIND_WAIT_S))

    def _collect(self) -> bool:
        while True:
            queued, answered, failed = self._multi.info_read(len(self._busy) or 1)
            for curl in answered:
                self._release(curl, pycurl.E_OK)
            for curl, code, _ in failed:
                self._release(curl, code)
            if not queued:
                break
        if self._streams is not None:
            self._look_after_held(self._streams)
            if not self._ended and self._streams.may_grow(len(self._busy)):
                self._grow(self._streams)
        return bool(self._ended)

    def _release(self, curl: pycurl.Curl, code: int) -> None:
        self._multi.remove_handle(curl)
        handle = self._busy[curl]
        if self._streams is not None and handle is self._opener:
            self._opener = None
            self._streams.free()
        if handle.is_held:
            self._held.append(handle)
            return
        reply = handle.reply(code)
        if self._streams is not None:
            self._note(self._streams, handle, reply)
        del self._busy[curl]
        self._ended.append(reply)
        self._idle.append(handle)

    def _note(self, streams: Streams, handle: CurlHandle, reply: Reply) -> None:
        """Learn from how a call ended what its connection, and the server, can bear."""
        if not handle.has_started:
            if reply.trouble is Trouble.PERMIT_REFUSED:
                streams.shrink(sum(each.has_started for each in self._busy.values()))
        elif reply.kind is not ReplyKind.ANSWERED:
            streams.lost(handle.connection, is_broken=handle.broke)
        else:
            streams.answered(handle.connection)

    def _grow(self, streams: Streams) -> None:
        """Take more calls when all there are have a stream, and none has just given one up."""
        if all(each.has_started for each in self._busy.values()):
            streams.grow()

    def _look_after_held(self, streams: Streams) -> None:
        """End what was held until its time was over; let the rest try again when it may."""
        may_try = streams.take_freed()
        held, self._held = self._held, []
        for handle in held:
            goes_elsewhere = handle.needs_another and self._opener is None
            if handle.left_ms <= 0:
                del self._busy[handle.curl]
                self._ended.append(handle.abandon(Trouble.TIMEOUT))
                self._idle.append(handle)
            elif goes_elsewhere or may_try:
                self._opener = handle if goes_elsewhere else self._opener
                handle.try_again(elsewhere=goes_elsewhere)
                self._multi.add_handle(handle.curl)
            else:
                self._held.append(handle)

    def _new_multi(self) -> pycurl.CurlMulti:
        multi = pycurl.CurlMulti()
        _limit(multi, self._slots)
        if self._streams is not None:
            multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
            multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, self._options.streams)
        return multi


def _limit(multi: pycurl.CurlMulti, slots: int) -> None:
    for option in (
        pycurl.M_MAX_TOTAL_CONNECTIONS,
        pycurl.M_MAX_HOST_CONNECTIONS,
        pycurl.M_MAXCONNECTS,
    ):
        multi.setopt(option, slots)


def _unsent(call: Call, trouble: Trouble) -> Reply:
    return Reply(call.key, ReplyKind.NOT_SENT, trouble=trouble)
