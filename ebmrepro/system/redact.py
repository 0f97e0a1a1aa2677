"""Secrets stay out of what is printed or stored: passwords in addresses, tokens, signatures."""

from __future__ import annotations

import os
import re

HIDDEN = "***"
# Names of values that open a door, as they stand in query strings and connection strings.
NAMES = (
    r"[\w.-]*(?:password|passwd|pwd|passphrase|token|secret|signature|credential|api_?key"
    r"|access_?key|account_?key|authorization)[\w.-]*"
)
# What MLflow and its back ends take from the environment, and may repeat in an exception.
VARIABLES = re.compile(r"(?:^|_)(?:PASSWORD|TOKEN|SECRET|ACCESS_KEY|API_KEY)(?:_|$)")
SHORTEST = 6  # characters of such a value: what is shorter stands in words by chance


def redact(text: str) -> str:
    """`text` with every password, token and key in it replaced by ***."""
    for name, value in os.environ.items():
        if len(value) >= SHORTEST and VARIABLES.search(name):
            text = text.replace(value, HIDDEN)
    text = re.sub(r"(://[^\s:/@]*:)\S*@", rf"\1{HIDDEN}@", text)
    text = re.sub(r"://[^\s:/@]+@", f"://{HIDDEN}@", text)
    text = re.sub(rf"(?i)([?&;\s]|^)({NAMES})=[^&;\s'\"]+", rf"\1\2={HIDDEN}", text)
    text = re.sub(r"(?i)([?&;])(sig|key|auth)=[^&;\s'\"]+", rf"\1\2={HIDDEN}", text)
    return re.sub(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{4,}", rf"\1 {HIDDEN}", text)
