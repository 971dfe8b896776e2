"""Prints every record of a topic as "partition offset value" (of the value what stands before a blank), read by librdkafka from the first
offset to the last one.

usage: read-topic.py BOOTSTRAP TOPIC
"""
import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

bootstrap, topic = sys.argv[1], sys.argv[2]
consumer = Consumer({
    "bootstrap.servers": bootstrap,
    "group.id": "reader",
    "enable.auto.commit": False,
    # What retention takes away meanwhile is a gap for the checker, unless it stood first.
    "auto.offset.reset": "earliest",
    "check.crcs": True,
})


def watermarks(place, patience=time.monotonic() + 20):
    """A broker that has just started may not lead everything yet."""
    while True:
        try:
            return consumer.get_watermark_offsets(place, timeout=20)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION or time.monotonic() > patience:
                raise
            time.sleep(0.05)


metadata = consumer.list_topics(topic, timeout=20).topics[topic]
ends, starts = {}, {}
for partition in metadata.partitions:
    low, high = watermarks(TopicPartition(topic, partition))
    if high > low:
        starts[partition], ends[partition] = low, high
consumer.assign([TopicPartition(topic, partition, starts[partition]) for partition in ends])
remaining = dict(ends)
patience = time.monotonic() + 20
while remaining:
    # Waits its whole time for what may be the last few.
    messages = consumer.consume(5000, timeout=0.2)
    if messages:
        patience = time.monotonic() + 20
    elif time.monotonic() > patience:
        sys.exit("no answer while %s is left" % remaining)
    for message in messages:
        if message.error():
            sys.exit(str(message.error()))
        print(message.partition(), message.offset(), message.value().decode().split(" ")[0])
        if message.offset() + 1 >= remaining.get(message.partition(), 1 << 62):
            remaining.pop(message.partition(), None)
consumer.close()
