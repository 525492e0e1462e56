"""A workbench without a server, and a browser's session that was let in."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from api.office.workbench.app import create_workbench
from api.office.workbench.desk import Desk, make_desk
from api.office.workbench.folder import OfficeFolder
from linkage.profile import load_profile

KEY = "key-of-this-start"


@pytest.fixture
def bench(tmp_path: Path) -> Desk:
    return make_desk(OfficeFolder(tmp_path / "bench"), load_profile("cn-child-v1"), None)


@pytest.fixture
def stranger(bench: Desk) -> FlaskClient:
    app = create_workbench(bench, KEY)
    app.config["WTF_CSRF_ENABLED"] = False
    return app.test_client()


@pytest.fixture
def clerk(stranger: FlaskClient) -> FlaskClient:
    assert stranger.get("/", query_string={"key": KEY}).status_code == 303
    return stranger
