"""What is taken for a secret, and what must not be."""

from __future__ import annotations

import base64
import random

import pytest

from testlytics_collector.formats.redact import REDACTED, is_secret_name, redacted

# Put together here, so that no scanner takes this file for a leak.
LETTERS = "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY"


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "GITHUB_TOKEN",
        "githubToken",
        "auth-token",
        "accessTokens",
        "password",
        "db.password",
        "DB_PASSWD",
        "user_pwd",
        "clientSecret",
        "mysecret",
        "apiKey",
        "API_KEY",
        "x-api-key",
        "APIKey2",
        "aws_secret_access_key",
        "ssh_private_key",
        "credentials",
        "Authorization",
        "http.header.authorization",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)
    assert redacted(name, "anything at all") == REDACTED


@pytest.mark.parametrize(
    "name",
    [
        "author",
        "authors",
        "authority",
        "authentication",
        "tokenizer",
        "tokens",
        "max_tokens",
        "total-tokens",
        "token_count",
        "tokenType",
        "password_length",
        "secretary",
        "key",
        "test_key",
        "issueKey",
        "primary_key",
        "public_key",
        "keyboard",
        "monkey",
        "broken",
        "compass",
        "owner",
        "",
        "1",
        "\u5bc6\u7801",
    ],
)
def test_names_of_other_things(name: str) -> None:
    assert not is_secret_name(name)
    assert redacted(name, "anything at all") == "anything at all"


@pytest.mark.parametrize("value", ["", " ", "true", "False", "none", "0", "***"])
def test_nothing_is_no_secret(value: str) -> None:
    assert redacted("password", value) == value


@pytest.mark.parametrize(
    "value",
    [
        "ghp_" + LETTERS,
        "github_pat_" + LETTERS,
        "pushed with ghs_" + LETTERS + " today",
        "glpat-" + LETTERS[:20],
        "AKIA" + "IOSFODNN7EXAMPLE",
        "xoxb-" + "123456789012-" + LETTERS,
        "xoxp-" + "123456789012-" + LETTERS,
        "sk-" + LETTERS,
        "sk-proj-" + LETTERS,
        "sk_live_" + LETTERS,
        "npm_" + LETTERS + LETTERS,
        "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxIn0" + ".c2lnbmF0dXJl",
        "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIB",
        "-----BEGIN " + "PRIVATE KEY-----",
        "https://user:pw" + "@host/path",
        "postgresql+psycopg://app:hunter2" + "@db:5432/shop",
        "redis://:hunter2" + "@cache",
        "https://host/file?access_token=abcdef",
        "Server=db;User Id=app;Password=hunter2;",
        "run --api-key=abcdef",
        "Authorization: Bearer " + LETTERS,
        "Basic dXNlcjpwYXNzd29yZA==",
        LETTERS + "aA1",
        "key is " + LETTERS + LETTERS,
    ],
)
def test_values_that_are_secrets(value: str) -> None:
    assert redacted("note", value) == REDACTED


@pytest.mark.parametrize(
    "value",
    [
        "3f785a2e1c9d4b6a8e0f7c5d3b1a9e8f6d4c2b0a",
        "3F785A2E1C9D4B6A8E0F7C5D3B1A9E8F6D4C2B0A",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
        "d41d8cd98f00b204e9800998ecf8427e",
        "5f0c954a-9c1e-4a0b-8a1d-3f1f2a4b5c6d",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "/home/runner/work/Project2/src/Module3/Test4/Case5/File6.java",
        "C:\\Users\\Runner\\AppData\\Local\\Temp\\Test1\\Case2\\File3.txt",
        "com.example.shop.Utf8ToUtf16ConversionTest$InnerClass1",
        "TestUtf8ToUtf16AndUtf32ConversionsOfBase64Texts",
        "org.junit.jupiter.api.DisplayNameGenerator$ReplaceUnderscores",
        "https://example.org/path?page=2&sort=asc",
        "https://example.org:8080/a@b",
        "https://example.org/a?author=me&max_tokens=5",
        "git@github.com:example/project.git",
        "someone@example.org",
        "sk-SK",
        "sk-learn-compatible-estimator-checks",
        "task-1234567890-ABCDEFGHIJ-KLMNOPQRST",
        "basic functionality of the editor",
        "the bearer of bad news",
        "eyJustAName.Test",
        "token: is a word here",
        "password=",
        "a" * 500,
        "0" * 64,
        "1.2.3-rc1+build.20260501.Win64.Qt6",
        "Test-Case-1-Of-Suite-2-In-Folder-3-With-Data-4",
        "2026-05-01T10:00:00.123456Z",
        "linux-x86_64-gnu-py311-Django42-Postgres16",
        "\u4e2d\u6587" * 40,
    ],
)
def test_values_that_are_none(value: str) -> None:
    assert redacted("commit", value) == value


def test_most_random_tokens_are_seen() -> None:
    chance = random.Random(20260501)
    tokens = [base64.b64encode(chance.randbytes(36)).decode() for _ in range(300)]
    hexes = [chance.randbytes(32).hex() for _ in range(300)]
    assert sum(redacted("note", token) == REDACTED for token in tokens) > 200
    assert all(redacted("note", text) == text for text in hexes)


@pytest.mark.parametrize(
    "part", ["=", "a", "A1", "://", "a=", "eyJ", "sk-", "x:", "-----BEGIN ", " "]
)
def test_long_values_take_no_long_time(part: str) -> None:
    redacted("note", part * 300_000)
