"""The process that trains for several stages at once: see `training/together.py`.

The server of `forkserver.py` hands over to it what a stage has handed to the server. To the stage,
and so to DVC, it is as if it trained alone: it says what it would say, is told of signals, and ends
with its own exit code.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import traceback
from pathlib import Path

import torch

from ebmrepro.config import environment, params
from ebmrepro.networks import device
from ebmrepro.runs import run
from ebmrepro.system import ending, memory
from ebmrepro.system.errors import UserError
from ebmrepro.system.signals import Reason, Watch
from ebmrepro.tracking import follower
from ebmrepro.training.together import Turns, together

MESSAGE = 1 << 20  # bytes of the longest request


class Stage(Watch):
    """A stage `train` or `pretrain` that waits for its end elsewhere.

    Args:
        request: as `forkserver.py` has it.
        client: where it sends signals, and hears how it ended.
    """

    def __init__(self, request: bytes, out: int, error: int, client: int):
        super().__init__()
        asked = json.loads(request)
        script, *words = asked["argv"]
        self.words = words if Path(script).stem == "train" else [words[0], "dbn", words[1]]
        self.address = asked["environment"].get("DVC_STAGE", "")
        self.out, self.error = (os.fdopen(fd, "w", buffering=1) for fd in (out, error))
        self.client = socket.socket(fileno=client)
        self.asked: Reason = None

    def reason(self) -> Reason:
        with contextlib.suppress(BlockingIOError):
            if self.asked is None and (said := self.client.recv(1, socket.MSG_DONTWAIT)):
                self.asked = f"by {signal.Signals(said[0]).name}", 128 + said[0]
            elif self.asked is None:
                self.asked = "because its parent process is gone", 128 + signal.SIGTERM
        return self.asked or super().reason()

    def turns(self) -> Turns:
        """Raises SystemExit with the stage's exit code where that is not 0."""
        work = self._work()
        while True:
            os.environ["DVC_STAGE"] = self.address  # provenance names it
            with contextlib.redirect_stdout(self.out), contextlib.redirect_stderr(self.error):
                try:
                    next(work)
                except StopIteration:
                    return
                except Exception:
                    traceback.print_exc()
                    raise SystemExit(1) from None
            yield

    def _work(self) -> Turns:
        """What `stages/train.py` does."""
        with ending.told():
            environment.check(os.environ)
            settings = params.load()
            suite, name, seed = self.words[0], self.words[1], int(self.words[2])
            settings.block(suite, name)
            own = [params.Training(suite, name, seed)]
            with follower.following(Path(), own, after=follower.SHORT):
                yield from run.turns(suite, name, seed, settings, self)

    def end(self, error: BaseException | None) -> None:
        code = error.code if isinstance(error, SystemExit) else int(error is not None)
        for stream in (self.out, self.error):
            with contextlib.suppress(OSError):  # nobody reads it any more
                stream.close()
        with contextlib.suppress(OSError):  # it is gone
            self.client.send(bytes([0, code if isinstance(code, int) else 1]))
        self.client.close()


def serve(link: socket.socket) -> None:
    """Train for those who come on `link`, and tell of each end, until the link ends."""
    try:
        where = device.device()
    except UserError:  # each stage will say so
        where = torch.device("cpu")

    def more(idle: bool) -> tuple[Stage, Turns] | None:
        if not select.select([link], [], [], None if idle else 0)[0]:
            return None
        request, streams, _, _ = socket.recv_fds(link, MESSAGE, 4)
        if not request:
            return None
        os.close(streams.pop(0))
        stage = Stage(request, *streams)
        return stage, stage.turns()

    places = environment.together(os.environ, where.type == "cuda")
    for stage, error in together(more, where, places):
        stage.end(error)
        memory.collect()
        with contextlib.suppress(OSError):  # the server is gone, and so everybody is asked to stop
            link.send(b"\0")
