"""What agents can look up: folders of documents, cut into passages, indexed, searched by words and by meaning."""

from media_server.knowledge.bases import Base, Bases, Document
from media_server.knowledge.documents import DocumentError
from media_server.knowledge.index import Embedder, Found
from media_server.knowledge.library import Library

__all__ = ["Base", "Bases", "Document", "DocumentError", "Embedder", "Found", "Library"]
