"""Who may look at pages: tokens, sessions of browsers, public projects, and nobody else's data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from testlytics.service.pages.asking import FORMS
from testlytics.service.pages.menu import PAGES
from testlytics.service.pages.sessions import LIFE_S, Sessions
from tests.command import command
from tests.dashboards import page
from tests.factories import attempt, end, header, lines
from tests.serving import Answer, Serving, serving

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def make(store: Path, name: str, *options: str) -> str:
    done = command("serve", "token", "create", name, "--store", store, *options, cwd=store.parent)
    assert done.code == 0, done.err
    return done.out.strip()


def run(number: int, project: str) -> bytes:
    said = {"type": "Error", "message": f"secret of {project}", "place": f"{project}.py:1"}
    rows = [attempt(f"{project}.py::of_{project}"), attempt(f"{project}.py::bad", "failed")]
    rows[1]["failure"] = said
    head = header(number, project=project, run_id=f"run-of-{project}-{number}")
    return lines(head, *rows, end(2))


class Guarded:
    """A service with tokens, a store with two runs in each of three projects; one is public."""

    def __init__(self, service: Serving, tokens: dict[str, str]) -> None:
        self.service, self.tokens = service, tokens


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    store = tmp_path_factory.mktemp("guarded") / "h.duckdb"
    read = ("--scope", "read")
    tokens = {
        "ci": make(store, "ci", "--all-projects", "--scope", "ingest"),
        "mine": make(store, "mine", "--project", "mine", *read),
        "all": make(store, "all", "--all-projects", *read),
    }
    many = ("--rate", 10_000, "--burst", 10_000)
    with serving(store, *many, "--public", "open") as service:
        for at, project in enumerate(("mine", "theirs", "open")):
            for number in range(2):
                answer = service.upload(run(10 * at + number, project), token=tokens["ci"])
                assert answer.status == 201
        yield Guarded(service, tokens)


def sign_in(service: Serving, token: str, back: str = "/", **headers: str) -> Answer:
    body = urlencode({"token": token, "next": back}).encode()
    return service.ask("/login", method="POST", body=body, headers=FORM | headers)


def cookie_of(answer: Answer) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


def every_address(project: str) -> list[str]:
    """Every route of the dashboard, with and without the project, as page and as data."""
    known = {
        "test": f"{project}.py::of_{project}",
        "run": f"run-of-{project}-{'1' if project == 'mine' else '11'}",
        "base": f"run-of-{project}-{'0' if project == 'mine' else '10'}",
        "cluster": "0" * 16,
        "pattern": project,
    }
    found = ["/version"]
    for one in PAGES:
        names = {parameter.name for parameter in one.parameters}
        asked = {name: text for name, text in known.items() if name in names}
        for form in ("html", "json", "csv"):
            for more in ({}, {"project": project} if "project" in names else {}):
                query = urlencode({**asked, **more, "format": form}, quote_via=quote)
                found.append(f"{one.path}?{query}")
    return sorted({*found, f"/version?project={project}"})


def test_a_foreign_token_sees_nothing_at_any_address(guarded: Guarded) -> None:
    service, token = guarded.service, guarded.tokens["mine"]
    cookie = cookie_of(sign_in(service, token))
    seen = 0
    for path in every_address("theirs"):
        for headers in ({"Authorization": f"Bearer {token}"}, {"Cookie": cookie}):
            answer = service.ask(path, headers=headers)
            for word in (b"secret of theirs", b'run-of-theirs-1"', b"theirs.py::bad"):
                assert word not in answer.body, path
            if "project=theirs" in path:
                assert answer.status == 403, path
                seen += 1
    assert seen > 2 * 3 * 10


def test_the_own_token_sees_all_of_its_own(guarded: Guarded) -> None:
    service, token = guarded.service, guarded.tokens["mine"]
    shown = b""
    for path in every_address("mine"):
        answer = service.ask(path, token=token)
        assert answer.status == (404 if "cluster=" in path else 200), path
        shown += answer.body
    assert b"secret of mine" in shown
    assert b"theirs" not in shown
    assert b"run-of-open" not in shown


def test_without_a_token_one_is_asked_to_sign_in(guarded: Guarded) -> None:
    for path in every_address("theirs"):
        answer = guarded.service.ask(path)
        assert b"secret of theirs" not in answer.body
        assert b"theirs.py::bad" not in answer.body
        if "project=theirs" not in path:
            continue
        if path.startswith("/version") or "format=html" not in path:
            assert (answer.status, answer.slug) == (401, "token-missing")
        else:
            assert answer.status == 303
            assert answer.headers["location"] == f"/login?next={quote(path, safe='')}"


def test_a_public_project_is_read_by_everybody_and_no_other(guarded: Guarded) -> None:
    service = guarded.service
    root = page(service, "/")
    assert "open" in root.text
    assert "mine" not in root.text
    assert "Sign in" in root.text
    assert "run-of-open-21" in page(service, "/runs?project=open").text
    assert "run-of-open-21" in page(service, "/runs").text
    assert service.ask("/wall?format=json").json["projects"][0]["project"] == "open"
    # Who has a token of another project sees it as everybody does.
    headers = {"Cookie": cookie_of(sign_in(service, guarded.tokens["mine"]))}
    assert service.ask("/runs?project=open", headers=headers).status == 200
    assert service.ask("/api/v1/runs?project=mine").slug == "token-missing"
    assert service.upload(run(90, "open")).slug == "token-missing"


def test_a_version_tells_nothing_of_others(guarded: Guarded) -> None:
    service = guarded.service
    everybody = service.ask("/version").json["version"]
    mine = service.ask("/version", token=guarded.tokens["mine"]).json["version"]
    whole = service.ask("/version", token=guarded.tokens["all"]).json["version"]
    theirs = service.upload(run(19, "theirs"), token=guarded.tokens["ci"])
    assert theirs.status == 201
    assert service.ask("/version").json["version"] == everybody
    assert service.ask("/version", token=guarded.tokens["mine"]).json["version"] == mine
    assert service.ask("/version", token=guarded.tokens["all"]).json["version"] != whole
    assert service.ask("/version?project=theirs").status == 401


def test_a_session_is_a_cookie_that_scripts_cannot_read(guarded: Guarded) -> None:
    service, token = guarded.service, guarded.tokens["all"]
    answer = sign_in(service, token, back="/runs?project=theirs")
    assert (answer.status, answer.headers["location"]) == (303, "/runs?project=theirs")
    kept = answer.headers["set-cookie"]
    parts = {part.strip().partition("=")[0] for part in kept.split(";")[1:]}
    assert parts == {"Path", "Max-Age", "HttpOnly", "SameSite"}
    assert "SameSite=Strict" in kept
    assert token not in kept
    cookie = cookie_of(answer)
    assert len(cookie.partition("=")[2]) >= 43
    again = cookie_of(sign_in(service, token))
    assert again != cookie
    shown = service.ask("/runs?project=theirs", headers={"Cookie": cookie})
    assert b"run-of-theirs-11" in shown.body
    assert b"Sign out" in shown.body
    # It opens pages, not the API, and no uploads.
    assert service.ask("/api/v1/runs", headers={"Cookie": cookie}).slug == "token-missing"
    out = service.ask("/logout", method="POST", headers={"Cookie": cookie})
    assert (out.status, out.headers["location"]) == (303, "/login")
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert service.ask("/runs?project=theirs", headers={"Cookie": cookie}).status == 303
    assert service.ask("/runs?project=theirs", headers={"Cookie": again}).status == 200


def test_behind_tls_the_cookie_is_for_tls_alone(guarded: Guarded) -> None:
    host = f"127.0.0.1:{guarded.service.port}"
    answer = sign_in(guarded.service, guarded.tokens["all"], Origin=f"https://{host}")
    assert answer.headers["set-cookie"].endswith("; Secure")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[::1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
    ],
)
def test_a_form_of_another_site_does_nothing(
    guarded: Guarded, headers: dict[str, str], status: int
) -> None:
    answer = sign_in(guarded.service, guarded.tokens["all"], **headers)
    assert answer.status == status
    assert ("set-cookie" in answer.headers) == (status == 303)
    cookie = cookie_of(sign_in(guarded.service, guarded.tokens["all"]))
    out = guarded.service.ask("/logout", method="POST", headers=headers | {"Cookie": cookie})
    assert out.status == status
    left = guarded.service.ask("/runs?project=mine", headers={"Cookie": cookie})
    assert left.status == (303 if status == 303 else 200)


@pytest.mark.parametrize(
    "back",
    ["//evil.example/", "https://evil.example/", "/\\evil.example", "evil", "", "/a\r\nX: y"],
)
def test_signing_in_leads_to_no_other_site(guarded: Guarded, back: str) -> None:
    answer = sign_in(guarded.service, guarded.tokens["all"], back=back)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    shown = guarded.service.ask(f"/login?next={quote(back, safe='')}")
    assert b"evil" not in shown.body


@pytest.mark.parametrize(
    ("token", "status", "word"),
    [
        ("", 401, b"A token is needed"),
        ("tly_wrong", 401, b"not known here"),
        ("a.b.c", 401, b"CI job"),
        ('"><script>alert(1)</script>', 401, b"not known here"),
    ],
)
def test_a_wrong_token_opens_nothing(
    guarded: Guarded, token: str, status: int, word: bytes
) -> None:
    answer = sign_in(guarded.service, token)
    assert answer.status == status
    assert "set-cookie" not in answer.headers
    assert word in answer.body
    assert b"<script>alert" not in answer.body


def test_a_token_for_uploads_opens_no_page(guarded: Guarded) -> None:
    answer = sign_in(guarded.service, guarded.tokens["ci"])
    assert answer.status == 403
    assert "set-cookie" not in answer.headers
    assert guarded.service.ask("/?format=json", token=guarded.tokens["ci"]).slug == "token-scope"


def test_forms_are_bounded(guarded: Guarded) -> None:
    big = guarded.service.ask("/login", method="POST", body=b"token=" + b"x" * 9_000, headers=FORM)
    assert big.status == 413
    odd = guarded.service.ask("/login", method="POST", body=b"\xff\xfe", headers=FORM)
    assert odd.status == 422


def test_guessed_cookies_open_nothing(guarded: Guarded) -> None:
    for value in ("", "x", "a" * 43, "\xff", "testlytics_session"):
        headers = {"Cookie": f"testlytics_session={value}"}
        assert guarded.service.ask("/runs?project=mine", headers=headers).status == 303


def test_a_revoked_token_ends_its_sessions(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    make(store, "stays", "--project", "p")
    token = make(store, "goes", "--all-projects", "--scope", "read")
    with serving(store) as service:
        headers = {"Cookie": cookie_of(sign_in(service, token))}
        assert service.ask("/", headers=headers).status == 200
        done = command("serve", "token", "revoke", "goes", "--store", store, cwd=tmp_path)
        assert done.code == 0
        assert service.ask("/", headers=headers).headers["location"] == "/login?next=%2F"


def test_without_tokens_only_this_machine_looks(tmp_path: Path) -> None:
    with serving(tmp_path / "h.duckdb") as service:
        assert service.ask("/").status == 200
        assert service.ask("/", headers={"Host": "evil.example"}).status == 403
        assert service.ask("/login").headers["location"] == "/"


def test_sessions_end() -> None:
    now = 1000.0
    sessions = Sessions(lambda: now)
    name = sessions.begin("t")
    assert sessions.token(name) == "t"
    now += LIFE_S - 1
    assert sessions.token(name) == "t"
    now += 1
    assert sessions.token(name) is None
    other = sessions.begin("t")
    sessions.end(other)
    assert sessions.token(other) is None
    assert sessions.token(None) is None


def test_cookies_and_tokens_are_in_no_log(guarded: Guarded) -> None:
    cookie = cookie_of(sign_in(guarded.service, guarded.tokens["all"]))
    guarded.service.ask("/runs?project=mine", headers={"Cookie": cookie})
    log = str(guarded.service.log())
    assert cookie.partition("=")[2] not in log
    assert guarded.tokens["all"] not in log
    assert "/login" in log


@pytest.mark.parametrize(
    "value",
    [
        *("%00", "%FF%FE", "%ED%A0%80", "'%3B%20drop%20table%20raw.runs%3B--", "%25%27%5C", "*"),
        *("../../etc/passwd", "%0d%0aX-Evil:%201", "%F0%9F%A6%86", "1" * 999, "x" * 1001, "%"),
        *("-1", "1e3", "0", "999999999999", "NaN", "a=b", "=", "os%3Dlinux%2C", "%3Cscript%3E"),
    ],
)
def test_hostile_questions_are_answers_not_accidents(guarded: Guarded, value: str) -> None:
    service, token = guarded.service, guarded.tokens["mine"]
    for one in PAGES:
        for parameter in (*one.parameters, *FORMS):
            answer = service.ask(f"{one.path}?{parameter.name}={value}", token=token)
            assert answer.status < 500, (one.path, parameter.name, answer.body)
            assert b"Traceback" not in answer.body
            assert b"secret of theirs" not in answer.body
            assert "x-evil" not in answer.headers
            assert b"<script>" not in answer.body
    for query in (f"{value}", f"{value}={value}", f"project=mine&project={value}"):
        assert service.ask(f"/flaky?{query}", token=token).status < 500
        assert service.ask(f"/version?{query}", token=token).status < 500
        assert service.ask(f"/login?next={value}").status < 500
