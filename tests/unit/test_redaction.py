"""The audit trail shows what changed and opens no doors."""

from __future__ import annotations

import pytest

from platform_api.audit.redaction import LONGEST_TEXT, REDACTED, changes, redact


@pytest.mark.parametrize(
    "name",
    ["PASSWORD", "db_password", "PGPASSWORD", "API_KEY", "apikey", "GITHUB_TOKEN", "client_secret", "AWS_ACCESS_KEY_ID",
     "PRIVATE_KEY", "slack_webhook", "SENTRY_DSN", "CONNECTION_STRING", 
     "DB_PWD", "GIT_PAT", "AZURE_SAS", "Authorization"],
)  # fmt: skip
def test_values_under_telling_names_are_redacted(name: str) -> None:
    assert redact(name, "hunter2") == REDACTED


@pytest.mark.parametrize("name", ["REGION", "PATH", "PATTERN", "COMPASS_HEADING", "BYPASS", "name", "description"])
def test_other_values_stay(name: str) -> None:
    assert redact(name, "hunter2") == "hunter2"


def test_what_was_not_set_is_not_called_redacted() -> None:
    assert redact("slack_webhook", None) is None


def test_redaction_goes_into_objects_and_lists() -> None:
    value = {"env": {"TOKEN": "t", "REGION": "eu"}, "hooks": [{"secret": "s"}]}
    assert redact("job", value) == {"env": {"TOKEN": REDACTED, "REGION": "eu"}, "hooks": [{"secret": REDACTED}]}


def test_a_password_inside_an_address_is_redacted() -> None:
    assert redact("DATABASE", "postgresql://app:hunter2@db/app") == f"postgresql://{REDACTED}@db/app"


def test_a_long_text_is_named_by_its_digest() -> None:
    shown = redact("script", "x" * (LONGEST_TEXT + 1))
    assert shown.startswith("sha256:")
    assert shown.endswith("(1001 characters)")


def test_only_fields_that_differ_are_listed_with_both_values() -> None:
    old = {"timeout_seconds": 60, "name": "a", "gone": 1}
    new = {"timeout_seconds": 90, "name": "a", "came": 2}
    assert changes(old, new) == {
        "timeout_seconds": {"old": 60, "new": 90},
        "gone": {"old": 1, "new": None},
        "came": {"old": None, "new": 2},
    }


def test_that_a_secret_changed_is_shown_although_its_values_are_not() -> None:
    difference = changes({"env": {"TOKEN": "a"}}, {"env": {"TOKEN": "b"}})
    assert difference == {"env": {"old": {"TOKEN": REDACTED}, "new": {"TOKEN": REDACTED}}}
