"""What agents can look up: folders of documents, cut into passages, indexed, searched by words."""

from media_server.knowledge.documents import DocumentError
from media_server.knowledge.index import Found
from media_server.knowledge.library import Library

__all__ = ["DocumentError", "Found", "Library"]
