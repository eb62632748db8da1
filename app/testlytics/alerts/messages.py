"""Events for people: as a message of Slack, and as the body of a GitHub issue.

Names of tests, owners and reasons come from elsewhere: they can neither end their place nor call
anybody.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from testlytics.alerts.events import Event, headline, sentence, subject
from testlytics.report.render import markdown_cell, visible
from testlytics.report.sections import commit, count

MOST_BLOCKS = 45
"""Events shown in a message of Slack, which takes 50 blocks."""

MOST_CHARS = 60_000
"""Of an issue, which takes 65,536."""

_NAME_CHARS = 400
_TEXT_CHARS = 600
_HEAD_CHARS = 150


def as_slack(events: Sequence[Event]) -> str:
    """Write the JSON of a message for an incoming webhook of Slack.

    Args:
        events: At least one.
    """
    title = f"testlytics: {count(len(events), 'alert')}"
    blocks: list[dict[str, object]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title[:_HEAD_CHARS]}}
    ]
    blocks += [
        {"type": "section", "text": {"type": "mrkdwn", "text": _slack_line(event)}}
        for event in events[:MOST_BLOCKS]
    ]
    if len(events) > MOST_BLOCKS:
        more = f"... and {len(events) - MOST_BLOCKS} more."
        blocks.append({"type": "section", "text": {"type": "plain_text", "text": more}})
    return json.dumps({"text": mrkdwn(title), "blocks": blocks}, ensure_ascii=False) + "\n"


def _slack_line(event: Event) -> str:
    owner = f" Owner: {mrkdwn(event.owner)}." if event.owner else ""
    at = f" ({mrkdwn(commit(event.commit))})" if event.commit else ""
    told = sentence(event)
    more = f"\n{mrkdwn(told[:_TEXT_CHARS])}." if told else ""
    return f"*{mrkdwn(subject(event)[:_NAME_CHARS])}* {mrkdwn(headline(event))}{at}.{more}{owner}"


_MARKS = str.maketrans({"*": "∗", "_": "＿", "~": "∼", "`": "ˋ"})  # noqa: RUF001 - look alike
_ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))


def mrkdwn(text: str) -> str:
    """Write a text so that Slack shows it as it is: no link, no mention, no style.

    Slack has no escape for its marks of style; signs that look alike stand for them.
    """
    text = visible(text).translate(_MARKS)
    for sign, entity in _ENTITIES:
        text = text.replace(sign, entity)
    return text


def as_issue(events: Sequence[Event]) -> str:
    """Write the Markdown of an issue; empty without events."""
    if not events:
        return ""
    lines = [f"## testlytics: {count(len(events), 'alert')}", ""]
    size = 0
    for number, event in enumerate(events):
        line = _issue_line(event)
        size += len(line) + 1
        if size > MOST_CHARS:
            lines.append(f"- ... and {len(events) - number} more.")
            break
        lines.append(line)
    return "\n".join(lines) + "\n"


def _issue_line(event: Event) -> str:
    owner = f" Owner: {markdown_cell(event.owner)}." if event.owner else ""
    at = f" ({markdown_cell(commit(event.commit))})" if event.commit else ""
    told = sentence(event)
    more = f" {markdown_cell(told[:_TEXT_CHARS])}." if told else ""
    name = markdown_cell(subject(event)[:_NAME_CHARS])
    return f"- **{name}** {markdown_cell(headline(event))}{at}.{more}{owner}"
