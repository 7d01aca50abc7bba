"""What Chromium's compositor tells of the frames in which something is scrolled."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CATEGORIES = ["cc", "benchmark"]


def trace_scroll(
    browser: Browser, page: Page, pixels: int, speed: int, categories: list[str] = CATEGORIES
) -> list[dict[str, Any]]:
    """The events of Chromium's tracing while the wheel moves what is in the page's middle down, at so many pixels a second."""
    size = page.viewport_size or {"width": 1280, "height": 720}
    page.mouse.move(size["width"] // 2, size["height"] // 2)
    session = page.context.new_cdp_session(page)
    browser.start_tracing(page=page, categories=categories)
    try:
        session.send(
            "Input.synthesizeScrollGesture",
            {
                "x": size["width"] // 2,
                "y": int(size["height"] * 0.7),
                "yDistance": -pixels,
                "speed": speed,
                "gestureSourceType": "mouse",
            },
        )
    finally:
        trace = browser.stop_tracing()
        session.detach()
    return json.loads(trace)["traceEvents"]


def list_frames(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each frame in which something was scrolled: what its reporter says, with its beginning `ms`.

    A frame that waits for the page is reported twice under one number; the first of both is what is on the screen in time.
    """
    frames: dict[int, dict[str, Any]] = {}
    for event in events:
        told = event["args"].get("frame_reporter") if event["name"] == "PipelineReporter" else None
        if told and told["scroll_state"] != "SCROLL_NONE":
            best = frames.get(told["frame_sequence"])
            if not best or told["state"].startswith("STATE_PRESENTED"):
                frames[told["frame_sequence"]] = {**told, "ms": event["ts"] / 1000}
    return [frames[number] for number in sorted(frames)]
