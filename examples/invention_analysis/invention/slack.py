"""A message to a Slack channel, through an incoming webhook."""

from __future__ import annotations

import httpx

from stepwell import NonRetryableError

TIMEOUT_SECONDS = 10.0


async def post_message(webhook_url: str, text: str) -> None:
    """Post a message.

    Raises:
        NonRetryableError: Slack refuses it (the webhook is gone, or the message is wrong).
        httpx.HTTPError: Slack did not answer, or asked to come back later.
    """
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
        answer = await client.post(webhook_url, json={"text": text})
    if answer.is_client_error and answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
        raise NonRetryableError(f"Slack refused the message: {answer.status_code} {answer.text}")
    answer.raise_for_status()
