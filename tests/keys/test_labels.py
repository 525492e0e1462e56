import re

from keys import labels


def _all_labels() -> list[bytes]:
    return [value for name, value in vars(labels).items() if name.isupper()]


def test_labels_are_apart_from_each_other() -> None:
    assert len(_all_labels()) >= 10
    assert len(set(_all_labels())) == len(_all_labels())


def test_no_label_can_be_taken_for_another_with_data_behind_it() -> None:
    for label in _all_labels():
        assert re.fullmatch(rb"tongqiao/v1/[a-z0-9-]+", label)
        assert b"\x00" not in label


def test_no_signed_request_starts_like_a_label() -> None:
    # RFC 9421, section 2.5: each line starts with a component name in quotation marks.
    assert not any(label.startswith(b'"') for label in _all_labels())
