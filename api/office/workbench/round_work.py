"""A round as the office sees it: terms, signature, encoding, sending, links, list."""

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flask_babel import lazy_gettext

from api.client.errors import printable
from api.client.private_files import replacing_privately, write_privately
from api.client.round_view import RoundSummary, RoundView, parse_rounds
from api.client.terms import Terms, parse_terms
from api.client.upload import upload_file
from api.office.encoding import encode_to_files
from api.office.join import JoinCounts, write_joined_list
from api.office.links import load_links, load_pseudonym_map
from api.office.opening_secret import open_sent_secret
from api.office.own_records import load_own_records
from api.office.previous_list import PreviousList, load_previous_list
from api.office.results import write_links
from api.office.round_terms import check_upload
from api.office.signing_terms import fetch_profile, fetch_round, sign_terms
from api.office.workbench.error_words import ToldError
from api.office.workbench.folder import (
    OfficeFolder,
    copy_privately,
    find_source,
    read_json,
    write_json,
)
from api.office.workbench.jobs import Job
from api.office.workbench.joined_rows import write_joined_rows
from api.office.workbench.register import Register
from keys.linkage_secret import LinkageSecret, load_linkage_secret, save_linkage_secret
from linkage.encoding.encode_file import RiskyFileError
from linkage.profile import parse_profile
from linkage.records.mapping import load_mapping
from linkage.records.reading import read_records
from linkage.tqe import read_manifest
from linkage.types import RecordBatch

if TYPE_CHECKING:
    from api.client.http import ServerClient


_NAMES_KEPT_S = 300.0


@dataclass(frozen=True, slots=True)
class RoundFiles:
    """Paths of a round's files in the workbench's folder."""

    folder: Path

    @property
    def unsent(self) -> "RoundFiles":
        """What is encoded and not sent yet: until then, what was sent stays for its links."""
        return RoundFiles(self.folder / "unsent")

    @property
    def prepared(self) -> "RoundFiles":
        """What is sent next: what is not sent yet, else what was sent."""
        return self.unsent if self.unsent.folder.exists() else self

    def keep_unsent(self) -> None:
        """What was not sent yet has been: it takes the place of what was sent before.

        Raises:
            OSError: it cannot be moved; doing so again goes on.
        """
        unsent = self.unsent
        source, old = find_source(unsent.folder), find_source(self.folder)
        if source is not None:
            if old is not None:
                old.unlink()
            source.replace(self.folder / source.name)
        # The encodings last: as long as they are there, this is not done.
        for name in ("columns", "map", "preflight", "encoded"):
            path: Path = getattr(unsent, name)
            if path.exists():
                path.replace(getattr(self, name))
        shutil.rmtree(unsent.folder)

    @property
    def terms(self) -> Path:
        """The terms as they were read."""
        return self.folder / "terms.json"

    @property
    def profile(self) -> Path:
        """The profile that the terms bind."""
        return self.folder / "profile.toml"

    @property
    def columns(self) -> Path:
        """The mapping of the file that was encoded."""
        return self.folder / "columns.toml"

    @property
    def encoded(self) -> Path:
        """What is sent."""
        return self.folder / "encoded.tqe"

    @property
    def map(self) -> Path:
        """Pseudonym -> own record id; never sent."""
        return self.folder / "encoded.map.csv"

    @property
    def preflight(self) -> Path:
        """What was found in the encoded file before it could be sent."""
        return self.folder / "preflight.json"

    @property
    def receipt(self) -> Path:
        """What the server answered to the upload."""
        return self.folder / "receipt.json"

    @property
    def links(self) -> Path:
        """The links as they were fetched."""
        return self.folder / "links.csv"

    @property
    def list(self) -> Path:
        """Own rows with their links, for Excel."""
        return self.folder / "list.xlsx"

    @property
    def rows(self) -> Path:
        """The same list, for pages."""
        return self.folder / "list.sqlite"


class RoundWork:
    """What an office does in rounds, over its folder and a connection."""

    def __init__(self, client: "ServerClient", folder: OfficeFolder, register: Register) -> None:
        self._client = client
        self._folder = folder
        self._register = register
        self.office = client.identity.public.holder
        self._names: dict[str, str] = {}
        self._names_until = 0.0

    def files(self, round_id: str) -> RoundFiles:
        """Paths of a round."""
        return RoundFiles(self._folder.round(round_id))

    def rounds(self) -> tuple[RoundSummary, ...]:
        """The office's rounds, newest first.  Raises: ApiError."""
        return parse_rounds(self._client.get_json("/v1/rounds"))

    def names(self) -> dict[str, str]:
        """Names of the offices that the server knows, by id; asked once in a while."""
        if time.monotonic() >= self._names_until:
            members = self._client.get_json("/v1/members").get("members", [])
            self._names = {
                str(entry["id"]): printable(str(entry["name"]))
                for entry in members
                if isinstance(entry, dict) and entry.get("id") and entry.get("name")
            }
            self._names_until = time.monotonic() + _NAMES_KEPT_S
        return self._names

    def view(self, round_id: str) -> RoundView:
        """What the server says of a round, checked.  Raises: ApiError, TermsError."""
        return fetch_round(self._client, round_id)

    def keep_terms(self, terms: Terms) -> None:
        """Keep terms and profile that are shown, so that what is signed is what was read.

        Raises:
            ApiError, TermsError: the profile cannot be had, or is not the one in the terms.
        """
        files = self.files(terms.round)
        profile = fetch_profile(self._client, terms)
        text = json.dumps(terms.document, ensure_ascii=False, indent=2) + "\n"
        write_privately(files.terms, text.encode(), overwrite=True)
        write_privately(files.profile, profile.source.encode(), overwrite=True)

    def sign(self, round_id: str, read_sha256: str) -> None:
        """Sign the terms that were read.

        Raises:
            TermsError: the terms kept are not those that the page showed, or as
                :func:`api.office.signing_terms.sign_terms`.
        """
        terms = parse_terms(self.files(round_id).terms.read_bytes())
        if terms.sha256 != read_sha256:
            raise ToldError(lazy_gettext("The terms have changed since you read them. Read again."))
        confirms = self.office == terms.coordinating_office
        sign_terms(self._client, self.office, terms, self.secret() if confirms else None)

    def has_secret(self) -> bool:
        """Whether the linkage secret is in the folder."""
        return self._folder.secret.exists()

    def secret(self) -> LinkageSecret:
        """The linkage secret.

        Raises:
            RecordsError: the folder has none.
            KeysError: the file is not one, or others may read it.
        """
        if not self.has_secret():
            raise ToldError(
                lazy_gettext(
                    "Your office has no linkage secret yet. Open the one that was sealed to your "
                    "office."
                )
            )
        return load_linkage_secret(self._folder.secret)

    def open_secret(self, round_id: str, heard: str) -> None:
        """Fetch the secret that was sealed to this office, open it and keep it.

        One that is there already, and is another, is put aside and not lost.

        Args:
            heard: fingerprint of the coordinating office, as it was read out by telephone.

        Raises:
            ApiError, KeysError: as :func:`api.office.opening_secret.open_sent_secret`.
            OSError: it cannot be kept.
        """
        secret = open_sent_secret(self._client, self.view(round_id).terms, heard)
        path = self._folder.secret
        if path.exists():
            number = sum(1 for _ in path.parent.glob(f"{path.name}.before-*")) + 1
            path.rename(path.with_name(f"{path.name}.before-{number}"))
        save_linkage_secret(secret, path)

    def encode(self, round_id: str, job: Job, accepted_risk: str = "") -> None:
        """Encode the register for a round; keeps beside it what the list needs later.

        What was sent before stays until this is sent: the links will be of what the server has.

        Args:
            round_id: of the round.
            job: told of the progress.
            accepted_risk: why a file that the check refuses is needed all the same.

        Raises:
            RecordsError, EncodingError, KeysError, OSError: as the command ``encode``.
        """
        files = self.files(round_id)
        terms = parse_terms(files.terms.read_bytes())
        profile = parse_profile(files.profile.read_text(encoding="utf-8"))
        secret = self.secret()
        source, inspection = self._register.source, self._register.inspection
        if source is None or inspection is None or not inspection.has_record_id:
            raise ToldError(lazy_gettext("Choose your file and confirm its columns first."))
        unsent = files.unsent
        shutil.rmtree(unsent.folder, ignore_errors=True)
        unsent.folder.mkdir(mode=0o700)
        kept = unsent.folder / source.name
        copy_privately(source, kept)
        write_privately(unsent.columns, self._register.columns_file.read_bytes())
        mapping = load_mapping(unsent.columns)
        job.enter(lazy_gettext("Encoding on this computer"), total=inspection.n_records)
        batches = read_records(kept, mapping, profile.fields, cleaning=profile.cleaning)
        try:
            encoded = encode_to_files(
                _counted(batches, job),
                profile,
                secret,
                context=terms.context,
                out=unsent.encoded,
                map_file=unsent.map,
                suite=terms.suite,
                max_records=terms.max_records,
                accepted_risk=accepted_risk or None,
                on_stage=lambda _stage: job.enter(lazy_gettext("Checking and writing the file")),
            )
        except RiskyFileError as refusal:
            write_json(unsent.preflight, refusal.report.to_json())
            raise ToldError(
                lazy_gettext(
                    "The check refused the file. See below what was found, and what to do."
                )
            ) from refusal
        write_json(unsent.preflight, encoded.preflight.to_json())

    def send(self, round_id: str, job: Job) -> None:
        """Send what was encoded; goes on where a broken connection stopped.

        Raises:
            ApiError, TermsError, TqeFormatError: the file does not fit, or the server refused.
        """
        files = self.files(round_id)
        encoded = files.prepared.encoded
        check_upload(self.view(round_id), self.office, read_manifest(encoded))
        job.enter(lazy_gettext("Sending"), total=encoded.stat().st_size, unit="bytes")
        receipt = upload_file(
            self._client, self._address(round_id), encoded, on_progress=job.advance
        )
        write_json(files.receipt, dict(receipt))
        if encoded == files.unsent.encoded:
            files.keep_unsent()

    def _address(self, round_id: str) -> str:
        return f"/v1/rounds/{round_id}/uploads/{self.office}"

    def can_fetch(self, round_id: str) -> bool:
        """Whether a list of this round was encoded here."""
        files = self.files(round_id)
        return files.map.exists() or files.unsent.map.exists()

    def _settle(self, round_id: str) -> None:
        """Find out whether what seems not to be sent was: the server's answer may have been lost.

        Raises:
            ApiError: the server does not answer.
            OSError: the files cannot be read or moved.
        """
        files = self.files(round_id)
        if not files.unsent.encoded.exists():
            return
        receipt = self._client.get_json(self._address(round_id))
        with files.unsent.encoded.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if receipt.get("sha256") == sha256:
            write_json(files.receipt, receipt)
            files.keep_unsent()

    def fetch(self, round_id: str, job: Job) -> JoinCounts:
        """Fetch the links and join them to the rows of the file that was encoded.

        Raises:
            ApiError, RecordsError, OSError: as the commands ``results`` and ``join``.
        """
        files = self.files(round_id)
        terms = self.view(round_id).terms
        self._settle(round_id)
        job.enter(lazy_gettext("Fetching the links"), unit="links")
        write_links(
            self._client, round_id, self.office, terms, files.links, overwrite=True,
            on_progress=job.advance,
        )  # fmt: skip
        links, record_ids = load_links(files.links), load_pseudonym_map(files.map)
        source = find_source(files.folder)
        if source is None:
            raise ToldError(lazy_gettext("The file that was encoded for this round is gone."))
        job.enter(lazy_gettext("Joining with your own rows"), total=len(record_ids))
        own = load_own_records(source, files.columns)
        with replacing_privately(files.list, overwrite=True) as draft:
            counts = write_joined_list(
                draft, own, links, record_ids, self._previous(round_id), on_progress=job.advance
            )
        job.enter(lazy_gettext("Preparing the pages"))
        write_joined_rows(files.list, files.rows)
        return counts

    def _previous(self, round_id: str) -> PreviousList | None:
        """The newest list of another round of the same project, to say what has changed."""
        ours = self.files(round_id)
        project = parse_terms(ours.terms.read_bytes()).project
        lists = []
        for folder in (self._folder.root / "rounds").iterdir():
            files = RoundFiles(folder)
            if folder == ours.folder or not files.list.exists() or not files.terms.exists():
                continue
            if parse_terms(files.terms.read_bytes()).project == project:
                lists.append((read_json(files.receipt).get("received_at", ""), files.list))
        return load_previous_list(max(lists)[1]) if lists else None


def _counted(batches: Iterator[RecordBatch], job: Job) -> Iterator[RecordBatch]:
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        job.advance(done)
