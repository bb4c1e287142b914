"""Waits until search finds a number of events and no more: `count.py QUERY COUNT [SECONDS]`."""

import json
import os
import ssl
import sys
import time
import urllib.request

URL, CA, TOKEN = (os.environ[name] for name in ("PIKETT_URL", "PIKETT_CA", "PIKETT_TOKEN"))
query, count = sys.argv[1], int(sys.argv[2])
patience = float(sys.argv[3]) if len(sys.argv) > 3 else 30.0


def total():
    body = json.dumps({"query": query, "limit": 0}).encode()
    request = urllib.request.Request(URL + "/api/v1/search", body, method="POST")
    request.add_header("Authorization", "Bearer " + TOKEN)
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=CA)) as answer:
        return json.load(answer)["total"]


start = time.monotonic()
while total() < count and time.monotonic() - start < patience:
    time.sleep(0.05)
took = time.monotonic() - start
time.sleep(1.0)
found = total()
print(f"  {query}: {found} of {count}, found {took:.2f} s after they were sent")
sys.exit(found != count)
