"""The language model: llama.cpp with one context, many sequences, one batch per step (continuous batching).

A call has a slot: a sequence whose KV cache keeps the turns so far, so that a turn prefills only what is new. A new
call takes over what another one has of its prompt, so that a system prompt is computed once.
"""

from __future__ import annotations

import codecs
import ctypes
import json
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import llama_cpp as lib
import numpy as np
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from media_server.engines import messages as m
from media_server.engines.labels import Labels, labels_of
from media_server.engines.toolcalls import BEGIN, Called, ToolCallScanner, call_grammar, instructions, written

__all__ = ["LlamaEngine"]

BATCH = 512
PREFILL_S = 0.05
"""Of prefill in one step, about: so long a prompt holds up the others' replies."""
LEAST_PREFILL = 32
"""Tokens in one step, however slow the model is."""
SMOOTHING = 0.3
"""Weight of the last step in what prefill is held to take."""
_INT32_MAX = 2**31 - 1
MARKS = 16
"""Characters' worth of tokens around each message, about: who says it, and its end."""
_GGML_LOG_LEVEL_ERROR = 4
"""ggml.h; the bindings do not name it."""


_Request = m.Generate | m.Judge | m.Choose


@dataclass(slots=True)
class _Slot:
    """A sequence of the context."""

    seq: int
    call_id: str = ""
    cached: list[int] = field(default_factory=list)
    """The tokens whose keys and values are in the cache."""
    used: int = 0
    reply: _Reply | None = None


@dataclass(slots=True)
class _Reply:
    """A reply being made."""

    request: _Request
    tokens: list[int]
    """Prompt and reply; those beyond the slot's cache are still to be decoded."""
    left: int
    sampler: Any
    decoder: codecs.IncrementalDecoder
    scanner: ToolCallScanner | None
    """Where tools are offered."""
    asked: tuple[int, ...] = ()
    """Tokens whose probability is asked for, instead of a reply."""
    row: int = -1
    """Of the last batch, with this reply's logits; -1 for none."""


class LlamaEngine:
    """Decodes one token for every reply under way, and a piece of prefill for the new ones, per step."""

    def __init__(
        self,
        model: Any,
        context: Any,
        slots: int,
        limit: int,
        temperature: float,
        top_p: float,
        info: str,
        described_arguments: bool,
    ) -> None:
        self.info = info
        self._described_arguments = described_arguments
        self._model = model
        self._context = context
        self._vocab = lib.llama_model_get_vocab(model)
        self._memory = lib.llama_get_memory(context)
        self._batch = lib.llama_batch_init(BATCH, 0, 1)
        self._slots = [_Slot(i) for i in range(slots)]
        self._waiting: list[_Request] = []
        self._failed: list[m.Result] = []
        self._limit = limit
        self._temperature = temperature
        self._top_p = top_p
        self._clock = 0
        self._prefill_token_s = PREFILL_S / BATCH
        """What a token of prefill takes, as measured so far."""
        self._piece = ctypes.create_string_buffer(256)
        self._controls = self._any_of(lib.LLAMA_TOKEN_ATTR_CONTROL)
        self._marks = self._any_of(lib.LLAMA_TOKEN_ATTR_CONTROL | lib.LLAMA_TOKEN_ATTR_USER_DEFINED)
        special = (self._token_text(t) for t in (lib.llama_vocab_eos(self._vocab), lib.llama_vocab_bos(self._vocab)))
        template = lib.llama_model_chat_template(model, None)
        if not template:
            raise ValueError("the GGUF file has no chat template")
        eos, bos = special
        self._knows_tools = b"tools" in template
        self._format = Jinja2ChatFormatter(template=template.decode(), eos_token=eos, bos_token=bos)

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
    ) -> LlamaEngine:
        """Load a GGUF file.

        Args:
            context: tokens of one conversation.
            slots: conversations whose KV cache is kept at a time.
            device: cpu, cuda (everything on the GPU), or auto.
            described_arguments: show the model what arguments of tools mean in place of their names.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no file {path}")
        gpu = device != "cpu" and bool(lib.llama_supports_gpu_offload())
        if device == "cuda" and not gpu:
            raise RuntimeError("llama-cpp-python was built without CUDA; rebuild it with CMAKE_ARGS=-DGGML_CUDA=on")
        lib.llama_log_set(_quiet, ctypes.c_void_p(0))
        lib.llama_backend_init()
        model_params = lib.llama_model_default_params()
        model_params.n_gpu_layers = 999 if gpu else 0
        model = lib.llama_model_load_from_file(os.fsencode(path), model_params)
        if not model:
            raise ValueError(f"llama.cpp cannot load {path}")
        context = min(context, lib.llama_model_n_ctx_train(model))
        params = lib.llama_context_default_params()
        params.n_ctx = context * slots
        params.n_seq_max = slots
        params.n_batch = params.n_ubatch = BATCH
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = True
        ctx = lib.llama_init_from_model(model, params)
        if not ctx:
            raise ValueError(f"llama.cpp cannot make a context of {context} tokens for {slots} conversations")
        where = "cuda" if gpu else "cpu"
        info = f"{Path(path).name}, {where}, {slots} conversations of {context} tokens"
        engine = cls(model, ctx, slots, context, temperature, top_p, info, described_arguments)
        engine.warm_up()
        return engine

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._failed or any(s.reply for s in self._slots))

    def submit(self, request: _Request) -> None:
        self._waiting.append(request)

    def _labels(self, request: _Request) -> Labels | None:
        """What arguments of the tools go by, where that is not their names."""
        offers = isinstance(request, m.Generate | m.Judge) and request.tools
        return labels_of(request.tools) if offers and self._described_arguments else None  # type: ignore[union-attr]

    def cancel(self, request_id: int) -> None:
        self._waiting = [r for r in self._waiting if r.id != request_id]
        for slot in self._slots:
            if slot.reply and slot.reply.request.id == request_id:
                self._end(slot)

    def step(self) -> Iterable[m.Result]:
        self._assign()
        self._decode()
        results, self._failed = self._failed, []
        for slot in self._slots:
            if slot.reply and slot.reply.row >= 0:
                results += self._judge(slot) if slot.reply.asked else self._sample(slot)
        return results

    def warm_up(self) -> None:
        """Pay for what is lazy before the first caller does."""
        self.submit(m.Generate(0, "", (m.ChatMessage("user", "hello"),), 2))
        while self.busy:
            list(self.step())
        lib.llama_memory_clear(self._memory, True)
        for slot in self._slots:
            slot.cached.clear()

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

    def _begin(self, slot: _Slot, request: _Request) -> None:
        self._clock += 1
        slot.used = self._clock
        tokens = self._prompt(request)
        if tokens is None:
            self._failed.append(m.Failed(request.id, "prompt_too_long", "The prompt does not fit the model's context."))
            return
        sampler = self._sampler(request)
        if sampler is None:
            self._failed.append(m.Failed(request.id, "bad_grammar", "llama.cpp cannot read the grammar."))
            return
        slot.call_id = request.call_id
        asked: tuple[int, ...] = ()
        if isinstance(request, m.Judge):
            tokens, asked = tokens[:-1], (tokens[-1],)
        elif isinstance(request, m.Choose):
            # a word's first token stands for it
            asked = tuple(self._tokenize(word)[0] for word in request.words)
        self._reuse(slot, tokens)
        left = min(request.max_tokens, self._limit - len(tokens)) if isinstance(request, m.Generate) else 0
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        scanner = ToolCallScanner() if isinstance(request, m.Generate) and request.tools else None
        slot.reply = _Reply(request, tokens, left, sampler, decoder, scanner, asked)

    def _reuse(self, slot: _Slot, tokens: list[int]) -> None:
        """Keep what the slot has of these tokens, or take over what another one has of them if that is more."""
        # the last token is always decoded again: its logits are wanted
        wanted = tokens[:-1]
        best = max(self._slots, key=lambda s: (_common(s.cached, wanted), s is slot))
        n = _common(best.cached, wanted)
        if best is slot:
            self._forget(slot, n)
        else:
            self._forget(slot, 0)
            lib.llama_memory_seq_cp(self._memory, best.seq, slot.seq, 0, n)
            slot.cached = tokens[:n]

    def _prompt(self, request: _Request) -> list[int] | None:
        """Tokens of the conversation; what is oldest in it is dropped until it fits with room for a reply.

        For `Judge` up to the token with which the template ends the last turn.
        """
        messages, tools = self._for_template(request)
        judged = isinstance(request, m.Judge)
        room = min(request.max_tokens, self._limit // 4) if isinstance(request, m.Generate) else 1
        while True:
            prompt = self._format(messages=messages, tools=tools).prompt  # type: ignore[arg-type]
            tokens = self._tokenize(prompt)
            if judged:
                said = messages[-1]["content"].rstrip()
                end = len(self._tokenize(prompt[: prompt.rindex(said) + len(said)]))
                tokens = tokens[: end + 1]
            over = len(tokens) + room - self._limit
            if over <= 0:
                return tokens
            if not self._shorten(messages, over, len(tokens)):
                return None

    def _shorten(self, messages: list[dict[str, Any]], over: int, tokens: int) -> bool:
        """Drop the oldest exchanges; of the last one what is longest loses `over` tokens: a result its end, anything
        else its beginning. Whether there was anything to drop.

        Args:
            tokens: of all of them. What each takes of it is guessed by its length: to tokenize all again after each
                exchange would take long.
        """
        lengths = [len(c["content"]) + MARKS for c in messages]
        each = tokens / sum(lengths)
        first = 1 if messages[0]["role"] == "system" else 0
        dropped = 0.0
        while dropped < over:
            # the rest is to start with a caller's turn
            following = next((i for i in range(first + 1, len(messages)) if messages[i]["role"] == "user"), None)
            if following is None:
                break
            dropped += each * sum(lengths[first:following])
            del messages[first:following], lengths[first:following]
        if dropped:
            return True
        longest = max(messages[first:], key=lambda c: len(c["content"]), default=None)
        if not longest or not longest["content"]:
            return False
        content = longest["content"]
        kept = int(len(content) * max(0.0, 1 - over / len(self._tokenize(content))))
        longest["content"] = content[:kept] if longest["role"] == "tool" else content[len(content) - kept :]
        return True

    def _for_template(self, request: _Request) -> tuple[list[dict[str, Any]], list[dict[str, Any]] | None]:
        """The messages, and the tools, as templates know them (those of Hugging Face)."""
        messages: list[dict[str, Any]] = []
        labels = self._labels(request)
        for c in request.messages:
            # what a caller types must not end a turn or begin another, nor offer or call a tool: the model's own marks
            # are taken out
            marks = self._controls if c.role in ("system", "assistant") else self._marks
            content = marks.sub("", c.content)
            message: dict[str, Any] = {"role": c.role, "content": content}
            calls = [(t.id, t.name, labels.shown(t.name, t.arguments) if labels else t.arguments) for t in c.tool_calls]
            if calls and self._knows_tools:
                message["tool_calls"] = [
                    {"id": id_, "type": "function", "function": {"name": name, "arguments": json.loads(arguments)}}
                    for id_, name, arguments in calls
                ]
            elif calls:
                message["content"] = "\n".join([content, *(written(*call) for _, *call in calls)]).strip()
            elif c.role == "tool":
                message |= {"tool_call_id": c.tool_call_id} if self._knows_tools else {"role": "user"}
            messages.append(message)
        if isinstance(request, m.Choose) or not request.tools:
            return messages, None
        tools = labels.tools if labels else request.tools
        if self._knows_tools:
            return messages, json.loads(tools)
        if messages[0]["role"] != "system":
            messages.insert(0, {"role": "system", "content": ""})
        messages[0]["content"] = f"{messages[0]['content']}\n\n{instructions(tools)}".strip()
        return messages, None

    def _sample(self, slot: _Slot) -> list[m.Result]:
        """Take the next token of a slot from the logits of the last batch."""
        reply = slot.reply
        assert reply is not None
        token = lib.llama_sampler_sample(reply.sampler, self._context, reply.row)
        request_id = reply.request.id
        reply.row = -1
        if lib.llama_vocab_is_eog(self._vocab, token):
            self._end(slot)
            results = self._said(reply, reply.decoder.decode(b"", True), last=True)
            return results if any(isinstance(r, m.Failed) for r in results) else [*results, m.Finished(request_id)]
        reply.tokens.append(token)
        reply.left -= 1
        cut = reply.left <= 0
        results = self._said(reply, reply.decoder.decode(self._token_bytes(token), cut), last=cut)
        failed = any(isinstance(r, m.Failed) for r in results)
        if cut or failed:
            self._end(slot)
        if cut and not failed:
            results.append(m.Finished(request_id, "length"))
        return results

    def _said(self, reply: _Reply, text: str, last: bool) -> list[m.Result]:
        """The next piece of a reply, as text and calls."""
        request_id, scanner = reply.request.id, reply.scanner
        if scanner is None:
            return [m.TextChunk(request_id, text)] if text else []
        try:
            parts = list(scanner.push(text))
        except ValueError as broken:
            return [
                m.Failed(
                    request_id, "broken_tool_call", f"The model called a tool in a way that cannot be read: {broken}."
                )
            ]
        if last and scanner.unfinished:
            return [m.Failed(request_id, "broken_tool_call", "The model began to call a tool and did not finish.")]
        if last and (rest := scanner.flush()):
            parts.append(rest)
        labels = self._labels(reply.request)
        return [
            m.CalledTool(request_id, p.name, labels.meant(*p) if labels else p.arguments)
            if isinstance(p, Called)
            else m.TextChunk(request_id, p)
            for p in parts
        ]

    def _judge(self, slot: _Slot) -> list[m.Result]:
        """The probabilities of the tokens that are asked about, from the logits of the last batch."""
        reply = slot.reply
        assert reply is not None
        n = lib.llama_vocab_n_tokens(self._vocab)
        logits = np.ctypeslib.as_array(lib.llama_get_logits_ith(self._context, reply.row), (n,)).astype(np.float64)
        likelihood = np.exp(logits - logits.max())
        self._end(slot)
        request_id, asked = reply.request.id, likelihood[list(reply.asked)]
        if isinstance(reply.request, m.Choose):
            shares = tuple(float(p) for p in asked / asked.sum())
            return [m.Chosen(request_id, shares), m.Finished(request_id)]
        return [m.EndOfTurn(request_id, float(asked[0] / likelihood.sum())), m.Finished(request_id)]

    def _decode(self) -> None:
        """Put the next token of every reply, and as much prefill as the others can bear, into one batch and run it.

        The shortest prefill goes first: a caller with one new sentence does not wait for another's long prompt, and of
        equal ones each is finished before the next is begun.
        """
        batch, n = self._batch, 0
        added: list[tuple[_Slot, list[int]]] = []
        most = BATCH - len(self._slots)
        room = min(most, max(LEAST_PREFILL, int(PREFILL_S / self._prefill_token_s)))
        prefilled = 0
        begun: list[list[int]] = []
        under_way = [(s, s.reply) for s in self._slots if s.reply]
        for slot, reply in sorted(under_way, key=lambda u: (len(u[1].tokens) - len(u[0].cached), u[0].used)):
            left = reply.tokens[len(slot.cached) :]
            todo = left
            if len(left) > 1:
                self._reuse(slot, reply.tokens)
                left = reply.tokens[len(slot.cached) :]
                if any(_common(t, reply.tokens) > len(slot.cached) + LEAST_PREFILL for t in begun):
                    continue  # another one computes what this one needs; it is taken over in the next step
                todo = left[: max(0, room - prefilled)]
                prefilled += len(todo)
                begun.append(reply.tokens)
                if len(todo) == len(left) and room < most:
                    # whose prompt is done waits for this step: a little of others' is nearly free, a lot is not
                    room = min(room, prefilled + LEAST_PREFILL)
            for i, token in enumerate(todo):
                batch.token[n] = token
                batch.pos[n] = len(slot.cached) + i
                batch.n_seq_id[n] = 1
                batch.seq_id[n][0] = slot.seq
                batch.logits[n] = 0
                n += 1
            if todo and len(todo) == len(left):
                batch.logits[n - 1] = 1
                reply.row = n - 1
            if todo:
                added.append((slot, todo))
        if n == 0:
            return
        batch.n_tokens = n
        began = time.perf_counter()
        status = lib.llama_decode(self._context, batch)
        if prefilled >= LEAST_PREFILL:
            lib.llama_synchronize(self._context)
            took = (time.perf_counter() - began) / n
            self._prefill_token_s += SMOOTHING * (took - self._prefill_token_s)
        if status != 0:
            for slot, _ in added:
                assert slot.reply is not None
                self._failed.append(
                    m.Failed(slot.reply.request.id, "decode_failed", f"llama.cpp gave status {status}.")
                )
                self._end(slot)
                self._forget(slot, 0)
            return
        for slot, todo in added:
            slot.cached += todo

    def _end(self, slot: _Slot) -> None:
        if slot.reply is not None:
            lib.llama_sampler_free(slot.reply.sampler)
            slot.reply = None

    def _forget(self, slot: _Slot, keep: int) -> None:
        """Cut a slot's cache to its first `keep` tokens."""
        if keep < len(slot.cached):
            lib.llama_memory_seq_rm(self._memory, slot.seq, keep, -1)
            del slot.cached[keep:]

    def _sampler(self, request: _Request) -> Any | None:
        """How this reply's tokens are chosen; None if its grammar cannot be read."""
        chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        temperature, top_p = self._temperature, self._top_p
        if isinstance(request, m.Generate):
            temperature = temperature if request.temperature is None else request.temperature
            top_p = top_p if request.top_p is None else request.top_p
            gbnf, begins = request.grammar, request.grammar_from
            if request.tools and not gbnf:
                labels = self._labels(request)
                gbnf, begins = call_grammar(labels.tools if labels else request.tools), BEGIN
            if gbnf:
                grammar = self._grammar(gbnf, begins)
                if not grammar:
                    lib.llama_sampler_free(chain)
                    return None
                lib.llama_sampler_chain_add(chain, grammar)
        if temperature == 0:
            lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_greedy())
        else:
            lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_top_p(top_p, 1))
            lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_temp(temperature))
            lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_dist(request.id & _INT32_MAX))
        return chain

    def _grammar(self, gbnf: str, begins: str) -> Any:
        if not begins:
            return lib.llama_sampler_init_grammar(self._vocab, gbnf.encode(), b"root")
        patterns = (ctypes.c_char_p * 1)(rf"[\s\S]*?({re.escape(begins)}[\s\S]*)".encode())
        return lib.llama_sampler_init_grammar_lazy_patterns(
            self._vocab, gbnf.encode(), b"root", patterns, 1, (lib.llama_token * 0)(), 0
        )

    def _tokenize(self, text: str) -> list[int]:
        raw = text.encode()
        size = len(raw) + 16
        buffer = (lib.llama_token * size)()
        # the template writes the markers of turns itself
        n = lib.llama_tokenize(self._vocab, raw, len(raw), buffer, size, False, True)
        return list(buffer[:n])

    def _token_bytes(self, token: int) -> bytes:
        n = lib.llama_token_to_piece(self._vocab, token, self._piece, len(self._piece), 0, False)
        return self._piece.raw[: max(0, n)]

    def _any_of(self, attributes: int) -> re.Pattern[str]:
        """Matches the text of every token that has one of the attributes."""
        tokens = range(lib.llama_vocab_n_tokens(self._vocab))
        texts = {self._token_text(t) for t in tokens if lib.llama_vocab_get_attr(self._vocab, t) & attributes} - {""}
        return re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or "$^")

    def _token_text(self, token: int) -> str:
        if token < 0:
            return ""
        n = lib.llama_token_to_piece(self._vocab, token, self._piece, len(self._piece), 0, True)
        return self._piece.raw[: max(0, n)].decode("utf-8", "replace")


def _common(a: list[int], b: list[int]) -> int:
    """Length of the beginning that both have; by slices, since this is asked of long prompts in every step."""
    same, differ = 0, min(len(a), len(b)) + 1
    while differ - same > 1:
        middle = (same + differ) // 2
        if a[same:middle] == b[same:middle]:
            same = middle
        else:
            differ = middle
    return same


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _quiet(level: int, text: bytes, _user: Any) -> None:
    """llama.cpp is silent, except for errors."""
    if level == _GGML_LOG_LEVEL_ERROR:
        os.write(2, text)
