"""Text without the user names, passwords and tokens that an address or the environment holds."""

from __future__ import annotations

import os
import re

__all__ = ["DATA_CREDENTIALS", "has_credentials", "redact"]

DATA_CREDENTIALS = (
    "holds a user name, password or token, which would be kept in files; leave it out and set BEARER_TOKEN_FILE or "
    "use an X509 proxy (XRootD), or keep it in a netrc file and "
    "set FSSPEC_HTTPS_CLIENT_KWARGS='{\"trust_env\": true}' (HTTPS)"
)
"""What is said of the address of a data file that is refused."""

# A password after `user:` may hold a slash, as SQLAlchemy reads it; digits and a slash there are a port and a path.
_USER = re.compile(r"(?<=://)(?:[^\s/:@\[]*:(?!\d{1,5}/)[^\s@]*@(?:[^\s/]*@)?|[^\s/]*@)")
_QUERY = re.compile(
    r"(?<=[?&])([^\s=&]*(?:password|passwd|secret|token|key|auth|bearer|credential|signature)[^\s=&]*|sig)="
    r"(?:Bearer\s+)?[^\s&'\")]+",
    re.IGNORECASE,
)
_SECRETS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD")


def has_credentials(address: str) -> bool:
    """Whether an address holds a user name, a password or a token.

    Example:
        >>> has_credentials("https://me:secret@host"), has_credentials("https://host/path")
        (True, False)
    """
    return bool(_USER.search(address) or _QUERY.search(address))


def redact(text: str) -> str:
    """A text that may be shown and kept: without what is secret in its addresses, or in the environment.

    Example:
        >>> redact("no answer from https://me:secret@host/api?token=abc")
        'no answer from https://host/api?token=***'
    """
    text = _QUERY.sub(r"\1=***", _USER.sub("", text))
    for name in _SECRETS:
        if secret := os.environ.get(name):
            text = text.replace(secret, "***")
    return text
