/*
 * Opens MQTT 3.1.1 connections and holds them in silence.
 *
 *   mqtt-idle HOST PORT CONNECTIONS SUBSCRIPTIONS SECONDS
 *
 * SUBSCRIPTIONS is 0, or 1: a topic of its own for each. Prints how long it took until all were there, SECONDS after it began.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Connections that are being opened at a time: below the backlog of a listener. */
#define AT_A_TIME 64

static void fail(const char *what) {
  fprintf(stderr, "mqtt-idle: %s: %s\n", what, strerror(errno));
  exit(2);
}

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

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
  int count = atoi(argv[3]), subscriptions = atoi(argv[4]);
  double seconds = atof(argv[5]), started_at = now_s();
  struct rlimit files = {count + 64, count + 64};
  if (setrlimit(RLIMIT_NOFILE, &files) < 0) fail("setrlimit");
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
  inet_pton(AF_INET, argv[1], &address.sin_addr);
  int *fds = calloc(count, sizeof(int));
  unsigned char answer[8];
  for (int from = 0; from < count; from += AT_A_TIME) {
    int to = from + AT_A_TIME < count ? from + AT_A_TIME : count;
    for (int i = from; i < to; i++) {
      fds[i] = socket(AF_INET, SOCK_STREAM, 0);
      if (fds[i] < 0 || connect(fds[i], (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
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
