"""One form for every refusal of the API: `{"detail": "what is wrong and what to do"}`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

ERRORS_TOLD_MAX: Final = 5
INPUT_CHARS_MAX: Final = 60
PATH_CHARS_MAX: Final = 80
BODY_UNREAD: Final = "There was an error parsing the body"
"""What FastAPI says to bytes that are no text, to too many digits, to brackets in brackets."""
SEE_API: Final = "/openapi.json says what there is"


class Problem(BaseModel):
    """Why a request was not served, and what to do."""

    detail: str


class Refusal(Problem):
    """Central's no to a decision; `text` and `detail` are the same words."""

    proposal_id: str
    ok: bool = False
    text: str


class AdjustmentRefusal(Problem):
    """Central's no to an adjustment; `text` and `detail` are the same words."""

    bin_id: str
    ok: bool = False
    text: str


class ZoneRefusal(Problem):
    """Central's no to a stop zone; `text` and `detail` are the same words."""

    ok: bool = False
    text: str


class PinRefusal(Problem):
    """Central's no to a pin; `text` and `detail` are the same words."""

    ok: bool = False
    text: str


class RefusedError(Exception):
    """Central said no; `body` is the answer."""

    def __init__(self, body: Refusal | AdjustmentRefusal | ZoneRefusal | PinRefusal) -> None:
        super().__init__(body.detail)
        self.body = body


def add_error_handlers(app: FastAPI) -> None:
    """Let `app` answer every refusal and failure in the one form."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        return _answer(422, validation_text(error.errors()))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        text = str(error.detail)
        path, method = str(request.scope["path"])[:PATH_CHARS_MAX], request.method
        if text == HTTPStatus(error.status_code).phrase:  # the framework's, not one of ours
            text = f"{text}: {method} {path}"
            if error.status_code == HTTPStatus.NOT_FOUND:
                text = f"there is nothing at {path}: {SEE_API}"
            elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
                allowed = (error.headers or {}).get("Allow", "another method")
                text = f"{method} is not taken at {path}: expected {allowed}; {SEE_API}"
        elif text == BODY_UNREAD:
            text = f"the body cannot be read: expected JSON in UTF-8, not too deep ({SEE_API})"
        return _answer(error.status_code, text, error.headers)

    @app.exception_handler(RefusedError)
    async def said_no(_request: Request, error: RefusedError) -> JSONResponse:
        return JSONResponse(error.body.model_dump(), HTTPStatus.CONFLICT)

    @app.exception_handler(Exception)
    async def failed(_request: Request, error: Exception) -> JSONResponse:
        kind = type(error).__name__
        return _answer(500, f"the desk failed at this ({kind}): its log says where; try it again")


def _answer(status: int, text: str, headers: Any = None) -> JSONResponse:
    return JSONResponse(Problem(detail=text).model_dump(), status, headers=headers)


def validation_text(errors: Any) -> str:
    """Return in one sentence each what is wrong with a request's values."""
    told = []
    for error in list(errors)[:ERRORS_TOLD_MAX]:
        where = " ".join(str(part) for part in error["loc"])
        value = repr(error.get("input"))[:INPUT_CHARS_MAX]
        # A whole body, cut off, says nothing that its sender does not know.
        is_whole = len(error["loc"]) == 1 and isinstance(error.get("input"), dict)
        given = f" = {value}"
        if error["type"] in ("missing", "json_invalid") or is_whole:
            given = ""
        told.append(f"{where}{given}: {error['msg']}")
    return f"{'; '.join(told)} ({SEE_API})"
