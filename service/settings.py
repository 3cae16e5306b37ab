"""All settings in one typed object: flags of the CLI, else `HYPNOGRAM_<NAME>` in the environment, else a TOML file.

`docs/settings.md` lists every field; a test compares the two.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from service.settings_file import file_to_read, read_settings

DEVICES = r"^(cpu|cuda|mps|xpu|npu|hpu|mtia)(:(0|[1-9][0-9]*))?$"  # torch decides whether the device exists
MODELS = Path(__file__).resolve().parent.parent / "models"  # what ships with the project
DORMOUSE = MODELS / "dormouse" / "weights"
SMOLLM2 = MODELS / "smollm2"  # what is added to a model that is pulled


def data_home() -> Path:
    """Returns the folder of this user's data (XDG base directories)."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "hypnogram"


def cache_home() -> Path:
    """Returns the folder of this user's caches, whose loss costs only time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hypnogram"


def default_database() -> str:
    return f"sqlite:///{data_home() / 'hypnogram.db'}"


class Settings(BaseSettings):
    """Settings of a process, read once at its start and passed on from there."""

    model_config = SettingsConfigDict(
        env_prefix="HYPNOGRAM_",
        frozen=True,
        extra="forbid",
        protected_namespaces=(),
        env_ignore_empty=True,
        validate_by_name=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Returns where settings come from, the first that has one wins. Raises ConfigurationInvalid of the file."""
        file = file_to_read()
        values = read_settings(file, settings_cls.model_fields) if file else {}
        return init_settings, env_settings, InitSettingsSource(settings_cls, values)

    config: Path | None = Field(
        default=None, description="TOML file of settings; by default the user's own, where there is one."
    )

    # storage
    database_url: str = Field(
        default_factory=default_database, description="The event log: sqlite:///path or postgresql+psycopg://..."
    )
    artifact_folder: Path = Field(
        default_factory=lambda: data_home() / "artifacts", description="Deltas and statistics, named by their digests."
    )
    artifact_url: str = Field(
        default="", description="S3-compatible storage of artifacts in place of the folder: s3://bucket/prefix."
    )
    snapshot_folder: Path = Field(
        default_factory=lambda: cache_home() / "snapshots", description="A cache; deleting it loses nothing."
    )
    model_folder: Path = Field(
        default_factory=lambda: data_home() / "models", description="Base models that `hypnogram model pull` fetched."
    )
    model_path: str = Field(default=str(DORMOUSE), description="Base model of a memory created without naming one.")
    reference_text: Path | None = Field(
        default=None,
        validation_alias=AliasChoices("HYPNOGRAM_REFERENCE_TEXT", "HYPNOGRAM_ORDINARY_TEXT"),  # the latter before 0.4
        description="Reference text whose keys edits preserve; by default reference.jsonl beside the model, or text "
        "that the model generates.",
    )

    # the address of the server
    host: str = Field(default="127.0.0.1", description="Address to listen on, and to call.")
    port: int = Field(default=50051, ge=0, le=65535, description="Port to listen on, and to call; 0 picks a free one.")
    http: str = Field(
        default="",
        description="Address of the HTTP port that OpenAI's clients talk to, HOST:PORT; empty for none.",
    )
    insecure_host: bool = Field(
        default=False,
        description="Whether a server may listen where other machines reach it, although without authentication.",
    )
    require_tokens: bool = Field(
        default=False,
        description="Whether callers need a token even before the first one was created; afterwards they always do.",
    )
    tls_certificate: Path | None = Field(
        default=None, description="Certificate chain of the server, PEM; with it both ports speak TLS."
    )
    tls_key: Path | None = Field(default=None, description="Private key of that certificate, PEM.")
    tls_client_ca: Path | None = Field(
        default=None, description="Authorities that must have signed the certificates of clients, PEM (mutual TLS)."
    )

    # how commands call it
    token: SecretStr = Field(default=SecretStr(""), description="Token that commands send; see `hypnogram token`.")
    server_ca: Path | None = Field(
        default=None, description="Authorities that signed the certificate of the server to call, PEM; calls use TLS."
    )
    client_certificate: Path | None = Field(default=None, description="Certificate that commands show, PEM.")
    client_key: Path | None = Field(default=None, description="Private key of that certificate, PEM.")
    server_seconds: float = Field(
        default=60.0,
        ge=0,
        le=3600,
        description="Seconds that commands wait for a server to start; 0 does not wait.",
    )

    memory: str = Field(default="demo", description="Default memory of the command line.")

    # who computes, and on what
    executor: bool = Field(default=True, description="Whether the server writes facts itself, in a thread.")
    device: str = Field(
        default="cpu", pattern=DEVICES, description="Torch device of the models: cpu, cuda, cuda:1, ..."
    )
    torch_threads: int = Field(default=0, ge=0, le=1024, description="Torch threads; 0 leaves the choice to torch.")
    ray: str = Field(
        default="",
        description="Head of a Ray cluster that `hypnogram executor` places executors on, HOST:PORT; empty for none.",
    )
    ray_slots: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Executors to place there; 0 is one for each CPU, or for each GPU where that is the device.",
    )
    lease_seconds: float = Field(
        default=10.0, gt=0, le=3600, description="How long an executor's claim on a memory lasts if it dies."
    )

    # when memories sleep by themselves
    sleep_pressure: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="A memory sleeps once its pressure is this high and it has news; 0 is never.",
    )
    nap_pressure: float = Field(
        default=0.0, ge=0, le=1, description="A memory naps once its pressure is this high and it has news; 0 is never."
    )
    sleep_hours: float = Field(
        default=0.0,
        ge=0,
        description="A memory with facts to consolidate sleeps this long after the last time; 0 is never.",
    )
    nap_hours: float = Field(
        default=0.0, ge=0, description="A memory with news naps this long after it was audited last; 0 is never."
    )

    # limits
    max_message_bytes: int = Field(
        default=4 * 1024 * 1024, ge=64 * 1024, le=1024**3, description="Largest message, either way."
    )
    max_streams: int = Field(
        default=8,
        ge=1,
        le=1024,
        description="Answers generated at the same time, for the newest and for past versions each; others queue.",
    )
    max_connections: int = Field(
        default=4096,
        ge=1,
        le=1_000_000,
        description="Connections open at the same time on each port; others are refused.",
    )
    request_seconds: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="Seconds in which TLS, HTTP/2 and each request over HTTP must arrive; else a connection is closed.",
    )
    client_requests: int = Field(
        default=0, ge=0, description="Requests of one client a minute, a minute's at once at most; 0 for no limit."
    )
    client_bytes: int = Field(
        default=0, ge=0, description="Bytes of the requests of one client a minute; 0 for no limit."
    )
    client_facts: int = Field(default=0, ge=0, description="Facts that one client tells a minute; 0 for no limit.")
    client_streams: int = Field(
        default=0, ge=0, description="Answers generated for one client at the same time; 0 for no limit."
    )
    live_bytes: int = Field(
        default=1024**3,
        ge=0,
        description="Cache for the newest weights of memories beside their base models, in bytes.",
    )
    past_bytes: int = Field(default=1024**3, ge=0, description="Cache for weights of past versions, in bytes.")
    max_operations: int = Field(
        default=2, ge=1, le=64, description="Replays and verifications running at the same time."
    )
    conflict_retries: int = Field(
        default=8, ge=0, le=100, description="Retries of an append that lost a race, when no version was expected."
    )
    stop_seconds: float = Field(default=10.0, ge=0, le=600, description="How long a stopping server lets calls finish.")

    # logging
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="auto: text on a terminal, JSON elsewhere."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level that is logged."
    )
    traces: str = Field(
        default="", description="URL of a collector of OpenTelemetry (OTLP over HTTP) for traces; empty for none."
    )

    @property
    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"
