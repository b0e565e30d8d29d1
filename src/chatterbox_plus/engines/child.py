"""What runs in an engine's process: `python -m chatterbox_plus.engines.child package.module:Factory ARGUMENTS`.

ARGUMENTS: JSON, the factory's keyword arguments.

The main thread drives the engine, a second one listens (`inbox`), so that a cancellation is heard while the engine
works. An engine with a `step` is a `Crowd` and is driven by `crowd_child`, any other does one thing at a time, here.
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle: first thing, before the slow imports

import faulthandler  # noqa: E402
import importlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import traceback  # noqa: E402
from typing import IO, Any, cast  # noqa: E402

import psutil  # noqa: E402

from chatterbox_plus.engines import crowd_child, wire  # noqa: E402
from chatterbox_plus.engines.base import Crowd, Engine  # noqa: E402
from chatterbox_plus.engines.inbox import Event, Listener, Replies, Work, accident  # noqa: E402
from chatterbox_plus.errors import Cancelled, ModelLoadError, PlusError  # noqa: E402

NICENESS = 5  # of an engine at work, where others have 0


def perform(engine: Engine, work: Work, replies: Replies) -> wire.Reply:
    """Do the work; the last answer is returned, those before it are sent."""
    request = work.request
    if isinstance(request, wire.Speak):
        return wire.Spoken(work.id, engine.speak(request.passage, work.reference, work.cancelled))
    if isinstance(request, wire.Warm):
        engine.warm(request.tasks)
        return wire.Warmed(work.id)
    assert work.reference is not None
    for samples in engine.convert(
        work.blocks(replies),
        request.rate,
        work.reference,
        request.chunk_s,
        request.overlap_s,
        work.cancelled,
        request.watermark,
    ):
        if work.cancelled():
            raise Cancelled("the conversion was called off")
        replies.send(wire.Block(work.id, samples))
    return wire.End(work.id)


def answer(engine: Engine, work: Work, replies: Replies) -> None:
    """Do the work and send all that is said about it, whatever happens in it."""
    try:
        replies.send(perform(engine, work, replies))
    except PlusError as error:
        replies.send(wire.Failed(work.id, error))
    except Exception:  # noqa: BLE001  the process border
        replies.send(accident(work.id))


def drive(engine: Engine, listener: Listener, replies: Replies) -> None:
    """One piece of work after the other, until the host is gone."""
    while (work := listener.requests.get()) is not Event.GONE:
        if isinstance(work, Work):
            answer(engine, work, replies)
            listener.forget(work)


def load(factory: str, arguments: dict[str, Any]) -> Engine | Crowd | wire.Unable:
    """The engine, or why it could not be started."""
    module, _, name = factory.partition(":")
    try:
        engine: Engine | Crowd = getattr(importlib.import_module(module), name)(**arguments)
    except PlusError as error:
        return wire.Unable(ModelLoadError(error.message), traceback.format_exc())
    except Exception as error:  # noqa: BLE001  the process border, as in answer()
        return wire.Unable(
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
    listener, replies = Listener(inp), Replies(out)
    listener.start()
    try:
        engine = load(sys.argv[1], json.loads(sys.argv[2]))
        if isinstance(engine, wire.Unable):
            replies.send(engine)
        elif hasattr(engine, "step"):
            give_way()
            crowd = cast(Crowd, engine)
            replies.send(wire.Ready(crowd.rows))
            crowd_child.drive(crowd, listener, replies)
        else:
            give_way()
            replies.send(wire.Ready())
            drive(engine, listener, replies)
    finally:
        listener.leave()


if __name__ == "__main__":
    main()
