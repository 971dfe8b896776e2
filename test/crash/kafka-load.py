"""Foreign Kafka load of the crash suite: idempotent librdkafka producers that never give up.

usage: kafka-load.py BOOTSTRAP ACKED_FILE [BYTES]

Values are "<stream>-<counter>", some with padding behind a blank. Streams: k0 to k4 to the topic "idempotent", each with a codec of
its own; r0 to "short", whose old segments go by retention; c0 to c19 to "latest", which is compacted, the stream being the key. Each
delivery report is one line "<stream>-<counter> partition offset" in ACKED_FILE, flushed at once. "stop" on standard input ends
sending (with BYTES, it ends by itself when "idempotent" and "latest" have got half of them each, in large records); the program then waits until every message has its report, and prints how many it sent and how many failed.
"""
import sys
import threading
import time

from confluent_kafka import Producer

bootstrap, acked_path = sys.argv[1], sys.argv[2]
fill_bytes = int(sys.argv[3]) if len(sys.argv) > 3 else None
codecs = ["none", "lz4", "zstd", "snappy", "gzip"]
acked = open(acked_path, "a", buffering=1)
lock = threading.Lock()
stopping = threading.Event()
failed = []


class Work:
    def __init__(self, topic, streams, codec, padding, pause):
        self.topic, self.streams, self.codec, self.padding, self.pause = topic, streams, codec, " " + "x" * padding, pause
        self.sent = 0
        self.most = None if fill_bytes is None else fill_bytes // 2 // (padding + 1)
        if padding == 0:
            self.padding = ""

    def run(self):
        producer = Producer({
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "message.timeout.ms": 0,
            "request.timeout.ms": 3000,
            "linger.ms": 2,
            "retry.backoff.ms": 20,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 200,
            "queue.buffering.max.messages": 2000,
            "compression.type": self.codec,
        })
        while not stopping.is_set() and self.sent != self.most:
            stream = self.streams[self.sent % len(self.streams)]
            value = "%s-%d%s" % (stream, self.sent // len(self.streams), self.padding)
            try:
                producer.produce(self.topic, key=stream, value=value, on_delivery=report)
                self.sent += 1
            except BufferError:
                producer.poll(0.05)
            producer.poll(0)
            if self.sent % 20 == 0:
                time.sleep(self.pause)
        while producer.flush(1) > 0:
            pass


def report(error, message):
    if error is not None:
        failed.append(str(error))
        return
    with lock:
        acked.write("%s %d %d\n" % (message.value().decode().split(" ")[0], message.partition(), message.offset()))


def streams(letter, count):
    return ["%s%d" % (letter, index) for index in range(count)]


if fill_bytes is None:
    works = [Work("idempotent", ["k%d" % index], codecs[index], 0, 0.1) for index in range(5)]
    works.append(Work("short", ["r0"], "none", 900, 0.1))
    works.append(Work("latest", streams("c", 20), "lz4", 900, 0.1))
else:
    works = [Work("idempotent", streams("k", 5), "none", 4000, 0), Work("latest", streams("c", 1000), "none", 4000, 0)]
threads = [threading.Thread(target=work.run) for work in works]
for thread in threads:
    thread.start()
if fill_bytes is None:
    sys.stdin.readline()
    stopping.set()
for thread in threads:
    thread.join()
acked.close()
print(sum(work.sent for work in works), len(failed), failed[:3])
