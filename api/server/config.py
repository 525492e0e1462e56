"""Every setting of a server: parsed once, from ``server.toml`` in the server's folder.

Nothing else reads configuration, and nothing reads the environment.
"""

import dataclasses
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

CONFIG_FILE = "server.toml"


class ConfigError(Exception):
    """The settings cannot be used as they are; the message says which and what is expected."""


_ONE_LINE = r"(?=.*\S).{1,200}"
_LOOPBACK = r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?"
_ORIGIN = rf"https://[A-Za-z0-9.-]+(?::[0-9]{{1,5}})?|http://{_LOOPBACK}"
_ISSUER = rf"(?:https://[A-Za-z0-9.-]+(?::[0-9]{{1,5}})?|http://{_LOOPBACK})(?:/[A-Za-z0-9._~/-]*)?"
_OPTIONAL_LINE = ".{0,200}"
_PASSWORD = re.compile(r"(?<=://)([^/@]*):[^/@]*(?=@)")


def _setting(
    default: Any,
    unit: str,
    help_text: str,
    low: float = 0,
    high: float = 0,
    *,
    pattern: str = _ONE_LINE,
    fold: bool = False,
) -> Any:
    return dataclasses.field(
        default=default,
        metadata={
            "unit": unit,
            "help": help_text,
            "low": low,
            "high": high,
            "pattern": pattern,
            "fold": fold,
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """The settings, with names, defaults, units and help; see :func:`describe_settings`.

    Attributes:
        directory: the server's folder; everything that the server stores is below it.
    """

    directory: Path
    name: str = _setting("Tongqiao", "text", "What the server calls itself to its members.")
    hosts: tuple[str, ...] = _setting(
        (),
        "list of HOST or HOST:PORT",
        "Names that requests may be addressed to. Empty: any. Set it where members use several "
        "linkage servers, so that a request to one cannot be repeated to another.",
        fold=True,
    )
    database: str = _setting(
        "sqlite",
        "sqlite or URL",
        "Where the tables are: a SQLite file in the server's folder, or a PostgreSQL database, as "
        "postgresql://USER@HOST/NAME (the password in ~/.pgpass) or "
        "postgresql:///NAME?host=/var/run/postgresql.",
        pattern=r"sqlite|postgresql://[!-~]{1,400}",
    )
    encodings: str = _setting(
        "files",
        "files or URL",
        "Where encodings are kept, encrypted: in the server's folder, or in S3-compatible object "
        "storage, as s3://BUCKET or s3://BUCKET/PREFIX. No other server may use that prefix. To "
        "change it, restore a backup.",
        pattern=r"files|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[A-Za-z0-9_-]{1,60}){0,5}",
    )
    s3_endpoint: str = _setting(
        "",
        "https://HOST:PORT",
        "Address of the object storage. Empty: Amazon's.",
        pattern=f"|{_ORIGIN}",
    )
    s3_region: str = _setting("us-east-1", "text", "Region of the bucket; many storages ignore it.")
    s3_addressing: str = _setting(
        "path",
        "path or virtual",
        "Whether the bucket stands in the address's path or in its host.",
        pattern="path|virtual",
    )
    s3_credentials_path: str = _setting(
        "s3.toml",
        "path",
        "File with access_key_id and secret_access_key for the object storage, readable by the "
        "server's account only. Relative paths begin in the server's folder.",
    )
    s3_ca_path: str = _setting(
        "",
        "path",
        "Certificates (PEM) that vouch for the object storage, beside the public ones.",
        pattern=_OPTIONAL_LINE,
    )
    s3_timeout_s: float = _setting(
        60.0, "seconds", "How long the object storage may take for one request.", 0.1, 600
    )
    max_upload_bytes: int = _setting(4 * 1024**3, "bytes", "Largest .tqe file.", 1024, 1024**4)
    abandoned_after_s: float = _setting(
        86_400.0, "seconds", "How long an upload that stopped may wait to go on.", 60, 30 * 86_400
    )
    data_key_path: str = _setting(
        "data.key",
        "path",
        "The installation key, which wraps the keys of stored encodings. Relative paths begin in "
        "the server's folder; another disk keeps it away from who gets this one.",
    )
    work_path: str = _setting(
        "work",
        "path",
        "Folder for encodings in the clear while they are checked and matched. Best on a disk "
        "that is encrypted or in memory, as large as all files of a round.",
    )
    max_json_bytes: int = _setting(512 * 1024, "bytes", "Largest JSON body.", 4096, 64 * 1024**2)
    max_secret_bytes: int = _setting(64 * 1024, "bytes", "Largest sealed secret.", 1024, 1024**2)
    max_records: int = _setting(
        5_000_000, "records", "Most records an office may upload, whatever the terms say.", 1, 10**9
    )
    max_retention_days: int = _setting(
        730, "days", "Longest retention that terms may ask for.", 1, 36_500
    )
    log_retention_days: int = _setting(
        1095,
        "days",
        "How long entries of the access log stay in the database before they may be sealed into "
        "an archive: half a year at least, and never shorter than data is kept.",
        184,
        36_500,
    )
    log_seal_every_days: int = _setting(
        0,
        "days",
        "How often the worker seals what is old enough into an archive by itself; 0: never, only "
        "`tongqiao server seal-log` does.",
        0,
        366,
    )
    log_archive_path: str = _setting(
        "log-archives",
        "path",
        "Folder for archives of sealed entries. Relative paths begin in the server's folder; keep "
        "copies elsewhere, since these entries are in no database any more.",
    )
    max_pending_members: int = _setting(
        500, "offices", "Most enrolments that may wait for approval.", 1, 100_000
    )
    max_page_links: int = _setting(10_000, "links", "Most links in one answer.", 1, 100_000)
    max_page_entries: int = _setting(1000, "entries", "Most log entries in one answer.", 1, 10_000)
    threads: int = _setting(
        64,
        "threads",
        "Requests that are served at the same time; uploads take half of them at most.",
        4,
        256,
    )
    max_inspections: int = _setting(
        2,
        "files",
        "Uploads that are checked at the same time, each by a process of its own; others wait.",
        1,
        64,
    )
    idle_timeout_s: float = _setting(
        60.0, "seconds", "How long a sender may stay silent within a request.", 1, 3600
    )
    stop_timeout_s: float = _setting(
        30.0, "seconds", "How long requests may go on after the server is told to stop.", 1, 3600
    )
    busy_timeout_s: float = _setting(
        30.0, "seconds", "How long a transaction waits for the one before it.", 1, 600
    )
    lease_s: float = _setting(
        60.0, "seconds", "A worker silent for this long loses its round to another.", 1, 3600
    )
    poll_s: float = _setting(
        1.0, "seconds", "How often an idle worker looks for a round to match.", 0.05, 3600
    )
    progress_s: float = _setting(
        1.0, "seconds", "How often a worker writes its progress.", 0.05, 600
    )
    worker_nice: int = _setting(
        10,
        "steps",
        "How far workers, and processes that read uploaded files, step back where they and the "
        "server want the same processor (0: not).",
        0,
        19,
    )
    max_attempts: int = _setting(
        3, "attempts", "Workers that may die over a round before it counts as failed.", 1, 100
    )

    min_free_bytes: int = _setting(
        256 * 1024**2, "bytes", "With less room on its disk the server is not ready.", 0, 1024**4
    )
    metrics_port: int = _setting(
        0,
        "port",
        "Port of 127.0.0.1 with figures for monitoring (Prometheus), at /metrics; 0: none.",
        0,
        65_535,
    )
    session_idle_s: float = _setting(
        900.0,
        "seconds",
        "A person who does nothing for this long is logged out, also before a page that shows how "
        "far something is.",
        60,
        86_400,
    )
    session_s: float = _setting(
        36_000.0, "seconds", "Nobody stays logged in for longer than this.", 300, 7 * 86_400
    )
    invitation_s: float = _setting(
        3 * 86_400.0, "seconds", "How long a person who is invited may take.", 600, 30 * 86_400
    )
    login_window_s: float = _setting(
        900.0, "seconds", "How long an account or an address waits after too many.", 60, 86_400
    )
    max_login_attempts: int = _setting(
        10, "attempts", "Attempts in vain before an account has to wait.", 3, 1000
    )
    max_address_attempts: int = _setting(
        100, "attempts", "Attempts in vain before an address has to wait.", 3, 100_000
    )
    public_url: str = _setting(
        "",
        "https://HOST",
        "Address of this server in browsers, to which people come back from the OpenID provider.",
        pattern=f"|{_ORIGIN}",
    )
    oidc_issuer: str = _setting(
        "",
        "https://HOST/PATH",
        "The OpenID provider where people may log in, exactly as its metadata names it. Empty: "
        "none. It says who somebody is; what that person may do is decided here.",
        pattern=f"|{_ISSUER}",
    )
    oidc_name: str = _setting(
        "OpenID", "text", "What the button for logging in calls the OpenID provider."
    )
    oidc_client_id: str = _setting(
        "",
        "text",
        "This server's name at the OpenID provider, where PUBLIC_URL/console/login/return is to be "
        "registered.",
        pattern=_OPTIONAL_LINE,
    )
    oidc_client_secret_path: str = _setting(
        "oidc.secret",
        "path",
        "File with this server's secret at the OpenID provider, one line, readable by the "
        "server's account only. Relative paths begin in the server's folder.",
    )
    oidc_ca_path: str = _setting(
        "",
        "path",
        "Certificates (PEM) that vouch for the OpenID provider. Empty: the public ones.",
        pattern=_OPTIONAL_LINE,
    )
    oidc_required_claim: str = _setting(
        "",
        "NAME=VALUE",
        "What the OpenID provider must say of everybody who is let in, such as "
        "groups=tongqiao; of a list, one entry. It gives nobody a role.",
        pattern=r"|[!-<>-~]{1,100}=[!-~]{1,200}",
    )
    oidc_mfa_values: tuple[str, ...] = _setting(
        ("mfa",),
        "list of words",
        "Values of amr (RFC 8176) or acr by which the OpenID provider says that it saw a second "
        "factor. Without one of them the code of the app is asked for here.",
    )
    oidc_timeout_s: float = _setting(
        10.0, "seconds", "How long the OpenID provider may take to answer.", 0.1, 60
    )

    @property
    def database_url(self) -> URL:
        """The database, as SQLAlchemy names it."""
        if self.database == "sqlite":
            return URL.create("sqlite", database=str(self.database_file))
        return make_url(self.database)

    @property
    def database_file(self) -> Path:
        """The SQLite database, where there is one."""
        return self.directory / "tongqiao.db"

    @property
    def encodings_directory(self) -> Path:
        """Encodings that offices uploaded, encrypted: ``encodings/ROUND/SHA256``."""
        return self.directory / "encodings"

    @property
    def incoming_directory(self) -> Path:
        """Uploads that are still arriving, encrypted."""
        return self.directory / "incoming"

    @property
    def data_key_file(self) -> Path:
        """The installation key."""
        return self.directory / self.data_key_path

    @property
    def work_directory(self) -> Path:
        """Encodings in the clear, only while they are worked on."""
        return self.directory / self.work_path

    @property
    def chunks_directory(self) -> Path:
        """Finished chunks of rounds that are being matched."""
        return self.directory / "chunks"

    @property
    def oidc_client_secret_file(self) -> Path:
        """This server's secret at the OpenID provider."""
        return self.directory / self.oidc_client_secret_path

    @property
    def log_archive_directory(self) -> Path:
        """Archives of sealed entries of the access log."""
        return self.directory / self.log_archive_path

    @property
    def log_key_file(self) -> Path:
        """The key that signs checkpoints of the access log."""
        return self.directory / "log.key"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as people read it; a password in an address is hidden."""

    name: str
    value: Any
    default: Any
    unit: str
    help: str


def describe_settings(config: ServerConfig) -> Iterator[Setting]:
    """All settings in their order, with what they are now."""
    for field in _settings():
        yield Setting(
            field.name,
            _without_password(getattr(config, field.name)),
            field.default,
            field.metadata["unit"],
            field.metadata["help"],
        )


def load_config(directory: Path) -> ServerConfig:
    """Read ``server.toml`` of a server's folder.

    Raises:
        ConfigError: the folder is no server's, or a setting is unknown or out of range.
    """
    file = directory / CONFIG_FILE
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            "This folder is no server's: it has no server.toml. "
            "Make one with `tongqiao server init DIR`."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError("server.toml is not UTF-8 text. Save it as UTF-8.") from error
    return parse_config(text, directory)


def parse_config(text: str, directory: Path) -> ServerConfig:
    """Parse settings from TOML text; what is not given has its default.

    Raises:
        ConfigError: as :func:`load_config`.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"server.toml is not valid TOML: {error}.") from error
    fields = {field.name: field for field in _settings()}
    unknown = sorted(table.keys() - fields.keys())
    if unknown:
        raise ConfigError(
            f"server.toml has settings that do not exist: {', '.join(unknown)}. "
            "See `tongqiao server config DIR` for those that do."
        )
    values = {name: _checked(fields[name], value) for name, value in table.items()}
    config = ServerConfig(directory=directory.resolve(), **values)
    if config.log_retention_days < config.max_retention_days:
        raise ConfigError(
            f"log_retention_days in server.toml is {config.log_retention_days}, but data may be "
            f"kept for {config.max_retention_days} days (max_retention_days). The log of data must "
            "not go before the data: give at least as many days."
        )
    if config.oidc_issuer and not (config.oidc_client_id and config.public_url):
        raise ConfigError(
            "oidc_issuer in server.toml needs oidc_client_id (this server's name there) and "
            "public_url (where people come back to)."
        )
    return config


def _settings() -> Iterator["dataclasses.Field[Any]"]:
    return (field for field in dataclasses.fields(ServerConfig) if "help" in field.metadata)


def _without_password(value: Any) -> Any:
    return _PASSWORD.sub(r"\1:***", value) if isinstance(value, str) else value


def _checked(field: "dataclasses.Field[Any]", value: Any) -> Any:
    if isinstance(field.default, str):
        return _checked_text(field, value)
    if isinstance(field.default, tuple):
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise ConfigError(f"{field.name} in server.toml must be a {field.metadata['unit']}.")
        return tuple(entry.lower() if field.metadata["fold"] else entry for entry in value)
    low, high = field.metadata["low"], field.metadata["high"]
    whole = isinstance(field.default, int)
    if (
        isinstance(value, bool)
        or not isinstance(value, int if whole else int | float)
        or not low <= value <= high
    ):
        raise ConfigError(
            f"{field.name} in server.toml must be a number from {low} to {high} "
            f"({field.metadata['unit']})."
        )
    return value if whole else float(value)


def _checked_text(field: "dataclasses.Field[Any]", value: Any) -> str:
    pattern, unit = field.metadata["pattern"], field.metadata["unit"]
    if not isinstance(value, str) or not value.isprintable() or not re.fullmatch(pattern, value):
        expected = "one line of text" if unit == "text" else f"of the form: {unit}"
        raise ConfigError(f"{field.name} in server.toml must be {expected}.")
    if field.name == "database" and value != "sqlite":
        try:
            make_url(value)
        except ArgumentError:
            raise ConfigError("database in server.toml is no address of a database.") from None
    return value
