"""A machine's own process as the one that gives it orders has it: started when needed, ended when nobody wants it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable

import numpy as np

from harness.execution.noting import Tell
from harness.worker.protocol import Channel, ChannelClosed, Message, ProtocolError
from specs.program import CODE

COMMAND = ("-m", "harness.execution.machine")
LOOK_EVERY_S = 0.5
GRACE_S = 10.0


class MachineDied(Exception):
    """It ended before it had answered; the message says how."""


class Unwanted(Exception):
    """Nobody waits for the answer any more: what was under way has been ended."""


class MachineProcess:
    """A process that carries out orders, one at a time. It is kept for the next order, and started anew if it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None

    def ask(self, order: bytes, blob: bytes | None, tell: Tell, wanted: Callable[[], bool]) -> bytes:
        """The answer to an order. Raises MachineDied, and Unwanted where ``wanted`` says no in the meantime."""
        channel = self._started()
        arrays = {"order": np.frombuffer(order, np.uint8)}
        if blob is not None:
            arrays["blob"] = np.frombuffer(blob, np.uint8)
        try:
            channel.send("order", arrays=arrays)
            while True:
                message = self._message(channel, wanted)
                if message.kind == "result":
                    return message.arrays["answer"].tobytes()
                tell(str(message.fields["doing"]), str(message.fields["note"]))
        except (ChannelClosed, ProtocolError) as error:
            raise MachineDied(f"its process ended: {self._end() or error}") from None

    def stop(self) -> None:
        """End it and what it does: politely, then at once."""
        if self._process is not None:
            self._process.terminate()
            self._end()

    def _message(self, channel: Channel, wanted: Callable[[], bool]) -> Message:
        arrived = False
        while not arrived:
            arrived = bool(select.select([channel.read_fd], [], [], LOOK_EVERY_S)[0])
            if not wanted():
                self.stop()
                raise Unwanted
        return channel.receive()

    def _started(self) -> Channel:
        if self._channel is not None and self._process is not None and self._process.poll() is None:
            return self._channel
        order_read, order_write = os.pipe()
        answer_read, answer_write = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, *COMMAND, str(order_read), str(answer_write), str(os.getpid())],
                env={**os.environ, "PYTHONPATH": str(CODE), "PYTHONSAFEPATH": "1"},
                stdin=subprocess.DEVNULL,
                pass_fds=(order_read, answer_write),
                start_new_session=True,
            )
        finally:
            os.close(order_read)
            os.close(answer_write)
        self._channel = Channel(answer_read, order_write)
        return self._channel

    def _end(self) -> str:
        """Wait for its end, then see to it; how it ended."""
        if self._process is None or self._channel is None:
            return ""
        self._channel.close()
        try:
            status = self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._process = self._channel = None
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"
