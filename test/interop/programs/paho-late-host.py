"""A host application that comes late, on paho-mqtt: prints `RETAIN QOS TOPIC HEX` of every birth certificate it is given, sorted.

usage: paho-late-host.py PORT COUNT
"""
import sys
import threading

import paho.mqtt.client as mqtt

port, count = int(sys.argv[1]), int(sys.argv[2])
heard, done = [], threading.Event()


def on_message(_client, _user, message):
    heard.append("%d %d %s %s" % (message.retain, message.qos, message.topic, message.payload.hex()))
    if len(heard) == count:
        done.set()


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="late-host", protocol=mqtt.MQTTv311)
client.on_message = on_message
client.on_connect = lambda *_: client.subscribe("$sparkplug/certificates/#", 1)
client.connect("127.0.0.1", port)
client.loop_start()
if not done.wait(15):
    sys.exit("waited in vain for %d certificates: %r" % (count, heard))
client.disconnect()
client.loop_stop()
print("\n".join(sorted(heard)))
