from hypothesis import given
from hypothesis import strategies as st

from api.client.errors import ApiError, printable


@given(st.text())
def test_text_from_elsewhere_cannot_steer_a_terminal(text: str) -> None:
    shown = printable(text, 50)
    assert shown.isprintable()
    assert len(shown) <= 50


def test_chinese_text_is_kept() -> None:
    assert printable("锦江区民政局\n（示例）") == "锦江区民政局 （示例）"


def test_an_error_names_the_request_to_look_up_in_the_log() -> None:
    error = ApiError("forbidden", 403, "Not yours.\x1b[2J", "0123")
    assert str(error) == "Not yours. [2J (request 0123)"
    assert (error.slug, error.status) == ("forbidden", 403)
