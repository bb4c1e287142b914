"""Ships with elasticsearch-py, or writes lines for another shipper, and waits until search finds them."""

import json
import os
import ssl
import sys
import time
import urllib.request

URL, CA, TOKEN = (os.environ[name] for name in ("PIKETT_URL", "PIKETT_CA", "PIKETT_TOKEN"))
COUNT = 1000
PATIENCE = 30.0


def total(query):
    body = json.dumps({"query": query, "limit": 0}).encode()
    request = urllib.request.Request(URL + "/api/v1/search", body, method="POST")
    request.add_header("Authorization", "Bearer " + TOKEN)
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=CA)) as answer:
        return json.load(answer)["total"]


def found_after(query, count, since):
    while time.monotonic() - since < PATIENCE:
        if total(query) >= count:
            return time.monotonic() - since
        time.sleep(0.05)
    sys.exit(f"{query}: {total(query)} of {count} found after {PATIENCE} s")


def ship():
    from elasticsearch import Elasticsearch, helpers

    client = Elasticsearch(URL, ca_certs=CA, basic_auth=("shipper", TOKEN))
    assert client.info()["version"]["number"].split(".")[0] == "9", client.info()
    actions = (
        {"_op_type": "create", "_index": "app", "_id": f"py-{n}", "message": f"pyline number {n}"}
        for n in range(COUNT)
    )
    done, errors = helpers.bulk(client, actions)
    acknowledged = time.monotonic()
    assert (done, errors) == (COUNT, []), (done, errors)
    seconds = found_after("pyline", COUNT, acknowledged)
    assert total("pyline") == COUNT
    print(f"  {COUNT} events, all found {seconds:.2f} s after the acknowledgement")
    # The same again, as after a lost answer: nothing is stored twice.
    again = [{"_op_type": "create", "_index": "app", "_id": "py-1", "message": "pyline number 1"}]
    _, errors = helpers.bulk(client, again, raise_on_error=False)
    assert errors and errors[0]["create"]["status"] == 409, errors
    assert total("pyline") == COUNT
    if seconds > 2:
        sys.exit("too late: more than 2 s")


def write(path, word):
    # The shipper's acknowledgement cannot be seen from here; the time counts from the writing, which is earlier.
    with open(path, "a", encoding="utf-8") as file:
        for n in range(COUNT):
            file.write(f"{word} number {n} <script>\n")
    seconds = found_after(word, COUNT, time.monotonic())
    time.sleep(1)
    assert total(word) == COUNT, total(word)
    print(f"  {COUNT} lines, all found {seconds:.2f} s after they were written")
    if seconds > 2:
        sys.exit("too late: more than 2 s")


if sys.argv[1:2] == ["--file"]:
    write(*sys.argv[2:4])
else:
    ship()
