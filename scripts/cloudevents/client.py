"""Sends events with the CloudEvents SDK and reads them back, in structured, batch and binary mode."""

import json
import os
import urllib.request
from datetime import datetime, timezone

from cloudevents.core.bindings.http import (
    HTTPMessage,
    from_http_event,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent

URL = os.environ["LATERBASE_URL"]
BATCH = "application/cloudevents-batch+json"
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


def ask(path, headers=(), body=None):
    request = urllib.request.Request(URL + path, data=body, headers=dict(headers))
    with urllib.request.urlopen(request) as answer:
        return HTTPMessage(headers=dict(answer.headers), body=answer.read())


def event(number, data, content_type="application/json", **more):
    attributes = {
        "specversion": "1.0",
        "id": f"scan-{number}",
        "source": "https://depot.example/gates/3",
        "type": "com.example.scanned",
        "subject": f"4711-{number}",
        "time": NOON,
        "datacontenttype": content_type,
        "comexamplegate": "Tor Süd 50%",
    }
    return CloudEvent({**attributes, **more}, data)


EVENTS = [
    event(1, {"weight": 1.5, "names": ["Ä", "\U0001F69A"]}),
    event(2, b"\x00\xff\x10", "image/png"),
    event(3, "two\nlines", "text/plain", subject="Straße 7"),
    event(4, None, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
]


def same(sent, got):
    """Holds what came back against what was sent; the server adds extensions of its own."""
    expected, actual = sent.get_attributes(), got.get_attributes()
    for name, value in expected.items():
        assert actual.get(name) == value, (name, value, actual.get(name))
    data = got.get_data()
    if isinstance(data, bytes) and isinstance(sent.get_data(), str):
        data = data.decode()
    if sent.get_data() is None:
        assert data in (None, b"", b"null"), data
    else:
        assert data == sent.get_data(), (sent.get_data(), data)


def send(message, root):
    answer = json.loads(ask(f"/e/{root}", message.headers, message.body).body)
    assert answer["outcome"] == "recorded", answer
    return [one["id"] for one in answer["events"]]


def read_back(identifier):
    accept = {"Accept": "application/cloudevents+json"}
    yield from_http_event(ask(f"/e?keys={identifier}", accept))
    yield from_http_event(ask(f"/e?keys={identifier}&ce_mode=binary"))


def main():
    checks = 0
    for root, send_as in [("structured", to_structured_event), ("binary", to_binary_event)]:
        for one in EVENTS:
            (identifier,) = send(send_as(one), root)
            # The same again is known.
            again = send_as(one)
            repeated = json.loads(ask(f"/e/{root}", again.headers, again.body).body)
            assert repeated["outcome"] == "already_applied", repeated
            for got in read_back(identifier):
                same(one, got)
                checks += 1
    batch = b"[" + b",".join(to_structured_event(one).body for one in EVENTS) + b"]"
    send(HTTPMessage(headers={"Content-Type": BATCH}, body=batch), "batch")
    listed = json.loads(ask("/e/batch", {"Accept": BATCH}).body)
    assert len(listed) == len(EVENTS), listed
    for one, member in zip(EVENTS, listed):
        headers = {"content-type": "application/cloudevents+json"}
        same(one, from_http_event(HTTPMessage(headers=headers, body=json.dumps(member).encode())))
        checks += 1
    print(f"{checks} events came back as they were sent")


main()
