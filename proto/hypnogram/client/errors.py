"""The error that every call of a client may raise."""

from __future__ import annotations


class CallFailed(Exception):
    """A call that ended in an error, with the details that the server gave.

    Attributes:
        code: gRPC's name of the status: "NOT_FOUND", ...
        reason: of google.rpc.ErrorInfo: "MEMORY_UNKNOWN", ...; empty when the server gave none.
        metadata: the values behind the message.
        fields: path of each invalid field -> its fault.
    """

    def __init__(
        self,
        code: str,
        message: str,
        reason: str = "",
        metadata: dict[str, str] | None = None,
        fields: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        self.metadata = metadata or {}
        self.fields = fields or {}
