"""confluent-kafka as a writer that gets its tokens from an OpenID provider (librdkafka's own OIDC client) and writes over their end.

usage: confluent-tokens.py BOOTSTRAP TOKEN_URL CLIENT SECRET SCOPE TOPIC SECONDS
Prints how many records were delivered; ends with 1 and the reason when one was not.
"""
import sys
import time

from confluent_kafka import Producer

bootstrap, token_url, client, secret, scope, topic, seconds = sys.argv[1:8]
faults = []
producer = Producer({
    "bootstrap.servers": bootstrap,
    "security.protocol": "sasl_plaintext",
    "sasl.mechanisms": "OAUTHBEARER",
    "sasl.oauthbearer.method": "oidc",
    "sasl.oauthbearer.token.endpoint.url": token_url,
    "sasl.oauthbearer.client.id": client,
    "sasl.oauthbearer.client.secret": secret,
    **({"sasl.oauthbearer.scope": scope} if scope else {}),
    "enable.idempotence": True,
    "message.timeout.ms": 10000,
    "error_cb": lambda error: faults.append(error.str()),
})
failed = []
written = 0
end = time.monotonic() + float(seconds)
while time.monotonic() < end:
    producer.produce(topic, value="c-%d" % written, on_delivery=lambda error, _: failed.append(error.str()) if error else None)
    written += 1
    producer.poll(0.2)
left = producer.flush(20)
if left or failed:
    sys.exit("not delivered: %d, %s; %s" % (left, failed[:3], faults[:3]))
print(written)
