"""CI jobs that come with a token of their provider: who is let in, and who is not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testlytics.service.oidc import FETCH_EVERY_S, Keys, Oidc, read_trusts
from testlytics_collector.errors import ConfigError, Error
from tests.command import command
from tests.factories import attempt, end, header, lines
from tests.issuer import Issuer, issuing, new_key, part, public_pem
from tests.serving import Serving, serving


def run(number: int) -> bytes:
    return lines(header(number), attempt(), end(1))


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as one:
        yield one


@pytest.fixture(scope="module")
def service(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("oidc")
    trusts = issuer.trusting(folder, ref="refs/heads/*", scopes=["ingest", "read"])
    with serving(folder / "h.duckdb", "--oidc", trusts) as one:
        yield one


def test_a_job_uploads_to_its_project_and_reads_it(service: Serving, issuer: Issuer) -> None:
    token = issuer.token()
    assert service.upload(run(1), token=token).status == 201
    [row] = service.ask("/api/v1/runs", token=token).json["runs"]
    assert row["project"] == "shop"
    assert service.ask("/api/v1/runs?project=other", token=token).slug == "token-project"
    assert service.ask("/metrics", token=token).slug == "token-scope"
    assert service.ask("/api/v1/runs").slug == "token-missing"
    log = json.dumps(service.log())
    assert "oidc:acme/shop" in log
    assert token.split(".")[2] not in log


def hostile(issuer: Issuer, name: str) -> str:
    now = int(time.time())
    whole = issuer.token()
    head, claims, signature = whole.split(".")
    deep = part(b'{"alg":"RS256","kid":"one"}') + "." + part(b"[" * 11_000) + ".x"
    other = part(json.dumps(issuer.claims(repository="acme/other")).encode())
    made: dict[str, Callable[[], str]] = {
        "none": lambda: issuer.forged("none"),
        "None": lambda: issuer.forged("None"),
        "HS256 with the public key": lambda: issuer.forged("HS256", public_pem(issuer.keys["one"])),
        "HS256 with the published key": lambda: issuer.forged("HS256", issuer.jwks()),
        "RS256 without a signature": lambda: issuer.forged("RS256"),
        "another key": lambda: issuer.token(key=new_key()),
        "a key in the token": lambda: issuer.token(
            key=new_key(), headers={"jku": f"{issuer.address}/mine", "jwk": {"kty": "RSA"}}
        ),
        "an unknown key": lambda: issuer.token("two", key=new_key()),
        "changed claims": lambda: f"{head}.{other}.{signature}",
        "cut": lambda: whole[:-8],
        "garbage": lambda: "a.b.c",
        "nothing": lambda: "..",
        "deep": lambda: deep,
        "no utf-8": lambda: f"{part(bytes(range(200, 256)))}.{claims}.{signature}",
        "expired": lambda: issuer.token(claims={"exp": now - 60}),
        "never ends": lambda: issuer.token(claims={"exp": None}),
        "not yet": lambda: issuer.token(claims={"nbf": now + 90}),
        "made tomorrow": lambda: issuer.token(claims={"iat": now + 90}),
        "no date": lambda: issuer.token(claims={"iat": None}),
        "another audience": lambda: issuer.token(claims={"aud": "https://elsewhere.example"}),
        "no audience": lambda: issuer.token(claims={"aud": None}),
        "another issuer": lambda: issuer.token(claims={"iss": "https://elsewhere.example"}),
        "an issuer below": lambda: issuer.token(claims={"iss": f"{issuer.address}/x"}),
        "another repository": lambda: issuer.token(claims={"repository": "acme/shop2"}),
        "another owner": lambda: issuer.token(claims={"repository": "evil/shop"}),
        "another case": lambda: issuer.token(claims={"repository": "Acme/shop"}),
        "no repository": lambda: issuer.token(claims={"repository": None}),
        "several repositories": lambda: issuer.token(claims={"repository": ["acme/shop"]}),
        "a tag": lambda: issuer.token(claims={"ref": "refs/tags/v1"}),
        "no ref": lambda: issuer.token(claims={"ref": None}),
        "a number for a ref": lambda: issuer.token(claims={"ref": 1}),
    }
    return made[name]()


HOSTILE = (
    *("none", "None", "HS256 with the public key", "HS256 with the published key"),
    *("RS256 without a signature", "another key", "a key in the token", "an unknown key"),
    *("changed claims", "cut", "garbage", "nothing", "deep", "no utf-8"),
    *("expired", "never ends", "not yet", "made tomorrow", "no date"),
    *("another audience", "no audience", "another issuer", "an issuer below"),
    *("another repository", "another owner", "another case", "no repository"),
    *("several repositories", "a tag", "no ref", "a number for a ref"),
)


@pytest.mark.parametrize("name", HOSTILE)
def test_all_others_are_refused_with_one_answer(
    service: Serving, issuer: Issuer, name: str
) -> None:
    answer = service.ask("/api/v1/runs", token=hostile(issuer, name))
    assert (answer.status, answer.slug) == (401, "oidc-refused")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    plain = service.ask("/api/v1/runs", token="a.b.c")
    assert answer.body == plain.body
    assert any(line["event"] == "oidc refused" and line["error"] for line in service.log())


def test_clocks_may_differ_a_little(service: Serving, issuer: Issuer) -> None:
    now = int(time.time())
    for claims in ({"exp": now - 5}, {"nbf": now + 5}, {"iat": now + 5}):
        assert service.ask("/api/v1/runs", token=issuer.token(claims=claims)).status != 401


def test_tokens_of_our_own_are_taken_beside(service: Serving, tmp_path: Path) -> None:
    made = command(
        *("serve", "token", "create", "own", "--project", "p", "--scope", "read"),
        *("--store", service.store),
        cwd=tmp_path,
    )
    assert service.ask("/api/v1/runs", token=made.out.strip()).slug == "no-runs"


def test_who_is_refused_too_often_has_to_wait(issuer: Issuer, tmp_path: Path) -> None:
    trusts = issuer.trusting(tmp_path, scopes=["read"])
    options = ("--oidc", trusts, "--rate", 0.1, "--burst", 3)
    with serving(tmp_path / "h.duckdb", *options) as service:
        told = [service.ask("/api/v1/runs", token="a.b.c").status for _ in range(4)]
        assert told == [401, 401, 401, 429]
        told = [service.ask("/api/v1/runs", token=issuer.token()).status for _ in range(4)]
        assert told == [404, 404, 404, 429]


def test_beyond_the_machine_it_is_enough(issuer: Issuer, tmp_path: Path) -> None:
    trusts = issuer.trusting(tmp_path, scopes=["read"])
    with serving(tmp_path / "h.duckdb", "--host", "0.0.0.0", "--oidc", trusts) as service:
        assert service.ask("/api/v1/runs").slug == "token-missing"
        assert service.ask("/api/v1/runs", token=issuer.token()).slug == "no-runs"


def test_keys_that_cannot_be_had_are_said_to_be_so(tmp_path: Path) -> None:
    with issuing() as issuer:
        trusts = issuer.trusting(tmp_path)
        with serving(tmp_path / "h.duckdb", "--oidc", trusts) as service:
            issuer.status = 503
            answer = service.upload(run(1), token=issuer.token())
            assert (answer.status, answer.slug) == (503, "oidc-keys")
            assert int(answer.headers["retry-after"]) >= 1


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("trouble", [302, 500])
def test_keys_are_asked_for_seldom_and_kept_while_the_issuer_is_away(trouble: int) -> None:
    from testlytics.service.oidc import fetch

    clock = Clock()
    with issuing() as issuer:
        keys = Keys(f"{issuer.address}/.well-known/jwks", fetch, clock)
        assert keys.find("one") is not None
        for _ in range(5):
            assert keys.find("two") is None
        assert issuer.asked == 1
        issuer.keys["two"] = new_key()  # it has a new key; ours is only a while old
        clock.now += FETCH_EVERY_S
        assert keys.find("two") is not None
        assert issuer.asked == 2
        del issuer.keys["one"]
        clock.now += 3_601
        assert keys.find("one") is None
        assert issuer.asked == 3
        issuer.status = trouble
        clock.now += 3_601
        assert keys.find("two") is not None
        assert issuer.asked == 4
        clock.now += 86_401
        with pytest.raises(Error) as caught:
            keys.find("two")
        assert caught.value.slug == "oidc-keys"


@pytest.mark.parametrize(
    "more",
    [
        {"kid": "one", "kty": "oct", "k": part(b"secret"), "alg": "HS256"},
        {"kid": "one", "kty": "oct", "k": part(b"secret")},
        {"kid": "one", "kty": "RSA"},
        {"kid": "one", "kty": "RSA", "n": "!", "e": 7},
        {"kid": 1, "kty": "RSA"},
        {},
    ],
)
def test_keys_for_anything_else_are_no_keys(more: dict[str, object]) -> None:
    issuer = Issuer({"two": new_key(), "small": new_key(1024)}, [more])
    keys = Keys("http://127.0.0.1/", lambda _: issuer.jwks(), Clock())
    assert keys.find("one") is None
    assert keys.find("small") is None
    assert keys.find("two") is not None


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"keys": 1}', b"[" * 100_000])
def test_what_is_no_list_of_keys_is_none(body: bytes) -> None:
    keys = Keys("http://127.0.0.1/", lambda _: body, Clock())
    with pytest.raises(Error) as caught:
        keys.find("one")
    assert caught.value.slug == "oidc-keys"


@pytest.mark.parametrize(
    ("trust", "claims", "project"),
    [
        ({"repository": "acme/*"}, {"repository": "acme/pay"}, "shop"),
        ({"repository": "acme/*"}, {"repository": "acmex/pay"}, None),
        ({"repository": "acme/*"}, {"repository": "acme/../x"}, None),
        ({"repository": "acme/*", "project": "{repository}"}, {"repository": "acme/a"}, "acme/a"),
        ({"ref": "refs/heads/main"}, {"ref": "refs/heads/mainline"}, None),
        ({"ref": "refs/heads/[m]ain"}, {"ref": "refs/heads/main"}, None),
        ({"ref": "refs/pull/*"}, {"ref": "refs/pull/7/merge"}, "shop"),
        ({"claims": {"event_name": "push"}}, {}, "shop"),
        ({"claims": {"event_name": "push"}}, {"event_name": "pull_request"}, None),
        ({"claims": {"repository_owner_id": "7"}}, {"repository_owner_id": "8"}, None),
        ({"claims": {"repository_owner_id": "7"}}, {}, None),
    ],
)
def test_repositories_refs_and_claims_are_patterns_of_the_file(
    trust: dict[str, object], claims: dict[str, object], project: str | None, tmp_path: Path
) -> None:
    issuer = Issuer({"one": KEY}, address="https://issuer.example")
    trusts = read_trusts(issuer.trusting(tmp_path, **trust))
    oidc = Oidc(trusts, lambda _: issuer.jwks())
    if project is None:
        with pytest.raises(Error) as caught:
            oidc.caller(issuer.token(claims=claims))
        assert caught.value.slug == "oidc-refused"
    else:
        assert oidc.caller(issuer.token(claims=claims)).project == project


KEY = new_key()


def test_of_several_entries_the_first_that_fits_counts(tmp_path: Path) -> None:
    issuer = Issuer({"one": KEY}, address="https://issuer.example")
    entry = issuer.trusting(tmp_path, ref="refs/heads/main").read_text()
    entry += issuer.trusting(tmp_path, project="tries").read_text()
    entry += issuer.trusting(tmp_path, project="other", audience="x").read_text()
    (tmp_path / "oidc.toml").write_text(entry)
    oidc = Oidc(read_trusts(tmp_path / "oidc.toml"), lambda _: issuer.jwks())
    assert oidc.caller(issuer.token()).project == "shop"
    assert oidc.caller(issuer.token(claims={"ref": "refs/heads/try"})).project == "tries"
    assert oidc.caller(issuer.token(claims={"aud": "x"})).project == "other"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "trust = 1",
        "[[trust]]",
        'nonsense = 1\n[[trust]]\nissuer="https://a"\naudience="b"\nrepository="a/b"\nproject="c"',
        "\xff",
    ],
)
def test_a_file_that_says_nothing_useful_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "o.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        read_trusts(tmp_path / "o.toml")
    assert caught.value.slug == "oidc-config"


@pytest.mark.parametrize(
    "more",
    [
        {"issuer": "http://issuer.example"},
        {"issuer": "https://"},
        {"jwks": "http://issuer.example/keys"},
        {"jwks": "file:///etc/passwd"},
        {"repository": "*"},
        {"repository": "*/*"},
        {"repository": "acme/shop*"},
        {"repository": "acme"},
        {"audience": ""},
        {"project": ""},
        {"ref": ""},
        {"scopes": ["admin"]},
        {"scopes": []},
        {"branch": "main"},
    ],
)
def test_what_nobody_should_trust_is_refused_at_the_start(
    more: dict[str, object], tmp_path: Path
) -> None:
    path = Issuer(address="https://issuer.example").trusting(tmp_path, **more)
    done = command("serve", "--oidc", path, "--port", 0, cwd=tmp_path)
    assert done.code == 2
    assert "--oidc" in done.err
    assert "Traceback" not in done.err
