"""Sends log records with the OpenTelemetry SDK: `otlp.py http|grpc COUNT`; all must be exported."""

import logging
import os
import sys

from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

how, count = sys.argv[1], int(sys.argv[2])
url, ca, token = (os.environ[name] for name in ("PIKETT_URL", "PIKETT_CA", "PIKETT_TOKEN"))
if how == "http":
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    exporter = OTLPLogExporter(
        endpoint=url + "/v1/logs",
        certificate_file=ca,
        headers={"authorization": "Bearer " + token},
        compression=Compression.Gzip,
    )
else:
    import grpc
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter

    with open(ca, "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    exporter = OTLPLogExporter(
        endpoint=url.removeprefix("https://"),
        credentials=credentials,
        headers=(("authorization", "Bearer " + token),),
        compression=grpc.Compression.Gzip,
    )
provider = LoggerProvider(resource=Resource.create({"service.name": "shop", "host.name": "otel1"}))
provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
logger = logging.getLogger("shop")
logger.addHandler(LoggingHandler(logger_provider=provider))
logger.propagate = False
for number in range(count):
    logger.warning("otlp%s number %d", how, number, extra={"order.id": number})
provider.force_flush()
provider.shutdown()
