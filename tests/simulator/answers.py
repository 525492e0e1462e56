"""What the server answers, and what it must have done when it grants or refuses."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.server.refusals import PROBLEMS


@dataclass
class Answer:
    """What the server answered, and what that did to it.

    Attributes:
        changed: whether a row (but for the log's and the nonces') or a file is another now.
        entries: what the access log says of this request.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    changed: bool
    entries: Sequence[Mapping[str, Any]]

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    def __getitem__(self, name: str) -> Any:
        return self.json[name]

    @property
    def slug(self) -> str | None:
        """Last part of the problem's type; ``None`` where nothing was refused."""
        if self.headers.get("Content-Type") != "application/problem+json":
            return None
        return str(self.json["type"]).removeprefix("urn:tongqiao:problem:")


def granted(answer: Answer, status: int | None = None) -> Answer:
    """The request was carried out, and the log says so."""
    assert answer.status in ((200, 201) if status is None else (status,)), answer.body
    assert [entry["outcome"] for entry in answer.entries if entry["outcome"] != "granted"] == []
    assert answer.entries, "what is not logged did not happen"
    return answer


def refused(answer: Answer, slug: str) -> Answer:
    """The request was refused for this reason, clearly; it is in the log and changed nothing."""
    assert answer.slug == slug, (answer.status, answer.body)
    problem = answer.json
    assert answer.status == problem["status"] == PROBLEMS[slug].status
    assert problem["title"] == PROBLEMS[slug].title
    assert problem["detail"].endswith((".", "`."))
    assert problem["instance"] == f"urn:tongqiao:request:{answer.headers['X-Request-Id']}"
    assert [(entry["outcome"], entry["reason"]) for entry in answer.entries] == [("refused", slug)]
    assert not answer.changed, "a refused request changed something"
    return answer
