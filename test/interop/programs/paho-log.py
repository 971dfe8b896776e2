"""Reads $log/plant/0 from offset 48 by paho-mqtt at 5.0: prints the SUBACK and four records with their offsets."""

import sys
import threading

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

host, port = sys.argv[1], int(sys.argv[2])
done = threading.Event()
left = [4]


def on_connect(client, _userdata, _flags, _reason, _properties):
    properties = Properties(PacketTypes.SUBSCRIBE)
    properties.UserProperty = [("offset", "48")]
    client.subscribe("$log/plant/0", options=paho.SubscribeOptions(qos=1), properties=properties)


def on_subscribe(_client, _userdata, _mid, reasons, _properties):
    print("suback", *[reason.value for reason in reasons], flush=True)


def on_message(_client, _userdata, message):
    place = dict(message.properties.UserProperty)
    print(place["log.offset"], message.payload.decode(), flush=True)
    left[0] -= 1
    if left[0] == 0:
        done.set()


client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
client.on_connect = on_connect
client.on_subscribe = on_subscribe
client.on_message = on_message
client.connect(host, port)
client.loop_start()
if not done.wait(20):
    sys.exit("too few messages")
client.disconnect()
client.loop_stop()
