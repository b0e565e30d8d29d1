"""What runs in an engine's process: `python -m chatterbox_plus.engines.child package.module:Factory ARGUMENTS`.

ARGUMENTS: JSON, the factory's keyword arguments.

The main thread drives the engine, a second one listens, so that a cancellation is heard while the engine works.
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle: first thing, before the slow imports

import faulthandler  # noqa: E402
import importlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import queue  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import traceback  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from typing import IO, Any  # noqa: E402

import psutil  # noqa: E402

from chatterbox_plus.audio.clip import Samples  # noqa: E402
from chatterbox_plus.engines import wire  # noqa: E402
from chatterbox_plus.engines.base import Engine, Reference  # noqa: E402
from chatterbox_plus.errors import Cancelled, GenerationError, ModelLoadError, PlusError  # noqa: E402

NICENESS = 5  # of an engine at work, where others have 0
LEAVE_S = 1.0  # how long an engine may take to notice that its parent is gone


class Work:
    """A request, and what comes for it while it is under way."""

    def __init__(self, request: wire.Speak | wire.Convert | wire.Warm, reference: Reference | None) -> None:
        self.request = request
        self.reference = reference
        self._input: queue.SimpleQueue[Samples | None] = queue.SimpleQueue()
        self._cancelled = threading.Event()

    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        self._cancelled.set()
        self._input.put(None)  # wakes an engine that waits for input

    def feed(self, samples: Samples | None) -> None:
        self._input.put(samples)

    def blocks(self, out: IO[bytes]) -> Iterator[Samples]:
        """The input of a conversion. Raises Cancelled."""
        while True:
            samples = self._input.get()
            if self.cancelled():
                raise Cancelled("the conversion was called off")
            if samples is None:
                return
            wire.write(out, wire.encode(wire.Consumed(len(samples))))
            yield samples


class Listener(threading.Thread):
    """Reads what the host sends, always: the host never waits for a busy engine."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(name="listener", daemon=True)
        self.requests: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._stream = stream
        self._references: dict[str, Reference] = {}
        self._left = threading.Event()

    def run(self) -> None:
        work: Work | None = None
        while True:
            try:
                message: wire.Request = wire.read(self._stream)
            except EOFError:
                break
            match message:
                case wire.Remember(reference):
                    self._references[reference.digest] = reference
                case wire.Forget(digest):
                    del self._references[digest]
                case wire.Speak(_, digest):
                    work = Work(message, None if digest is None else self._references[digest])
                    self.requests.put(work)
                case wire.Convert():
                    work = Work(message, self._references[message.target])
                    self.requests.put(work)
                case wire.Warm():
                    work = Work(message, None)
                    self.requests.put(work)
                case wire.Block(samples) if work is not None:
                    work.feed(samples)
                case wire.End() if work is not None:
                    work.feed(None)
                case wire.Cancel() if work is not None:
                    work.cancel()
        if work is not None:
            work.cancel()
        self.requests.put(None)
        if not self._left.wait(LEAVE_S):
            os._exit(1)  # the parent is gone and the engine does not listen

    def leave(self) -> None:
        """The main thread's last act: wait for the end of our input; a reader must not outlive the interpreter."""
        self._left.set()
        self.join()


def perform(engine: Engine, work: Work, out: IO[bytes]) -> wire.Reply:
    """Do the work; the last answer is returned, those before it are written."""
    request = work.request
    if isinstance(request, wire.Speak):
        return wire.Spoken(engine.speak(request.passage, work.reference, work.cancelled))
    if isinstance(request, wire.Warm):
        engine.warm(request.tasks)
        return wire.Warmed()
    assert work.reference is not None
    for samples in engine.convert(
        work.blocks(out),
        request.rate,
        work.reference,
        request.chunk_s,
        request.overlap_s,
        work.cancelled,
        request.watermark,
    ):
        if work.cancelled():
            raise Cancelled("the conversion was called off")
        wire.write(out, wire.encode(wire.Block(samples)))
    return wire.End()


def answer(engine: Engine, work: Work, out: IO[bytes]) -> wire.Frame:
    """The last answer to a piece of work, whatever happens in it."""
    try:
        return wire.encode(perform(engine, work, out))
    except PlusError as error:
        return wire.encode(wire.Failed(error))
    except Exception:  # noqa: BLE001  the process border: what it was goes to the log, the caller gets no internals
        failure = GenerationError("the engine failed at this request")
        return wire.encode(wire.Failed(failure, traceback.format_exc()))


def load(factory: str, arguments: dict[str, Any]) -> Engine | wire.Failed:
    """The engine, or why it could not be started."""
    module, _, name = factory.partition(":")
    try:
        engine: Engine = getattr(importlib.import_module(module), name)(**arguments)
    except PlusError as error:
        return wire.Failed(ModelLoadError(error.message), traceback.format_exc())
    except Exception as error:  # noqa: BLE001  the process border, as in answer()
        return wire.Failed(
            ModelLoadError(f"the engine could not be started ({type(error).__name__})"), traceback.format_exc()
        )
    return engine


def own_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Take stdin and stdout for ourselves: what a library prints goes to stderr, and nobody else reads our input."""
    inp, out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return inp, out


def give_way() -> None:
    """Lets the server go first: it answers everybody else while every core speaks."""
    if sys.platform == "win32":
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        os.nice(NICENESS)


def main() -> None:
    faulthandler.enable()  # a crash in native code leaves its stack in the host's log
    inp, out = own_pipes()
    listener = Listener(inp)
    listener.start()
    try:
        engine = load(sys.argv[1], json.loads(sys.argv[2]))
        if isinstance(engine, wire.Failed):
            wire.write(out, wire.encode(engine))
        else:
            give_way()
            wire.write(out, wire.encode(wire.Ready()))
            for work in iter(listener.requests.get, None):
                wire.write(out, answer(engine, work, out))
    finally:
        listener.leave()


if __name__ == "__main__":
    main()
