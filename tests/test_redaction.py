import pytest
from pydantic import ValidationError

from calogan.config import TrackingConfig, load_config
from calogan.errors import ConfigError
from calogan.redaction import has_credentials, redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("API request to https://me:s3@cret@host:5000/api failed", "API request to https://host:5000/api failed"),
        ("postgresql://me@host/runs", "postgresql://host/runs"),
        ("https://host/api?x=1&access_token=abc&y=2", "https://host/api?x=1&access_token=***&y=2"),
        ("root://eos//f.root?authz=Bearer%20abc&x=1", "root://eos//f.root?authz=***&x=1"),
        ("root://eos//f.root?authz=Bearer abc", "root://eos//f.root?authz=***"),
        ("s3?X-Amz-Credential=AK/eu&X-Amz-Signature=f0", "s3?X-Amz-Credential=***&X-Amz-Signature=***"),
        ("https://blob/f.root?sv=1&sig=a%2Fb", "https://blob/f.root?sv=1&sig=***"),
        ("postgresql://me:a/b@host/db", "postgresql://host/db"),
        ("https://host/f.root?sigma=2&design=3", "https://host/f.root?sigma=2&design=3"),
        ("https://host/a@b", "https://host/a@b"),
        ("https://host:5000/a@b", "https://host:5000/a@b"),
        ("http://[::1]:5000/a@b", "http://[::1]:5000/a@b"),
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
    ],
)
def test_what_is_secret_in_an_address_is_left_out(text, shown):
    assert redact(text) == shown
    assert has_credentials(text) == (text != shown)


def test_what_the_environment_says_is_secret_is_left_out(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
    assert redact("calogan --with t0ken") == "calogan --with ***"


def test_a_configuration_with_a_password_is_refused_without_showing_it(tmp_path):
    with pytest.raises(ValidationError) as refusal:
        TrackingConfig(uri="https://me:s3cret@host")
    assert "s3cret" not in str(refusal.value)
    path = tmp_path / "study.yaml"
    path.write_text("name: a\n")
    with pytest.raises(ConfigError) as refusal:
        load_config(path, ["tracking.uri=https://me:s3cret@host"])
    assert "MLFLOW_TRACKING_PASSWORD" in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize("by_option", [False, True])
def test_a_data_file_with_a_token_is_refused_without_showing_it(tmp_path, by_option):
    files = "['http://me:s3cret@host/a.root?access_token=t0ken']"
    path = tmp_path / "study.yaml"
    given = "[none.root]" if by_option else files
    path.write_text(f"name: a\ndata: {{sources: [{{layout: hits, files: {given}}}]}}\n")
    with pytest.raises(
        ConfigError, match=r"data\.sources\.0\.files\.0: holds a user name.* BEARER_TOKEN_FILE"
    ) as refusal:
        load_config(path, [f"data.sources.0.files={files}"] if by_option else [])
    assert not [secret for secret in ("s3cret", "t0ken") if secret in str(refusal.value)]
