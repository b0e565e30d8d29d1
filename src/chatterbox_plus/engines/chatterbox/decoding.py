"""Many texts on their way to speech tokens at once: each step gives every one of them its next token.

Texts come and go between any two steps. What is the same for several is computed once: the beginning that a voice gives
every text, and all that the row without the text knows, which is how long the text is.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from chatterbox_plus.engines.chatterbox.backbone import Context
from chatterbox_plus.engines.chatterbox.sampling import Sampling, choose, gpt2_scores, guided, llama_scores
from chatterbox_plus.engines.chatterbox.t3 import BOS, STOP, T3, T3Voice
from chatterbox_plus.errors import Cancelled, GenerationError, PlusError

_KEPT_BYTES = 256 * 2**20  # of beginnings: three voices of Turbo's, ten of Nano's, thirty of a Llama's


class Watcher(Protocol):
    """Sees every token; True ends it."""

    def push(self, token: int) -> bool: ...


@dataclass(frozen=True)
class Generated:
    """tokens: without the stop. stopped: the model ended by itself; else the limit or the guard ended it."""

    tokens: list[int]
    stopped: bool


class Utterance:
    """One text being said. tokens: without the stop. over: nothing more is said. stopped: the model ended it itself.
    error: what broke it off."""

    def __init__(
        self,
        contexts: list[Context],
        hidden: Tensor,
        options: Sampling,
        generator: torch.Generator,
        limit: int,
        watcher: Watcher | None,
        on_logits: Callable[[int, Tensor], Tensor] | None,
        first: int,
    ) -> None:
        """contexts: one, or with guidance that without the text too. hidden (1 or 2, dim): of their last positions.

        first: how much of what was said before the first token is penalised once something has been said.
        """
        self.contexts, self.hidden = contexts, hidden
        self.options, self.generator, self.limit = options, generator, limit
        self.tokens: list[int] = []
        self.over = self.stopped = False
        self.error: PlusError | None = None
        self._watcher, self._on_logits, self._first = watcher, on_logits, first
        self._said = torch.full((limit + 1,), BOS)

    def draw(self, logits: Tensor, scores_of: Callable[[Tensor, Tensor, Sampling], Tensor]) -> None:
        """The next token from logits (1 or 2, v), on the CPU."""
        scores = guided(logits, self.options.cfg_weight)
        count = len(self.tokens)
        if self._on_logits is not None:
            scores = self._on_logits(count, scores)
        if not torch.isfinite(scores.max()):
            self.fail()
            return
        scores = scores_of(scores, self._said[min(self._first, count) : count + 1], self.options)
        self.hear(choose(scores, self.options, self.generator))

    def hear(self, token: int) -> None:
        """What was chosen."""
        count = len(self.tokens)
        if token == STOP:
            self.stopped = True
            self._end()
            return
        self.tokens.append(token)
        self._said[count + 1] = token
        if (self._watcher is not None and self._watcher.push(token)) or len(self.tokens) == self.limit:
            self._end()

    def drop(self) -> None:
        """It is not wanted any more."""
        self._end()

    def fail(self) -> None:
        """Its logits are no numbers."""
        self._end(GenerationError("the model's numbers broke down; its files may be damaged"))

    def _end(self, error: PlusError | None = None) -> None:
        self.over, self.error = True, error
        self.contexts.clear()


class Decoder:
    """T3 saying texts. One thread's. Callers hold `torch.inference_mode()`."""

    def __init__(self, t3: T3) -> None:
        self._t3 = t3
        self._scores = llama_scores if t3.llama else gpt2_scores
        self._kept: OrderedDict[tuple[object, ...], tuple[Context, Tensor]] = OrderedDict()

    def begin(
        self,
        voice: T3Voice,
        text_tokens: Tensor,
        options: Sampling,
        generator: torch.Generator,
        limit: int,
        watcher: Watcher | None = None,
        on_logits: Callable[[int, Tensor], Tensor] | None = None,
    ) -> Utterance:
        """Take in text tokens (n,). At cfg_weight 0 and for GPT-2 the model then runs once a token, else twice.

        generator: on the CPU; seeded like torch's own it gives upstream's tokens on any device. limit: of tokens, and
        never more than the model has places for. on_logits: may put others in place of step i's logits (v,), for tests.
        Raises ValueError for too much text.
        """
        contexts, hidden, limit = self._prefill(voice, text_tokens, options, limit)
        first = 0 if self._t3.llama else 1  # BOS is penalised like a token; by GPT-2 only until something has been said
        return Utterance(contexts, hidden, options, generator, limit, watcher, on_logits, first)

    def step(self, utterances: Sequence[Utterance]) -> None:
        """One token more for each of those that are not over; one that goes wrong ends with its error."""
        going = [utterance for utterance in utterances if not utterance.over]
        if not going:
            return
        if moving := [utterance for utterance in going if utterance.tokens]:
            self._advance(moving)
        logits = self._t3.speech_head(torch.cat([utterance.hidden for utterance in going])).float().cpu()
        for utterance, own in zip(going, logits.split([len(u.hidden) for u in going]), strict=True):
            utterance.draw(own, self._scores)

    def generate(
        self,
        voice: T3Voice,
        text_tokens: Tensor,
        options: Sampling,
        generator: torch.Generator,
        limit: int,
        cancelled: Callable[[], bool] = lambda: False,
        watcher: Watcher | None = None,
        on_logits: Callable[[int, Tensor], Tensor] | None = None,
    ) -> Generated:
        """One text to its end; see `begin`. Raises Cancelled and what may end an utterance too."""
        utterance = self.begin(voice, text_tokens, options, generator, limit, watcher, on_logits)
        while not utterance.over:
            if cancelled():
                utterance.drop()
                raise Cancelled("the request was called off")
            self.step([utterance])
        if utterance.error is not None:
            raise utterance.error
        return Generated(utterance.tokens, utterance.stopped)

    def _prefill(
        self, voice: T3Voice, text_tokens: Tensor, options: Sampling, limit: int
    ) -> tuple[list[Context], Tensor, int]:
        """What an `Utterance` begins with, and how many tokens it may have."""
        t3, sizes = self._t3, self._t3.sizes
        text_tokens = text_tokens.to(t3.device)
        guided = t3.llama and options.cfg_weight > 0
        text = t3.embed_text(text_tokens, guided=guided)
        bos = t3.embed_speech(text_tokens.new_tensor([BOS]), 0).expand(len(text), -1, -1)
        text = torch.cat([text, *[bos] * (2 if t3.llama else 1)], 1)
        beginning, _ = self._beginning(voice, options.exaggeration)
        room = sizes.speech_positions if t3.llama else sizes.positions - len(beginning) - text.shape[1] + 1
        limit = min(limit, room)
        if limit < 1:
            raise ValueError(f"{len(text_tokens)} tokens of text leave no places for speech")
        contexts = [t3.tfmr.context(beginning)]
        hidden = t3.tfmr(text[:1], contexts)[:, -1]
        if guided:
            without, last = self._without_text(voice, options.exaggeration, text[1:])
            contexts.append(t3.tfmr.context(without))
            hidden = torch.cat([hidden, last])
        return contexts, hidden, limit

    def _advance(self, utterances: Sequence[Utterance]) -> None:
        """Let the model hear everybody's last token."""
        t3 = self._t3
        last = torch.tensor([u.tokens[-1] for u in utterances], device=t3.device)
        x = t3.speech_emb(last)
        if t3.llama:
            x = x + t3.speech_pos_emb.emb(torch.tensor([len(u.tokens) for u in utterances], device=t3.device))
        sizes = [len(u.contexts) for u in utterances]
        if max(sizes) > 1:
            x = x.repeat_interleave(torch.tensor(sizes, device=t3.device), 0, output_size=sum(sizes))
        contexts = [context for u in utterances for context in u.contexts]
        hidden = t3.tfmr(x[:, None], contexts)[:, 0]
        for utterance, own in zip(utterances, hidden.split(sizes), strict=True):
            utterance.hidden = own

    def _beginning(self, voice: T3Voice, exaggeration: float) -> tuple[Context, Tensor]:
        """What comes before any text in a voice."""
        exaggeration = exaggeration if self._t3.llama else 0.0  # GPT-2 knows none
        return self._once((voice, exaggeration), lambda: (None, self._t3.condition(voice, exaggeration)))

    def _without_text(self, voice: T3Voice, exaggeration: float, places: Tensor) -> tuple[Context, Tensor]:
        """All that comes before the speech in the row without the text, whose embeddings (1, n, dim) only know n."""
        key = voice, exaggeration, places.shape[1]
        return self._once(key, lambda: (self._beginning(voice, exaggeration)[0], places))

    def _once(
        self, key: tuple[object, ...], parts: Callable[[], tuple[Context | None, Tensor]]
    ) -> tuple[Context, Tensor]:
        """A context and the hidden state (1, dim) of its last position, computed when it is not among the latest."""
        found = self._kept.pop(key, None)
        if found is None:
            before, x = parts()
            context = self._t3.tfmr.context(before)
            hidden = self._t3.tfmr(x, [context])[:, -1]
            context.close()
            found = context, hidden.clone()
        self._kept[key] = found  # the latest used is the last
        while len(self._kept) > 1 and sum(kept.nbytes for kept, _ in self._kept.values()) > _KEPT_BYTES:
            self._kept.popitem(last=False)
        return found
