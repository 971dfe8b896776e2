"""aiokafka writes COUNT records with each codec it has, and reads them back in a group.

usage: aiokafka-round-trip.py BOOTSTRAP TOPIC COUNT
"""
import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

bootstrap, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])


async def main():
    expected = set()
    for codec in (None, "gzip"):
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type=codec, enable_idempotence=True)
        await producer.start()
        for index in range(count):
            value = "aiokafka-%s-%d" % (codec, index)
            expected.add(value)
            await producer.send(topic, value.encode())
        await producer.stop()
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, group_id="aiokafka", auto_offset_reset="earliest")
    await consumer.start()
    seen = []
    while len(seen) < len(expected):
        message = await asyncio.wait_for(consumer.getone(), 20)
        seen.append(message.value.decode())
    await consumer.commit()
    await consumer.stop()
    assert set(seen) == expected and len(seen) == len(expected), (len(seen), len(expected))


asyncio.run(main())
