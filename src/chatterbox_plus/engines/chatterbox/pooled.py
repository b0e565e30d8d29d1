"""The decoder for devices on which launching a step takes longer than the step: `decoding`'s, with rows in a `pool`.

Steps are recorded (`graphs`) for some numbers of rows and of positions, and padded up to them. Tokens are chosen on the
device and read some steps late, so that it never waits for the host; what was said after an end is thrown away. The
likeliest tokens are those of `decoding.Decoder`; draws have the same chances, but other random numbers.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from chatterbox_plus.engines.chatterbox.decoding import Decoder, Utterance, Watcher
from chatterbox_plus.engines.chatterbox.device_sampling import BROKEN
from chatterbox_plus.engines.chatterbox.graphs import Graphs, Sent
from chatterbox_plus.engines.chatterbox.pool import Pool, Shape
from chatterbox_plus.engines.chatterbox.sampling import Sampling, guided
from chatterbox_plus.engines.chatterbox.t3 import T3, T3Voice
from chatterbox_plus.errors import GenerationError

_LATE = {"cuda": 4}  # steps, by kind of device; 0 elsewhere
_LENGTHS = 256  # positions; steps are recorded for multiples of so many


class PooledUtterance(Utterance):
    """row: its place in the pool. start: positions before its speech. drawn: tokens that the device has been asked for,
    heard or not."""

    def __init__(
        self,
        row: int,
        start: int,
        options: Sampling,
        generator: torch.Generator,
        limit: int,
        watcher: Watcher | None,
        on_logits: Callable[[int, Tensor], Tensor] | None,
    ) -> None:
        super().__init__([], torch.empty(0), options, generator, limit, watcher, on_logits, 0)
        self.row, self.start, self.drawn = row, start, 1
        self.fresh = True  # since `begin`
        self.arrived: deque[int] = deque()  # and not heard

    @property
    def hooked(self) -> bool:
        return self._on_logits is not None

    @property
    def guided(self) -> bool:
        return self.options.cfg_weight > 0

    @property
    def ranked(self) -> bool:
        """See `device_sampling`."""
        return _ranked(self.options)

    @property
    def length(self) -> int:
        """Positions in use, its last token's included."""
        return self.start + self.drawn

    def changed(self, scores: Tensor) -> Tensor:
        """What a test puts in place of scores (v,) for its next token."""
        return scores if self._on_logits is None else self._on_logits(self.drawn, scores.cpu()).to(scores)

    def catch_up(self) -> None:
        """Hear what has arrived, up to an end."""
        while self.arrived and not self.over:
            token = self.arrived.popleft()
            if token == BROKEN:
                self.fail()
            else:
                self.hear(token)


class PooledDecoder(Decoder):
    """T3, whose weights are settled, saying texts. One thread's. Callers hold `torch.inference_mode()`."""

    def __init__(
        self,
        t3: T3,
        dtype: torch.dtype = torch.float32,
        late: int | None = None,
        lengths: int = _LENGTHS,
        graphs: Graphs | None = None,
    ) -> None:
        """dtype: of keys and values. late: after how many more steps a token is looked at; None: what suits the device.
        lengths: in positions, how coarsely steps differ. graphs: None for the device's."""
        super().__init__(t3)
        self._pool = Pool(t3, dtype)
        self._late = _LATE.get(t3.device.type, 0) if late is None else late
        self._lengths = lengths
        self._graphs = Graphs(t3.device) if graphs is None else graphs
        self._seated: list[PooledUtterance] = []  # by row
        self._sent: deque[tuple[Sent, list[tuple[PooledUtterance, int]]]] = deque()  # who was in which row

    @property
    def rows(self) -> int:
        """That are in use."""
        return len(self._seated)

    def begin(
        self,
        voice: T3Voice,
        text_tokens: Tensor,
        options: Sampling,
        generator: torch.Generator,
        limit: int,
        watcher: Watcher | None = None,
        on_logits: Callable[[int, Tensor], Tensor] | None = None,
    ) -> PooledUtterance:
        """As `Decoder.begin`. generator: a seed is drawn from it, and nothing else.

        on_logits: makes every step that this text is in wait for the host. Raises GenerationError too, where the
        device has no memory for another text.
        """
        contexts, hidden, limit = self._prefill(voice, text_tokens, options, limit)
        self._release()
        row, start = len(self._seated), len(contexts[0])
        try:
            if self._pool.make_room(row + 1, start + limit):
                self._graphs.clear()
        except torch.OutOfMemoryError as error:
            raise GenerationError("the device has no memory left for another text at the same time") from error
        seed = int(torch.empty((), dtype=torch.long).random_(generator=generator))
        self._pool.seat(row, contexts, options, seed, limit)
        scores = guided(self._t3.speech_head(hidden).float(), options.cfg_weight)
        if on_logits is not None:
            scores = on_logits(0, scores.cpu()).to(scores)
        self._pool.first(row, scores, ranked=_ranked(options))
        utterance = PooledUtterance(row, start, options, generator, limit, watcher, on_logits)
        self._seated.append(utterance)
        return utterance

    def step(self, utterances: Sequence[Utterance]) -> None:
        """As `Decoder.step`; what is heard of it may be the token of an earlier step, or none yet."""
        going: list[PooledUtterance] = []
        for utterance in utterances:
            assert isinstance(utterance, PooledUtterance)
            if not utterance.over:
                going.append(utterance)
        self._release()
        waits = any(utterance.hooked for utterance in going)
        fresh = [utterance for utterance in going if utterance.fresh]
        moving = [u for u in going if not u.fresh and u.drawn < u.limit]
        if moving:
            self._go_on(moving, waits)
        if spoke := fresh + moving:
            rows = [utterance.row for utterance in spoke]
            self._sent.append((Sent(self._pool.tokens[: max(rows) + 1]), list(zip(spoke, rows, strict=True))))
        for utterance in fresh:
            utterance.fresh = False
        self._look(0 if waits or not spoke else self._late)
        for utterance in going:
            utterance.catch_up()
        self._release()

    def _go_on(self, moving: Sequence[PooledUtterance], waits: bool) -> None:
        """Another token for each, on the device."""
        self._bring_forward(moving)
        pool, count = self._pool, len(moving)
        longest = max(utterance.length for utterance in moving)
        shape = Shape(
            rows=1 << (count - 1).bit_length(),
            lanes=pool.lanes if any(utterance.guided for utterance in moving) else 1,
            length=min(-(-longest // self._lengths) * self._lengths, pool.positions),
            ranked=any(utterance.ranked for utterance in moving),
        )
        pool.go(count)
        if waits:

            def change(scores: Tensor) -> Tensor:
                for utterance in moving:
                    scores[utterance.row] = utterance.changed(scores[utterance.row])
                return scores

            pool.step(shape, change)
        else:
            self._graphs.run(shape, lambda: pool.step(shape), self._still(count))
        for utterance in moving:
            utterance.drawn += 1

    @contextmanager
    def _still(self, count: int) -> Iterator[None]:
        """Steps change nothing in it."""
        self._pool.go(0)
        yield
        self._pool.go(count)

    def _look(self, late: int) -> None:
        """At what was sent before the last so many times."""
        while len(self._sent) > late:
            sent, rows = self._sent.popleft()
            tokens = sent.get()
            for utterance, row in rows:
                utterance.arrived.append(tokens[row])

    def _bring_forward(self, moving: Sequence[PooledUtterance]) -> None:
        """They have the first rows then, in any order."""
        chosen = set(moving)
        behind = [utterance for utterance in self._seated[: len(moving)] if utterance not in chosen]
        ahead = [utterance for utterance in self._seated[len(moving) :] if utterance in chosen]
        for one, other in zip(behind, ahead, strict=True):
            self._swap(one, other)

    def _release(self) -> None:
        """Those that are over leave, and the last take their rows."""
        for utterance in [seated for seated in self._seated if seated.over]:
            self._swap(utterance, self._seated[-1])
            self._seated.pop()

    def _swap(self, one: PooledUtterance, other: PooledUtterance) -> None:
        if one is other:
            return
        self._pool.swap(one.row, other.row, max(one.length, other.length))
        one.row, other.row = other.row, one.row
        self._seated[one.row], self._seated[other.row] = one, other


def _ranked(options: Sampling) -> bool:
    return options.temperature > 0 and (options.top_p < 1 or options.top_k > 0)
