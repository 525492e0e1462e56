"""What an office checks before it signs the terms of a round and before it uploads."""

from collections.abc import Iterable, Sequence

from api.client.errors import printable
from api.client.round_view import RoundView
from api.client.terms import Terms, TermsError
from linkage.errors import TqeFormatError
from linkage.profile import Profile, parse_profile
from linkage.types import Manifest

_HOW_LINKS_ARE_MADE = {
    "groups": "Records of all offices that are one child form a group.",
    "one-to-one": "A record is linked with at most one record of each other office.",
    "pairs": "Every pair of records that is similar enough is a link.",
}


def check_profile(terms: Terms, text: str) -> Profile:
    """Parse the profile that came with the terms, and make sure that it is the one they bind.

    Raises:
        TermsError: its hash, name or cleaning version is not the one in the terms.
        ProfileError: it is not well formed.
    """
    profile = parse_profile(text)
    bound = (terms.profile_sha256, terms.profile_name, terms.cleaning)
    if (profile.sha256, profile.name, profile.cleaning) != bound:
        raise TermsError(
            "The encoding profile that the server sent is not the one in the terms. Do not sign. "
            "Tell the operator and the auditor."
        )
    return profile


def check_part(terms: Terms, office: str) -> None:
    """Make sure that the office has a part in the round.

    Raises:
        TermsError: it is neither a member nor the coordinating office.
    """
    if terms.role_of(office) is None and office != terms.coordinating_office:
        raise TermsError(
            "Your office is not among those that the terms name. There is nothing for you to "
            "sign or upload. Ask the operator."
        )


def check_same_terms(read: Terms, served: Terms) -> None:
    """Make sure that what is signed is what was read.

    Raises:
        TermsError: the server's terms are not those of the file.
    """
    if read.sha256 != served.sha256:
        raise TermsError(
            "The server's terms are not the ones in your file. Nothing was signed. Download "
            "them again with 'tongqiao office terms', and read what changed."
        )


def check_upload(view: RoundView, office: str, manifest: Manifest) -> None:
    """Make sure that a file fits the round before it leaves the office.

    Raises:
        TermsError: the round does not take an upload of this office now.
        TqeFormatError: the file was not made for this round.
    """
    terms = view.terms
    member = view.member(office)
    if member is None or terms.role_of(office) is None:
        raise TermsError("Your office is no member of this round, so it uploads nothing.")
    if view.state != "open":
        raise TermsError(f"The round takes no uploads: it is {printable(view.state)}, not open.")
    if not member.signed:
        raise TermsError("Your office has not signed the terms yet. Run 'tongqiao office sign'.")
    if not view.key_confirmed:
        raise TermsError(
            f"{terms.coordinating_office} has not confirmed the key of the round yet. Ask it to "
            "run 'tongqiao office sign' with its secret file, then upload."
        )
    if manifest.context != terms.context:
        raise TqeFormatError(
            "The file was encoded for another round. Encode again with --terms of this round."
        )
    if (manifest.profile_name, manifest.profile_sha256) != (
        terms.profile_name,
        terms.profile_sha256,
    ):
        raise TqeFormatError(
            "The file was encoded by another profile than the terms bind. Encode again with "
            "--terms and --profile of this round."
        )
    if manifest.cleaning_version != terms.cleaning:
        raise TqeFormatError(
            "The file was cleaned by other rules than the terms bind. Update the program and "
            "encode again."
        )
    if not 0 < manifest.n_records <= terms.max_records:
        raise TqeFormatError(
            f"The file holds {manifest.n_records:,} records; the terms allow 1 to "
            f"{terms.max_records:,}. Encode only the records that belong to this round."
        )


def plain_words(terms: Terms, office: str) -> Sequence[str]:
    """The terms as sentences for the person who decides whether to sign, one paragraph each."""
    role = terms.role_of(office)
    paragraphs = [
        f"Round {terms.round} of project {terms.project}",
        f"Purpose: {terms.purpose}",
        "Who takes part: " + _listed(f"{m.office} ({m.role})" for m in terms.members) + ".",
        f"Who makes the linkage secret: {terms.coordinating_office} (number {terms.secret_epoch}).",
        _what_leaves(terms),
        "What the server does with them: " + _HOW_LINKS_ARE_MADE[terms.solve] + " " + _bar(terms),
        "Who sees links: " + _who_sees(terms),
    ]
    if terms.min_witnesses is not None:
        paragraphs.append(_who_watches(terms.min_witnesses))
    if role is not None:
        paragraphs.append(_own_part(terms, office, role))
    elif office == terms.coordinating_office:
        paragraphs.append(
            "Your office makes the secret and confirms the key of the round by signing. It "
            "uploads nothing and sees no links."
        )
    else:
        paragraphs.append("Your office is not among those that take part.")
    if terms.suite.name != "default":
        paragraphs.append(
            f"Cipher suite: {terms.suite.name}. It derives the round's keys, hashes inside the "
            "encodings and encrypts stored ones; signatures and sealing stay as they are."
        )
    paragraphs += [
        _how_long(terms),
        f"SHA-256 of these terms: {terms.sha256}",
    ]
    return [printable(paragraph, 100_000) for paragraph in paragraphs]


def _what_leaves(terms: Terms) -> str:
    return (
        f"What leaves an office: encodings of at most {terms.max_records:,} records, made by "
        f"profile {terms.profile_name} after cleaning {terms.cleaning}. No name, number or date "
        "leaves it."
    )


def _how_long(terms: Terms) -> str:
    days = f"{terms.retention_days} days"
    return (
        f"How long: the server deletes encodings and links {days} after their release. If nothing "
        f"is released, it deletes the encodings {days} after the round was opened."
    )


def _who_watches(min_witnesses: int) -> str:
    if not min_witnesses:
        return "Who watches the release: no witness of the access log is asked for."
    members = "1 member has" if min_witnesses == 1 else f"{min_witnesses} members have"
    return (
        f"Who watches the release: nothing is released before {members} witnessed the access log "
        "of the matching ('tongqiao audit witness')."
    )


def _bar(terms: Terms) -> str:
    if terms.threshold is None:
        return "How similar is similar enough is estimated from the encodings."
    return f"A link needs a score of at least {terms.threshold:g}."


def _who_sees(terms: Terms) -> str:
    if terms.visibility is None:
        return (
            "each office sees which of its own records are linked, with which office, and how "
            "surely. It sees no other office's records."
        )
    rows = "; ".join(
        f"{role} sees its links with {_listed(seen)}" if seen else f"{role} sees no links"
        for role, seen in terms.visibility.items()
    )
    return (
        f"{rows}. Who sees a link sees which of its own records is linked, with which office, and "
        "how surely."
    )


def _own_part(terms: Terms, office: str, role: str) -> str:
    seen = terms.counterparts_of(office)
    if not seen:
        return f"Your office ({office}, {role}) sees no links."
    return f"Your office ({office}, {role}) sees its links with: {_listed(m.office for m in seen)}."


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
