"""What the agent is told to say: waiting in line until it is said, or dropped."""

from __future__ import annotations

import asyncio

from media_server.call.speak import Clause

__all__ = ["SayQueue"]


class SayQueue:
    """What the agent is told to say: waiting in line, each with a future that tells whether it was heard."""

    def __init__(self) -> None:
        self._waiting: list[Clause] = []
        self._came = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(
        self,
        text: str,
        first: bool = False,
        remembered: bool = True,
        interruptible: bool = True,
        patient: bool = False,
    ) -> asyncio.Future[bool]:
        told = asyncio.get_running_loop().create_future()
        clause = Clause(text, told, remembered=remembered, interruptible=interruptible, patient=patient)
        self._waiting.insert(0 if first else len(self._waiting), clause)
        self._came.set()
        assert clause.done is not None
        return clause.done

    def take(self) -> Clause | None:
        """The next one."""
        if len(self._waiting) <= 1:
            self._came.clear()
        return self._waiting.pop(0) if self._waiting else None

    async def come(self) -> None:
        """Wait until there is one."""
        await self._came.wait()

    def withdraw(self, done: asyncio.Future[bool]) -> bool:
        """Take the one with this future out of the line; False if it does not wait any more."""
        found = next((c for c in self._waiting if c.done is done), None)
        if found is None:
            return False
        self._waiting.remove(found)
        found.settle(heard=False)
        if not self._waiting:
            self._came.clear()
        return True

    def drop(self, patient: bool = True) -> None:
        """None of them will be heard; without `patient` those will that wait for the end of the caller's turn."""
        for clause in (dropped := [c for c in self._waiting if patient or not c.patient]):
            clause.settle(heard=False)
        self._waiting = [c for c in self._waiting if c not in dropped]
        if not self._waiting:
            self._came.clear()
