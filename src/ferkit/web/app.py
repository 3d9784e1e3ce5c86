"""The routes of the page; each calls the viewer once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ferkit.errors import FerkitError
from ferkit.report.pages import page_templates
from ferkit.search.people import people_known_by
from ferkit.web.guard import Door, Guard
from ferkit.web.question import question_of, vector_text
from ferkit.web.set_map import MapInWork
from ferkit.web.turns import BusyError, Turns
from ferkit.workflows.serve import Viewer, relative_box

MOST_BYTES = 40_000_000
"""Of a photo that is asked with."""

_MOST_THUMBNAILS = 4_000
_KEPT = {"cache-control": "private, max-age=86400"}

Endpoint = Callable[[Request], Awaitable[Response]]


def make_app(viewer: Viewer, door: Door, turns: Turns | None = None) -> Guard:
    """Return the page of a set as an ASGI application.

    Args:
        viewer: the set.
        door: by which addresses it is reached, and the token if it needs one.
        turns: the queue that questions wait in.
    """
    page = _Page(viewer, turns or Turns())
    routes = [
        Route("/", page.index),
        Route("/api/set", page.summary),
        Route("/api/starts", page.starts),
        Route("/api/faces", page.faces, methods=["POST"]),
        Route("/api/hits", page.hits),
        Route("/api/face/{row:int}", page.face),
        Route("/api/map", page.map),
        Route("/api/map/points", page.points),
        Route("/thumbnail/{row:int}.jpg", page.thumbnail),
        Route("/photo/{row:int}.jpg", page.photo),
        Route("/video/{row:int}", page.video),
        Mount("/static", StaticFiles(packages=[("ferkit.web", "static"), ("ferkit.report", "static")])),
    ]
    failures: dict[Any, Any] = {FerkitError: _refused, BusyError: _busy, HTTPException: _failed}
    return Guard(Starlette(routes=routes, exception_handlers=failures), door)


class _Page:
    def __init__(self, viewer: Viewer, turns: Turns) -> None:
        self._viewer, self._turns, self._map = viewer, turns, MapInWork(viewer)
        self._html = page_templates("ferkit.web").get_template("page.html").render(name=viewer.path.name)

    async def index(self, _: Request) -> Response:
        return HTMLResponse(self._html)

    async def summary(self, _: Request) -> Response:
        viewer = self._viewer
        about = {"faces": len(viewer.set), "encoder": Path(viewer.set.encoder.name).name}
        about |= {"known_by": people_known_by(viewer.set), "ready": viewer.ready.is_set()}
        return JSONResponse(about)

    async def starts(self, _: Request) -> Response:
        found = await self._turns.run(self._viewer.starts)
        return JSONResponse([{"expression": name, "row": row, "count": count} for name, row, count in found])

    async def faces(self, request: Request) -> Response:
        """The faces of the photo that is the request's body: kept in memory until it is answered, and nowhere else."""
        content = await _body(request, MOST_BYTES)
        found = await self._turns.run(partial(self._viewer.faces_of, content))
        return JSONResponse(
            {"faces": [{"crop": face.crop, "box": face.box, "like": vector_text(face.vector)} for face in found]}
        )

    async def hits(self, request: Request) -> Response:
        answer = await self._turns.run(partial(self._viewer.search, question_of(request.query_params)))
        return JSONResponse(asdict(answer))

    async def face(self, request: Request) -> Response:
        row = request.path_params["row"]
        return JSONResponse(await self._turns.run(partial(self._about, row)))

    def _about(self, row: int) -> dict[str, Any]:
        viewer = self._viewer
        face, photo = viewer.face(row), viewer.photo(row)
        boxes = {each: relative_box(viewer.face(each), photo.width, photo.height) for each in viewer.neighbours(row)}
        return {
            **{name: getattr(face, name) for name in _SHOWN},
            "row": row,
            "boxes": boxes,
            "size_px": face.size,
            "photo_px": [photo.width, photo.height],
            "video": viewer.video(row) is not None,
            "expressions": viewer.expressions(row),
        }

    async def map(self, _: Request) -> Response:
        return JSONResponse(self._map.status())

    async def points(self, _: Request) -> Response:
        return Response(self._map.points(), media_type="application/octet-stream")

    async def thumbnail(self, request: Request) -> Response:
        if self._viewer.thumbnails.waiting > _MOST_THUMBNAILS:
            raise BusyError
        content = await asyncio.wrap_future(self._viewer.thumbnail(request.path_params["row"]))
        return Response(content, media_type="image/jpeg", headers=_KEPT)

    async def photo(self, request: Request) -> Response:
        photo = await self._turns.run(partial(self._viewer.photo, request.path_params["row"]))
        return Response(photo.content, media_type="image/jpeg")

    async def video(self, request: Request) -> Response:
        path = self._viewer.video(request.path_params["row"])
        if path is None:
            raise HTTPException(404, "this face is from no video, or the video is not there any more")
        return FileResponse(path, content_disposition_type="inline")


_SHOWN = ("source", "face", "identity", "label", "time_s", "sharpness", "yaw", "pitch", "roll", "valence", "arousal")


async def _body(request: Request, most: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise HTTPException(413, f"the photo is larger than {most // 10**6} MB; take a smaller one")
        parts.append(part)
    return b"".join(parts)


async def _refused(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 404 if "cannot be shown" in str(error) else 400)


async def _busy(_: Request, __: Exception) -> Response:
    return JSONResponse({"error": "too many questions wait already; ask again in a moment"}, 429, {"retry-after": "2"})


async def _failed(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (what it is registered for)
    return JSONResponse({"error": error.detail}, error.status_code)
