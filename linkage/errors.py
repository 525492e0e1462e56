"""The one error tree of ``linkage``.

Every message says what failed and what to do about it.  No message ever holds a value of a
person's record, a key, or the path of a file with personal data: rows are named by number,
columns by their heading.
"""


class LinkageError(Exception):
    """Base of every error that ``linkage`` raises on purpose.

    Attributes:
        code: names exactly what failed, for pages that say it in another language; ``""`` where
            the type says enough.
        parameters: what those words need: numbers and headings, never a value of a record.
    """

    def __init__(self, *args: object, code: str = "", **parameters: str | int) -> None:
        super().__init__(*args)
        self.code = code
        self.parameters = parameters


class RecordsError(LinkageError):
    """An input file or its column mapping cannot be used as it is."""


class ProfileError(LinkageError):
    """An encoding profile is not well formed, or does not fit what it is used with."""


class LinkageSchemaError(LinkageError):
    """A clkhash linkage schema is not valid, or asks for what cannot be done."""


class EncodingError(LinkageError):
    """Records cannot be encoded."""


class TqeFormatError(LinkageError):
    """A ``.tqe`` file is truncated, altered, of an unknown version or not one at all."""


class ClkFileError(LinkageError):
    """A file of CLKs is damaged, of another format, or does not go with the others."""


class MatchingError(LinkageError):
    """Encoded datasets cannot be matched with each other."""


class EvaluationError(LinkageError):
    """Links and truth cannot be compared."""
