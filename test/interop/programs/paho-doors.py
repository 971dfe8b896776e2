"""paho-mqtt at 3.1.1 and 5.0 through one door: every quality, large messages, retained messages, wills, kept sessions, properties.

usage: paho-doors.py TRANSPORT PORT [CA [CERTIFICATE KEY]]     TRANSPORT: tcp, tls, ws, wss
Environment: USER_NAME, PASSWORD. Prints `ok` for each version; the first broken promise ends it with its sentence.
"""
import os
import socket
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

transport, port = sys.argv[1], int(sys.argv[2])
authority = sys.argv[3] if len(sys.argv) > 3 else None
identity = sys.argv[4:6] if len(sys.argv) > 5 else None
user, password = os.environ.get("USER_NAME"), os.environ.get("PASSWORD")
patience = 15


class Client:
    """A client that remembers what it hears."""

    def __init__(self, version, name, kept=False, will=None):
        self.version, self.kept = version, kept
        self.name = "%s-%s-%s" % (transport, version, name)
        arguments = {"clean_session": not kept} if version != mqtt.MQTTv5 else {}
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=self.name,
            protocol=version,
            transport="websockets" if transport in ("ws", "wss") else "tcp",
            **arguments,
        )
        if transport in ("tls", "wss"):
            self.client.tls_set(authority, *(identity or []))
        if user is not None:
            self.client.username_pw_set(user, password)
        if will is not None:
            self.client.will_set(*will)
        self.changed = threading.Condition()
        self.heard, self.connected, self.acknowledged, self.gone = [], None, set(), False
        self.client.on_connect = self._on_connect
        self.client.on_message = lambda _c, _u, message: self._note(self.heard.append, message)
        self.client.on_subscribe = lambda _c, _u, mid, codes, _p: self._note(self.acknowledged.add, (mid, str(codes[0])))
        self.client.on_disconnect = self._on_disconnect

    def _note(self, put, what):
        with self.changed:
            put(what)
            self.changed.notify_all()

    def _on_connect(self, _client, _user, flags, reason, properties):
        with self.changed:
            self.connected = (str(reason), flags.session_present, properties)
            self.changed.notify_all()

    def _on_disconnect(self, _client, _user, _flags, _reason, _properties):
        with self.changed:
            self.gone = True
            self.changed.notify_all()

    def until(self, condition, what):
        with self.changed:
            if not self.changed.wait_for(condition, patience):
                sys.exit("%s: waited in vain for %s; heard %r" % (self.name, what, [texts(m) for m in self.heard]))

    def connect(self):
        arguments = {}
        if self.version == mqtt.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 300 if self.kept else 0
            properties.ReceiveMaximum = 20
            arguments = {"clean_start": not self.kept, "properties": properties}
        self.connected, self.gone = None, False
        self.client.connect("127.0.0.1", port, keepalive=30, **arguments)
        self.client.loop_start()
        self.until(lambda: self.connected is not None, "CONNACK")
        if self.connected[0] != "Success":
            sys.exit("%s: %s" % (self.name, self.connected[0]))
        return self

    def subscribe(self, topic, qos):
        _, mid = self.client.subscribe(topic, qos)
        self.until(lambda: any(each == mid for each, _ in self.acknowledged), "SUBACK")
        return self

    def publish(self, topic, payload, qos, retain=False, properties=None):
        message = self.client.publish(topic, payload, qos, retain, properties)
        message.wait_for_publish(patience)
        if not message.is_published():
            sys.exit("%s: %s of QoS %d was not acknowledged" % (self.name, topic, qos))

    def end(self):
        self.client.disconnect()
        self.until(lambda: self.gone, "the end of the connection")
        self.client.loop_stop()

    def vanish(self):
        """The connection goes without DISCONNECT."""
        self.client.loop_stop()
        inner = self.client.socket()
        inner = getattr(inner, "_socket", inner)
        inner.shutdown(socket.SHUT_RDWR)


def texts(message):
    return "%s=%s q%d%s" % (message.topic, message.payload[:20].decode("latin1"), message.qos, "r" if message.retain else "")


def expect(actual, expected, what):
    if actual != expected:
        sys.exit("%s %s: %r is not %r" % (transport, what, actual, expected))


def qualities(version, root):
    reader = Client(version, "reader").connect().subscribe(root + "/#", 2)
    writer = Client(version, "writer").connect()
    sent = []
    for index in range(30):
        qos = index % 3
        writer.publish("%s/%d" % (root, qos), "m%d" % index, qos)
        sent.append("%s/%d=m%d q%d" % (root, qos, index, qos))
    large = os.urandom(200_000)
    writer.publish(root + "/large", large, 2)
    reader.until(lambda: len(reader.heard) == 31, "31 messages")
    by_topic = lambda all: sorted(all, key=lambda text: text.split("=")[0])
    expect(by_topic(texts(m) for m in reader.heard if m.topic != root + "/large"), by_topic(sent), "order")
    expect([m.payload for m in reader.heard if m.topic == root + "/large"], [large], "a large message")
    return reader, writer


def retained(version, root, writer):
    writer.publish(root + "/state", "on", 1, retain=True)
    late = Client(version, "late").connect().subscribe(root + "/state", 1)
    late.until(lambda: len(late.heard) == 1, "the retained message")
    expect(texts(late.heard[0]), root + "/state=on q1r", "retained")
    late.end()
    writer.publish(root + "/state", None, 1, retain=True)
    later = Client(version, "later").connect().subscribe(root + "/state", 1)
    writer.publish(root + "/state", "new", 1)
    later.until(lambda: len(later.heard) == 1, "a message that is not retained")
    expect(texts(later.heard[0]), root + "/state=new q1", "not retained")
    later.end()


def kept_session(version, root, writer):
    first = Client(version, "kept", kept=True).connect()
    expect(first.connected[1], False, "session present at first")
    first.subscribe(root + "/kept/#", 2)
    first.end()
    for qos in (1, 2):
        writer.publish("%s/kept/%d" % (root, qos), "meanwhile", qos)
    again = Client(version, "kept", kept=True).connect()
    expect(again.connected[1], True, "session present")
    again.until(lambda: len(again.heard) == 2, "what came meanwhile")
    expect(sorted(texts(m) for m in again.heard), ["%s/kept/%d=meanwhile q%d" % (root, q, q) for q in (1, 2)], "kept")
    again.end()


def wills(version, root, reader):
    reader.heard.clear()
    lost = Client(version, "lost", will=(root + "/will", "gone", 1, False)).connect()
    polite = Client(version, "polite", will=(root + "/will", "never", 1, False)).connect()
    polite.end()
    lost.vanish()
    # What was meant for the kept session may still be on its way to this reader too.
    heard = lambda: [text for text in map(texts, list(reader.heard)) if text.startswith(root + "/will=")]
    reader.until(lambda: len(heard()) >= 1, "the will")
    expect(heard(), [root + "/will=gone q1"], "wills")


def properties_of_5(root, reader, writer):
    reader.heard.clear()
    sent = Properties(PacketTypes.PUBLISH)
    sent.PayloadFormatIndicator = 1
    sent.MessageExpiryInterval = 600
    sent.ContentType = "text/plain"
    sent.ResponseTopic = root + "/answer"
    sent.CorrelationData = b"\x00\x01id"
    sent.UserProperty = [("unit", "C"), ("unit", "K"), ("a", "")]
    writer.publish(root + "/props", "21.5", 1, properties=sent)
    reader.until(lambda: len(reader.heard) == 1, "a message with properties")
    got = reader.heard[0].properties
    expect(
        (got.PayloadFormatIndicator, got.ContentType, got.ResponseTopic, got.CorrelationData, got.UserProperty),
        (1, "text/plain", root + "/answer", b"\x00\x01id", [("unit", "C"), ("unit", "K"), ("a", "")]),
        "properties",
    )
    if not 590 <= got.MessageExpiryInterval <= 600:
        sys.exit("the expiry interval is %d" % got.MessageExpiryInterval)
    aliased = Properties(PacketTypes.PUBLISH)
    aliased.TopicAlias = 3
    writer.publish(root + "/alias", "named", 1, properties=aliased)
    writer.client.publish("", "by alias", 1, False, aliased).wait_for_publish(patience)
    reader.until(lambda: len(reader.heard) == 3, "messages by alias")
    expect([texts(m) for m in reader.heard[1:]], [root + "/alias=named q1", root + "/alias=by alias q1"], "aliases")


for version, name in ((mqtt.MQTTv311, "3.1.1"), (mqtt.MQTTv5, "5.0")):
    root = "plant/%s/%s" % (transport, name)
    reader, writer = qualities(version, root)
    retained(version, root, writer)
    kept_session(version, root, writer)
    wills(version, root, reader)
    if version == mqtt.MQTTv5:
        properties_of_5(root, reader, writer)
    reader.end()
    writer.end()
    print("ok %s %s" % (transport, name), flush=True)
