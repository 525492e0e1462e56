"""The plain encoder: NumPy only, starts at once, and is the reference for the compiled one."""

from collections.abc import Mapping, Sequence

from linkage.encoded_rows import RowLayout
from linkage.encoding.subkeys import KeySchedule
from linkage.encoding.values import BlockValues, token_tables
from linkage.encoding.views import ViewEncoder
from linkage.profile import Profile
from linkage.types import U64


class PlainRowEncoder:
    """Encodes blocks of records as :class:`linkage.encoding.row_encoder.RowEncoder` does.

    Raises:
        EncodingError: a view's salt cannot be made.
    """

    def __init__(self, profile: Profile, keys: KeySchedule) -> None:
        self._profile = profile
        self._layout = RowLayout(profile.layout())
        self._tables = token_tables(profile)
        self._views = [ViewEncoder(profile, view, keys) for view in profile.views]

    def encode(self, columns: Mapping[str, Sequence[str | None]], n_records: int) -> U64:
        """Rows of a block, without pseudonyms, ``(n_records, n_words) uint64``.

        Raises:
            EncodingError: a value is not in the form that its field's kind has.
        """
        rows = self._layout.empty_rows(n_records)
        values = BlockValues(columns, n_records, self._tables, self._profile.fields)
        for layout, view in zip(self._layout.views, self._views, strict=True):
            block = view.encode(values)
            presence = self._layout.presence(layout)
            self._layout.set_validity(rows, presence, block.present)
            if layout.tagged:
                rows[:, presence.first_word] = block.tags
            for group in layout.groups:
                column = self._layout.group(layout.name, group.name)
                self._layout.set_validity(rows, column, block.filter_present[group.name])
                rows[:, column.first_word : column.first_word + column.n_words] = block.filters[
                    group.name
                ]
        return rows

    def fill_counts(self) -> dict[str, tuple[int, int]]:
        """For each ``view/group``: bits set before diffusion, and filters that are present."""
        return {name: counts for view in self._views for name, counts in view.fill_counts().items()}
