"""The door for pages and backends of Wespoke."""

from media_server.doors.wespoke import routes
from media_server.doors.wespoke.dialect import Wespoke
from media_server.http.door import Door

__all__ = ["DOOR"]

DOOR = Door(
    "wespoke",
    [routes.routes],
    dialect=Wespoke,
    key_prefixes=["pk_live_", "pk_test_"],
    refusals={"/api/v1/": routes.refusal},
    # a page has to be able to read why its token was refused
    open_paths=["/api/v1/embed/"],
    needs_records=True,
)
