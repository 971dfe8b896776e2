"""Foreign workload of the crash suite: idempotent librdkafka producers that never give up.

usage: idempotent-producer.py BOOTSTRAP TOPIC PRODUCERS ACKED_FILE

Each producer sends values "k<producer>-<counter>" with the key "k<producer>" and retries for ever. Each delivery report is one
line "value partition offset" in ACKED_FILE, flushed at once. "stop" on standard input ends sending; the program then waits until
every message has its report, and prints the number of messages sent.
"""
import sys
import threading
import time

from confluent_kafka import Producer

bootstrap, topic, producers, acked_path = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
acked = open(acked_path, "a", buffering=1)
lock = threading.Lock()
stopping = threading.Event()
sent = [0] * producers
failed = []


def work(index):
    producer = Producer({
        "bootstrap.servers": bootstrap,
        "enable.idempotence": True,
        "message.timeout.ms": 0,
        "request.timeout.ms": 3000,
        "linger.ms": 2,
        "retry.backoff.ms": 20,
        "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 200,
        "compression.type": ["none", "lz4", "zstd", "snappy", "gzip"][index % 5],
    })

    def report(error, message):
        if error is not None:
            failed.append(str(error))
            return
        with lock:
            acked.write("%s %d %d\n" % (message.value().decode(), message.partition(), message.offset()))

    while not stopping.is_set():
        try:
            producer.produce(topic, key="k%d" % index, value="k%d-%d" % (index, sent[index]), on_delivery=report)
            sent[index] += 1
        except BufferError:
            producer.poll(0.05)
        producer.poll(0)
        if sent[index] % 20 == 0:
            time.sleep(0.02)
    while producer.flush(1) > 0:
        pass


threads = [threading.Thread(target=work, args=(index,)) for index in range(producers)]
for thread in threads:
    thread.start()
sys.stdin.readline()
stopping.set()
for thread in threads:
    thread.join()
acked.close()
print(sum(sent), len(failed), failed[:3])
