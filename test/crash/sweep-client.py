"""Foreign client of the syscall sweep: does a short script of everything that changes files, and reads everything back.

usage: sweep-client.py     commands as lines of JSON on standard input, one line of JSON as the answer to each

  {"op": "load", "kafka": ..., "mqtt": ..., "life": N, "ends": {...}}   the answer says what was asked for and what was acknowledged
  {"op": "read", "kafka": ..., "mqtt": ...}                            the answer is what there is
  {"op": "abort"}                                                      the server is gone: the load answers what it has; no answer of its own
"""
import json
import sys
import threading
import time

import paho.mqtt.client as mqtt
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

lasting = {
    "sweep": ("4", {}),
    "rolling": ("1", {"segment.bytes": "1048576", "retention.bytes": "1048576", "file.delete.delay.ms": "0"}),
    "latest": ("1", {"segment.bytes": "1048576", "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01"}),
}
aborted = threading.Event()


class Gone(Exception):
    pass


def wait(is_done, seconds=10):
    deadline = time.monotonic() + seconds
    while not is_done():
        if aborted.is_set() or time.monotonic() > deadline:
            raise Gone()
        time.sleep(0.002)


def settled(futures):
    """Waits for futures of the admin client; throws what they throw."""
    for future in futures.values():
        wait(future.done)
        future.result()


class Load:
    def __init__(self, command):
        self.kafka, self.mqtt, self.life, self.ends = command["kafka"], command["mqtt"], command["life"], command["ends"]
        self.told = {"sent": [], "acked": [], "asked": {}, "done": {}, "finished": False}

    def run(self):
        try:
            self.script()
            self.told["finished"] = True
        except (Gone, KafkaException, OSError) as error:
            self.told["why"] = repr(error)
        return self.told

    def step(self, name, value, act):
        """One thing that is either done or not: noted before it is asked for and when it is acknowledged."""
        self.told["asked"][name] = value
        act()
        self.told["done"][name] = value

    def script(self):
        # Its id is on its way while topics are made.
        self.producer = Producer({
            "bootstrap.servers": self.kafka, "enable.idempotence": True, "message.timeout.ms": 10_000, "linger.ms": 0,
            "reconnect.backoff.max.ms": 100, "message.max.bytes": 1_000_000,
        })
        admin = AdminClient({"bootstrap.servers": self.kafka, "reconnect.backoff.max.ms": 100})
        present = admin.list_topics(timeout=5).topics
        missing = [NewTopic(name, int(count), config=config) for name, (count, config) in lasting.items() if name not in present]
        if missing:
            settled(admin.create_topics(missing, operation_timeout=5))
        self.step("created", "t%d" % self.life, lambda: settled(admin.create_topics([NewTopic("t%d" % self.life, 1)])))
        self.produce("sweep", [("k%d" % at, "v%d-%d" % (self.life, at)) for at in range(20)])
        self.publish()
        # Large enough for a commit without the journal.
        self.produce("rolling", [("r", "r%d-0 " % self.life + "x" * 400_000)])
        self.produce("latest", [("c%d" % (at % 3), "c%d-%d " % (at % 3, self.life * 10 + at) + "x" * 30_000) for at in range(9)])
        self.step("committed", self.life, lambda: self.commit(admin))
        ends = [TopicPartition("sweep", int(partition), end) for partition, end in self.ends.items() if end > 0]
        if ends:
            self.step("trimmed", self.ends, lambda: settled(admin.delete_records(ends)))
        old = [name for name in present if name.startswith("t")]
        if old:
            self.step("removed", old, lambda: settled(admin.delete_topics(old)))
        self.produce("sweep", [("k%d" % at, "v%d-%d" % (self.life, 20 + at)) for at in range(5)])

    def produce(self, topic, records):
        producer = self.producer

        def report(error, message):
            if error is None:
                value = message.value().decode().split(" ")[0]
                self.told["acked"].append([topic, message.partition(), message.offset(), value])

        for key, value in records:
            self.told["sent"].append([topic, value.split(" ")[0]])
            producer.produce(topic, key=key, value=value, on_delivery=report)
        try:
            wait(lambda: producer.flush(0.002) == 0)
        except Gone:
            producer.purge()
            producer.flush(0.1)
            raise

    def publish(self):
        """QoS 2, then what is retained."""
        host, port = self.mqtt.split(":")
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="sweep", clean_session=False)
        client.connect(host, int(port))
        client.loop_start()
        try:
            values = ["m%d-%d" % (self.life, at) for at in range(3)]
            for value in values:
                self.told["sent"].append(["sweep", value])
            infos = [(value, client.publish("sweep/m", value, qos=2)) for value in values]
            for value, info in infos:
                wait(info.is_published)
                self.told["acked"].append(["sweep", -1, -1, value])
            retained = client.publish("kept/r", "kept%d" % self.life, qos=1, retain=True)
            self.step("retained", "kept%d" % self.life, lambda: wait(retained.is_published))
        finally:
            client.disconnect()
            client.loop_stop()

    def commit(self, admin):
        offsets = [TopicPartition("sweep", 0, self.life)]
        settled(admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions("sweepers", offsets)]))


def read(command):
    consumer = Consumer({"bootstrap.servers": command["kafka"], "group.id": "reader", "enable.auto.commit": False,
                         "auto.offset.reset": "earliest", "check.crcs": True, "fetch.wait.max.ms": 10})
    admin = AdminClient({"bootstrap.servers": command["kafka"]})
    names = list(consumer.list_topics(timeout=10).topics)
    found = {"topics": names, "lows": {}, "ends": {}, "records": [], "group": None, "retained": None}
    remaining = {}
    for topic in [name for name in names if name in lasting]:
        for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            found["ends"]["%s-%d" % (topic, partition)] = high
            if high > low:
                remaining[(topic, partition)] = high
    consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in remaining])
    deadline = time.monotonic() + 20
    while remaining and time.monotonic() < deadline:
        for message in consumer.consume(1000, timeout=0.02):
            if message.error():
                return {"error": str(message.error())}
            place = (message.topic(), message.partition())
            found["records"].append([*place, message.offset(), message.value().decode().split(" ")[0]])
            if message.offset() + 1 >= remaining.get(place, 1 << 62):
                del remaining[place]
    # Asked behind the reading: retention may have taken a segment meanwhile.
    for place in found["ends"]:
        topic, partition = place.rsplit("-", 1)
        found["lows"][place], _ = consumer.get_watermark_offsets(TopicPartition(topic, int(partition)), timeout=10)
    consumer.close()
    if remaining:
        return {"error": "not read to the end: %s" % remaining}
    groups = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("sweepers")])
    for partition in groups["sweepers"].result().topic_partitions:
        if partition.offset >= 0:
            found["group"] = partition.offset
    found["retained"] = read_retained(command["mqtt"])
    return found


def read_retained(address):
    host, port = address.split(":")
    got, subscribed = [], threading.Event()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="", clean_session=True)
    client.on_message = lambda _, __, message: got.append(message.payload.decode())
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_connect = lambda *_: client.subscribe([("kept/r", 1), ("kept/none", 1)])
    client.connect(host, int(port))
    client.loop_start()
    subscribed.wait(10)
    # What is retained follows SUBACK at once, in front of any later answer.
    second = threading.Event()
    client.on_unsubscribe = lambda *_: second.set()
    client.unsubscribe("kept/none")
    second.wait(10)
    client.disconnect()
    client.loop_stop()
    return got[0] if got else None


def answer(value):
    print(json.dumps(value), flush=True)


for line in sys.stdin:
    command = json.loads(line)
    if command["op"] == "load":
        aborted.clear()
        load = Load(command)
        threading.Thread(target=lambda: answer(load.run()), daemon=True).start()
    elif command["op"] == "abort":
        aborted.set()
    else:
        answer(read(command))
