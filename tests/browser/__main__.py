"""``python -m tests.browser`` brings what these tests need; nothing happens when it is there."""

from tests.browser import chromium, web_sdk

chromium.bring()
web_sdk.bring()
