"""What agents can look up: folders of documents, cut into passages, indexed, searched by words and by meaning."""

from media_server.knowledge.documents import DocumentError
from media_server.knowledge.index import Embedder, Found
from media_server.knowledge.library import Library

__all__ = ["DocumentError", "Embedder", "Found", "Library"]
