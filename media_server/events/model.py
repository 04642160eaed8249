"""Every kind of event, as one type: what is added here has to be dealt with wherever all are."""

from __future__ import annotations

from media_server.events.agent import (
    AgentPrompted,
    AgentSegmentStarted,
    AgentSegmentStopped,
    AgentSpeechStarted,
    AgentSpeechStopped,
    AgentText,
    AgentTextDelta,
    AgentWord,
    KnowledgeUsed,
    ToolCalled,
    ToolDelayed,
    ToolReturned,
    TurnMetrics,
)
from media_server.events.call import (
    AgentEvent,
    AudioLevel,
    CallEnded,
    CallEnding,
    CallForwarded,
    CallPaused,
    CallQuality,
    CallReconnected,
    CallReconnecting,
    CallResumed,
    CallStarted,
    CallWarning,
    ConnectionChanged,
    Error,
    IdleWarning,
    SkillLoaded,
    SkillUnloaded,
    StateChanged,
)
from media_server.events.caller import (
    EmotionUpdated,
    TurnContinued,
    TurnEager,
    TurnEnded,
    TurnPaused,
    TurnResumed,
    UserDtmf,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
)

__all__ = ["Event"]

Event = (
    CallStarted
    | CallEnding
    | CallEnded
    | CallPaused
    | CallResumed
    | CallReconnecting
    | CallReconnected
    | CallQuality
    | ConnectionChanged
    | StateChanged
    | UserSpeechStarted
    | UserSpeechStopped
    | UserDtmf
    | UserTranscript
    | EmotionUpdated
    | IdleWarning
    | TurnEnded
    | TurnEager
    | TurnPaused
    | TurnResumed
    | TurnContinued
    | AgentTextDelta
    | AgentText
    | AgentSegmentStarted
    | AgentSegmentStopped
    | AgentSpeechStarted
    | AgentWord
    | AgentSpeechStopped
    | ToolCalled
    | ToolDelayed
    | ToolReturned
    | AgentPrompted
    | KnowledgeUsed
    | AudioLevel
    | CallForwarded
    | AgentEvent
    | SkillLoaded
    | SkillUnloaded
    | TurnMetrics
    | CallWarning
    | Error
)
