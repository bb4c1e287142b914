"""Searches with elasticsearch-py 9 and opensearch-py, unchanged: what they find must be what was sent."""

import os
import sys
import time

URL, CA, TOKEN = (os.environ[name] for name in ("PIKETT_URL", "PIKETT_CA", "PIKETT_TOKEN"))
COUNT = 2500
INDEX = "clients"
done = 0


def same(what, found, expected):
    global done
    if found != expected:
        sys.exit(f"{what}: found {found!r}, expected {expected!r}")
    done += 1


def events(mark):
    for n in range(COUNT):
        yield {
            "_op_type": "create", "_index": f"{INDEX}-{n % 2}", "_id": f"{mark}-{n}",
            "@timestamp": f"2026-01-02T03:{n // 60 % 60:02}:{n % 60:02}.{n % 1000:03}Z",
            "message": f"{mark} number {n}", "host": {"name": f"{mark}{n % 5}"},
            "destination": {"port": 1000 + n % 10}, "own": {"mark": mark, "n": n},
        }


def check(client, helpers, refusal, mark):
    sent, errors = helpers.bulk(client, events(mark))
    same("bulk", (sent, errors), (COUNT, []))
    query = {"term": {"own.mark": mark}}
    since = time.monotonic()
    while client.count(body={"query": query})["count"] < COUNT:
        if time.monotonic() - since > 30:
            sys.exit("not all found after 30 s")
        time.sleep(0.05)
    same("count of an index", client.count(index=f"{INDEX}-1", body={"query": query})["count"], COUNT // 2)
    found = client.search(index=f"{INDEX}-*", body={"query": query, "size": 3, "track_total_hits": True})
    same("total", found["hits"]["total"], {"value": COUNT, "relation": "eq"})
    same("newest first", [hit["_source"]["own"]["n"] for hit in found["hits"]["hits"]], [2499, 2498, 2497])
    words = {"bool": {"must": [{"match_phrase": {"message": f"{mark} number 77"}}], "filter": [query]}}
    same("phrase", client.search(body={"query": words})["hits"]["hits"][0]["_source"]["own"]["n"], 77)
    span = {"range": {"@timestamp": {"gte": "2026-01-02T03:10:00Z", "lt": "2026-01-02T03:11:00Z"}}}
    found = client.search(body={"query": {"bool": {"filter": [query, span]}}, "size": 100, "_source": ["own.n"]})
    same("range", sorted(hit["_source"]["own"]["n"] for hit in found["hits"]["hits"]), list(range(600, 660)))
    scanned = helpers.scan(client, query={"query": query}, size=400, scroll="1m")
    same("scan", sorted(hit["_source"]["own"]["n"] for hit in scanned), list(range(COUNT)))
    after, pages = None, []
    while True:
        body = {"query": query, "size": 700, "sort": [{"@timestamp": "desc"}]}
        if after:
            body["search_after"] = after
        hits = client.search(body=body)["hits"]["hits"]
        if not hits:
            break
        pages.extend(hit["_source"]["own"]["n"] for hit in hits)
        after = hits[-1]["sort"]
    same("search_after", sorted(pages), list(range(COUNT)))
    ascending = {"query": query, "sort": [{"@timestamp": "asc"}, {"_doc": "asc"}]}
    scanned = helpers.scan(client, query=ascending, size=400, scroll="1m", preserve_order=True)
    times = [hit["_source"]["@timestamp"] for hit in scanned]
    same("scan in order", times, sorted(one["@timestamp"] for one in events(mark)))
    descending = {"query": query, "sort": [{"@timestamp": "desc"}]}
    scanned = helpers.scan(client, query=descending, size=400, scroll="1m", preserve_order=True)
    same("scan in the other order", [hit["_source"]["@timestamp"] for hit in scanned], times[::-1])
    after, pages = None, []
    while True:
        hits = client.search(body={**ascending, "size": 700, **({"search_after": after} if after else {})})["hits"]["hits"]
        if not hits:
            break
        pages.extend(hit["_source"]["@timestamp"] for hit in hits)
        after = hits[-1]["sort"]
    same("search_after ascending", pages, times)
    aggs = {
        "hosts": {"terms": {"field": "host.name", "order": {"_key": "asc"}}, "aggs": {"most": {"max": {"field": "own.n"}}}},
        "minutes": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1m", "min_doc_count": 1}},
        "ports": {"cardinality": {"field": "destination.port"}},
        "sum": {"sum": {"field": "own.n"}},
    }
    found = client.search(body={"size": 0, "query": query, "aggs": aggs})["aggregations"]
    hosts = [(one["key"], one["doc_count"], one["most"]["value"]) for one in found["hosts"]["buckets"]]
    same("terms", hosts, [(f"{mark}{n}", COUNT // 5, 2495 + n) for n in range(5)])
    same("histogram", sum(one["doc_count"] for one in found["minutes"]["buckets"]), COUNT)
    same("cardinality", found["ports"]["value"], 10)
    same("sum", found["sum"]["value"], COUNT * (COUNT - 1) / 2)
    month = {"date_histogram": {"field": "@timestamp", "calendar_interval": "month", "time_zone": "Europe/Zurich"}}
    spread = {"extended_stats": {"field": "destination.port"}}
    found = client.search(body={"size": 0, "query": query, "aggs": {"month": month, "spread": spread}})["aggregations"]
    months = [(one["key_as_string"], one["doc_count"]) for one in found["month"]["buckets"]]
    same("calendar", months, [("2026-01-01T00:00:00.000+01:00", COUNT)])
    same("extended_stats", (round(found["spread"]["variance"], 9), found["spread"]["std_deviation_bounds"]["lower"] < 1000), (8.25, True))
    steps = {"histogram": {"field": "own.n", "interval": 1000}, "aggs": {
        "sum": {"sum": {"field": "own.n"}},
        "so_far": {"cumulative_sum": {"buckets_path": "sum"}},
        "rise": {"derivative": {"buckets_path": "_count"}},
        "mean": {"bucket_script": {"buckets_path": {"a": "sum", "n": "_count"}, "script": "params.a / params.n"}}}}
    buckets = client.search(body={"size": 0, "query": query, "aggs": {"steps": steps}})["aggregations"]["steps"]["buckets"]
    same("cumulative_sum", buckets[-1]["so_far"]["value"], COUNT * (COUNT - 1) / 2)
    same("derivative", ["rise" in buckets[0], buckets[1]["rise"]["value"]], [False, 0])
    same("bucket_script", buckets[0]["mean"]["value"], 499.5)
    local = {"range": {"@timestamp": {"gte": "2026-01-02T04:10:00", "lt": "2026-01-02T04:11:00", "time_zone": "Europe/Zurich"}}}
    same("time_zone", client.count(body={"query": {"bool": {"filter": [query, local]}}})["count"], 60)
    words = {"query_string": {"query": f"_exists_:own.mark AND own.mark:{mark} AND (own.n:1 own.n:2)"}}
    same("query_string", client.count(body={"query": words})["count"], 2)
    words = {"query_string": {"query": f"own.mark:{mark} own.n:1", "default_operator": "AND"}}
    same("default_operator", client.count(body={"query": words})["count"], 1)
    same("q", client.count(q=f"own.mark:{mark} own.n:1", default_operator="AND")["count"], 1)
    begun = {"match_phrase_prefix": {"message": f"{mark} number 249"}}
    same("match_phrase_prefix", client.count(body={"query": begun})["count"], 11)
    several = client.msearch(body=[{"index": f"{INDEX}-0"}, {"query": query, "size": 0}, {}, {"query": {"nested": {}}}])
    same("msearch", several["responses"][0]["hits"]["total"]["value"], COUNT // 2)
    same("msearch refusal", several["responses"][1]["status"], 400)
    caps = client.field_caps(index="*", fields="host.*")["fields"]
    same("field_caps", list(caps["host.name"]), ["keyword"])
    mapping = client.indices.get_mapping(index=f"{INDEX}-0")
    properties = mapping[f"{INDEX}-0"]["mappings"]["properties"]
    same("mapping", properties["own"]["properties"], {"mark": {"type": "keyword"}, "n": {"type": "double"}})
    same("what nobody sent", "dns" in properties, False)
    same("exists", (bool(client.indices.exists(index=f"{INDEX}-0")), bool(client.indices.exists(index="none"))), (True, False))
    rows = {row["index"] for row in client.cat.indices(format="json")}
    same("cat", {"pikett", f"{INDEX}-0", f"{INDEX}-1"} <= rows, True)
    same("health", client.cluster.health()["status"], "green")
    try:
        client.search(body={"query": {"nested": {"path": "a", "query": {"match_all": {}}}}})
        sys.exit("nested was not refused")
    except refusal as error:
        same("refusal", "[nested] queries are not supported" in str(error), True)


def elastic():
    from elasticsearch import BadRequestError, Elasticsearch, __version__, helpers

    client = Elasticsearch(URL, ca_certs=CA, basic_auth=("reader", TOKEN), http_compress=True)
    check(client, helpers, BadRequestError, "esmark")
    print(f"  elasticsearch-py {'.'.join(map(str, __version__))}: {done} checks")


def opensearch():
    from opensearchpy import OpenSearch, RequestError, __versionstr__, helpers

    client = OpenSearch(URL, ca_certs=CA, http_auth=("reader", TOKEN))
    check(client, helpers, RequestError, "osmark")
    print(f"  opensearch-py {__versionstr__}: {done} checks")


for run in (elastic, opensearch):
    done = 0
    run()
