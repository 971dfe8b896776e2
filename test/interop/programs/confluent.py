"""confluent-kafka as writer or group reader.

usage: confluent.py write BOOTSTRAP TOPIC CODEC PREFIX COUNT
       confluent.py read BOOTSTRAP TOPIC GROUP COUNT
"""
import sys

from confluent_kafka import Consumer, Producer

mode, bootstrap, topic = sys.argv[1:4]
if mode == "write":
    codec, prefix, count = sys.argv[4], sys.argv[5], int(sys.argv[6])
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "enable.idempotence": True, "linger.ms": 20})
    failed = []
    for index in range(count):
        value = "%s-%d" % (prefix, index)
        producer.produce(topic, key=value, value=value, headers=[("h", b"1"), ("h", b"2")],
                         on_delivery=lambda error, message: failed.append(error) if error else None)
    sys.exit("not delivered: %s" % failed) if producer.flush(30) or failed else None
else:
    group, count = sys.argv[4], int(sys.argv[5])
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest", "check.crcs": True})
    consumer.subscribe([topic])
    seen = 0
    while seen < count:
        messages = consumer.consume(count - seen, timeout=20) or sys.exit("%d of %d" % (seen, count))
        for message in messages:
            if message.error():
                sys.exit(str(message.error()))
            print(message.value().decode())
            seen += 1
    consumer.commit(asynchronous=False)
    consumer.close()
