"""How a failed call looks to a client."""

from __future__ import annotations


class CallFailed(Exception):
    """A call that ended in an error, with what the server said about it.

    Attributes:
        code: gRPC's name of the status: "NOT_FOUND", ...
        reason: of google.rpc.ErrorInfo: "MEMORY_UNKNOWN", ...; empty when the server gave none.
        metadata: the values behind the message.
        fields: what is wrong with each wrong field, by path.
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
