"""The language model: llama.cpp with one context, many sequences, one batch per step (continuous batching).

A call has a slot: a sequence whose cache keeps the turns so far, so that a turn prefills only what is new. A new call
takes over what another one has of its prompt, so that a system prompt is computed once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp as lib
import numpy as np

from media_server.engines import messages as m
from media_server.engines.cache import Cache, Cached, common
from media_server.engines.habit import LEARNING, LEARNING_S, Habit
from media_server.engines.loading import Loaded, Tuning, load_model, templates_of
from media_server.engines.prompts import Made, Prompts, PromptTooLongError, Request, spoken
from media_server.engines.replying import Replying, closing, reader_of
from media_server.engines.sampling import sampler
from media_server.engines.templates import TemplateRefusedError
from media_server.engines.vocabulary import Vocabulary

__all__ = ["LlamaEngine"]

log = logging.getLogger(__name__)

PREFILL_S = 0.05
"""Approximate seconds of prefill in one step; a longer step would delay the other replies."""
MIN_PREFILL = 32
"""Tokens in one step, however slow the model is."""
NO_ROOM = 1
"""What llama.cpp returns where a batch has no room in the cache (llama.h, `llama_decode`)."""
SMOOTHING = 0.3
"""Weight of the last step in what prefill is held to take."""
MAX_THOUGHT = 1024
"""Tokens of thinking that cannot be switched off."""
THOUGHT = ("<think>", "</think>")
"""What stands around the thoughts of a model that is not known to think."""
WARMING = "The quick brown fox jumps over the lazy dog while nobody looks at what it does. " * 3
"""Any text of some dozens of tokens, by which it is found out what the cache can do."""

LARGE_VOCABULARY = 30_000
"""Tokens from which on it is worth a thread to look at all of them."""
MOST_DRAWING = 8
"""Threads that choose tokens; memory is no faster for more."""

TOOLS_TEMPERATURE = 0.2
"""The highest temperature where tools are offered and the request names none: arguments are copied, not invented."""
CALL_BEGINNINGS = ("{", "[", "```", "<tool", "<function", "<|tool", "<|python_tag|>")
MIN_CHAINING = 2_000_000_000
"""Parameters from which on a model may call one tool after another's result."""
MIN_ADVISED = 300_000_000
"""Parameters from which on a model heeds advice on using tools."""


@dataclass(frozen=True, slots=True)
class Choosing:
    """How replies are made, unless a request says otherwise."""

    temperature: float
    top_p: float
    thinking_tokens: int
    """How long the model may think; 0 for not at all where that can be switched off."""
    call_tokens: tuple[int, ...] = ()
    """What a reply has not that is to answer with results; none for a model that may call one tool after another."""


@dataclass(slots=True)
class _Slot:
    """A sequence of the context, and the call whose turns it keeps."""

    cache: Cached
    call_id: str = ""
    used: int = 0
    reply: _Reply | None = None

    @property
    def cached(self) -> list[int]:
        """The tokens whose keys and values are in the cache."""
        return self.cache.tokens


@dataclass(slots=True)
class _Reply:
    """A reply being made."""

    request: Request
    tokens: list[int]
    """Prompt and reply; those beyond the slot's cache are still to be decoded."""
    sampler: Any
    asked: tuple[int, ...]
    """Tokens whose probability is asked for, instead of a reply."""
    replying: Replying | None
    """What is told of the reply; None where probabilities are asked for."""
    closing: list[int]
    """Tokens that end a thought; none once they were used."""
    thought_over: bool
    branch: int = 0
    """Where in the prompt a state is to be saved; 0 for nowhere."""
    waits: bool = False
    """It lost its room to others, and goes on when one of them has ended."""
    row: int = -1
    """The row of the last batch that has this reply's logits; -1 for none."""
    drawn: int = 0
    """The token that was chosen from them."""


_Part = tuple[_Slot, list[int]]
"""What a slot has in a batch."""


class LlamaEngine:
    """Decodes one token for every reply under way, and a piece of prefill for the new ones, per step."""

    def __init__(
        self, loaded: Loaded, vocabulary: Vocabulary, prompts: Prompts, choosing: Choosing, batch: int = 512
    ) -> None:
        self._loaded = loaded
        self._context = loaded.context
        self._vocabulary = vocabulary
        self._prompts = prompts
        self._choosing = choosing
        self._batch_size = batch
        self._batch = lib.llama_batch_init(batch, 0, 1)
        self._cache = Cache(loaded.context)
        self._slots = [_Slot(Cached(i)) for i in range(loaded.kept)]
        self._waiting: list[Request] = []
        self._failed: list[m.Result] = []
        self._suspects: list[int] = []
        """Sequences that are to be decoded alone, since a batch with them failed."""
        self._habit = Habit(prompts.thinks)
        self._limit = loaded.limit
        self._clock = 0
        threads = min(MOST_DRAWING, lib.llama_n_threads(loaded.context))
        self._drawing = ThreadPoolExecutor(threads) if threads > 1 and vocabulary.size >= LARGE_VOCABULARY else None
        """Where tokens are chosen, for several replies at a time; None where one after the other is as fast."""
        self._prefill_token_s = PREFILL_S / batch
        """What a token of prefill takes, as measured so far."""
        self.info = loaded.info

    @classmethod
    def load(
        cls,
        path: str | Path,
        context: int = 4096,
        slots: int = 8,
        temperature: float = 0.7,
        top_p: float = 0.95,
        device: str = "cpu",
        threads: int = 1,
        described_arguments: bool = False,
        thinking_tokens: int = 0,
        **tuning: Any,
    ) -> LlamaEngine:
        """Load a GGUF file.

        Args:
            context: tokens of one conversation.
            slots: conversations of that length for which there is room at a time.
            device: cpu, cuda (everything on the GPU), or auto.
            described_arguments: show the model what arguments of tools mean in place of their names.
            thinking_tokens: how long the model may think before it answers; 0 for not at all where that can be
                switched off.
            tuning: fields of `Tuning`.
        """
        tuned = Tuning(**tuning)
        loaded = load_model(path, context, slots, device, threads, tuned)
        vocabulary = Vocabulary(loaded.model)
        usual, tools = templates_of(loaded.model)
        advised = lib.llama_model_n_params(loaded.model) >= MIN_ADVISED
        one = spoken(usual, vocabulary, advised)
        two = spoken(tools, vocabulary, advised) if tools else one
        prompts = Prompts(one, two, vocabulary.tokenize, loaded.limit, described_arguments, thinking_tokens > 0)
        vocabulary.show((*one.form.preserved, *(one.form.thinking or ()), *(two.form.thinking or ())))
        chaining = not advised or lib.llama_model_n_params(loaded.model) >= MIN_CHAINING
        call_tokens = () if chaining else tuple(vocabulary.beginning(CALL_BEGINNINGS))
        choosing = Choosing(temperature, top_p, thinking_tokens, call_tokens)
        engine = cls(loaded, vocabulary, prompts, choosing, tuned.batch)
        engine.warm_up()
        engine.info = "; ".join([loaded.info, two.template.summary, engine._cache.summary])
        return engine

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._failed or any(s.reply for s in self._slots))

    def submit(self, request: Request) -> None:
        self._waiting.append(request)

    def cancel(self, request_id: int) -> None:
        self._waiting = [r for r in self._waiting if r.id != request_id]
        for slot in self._slots:
            if slot.reply and slot.reply.request.id == request_id:
                self._end(slot)

    def step(self) -> Iterable[m.Result]:
        self._assign()
        self._decode()
        results, self._failed = self._failed, []
        ready = [(slot, slot.reply) for slot in self._slots if slot.reply and slot.reply.row >= 0]
        self._draw([reply for _, reply in ready if reply.replying])
        for slot, reply in ready:
            results += self._results(slot, reply)
        return results

    def warm_up(self) -> None:
        """Pay for what is lazy before the first caller does, and find out what the cache can do.

        Raises:
            ValueError: the model cannot answer.
        """
        tokens = self._vocabulary.tokenize(WARMING)[: min(96, self._batch_size, self._limit)]
        self._cache.find_out(tokens, self._vocabulary.size)
        self.submit(m.Generate(0, "", (m.ChatMessage("user", "hello"),), LEARNING if self._prompts.thinks else 2))
        until = time.monotonic() + LEARNING_S
        while self.busy:
            if time.monotonic() > until:
                self.cancel(0)
            for result in self.step():
                if isinstance(result, m.Failed) and result.code == "decode_failed":
                    raise ValueError(result.message)
                if isinstance(result, m.Failed):
                    log.warning("the model failed its test question: %s", result.message)
        self._cache.clear_all()
        for slot in self._slots:
            slot.cache = Cached(slot.cache.seq)

    def _assign(self) -> None:
        """Give the waiting requests slots: the call's own, else the one that was idle longest."""
        for request in list(self._waiting):
            if any(s.reply and s.call_id == request.call_id for s in self._slots):
                continue  # what comes first prefills for what comes after
            free = [s for s in self._slots if s.reply is None]
            if not free:
                return
            own = next((s for s in free if s.call_id == request.call_id), None)
            slot = own or min(free, key=lambda s: s.used)
            self._waiting.remove(request)
            self._begin(slot, request)

    def _begin(self, slot: _Slot, request: Request) -> None:
        self._clock += 1
        slot.used = self._clock
        try:
            made = self._prompts.make(request)
            replying = self._replying(request, made)
            chain = self._sampler(request, made)
        except PromptTooLongError:
            self._fail(request, "prompt_too_long", "The prompt does not fit the model's context.")
            return
        except TemplateRefusedError as refused:
            self._fail(request, "template_refused", f"The model's chat template refuses this conversation: {refused}.")
            return
        except Exception as error:
            log.exception("failed to start a request")
            self._fail(request, "engine_failed", f"The language model cannot do this: {type(error).__name__}: {error}.")
            return
        if chain is None:
            self._fail(request, "bad_grammar", "llama.cpp cannot read the grammar.")
            return
        slot.call_id = request.call_id
        # the last token is always decoded again: its logits are wanted
        self._cache.reuse(slot.cache, self._caches, made.tokens[:-1])
        branch = self._cache.branch(slot.cache, self._caches, made.tokens[:-1])
        _, thought_ends = made.form.thinking or THOUGHT
        ending = self._vocabulary.tokenize(closing(thought_ends)) if replying else []
        slot.reply = _Reply(request, made.tokens, chain, made.asked, replying, ending, made.thought_over, branch)

    def _fail(self, request: Request, code: str, message: str) -> None:
        self._failed.append(m.Failed(request.id, code, message))

    def _replying(self, request: Request, made: Made) -> Replying | None:
        if not isinstance(request, m.Generate):
            return None
        room = self._limit - len(made.tokens)
        left = min(request.max_tokens, room)
        thinking_left = min(self._choosing.thinking_tokens or MAX_THOUGHT, max(0, room - left // 2))
        reader = reader_of(made.form, self._shown_tools(request), made.in_thought)
        labels = self._prompts.labels(request)
        holding = self._habit.holds(made.in_thought, made.thought_over)
        return Replying(request.id, reader, labels, left, thinking_left, made.in_thought, bool(request.tools), holding)

    def _shown_tools(self, request: m.Generate) -> str:
        """The tools as the model is shown them."""
        labels = self._prompts.labels(request)
        return labels.tools if labels else request.tools

    def _sampler(self, request: Request, made: Made) -> Any | None:
        """How this reply's tokens are chosen; None if its grammar cannot be read."""
        vocab, temperature, top_p = self._vocabulary.raw, self._choosing.temperature, self._choosing.top_p
        if not isinstance(request, m.Generate):
            return sampler(vocab, temperature, top_p, request.id)
        if request.temperature is not None:
            temperature = request.temperature
        elif request.tools:
            temperature = min(temperature, TOOLS_TEMPERATURE)
        top_p = top_p if request.top_p is None else request.top_p
        if request.informed and self._choosing.call_tokens:
            return sampler(vocab, temperature, top_p, request.id, banned=self._choosing.call_tokens)
        if request.grammar:
            return sampler(vocab, temperature, top_p, request.id, request.grammar, request.grammar_from)
        if request.tools and (grammar := made.form.grammar(self._shown_tools(request))):
            chain = sampler(vocab, temperature, top_p, request.id, grammar.gbnf, grammar.trigger)
            if chain is not None:
                return chain
            log.warning("llama.cpp cannot read the grammar of these tools; calls are checked when they come")
        return sampler(vocab, temperature, top_p, request.id)

    @property
    def _caches(self) -> list[Cached]:
        return [s.cache for s in self._slots]

    def _draw(self, replies: list[_Reply]) -> None:
        """Choose the next token of each reply, of several at a time: each looks at the whole vocabulary."""

        def draw(reply: _Reply) -> int:
            return int(lib.llama_sampler_sample(reply.sampler, self._context, reply.row))

        if self._drawing is None or len(replies) < 2:
            for reply in replies:
                reply.drawn = draw(reply)
            return
        # llama.cpp puts the rows of logits in order when it is first asked for one; from then on they are only read
        lib.llama_get_logits_ith(self._context, replies[0].row)
        for reply, token in zip(replies, self._drawing.map(draw, replies), strict=True):
            reply.drawn = token

    def _results(self, slot: _Slot, reply: _Reply) -> list[m.Result]:
        """What comes of the logits of the last batch."""
        try:
            return self._sample(slot, reply) if reply.replying else self._judge(slot, reply)
        except Exception as error:
            log.exception("failed to generate a reply")
            self._end(slot)
            message = f"The language model cannot do this: {type(error).__name__}: {error}."
            return [m.Failed(reply.request.id, "engine_failed", message)]

    def _sample(self, slot: _Slot, reply: _Reply) -> list[m.Result]:
        """Take the next token of a slot."""
        replying = reply.replying
        assert replying is not None
        token, reply.row = reply.drawn, -1
        results: list[m.Result] = []
        ended = self._vocabulary.ends(token)
        if not ended:
            reply.tokens.append(token)
            results = replying.push(self._vocabulary.bytes(token))
        endless = replying.thinking_left <= 0 and (replying.thinking or replying.holding)
        if not replying.done and (endless or (ended and replying.thinking)):
            # the answer is still to come: the thought is ended for the model, once
            forced, reply.closing = reply.closing, []
            replying.thinking_left = replying.left
            if forced and len(reply.tokens) + len(forced) < self._limit:
                reply.tokens += forced
                for each in forced:
                    results += replying.push(self._vocabulary.bytes(each))
                ended = False
            else:
                ended = True
        if not replying.done and (ended or len(reply.tokens) >= self._limit):
            results += replying.end("stop" if ended else "length")
        if replying.done:
            if ended or replying.unopened:
                self._habit.ended(replying.unopened, reply.thought_over)
            self._end(slot)
        return results

    def _judge(self, slot: _Slot, reply: _Reply) -> list[m.Result]:
        """The probabilities of the tokens that are asked about."""
        found = lib.llama_get_logits_ith(self._context, reply.row)
        logits = np.ctypeslib.as_array(found, (self._vocabulary.size,)).astype(np.float64)
        likelihood = np.exp(logits - logits.max())
        self._end(slot)
        request_id, asked = reply.request.id, likelihood[list(reply.asked)]
        if isinstance(reply.request, m.ScoreWords):
            shares = tuple(float(p) for p in asked / max(asked.sum(), np.finfo(np.float64).tiny))
            return [m.Scores(request_id, shares), m.Finished(request_id)]
        return [m.EndOfTurnProbability(request_id, float(asked[0] / likelihood.sum())), m.Finished(request_id)]

    def _decode(self) -> None:
        """Decode the next token of every reply, and as much prefill as the others can bear."""
        parts = self._parts()
        if self._suspects:
            seq = self._suspects.pop()
            parts = [p for p in parts if p[0].cache.seq == seq]
        while parts and (status := self._run(parts)) == NO_ROOM:
            if (dropped := self._drop_one()) is None:
                break
            parts = [p for p in parts if p[0] is not dropped]
        if not parts or status == 0:
            return
        for slot, _ in parts:
            self._cache.tidy(slot.cache)
        if len(parts) > 1:
            # which of them it was is seen when each is alone
            self._suspects = [slot.cache.seq for slot, _ in parts]
            return
        ((slot, _),) = parts
        assert slot.reply is not None
        self._fail(slot.reply.request, "decode_failed", "llama.cpp cannot compute this reply.")
        self._end(slot)
        self._cache.clear(slot.cache)

    def _drop_one(self) -> _Slot | None:
        """Drop a conversation from the cache: the one that was idle longest, else that of the youngest reply.

        None if there is none but the oldest reply's.
        """
        idle = [s for s in self._slots if s.cached and s.reply is None]
        under_way = sorted((s for s in self._slots if s.cached and s.reply), key=lambda s: s.used)
        if not idle and len(under_way) < 2:
            return None
        dropped = min(idle, key=lambda s: s.used) if idle else under_way[-1]
        self._cache.clear(dropped.cache)
        if dropped.reply:
            dropped.reply.waits = True  # all its tokens are known: they are computed again
        return dropped

    def _parts(self) -> list[_Part]:
        """What goes into one batch.

        The shortest prefill goes first: a caller with one new sentence does not wait for another's long prompt, and of
        equal ones each is finished before the next is begun.
        """
        parts: list[_Part] = []
        most = self._batch_size - len(self._slots)
        room = min(most, max(MIN_PREFILL, int(PREFILL_S / self._prefill_token_s)))
        prefilled = 0
        begun: list[list[int]] = []
        under_way = [(s, s.reply) for s in self._slots if s.reply and not s.reply.waits]
        for slot, reply in sorted(under_way, key=lambda u: (len(u[1].tokens) - len(u[0].cached), u[0].used)):
            left = reply.tokens[len(slot.cached) :]
            todo = left
            if len(left) > 1:
                self._cache.reuse(slot.cache, self._caches, reply.tokens[:-1])
                left = reply.tokens[len(slot.cached) :]
                if any(common(t, reply.tokens) > len(slot.cached) + MIN_PREFILL for t in begun):
                    continue  # another one computes what this one needs; it is taken over in the next step
                todo = left[: max(0, room - prefilled)]
                if len(slot.cached) < reply.branch < len(slot.cached) + len(todo):
                    todo = todo[: reply.branch - len(slot.cached)]
                prefilled += len(todo)
                begun.append(reply.tokens)
                if len(todo) == len(left) and room < most:
                    # whose prompt is done waits for this step: a little of others' is nearly free, a lot is not
                    room = min(room, prefilled + MIN_PREFILL)
            if todo:
                parts.append((slot, todo))
        return parts

    def _run(self, parts: list[_Part]) -> int:
        """Put the parts into one batch and run it: llama.cpp's status, 0 if that worked."""
        batch, n = self._batch, 0
        rows: list[int] = []
        for slot, tokens in parts:
            assert slot.reply is not None
            for i, token in enumerate(tokens):
                batch.token[n] = token
                batch.pos[n] = len(slot.cached) + i
                batch.n_seq_id[n] = 1
                batch.seq_id[n][0] = slot.cache.seq
                batch.logits[n] = 0
                n += 1
            complete = len(slot.cached) + len(tokens) == len(slot.reply.tokens)
            batch.logits[n - 1] = complete
            rows.append(n - 1 if complete else -1)
        batch.n_tokens = n
        prefilled = sum(len(tokens) for _, tokens in parts if len(tokens) > 1)
        began = time.perf_counter()
        status = lib.llama_decode(self._context, batch)
        if prefilled >= MIN_PREFILL:
            lib.llama_synchronize(self._context)
            took = (time.perf_counter() - began) / n
            self._prefill_token_s += SMOOTHING * (took - self._prefill_token_s)
        if status != 0:
            if status != NO_ROOM:
                log.error("llama.cpp returned status %d for a batch of %d tokens", status, n)
            return int(status)
        for (slot, tokens), row in zip(parts, rows, strict=True):
            assert slot.reply is not None
            slot.cached.extend(tokens)
            slot.reply.row = row
            if len(slot.cached) == slot.reply.branch or (row >= 0 and len(tokens) > 1):
                self._cache.save(slot.cache)
        return 0

    def _end(self, slot: _Slot) -> None:
        if slot.reply is not None:
            lib.llama_sampler_free(slot.reply.sampler)
            slot.reply = None
            for other in self._slots:
                if other.reply:
                    other.reply.waits = False
