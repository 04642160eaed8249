"""Who may be called, what calls there are, and who is told of them: below HTTP, so that a line need not be HTTP."""

from media_server.switchboard.start import CallGrant, require_credit
from media_server.switchboard.switchboard import Switchboard, reached

__all__ = ["CallGrant", "Switchboard", "reached", "require_credit"]
