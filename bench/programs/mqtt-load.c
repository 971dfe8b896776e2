/*
 * MQTT load generator: many connections, one epoll loop, no allocation while it runs.
 *
 * A Node client saturates before a good broker does, so the side-by-side bench uses this program for both brokers. It prints one
 * JSON line with the rate, the acknowledgement latencies and its own processor time: a run in which `cpu` is near 1.0 measured
 * the generator, not the broker.
 *
 *   mqtt-load HOST PORT CONNECTIONS QOS PAYLOAD_BYTES MESSAGES WINDOW TOPIC_PREFIX [RATE]
 *
 * MQTT_LOAD_TLS=1 in the environment: over TLS, when it was compiled for it (stream.h).
 *
 * MESSAGES is the total over all connections; WINDOW the unacknowledged publishes per connection (QoS 1); RATE, when given, the
 * messages per second over all connections (open loop: latency counts from the moment a message was due).
 * QoS 0 ends with a PINGREQ on each connection: the broker answers it only after it has read everything before.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/epoll.h>
#include "mqtt-length.h"
#include "stream.h"

#define OUT_BYTES (256 * 1024)
#define IN_BYTES (64 * 1024)

struct link {
  struct stream stream;
  int ready;          /* CONNACK seen */
  int pinged;         /* PINGREQ queued */
  int finished;
  long quota;         /* messages still to queue */
  long paced;         /* messages queued, of all that this connection will send at its pace */
  int index;
  long outstanding;   /* QoS 1 without PUBACK */
  uint16_t next_id;
  unsigned char *template_bytes;
  int template_length;
  int id_at;
  unsigned char *out;
  int out_from, out_to;
  unsigned char in[IN_BYTES];
  int in_length;
  double *sent_at;    /* by packet id */
};

static int qos, window_size, payload_bytes;
static double *latencies;
static long latency_count, acknowledged;
static int connections;
static double rate, started_at;

static void build_template(struct link *l, const char *prefix, int index) {
  char topic[256];
  int topic_length = snprintf(topic, sizeof topic, "%s/d%d/temperature", prefix, index);
  int body = 2 + topic_length + (qos > 0 ? 2 : 0) + payload_bytes;
  l->template_bytes = malloc(body + 8);
  unsigned char *p = l->template_bytes;
  *p++ = 0x30 | (qos << 1);
  p += put_length(p, body);
  *p++ = topic_length >> 8;
  *p++ = topic_length & 255;
  memcpy(p, topic, topic_length);
  p += topic_length;
  l->id_at = -1;
  if (qos > 0) {
    l->id_at = p - l->template_bytes;
    p += 2;
  }
  for (int i = 0; i < payload_bytes; i++) *p++ = 'a' + (i * 7 + index) % 26;
  l->template_length = p - l->template_bytes;
}

static void open_link(struct link *l, const char *host, int port, int index) {
  open_stream(&l->stream, host, port, getenv("MQTT_LOAD_TLS") != NULL);
  l->out = malloc(OUT_BYTES);
  l->sent_at = calloc(65536, sizeof(double));
  char id[32];
  int id_length = snprintf(id, sizeof id, "load-%d", index);
  unsigned char *p = l->out;
  *p++ = 0x10;
  *p++ = 12 + id_length;
  memcpy(p, "\0\4MQTT\4\2\0\74\0", 11);
  p += 11;
  *p++ = id_length;
  memcpy(p, id, id_length);
  l->out_to = p + id_length - l->out;
  l->next_id = 1;
}

/* Queues as many publishes as window, pace and buffer allow. */
static void fill(struct link *l) {
  if (!l->ready) return;
  if (l->out_from == l->out_to) l->out_from = l->out_to = 0;
  double now = 0;
  while (l->quota > 0 && l->out_to + l->template_length <= OUT_BYTES) {
    if (qos > 0 && l->outstanding >= window_size) break;
    double due = 0;
    if (rate > 0) {
      if (now == 0) now = now_s();
      /* Each connection has its own turn: message k of it is number k * connections + index of all. */
      due = started_at + ((double)l->paced * connections + l->index) / rate;
      if (due > now) break;
    }
    unsigned char *p = l->out + l->out_to;
    memcpy(p, l->template_bytes, l->template_length);
    if (qos > 0) {
      p[l->id_at] = l->next_id >> 8;
      p[l->id_at + 1] = l->next_id & 255;
      if (now == 0) now = now_s();
      l->sent_at[l->next_id] = rate > 0 ? due : now;
      l->next_id = l->next_id == 65535 ? 1 : l->next_id + 1;
      l->outstanding++;
    }
    l->out_to += l->template_length;
    l->quota--;
    l->paced++;
  }
  if (l->quota == 0 && qos == 0 && !l->pinged && l->out_to + 2 <= OUT_BYTES) {
    l->out[l->out_to++] = 0xc0;
    l->out[l->out_to++] = 0;
    l->pinged = 1;
  }
}

static void flush_out(struct link *l) {
  while (l->out_from < l->out_to) {
    ssize_t n = stream_send(&l->stream, l->out + l->out_from, l->out_to - l->out_from);
    if (n < 0) {
      if (errno == EAGAIN) return;
      fail("send");
    }
    l->out_from += n;
  }
  l->out_from = l->out_to = 0;
}

/* Reads once; answers 0 when the socket is empty. */
static int take(struct link *l) {
  ssize_t n = stream_receive(&l->stream, l->in + l->in_length, IN_BYTES - l->in_length);
  if (n == 0) {
    errno = ECONNRESET;
    fail("the broker closed a connection");
  }
  if (n < 0) {
    if (errno == EAGAIN) return 0;
    fail("recv");
  }
  l->in_length += n;
  int at = 0;
  double now = qos > 0 ? now_s() : 0;
  while (l->in_length - at >= 2) {
    int length = l->in[at + 1];
    if (l->in_length - at < 2 + length) break;
    unsigned char *p = l->in + at;
    switch (p[0] >> 4) {
      case 2:
        if (p[3] != 0) { errno = EACCES; fail("CONNACK refused"); }
        l->ready = 1;
        break;
      case 4: {
        int id = p[2] << 8 | p[3];
        latencies[latency_count++] = now - l->sent_at[id];
        l->outstanding--;
        acknowledged++;
        if (l->quota == 0 && l->outstanding == 0) l->finished = 1;
        break;
      }
      case 13:
        l->finished = 1;
        break;
    }
    at += 2 + length;
  }
  memmove(l->in, l->in + at, l->in_length - at);
  l->in_length -= at;
  return 1;
}

/* Queues and sends until the window, the pace or the socket says stop. */
static void pump(struct link *l) {
  for (;;) {
    fill(l);
    if (l->out_from == l->out_to) return;
    flush_out(l);
    /* The socket is full: it will tell. While it is not, nobody else will. */
    if (l->out_to != 0) return;
  }
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
  stream_program = "mqtt-load";
  if (argc < 9) {
    fprintf(stderr, "usage: mqtt-load HOST PORT CONNECTIONS QOS PAYLOAD_BYTES MESSAGES WINDOW TOPIC_PREFIX [RATE]\n");
    return 64;
  }
  connections = atoi(argv[3]);
  long messages = atol(argv[6]);
  qos = atoi(argv[4]);
  payload_bytes = atoi(argv[5]);
  window_size = atoi(argv[7]);
  rate = argc > 9 ? atof(argv[9]) : 0;
  latencies = malloc(sizeof(double) * (messages + 1));
  struct link *links = calloc(connections, sizeof(struct link));
  int poll_fd = epoll_create1(0);
  for (int i = 0; i < connections; i++) {
    build_template(&links[i], argv[8], i);
    open_link(&links[i], argv[1], atoi(argv[2]), i);
    links[i].index = i;
    links[i].quota = messages / connections + (i < messages % connections ? 1 : 0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = i};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, links[i].stream.fd, &event);
    flush_out(&links[i]);
  }
  /* All connected before the clock starts. */
  int ready = 0;
  struct epoll_event events[256];
  while (ready < connections) {
    int n = epoll_wait(poll_fd, events, 256, 10000);
    if (n == 0) { errno = ETIMEDOUT; fail("CONNACK"); }
    for (int i = 0; i < n; i++) {
      struct link *l = &links[events[i].data.u32];
      int was = l->ready;
      take(l);
      ready += !was && l->ready;
    }
  }
  double cpu_before = cpu_s();
  started_at = now_s();
  int finished = 0;
  for (int i = 0; i < connections; i++) {
    pump(&links[i]);
  }
  while (finished < connections) {
    int n = epoll_wait(poll_fd, events, 256, rate > 0 ? 1 : 30000);
    if (n == 0 && rate == 0) { errno = ETIMEDOUT; fail("no answer"); }
    for (int i = 0; i < n; i++) {
      struct link *l = &links[events[i].data.u32];
      int was = l->finished;
      if (events[i].events & EPOLLIN) {
        /* Edge triggered: read until the socket is empty. */
        while (take(l)) continue;
      }
      pump(l);
      finished += !was && l->finished;
    }
    if (rate > 0)
      for (int i = 0; i < connections; i++) pump(&links[i]);
  }
  double seconds = now_s() - started_at;
  double cpu = cpu_s() - cpu_before;
  qsort(latencies, latency_count, sizeof(double), ascending);
  double p50 = latency_count ? latencies[latency_count / 2] * 1e3 : 0;
  double p99 = latency_count ? latencies[latency_count * 99 / 100] * 1e3 : 0;
  printf("{\"messages\":%ld,\"seconds\":%.4f,\"perSecond\":%.0f,\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"generatorCpu\":%.3f}\n", messages,
         seconds, messages / seconds, p50, p99, cpu / seconds);
  return 0;
}
