/*
 * MQTT fan-out and fan-in: publishers and subscribers of one program, one epoll loop, no allocation while it runs.
 *
 *   mqtt-fan HOST PORT PUBLISHERS SUBSCRIBERS QOS PAYLOAD_BYTES MESSAGES WINDOW [BURST]
 *
 * Publisher i sends to `fan/d<i>`, every subscriber has `fan/#`: MESSAGES published are MESSAGES * SUBSCRIBERS deliveries. WINDOW bounds the
 * messages that are published and not yet delivered to everybody (their deliveries counted together), so that no server has to drop at QoS 0 and
 * none is measured by the length of its queue. A publisher sends BURST messages (1 unless said) when it is its turn. The payload begins with the time of sending: the latencies are those from one publisher's send to
 * one subscriber's receipt. A run in which `generatorCpu` is near 1.0 measured this program, not the server.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/epoll.h>
#include "mqtt-length.h"
#include "stream.h"

#define READ_BYTES (256 * 1024)
#define OUT_BYTES (64 * 1024)
#define SAMPLES_MAX 2000000

struct link {
  struct stream stream;
  int is_publisher;
  int ready;           /* CONNACK, and SUBACK of a subscriber */
  uint16_t next_id;
  unsigned char *template_bytes;
  int template_length, id_at, stamp_at;
  unsigned char *out;
  int out_from, out_to;
  /* The beginning of a packet whose rest has not come. */
  unsigned char *carry;
  int carried, carry_room;
};

static int qos, payload_bytes, publishers, subscribers, ready_count;
static long messages, window_size, burst_size = 1, published, acknowledged, delivered;
static double *latencies;
static long latency_count;
static unsigned char scratch[READ_BYTES];

/* Where it was when it could not go on. */
static void fail_run(const char *what) {
  fprintf(stderr, "%ld published, %ld delivered, %ld acknowledged\n", published, delivered, acknowledged);
  fail(what);
}

static void build_template(struct link *l, int index) {
  char topic[64];
  int topic_length = snprintf(topic, sizeof topic, "fan/d%d", index);
  int body = 2 + topic_length + (qos > 0 ? 2 : 0) + payload_bytes;
  unsigned char *p = l->template_bytes = malloc(body + 8);
  *p++ = 0x30 | (qos << 1);
  p += put_length(p, body);
  *p++ = topic_length >> 8;
  *p++ = topic_length & 255;
  memcpy(p, topic, topic_length);
  p += topic_length;
  l->id_at = p - l->template_bytes;
  if (qos > 0) p += 2;
  l->stamp_at = p - l->template_bytes;
  for (int i = 0; i < payload_bytes; i++) *p++ = 'a' + (i * 7 + index) % 26;
  l->template_length = p - l->template_bytes;
}

static void put(struct link *l, const void *bytes, int length) {
  if (l->out_to + length > OUT_BYTES) {
    memmove(l->out, l->out + l->out_from, l->out_to - l->out_from);
    l->out_to -= l->out_from;
    l->out_from = 0;
    if (l->out_to + length > OUT_BYTES) { errno = ENOBUFS; fail_run("the server does not read"); }
  }
  memcpy(l->out + l->out_to, bytes, length);
  l->out_to += length;
}

static void flush_out(struct link *l) {
  while (l->out_from < l->out_to) {
    ssize_t n = stream_send(&l->stream, l->out + l->out_from, l->out_to - l->out_from);
    if (n < 0) {
      if (errno == EAGAIN) return;
      fail_run("send");
    }
    l->out_from += n;
  }
  l->out_from = l->out_to = 0;
}

static void open_link(struct link *l, const char *host, int port, int index) {
  open_stream(&l->stream, host, port, 0);
  l->out = malloc(OUT_BYTES);
  l->next_id = 1;
  char id[32];
  int id_length = snprintf(id, sizeof id, "%s-%d", l->is_publisher ? "pub" : "sub", index);
  unsigned char head[64] = {0x10, 12 + id_length, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, id_length};
  memcpy(head + 14, id, id_length);
  put(l, head, 14 + id_length);
  flush_out(l);
}

static void take_publish(struct link *l, const unsigned char *packet, int header, int length) {
  const unsigned char *p = packet + header;
  int topic_length = p[0] << 8 | p[1];
  int at = 2 + topic_length;
  int level = packet[0] >> 1 & 3;
  if (level != qos) { errno = EPROTO; fail_run("a message came at another QoS"); }
  if (level > 0) {
    unsigned char ack[4] = {0x40, 2, p[at], p[at + 1]};
    put(l, ack, 4);
    at += 2;
  }
  if (length - at != payload_bytes) { errno = EPROTO; fail_run("a message came with another length"); }
  delivered++;
  /* Every 16th is enough of a sample. */
  if ((delivered & 15) == 0 && latency_count < SAMPLES_MAX) {
    double sent;
    memcpy(&sent, p + at, sizeof sent);
    latencies[latency_count++] = now_s() - sent;
  }
}

static void take_packet(struct link *l, const unsigned char *packet, int header, int length) {
  switch (packet[0] >> 4) {
    case 2:
      if (packet[3] != 0) { errno = EACCES; fail_run("CONNACK refused"); }
      if (l->is_publisher) {
        l->ready = 1;
        ready_count++;
      } else {
        unsigned char subscribe[12] = {0x82, 10, 0, 1, 0, 5, 'f', 'a', 'n', '/', '#', qos};
        put(l, subscribe, 12);
      }
      break;
    case 9:
      if (packet[4] != qos) { errno = EACCES; fail_run("SUBACK refused"); }
      l->ready = 1;
      ready_count++;
      break;
    case 3:
      take_publish(l, packet, header, length);
      break;
    case 4:
      acknowledged++;
      break;
  }
}

/* Walks whole packets; answers the bytes that were used. */
static int walk(struct link *l, const unsigned char *bytes, int count) {
  int at = 0;
  while (count - at >= 2) {
    int length = 0, header = 1;
    for (int shift = 0;; shift += 7) {
      if (at + header >= count) return at;
      unsigned char digit = bytes[at + header++];
      length |= (digit & 127) << shift;
      if (!(digit & 128)) break;
    }
    if (count - at < header + length) return at;
    take_packet(l, bytes + at, header, length);
    at += header + length;
  }
  return at;
}

/* Reads once; answers 0 when the socket is empty. */
static int take(struct link *l) {
  memcpy(scratch, l->carry, l->carried);
  int room = READ_BYTES - l->carried;
  ssize_t n = stream_receive(&l->stream, scratch + l->carried, room);
  if (n == 0) { errno = ECONNRESET; fail_run("the server closed a connection"); }
  if (n < 0) {
    if (errno == EAGAIN) return 0;
    fail_run("recv");
  }
  int count = l->carried + n;
  int used = walk(l, scratch, count);
  l->carried = count - used;
  if (l->carried > l->carry_room) {
    l->carry_room = l->carried + 1024;
    l->carry = realloc(l->carry, l->carry_room);
  }
  memcpy(l->carry, scratch + used, l->carried);
  flush_out(l);
  return n == room;
}

/* Publishes what the window allows, the publishers by turns. */
static void publish(struct link *links) {
  static int turn, sent_in_turn;
  double now = now_s();
  while (published < messages && (subscribers == 0 || published - delivered / subscribers < window_size)) {
    struct link *l = &links[turn];
    if (++sent_in_turn == burst_size) {
      sent_in_turn = 0;
      turn = turn + 1 == publishers ? 0 : turn + 1;
    }
    memcpy(l->template_bytes + l->stamp_at, &now, sizeof now);
    if (qos > 0) {
      l->template_bytes[l->id_at] = l->next_id >> 8;
      l->template_bytes[l->id_at + 1] = l->next_id & 255;
      l->next_id = l->next_id == 65535 ? 1 : l->next_id + 1;
    }
    put(l, l->template_bytes, l->template_length);
    published++;
  }
  for (int i = 0; i < publishers; i++)
    if (links[i].out_from < links[i].out_to) flush_out(&links[i]);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static struct epoll_event events[1024];

static int wait_some(int poll_fd, struct link *links) {
  int n = epoll_wait(poll_fd, events, 1024, 30000);
  if (n == 0) { errno = ETIMEDOUT; fail_run("no answer"); }
  for (int i = 0; i < n; i++) {
    struct link *l = &links[events[i].data.u32];
    if (events[i].events & EPOLLOUT) flush_out(l);
    if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
      while (take(l)) continue;
  }
  return n;
}

int main(int argc, char **argv) {
  if (argc < 9) {
    fprintf(stderr, "usage: mqtt-fan HOST PORT PUBLISHERS SUBSCRIBERS QOS PAYLOAD_BYTES MESSAGES WINDOW [BURST]\n");
    return 64;
  }
  stream_program = "mqtt-fan";
  publishers = atoi(argv[3]);
  subscribers = atoi(argv[4]);
  qos = atoi(argv[5]);
  payload_bytes = atoi(argv[6]);
  messages = atol(argv[7]);
  window_size = atol(argv[8]);
  if (argc > 9) burst_size = atol(argv[9]);
  if (payload_bytes < (int)sizeof(double) || qos > 1) { errno = EINVAL; fail_run("arguments"); }
  latencies = malloc(sizeof(double) * SAMPLES_MAX);
  int count = publishers + subscribers;
  struct link *links = calloc(count, sizeof(struct link));
  int poll_fd = epoll_create1(0);
  for (int i = 0; i < count; i++) {
    links[i].is_publisher = i < publishers;
    links[i].carry = malloc(links[i].carry_room = 1024);
    if (i < publishers) build_template(&links[i], i);
    open_link(&links[i], argv[1], atoi(argv[2]), i);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = i};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, links[i].stream.fd, &event);
  }
  /* All there before the clock starts. */
  while (ready_count < count) wait_some(poll_fd, links);
  double cpu_before = cpu_s(), started_at = now_s();
  while (delivered < messages * subscribers || (qos > 0 && acknowledged < messages)) {
    publish(links);
    wait_some(poll_fd, links);
  }
  double seconds = now_s() - started_at;
  qsort(latencies, latency_count, sizeof(double), ascending);
  double p50 = latency_count ? latencies[latency_count / 2] * 1e3 : 0;
  double p99 = latency_count ? latencies[latency_count * 99 / 100] * 1e3 : 0;
  printf("{\"deliveries\":%ld,\"seconds\":%.4f,\"perSecond\":%.0f,\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"generatorCpu\":%.3f}\n", delivered, seconds,
         delivered / seconds, p50, p99, (cpu_s() - cpu_before) / seconds);
  return 0;
}
