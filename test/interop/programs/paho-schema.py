"""Publishes one payload that fits and one that does not, by paho-mqtt at 5.0: prints what each PUBACK says."""

import queue
import sys

import paho.mqtt.client as paho

host, port = sys.argv[1], int(sys.argv[2])
answers = queue.Queue()


def on_publish(_client, _userdata, _mid, reason, properties):
    answers.put((reason.value, getattr(properties, "ReasonString", "none")))


client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
client.on_publish = on_publish
client.connect(host, port)
client.loop_start()
for payload in ('{"temp":22,"unit":"C"}', '{"temp":22,"unit":"K"}'):
    client.publish("plant/t", payload, qos=1)
    print(*answers.get(timeout=20), flush=True)
client.disconnect()
client.loop_stop()
