/*
 * Opens MQTT 3.1.1 connections and holds them in silence.
 *
 *   mqtt-idle HOST PORT CONNECTIONS SUBSCRIPTIONS SECONDS
 *
 * SUBSCRIPTIONS is 0, or 1: a topic of its own for each. Prints how long it took until all were there, SECONDS after it began.
 */
#define _GNU_SOURCE
#include "stream.h"

/* Connections that are being opened at a time: below the backlog of a listener. */
#define AT_A_TIME 64

static void say(int fd, const void *bytes, int length) {
  if (send(fd, bytes, length, MSG_NOSIGNAL) != length) fail("send");
}

static void hear(int fd, unsigned char *bytes, int length) {
  for (int at = 0; at < length;) {
    ssize_t n = recv(fd, bytes + at, length - at, 0);
    if (n <= 0) fail("the server closed a connection");
    at += n;
  }
}

int main(int argc, char **argv) {
  if (argc < 6) {
    fprintf(stderr, "usage: mqtt-idle HOST PORT CONNECTIONS SUBSCRIPTIONS SECONDS\n");
    return 64;
  }
  stream_program = "mqtt-idle";
  int count = atoi(argv[3]), subscriptions = atoi(argv[4]);
  double seconds = atof(argv[5]), started_at = now_s();
  struct rlimit files = {count + 64, count + 64};
  if (setrlimit(RLIMIT_NOFILE, &files) < 0) fail("setrlimit");
  int *fds = calloc(count, sizeof(int));
  unsigned char answer[8];
  for (int from = 0; from < count; from += AT_A_TIME) {
    int to = from + AT_A_TIME < count ? from + AT_A_TIME : count;
    for (int i = from; i < to; i++) {
      fds[i] = connect_to(argv[1], atoi(argv[2]));
      /* Its few bytes are waited for. */
      fcntl(fds[i], F_SETFL, 0);
      char id[32], topic[48];
      int id_length = snprintf(id, sizeof id, "idle-%d", i);
      int topic_length = snprintf(topic, sizeof topic, "device/%d/command", i);
      unsigned char packets[128] = {0x10, 12 + id_length, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, id_length};
      memcpy(packets + 14, id, id_length);
      unsigned char *p = packets + 14 + id_length;
      unsigned char subscribe[6] = {0x82, 5 + topic_length, 0, 1, 0, topic_length};
      memcpy(p, subscribe, 6);
      memcpy(p + 6, topic, topic_length);
      p[6 + topic_length] = 1;
      if (subscriptions > 0) p += 7 + topic_length;
      say(fds[i], packets, p - packets);
    }
    for (int i = from; i < to; i++) {
      hear(fds[i], answer, 4);
      if (answer[0] != 0x20 || answer[3] != 0) { errno = EACCES; fail("CONNACK refused"); }
      if (subscriptions == 0) continue;
      hear(fds[i], answer, 5);
      if (answer[0] != 0x90 || answer[4] == 0x80) { errno = EACCES; fail("SUBACK refused"); }
    }
  }
  double connected_after = now_s() - started_at;
  if (connected_after < seconds) usleep((seconds - connected_after) * 1e6);
  printf("{\"connections\":%d,\"secondsToConnect\":%.2f}\n", count, connected_after);
  return 0;
}
