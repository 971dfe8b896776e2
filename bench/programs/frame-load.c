/*
 * Sends Kafka requests that somebody else has encoded, over and over, in plain text or over TLS, and counts the answers.
 *
 *   frame-load HOST PORT plain|tls CONNECTIONS WINDOW REQUESTS FILE ERROR_AT
 *
 * FILE holds whole frames, one behind the other; connection i sends frame i (modulo their number). WINDOW is the requests without an
 * answer per connection, REQUESTS the total. ERROR_AT is the position of an error code in each answer (behind its length), which must
 * be 0. Prints one JSON line: `requestsPerSecond`, bytes sent and received per second, and the share of a core the generator took.
 */
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include "stream.h"

#define IN_BYTES (1024 * 1024)
#define FRAMES_MAX 1024
#define HEAD_BYTES 256

struct link {
  struct stream stream;
  const unsigned char *frame;
  size_t frame_bytes, sent; /* of the frame under way */
  long quota, outstanding;
  unsigned char head[HEAD_BYTES]; /* of the answer under way: its length and what stands first in it */
  size_t taken, answer_bytes;     /* of the answer under way, its length counted too; 0: not known yet */
};

static unsigned char *input;
static long answered, window_size;
static double bytes_in, bytes_out;
static int error_at;

static size_t length_of(const unsigned char *p) {
  return 4 + ((size_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]);
}

static void push(struct link *l) {
  while (l->sent > 0 || (l->quota > 0 && l->outstanding < window_size)) {
    ssize_t n = stream_send(&l->stream, l->frame + l->sent, l->frame_bytes - l->sent);
    if (n < 0) {
      if (errno == EAGAIN) return;
      fail("send");
    }
    if (l->sent == 0) {
      l->quota--;
      l->outstanding++;
    }
    l->sent += n;
    bytes_out += n;
    if (l->sent == l->frame_bytes) l->sent = 0;
  }
}

static void finish_answer(struct link *l) {
  const unsigned char *code = l->head + 4 + error_at;
  if (code[0] != 0 || code[1] != 0) {
    fprintf(stderr, "frame-load: an answer has error code %d\n", (int16_t)(code[0] << 8 | code[1]));
    exit(3);
  }
  l->outstanding--;
  answered++;
  l->taken = l->answer_bytes = 0;
}

static void take_bytes(struct link *l, const unsigned char *p, size_t count) {
  while (count > 0) {
    size_t wanted = l->taken < HEAD_BYTES ? HEAD_BYTES - l->taken : 0;
    if (l->answer_bytes == 0) wanted = 4 - l->taken;
    else if (wanted == 0 || wanted > l->answer_bytes - l->taken) wanted = l->answer_bytes - l->taken;
    size_t part = count < wanted ? count : wanted;
    if (l->taken + part <= HEAD_BYTES) memcpy(l->head + l->taken, p, part);
    l->taken += part;
    p += part;
    count -= part;
    if (l->answer_bytes == 0 && l->taken == 4) {
      l->answer_bytes = length_of(l->head);
      if (l->answer_bytes < (size_t)error_at + 6) { errno = EPROTO; fail("a short answer"); }
    }
    if (l->answer_bytes != 0 && l->taken == l->answer_bytes) finish_answer(l);
  }
}

/* Reads until the socket is empty: events are edge triggered. */
static void pull(struct link *l) {
  for (;;) {
    ssize_t n = stream_receive(&l->stream, input, IN_BYTES);
    if (n == 0) { errno = ECONNRESET; fail("the server closed a connection"); }
    if (n < 0) {
      if (errno == EAGAIN) return;
      fail("receive");
    }
    bytes_in += n;
    take_bytes(l, input, n);
  }
}

static unsigned char *read_file(const char *path, size_t *bytes) {
  FILE *file = fopen(path, "rb");
  struct stat facts;
  if (file == NULL || fstat(fileno(file), &facts) < 0) fail(path);
  unsigned char *all = malloc(facts.st_size);
  if (fread(all, 1, facts.st_size, file) != (size_t)facts.st_size) fail(path);
  fclose(file);
  *bytes = facts.st_size;
  return all;
}

int main(int argc, char **argv) {
  stream_program = "frame-load";
  if (argc != 9) {
    fprintf(stderr, "usage: frame-load HOST PORT plain|tls CONNECTIONS WINDOW REQUESTS FILE ERROR_AT\n");
    return 64;
  }
  int connections = atoi(argv[4]);
  long requests = atol(argv[6]);
  window_size = atol(argv[5]);
  error_at = atoi(argv[8]);
  size_t file_bytes, starts[FRAMES_MAX];
  unsigned char *frames = read_file(argv[7], &file_bytes);
  int frame_count = 0;
  for (size_t at = 0; at + 4 <= file_bytes && frame_count < FRAMES_MAX; at += length_of(frames + at)) starts[frame_count++] = at;
  input = malloc(IN_BYTES);
  struct link *links = calloc(connections, sizeof(struct link));
  int poll_fd = epoll_create1(0);
  for (int i = 0; i < connections; i++) {
    links[i].frame = frames + starts[i % frame_count];
    links[i].frame_bytes = length_of(links[i].frame);
    links[i].quota = requests / connections + (i < requests % connections ? 1 : 0);
    open_stream(&links[i].stream, argv[1], atoi(argv[2]), strcmp(argv[3], "tls") == 0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = i};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, links[i].stream.fd, &event);
  }
  double started_at = now_s(), cpu_before = cpu_s();
  for (int i = 0; i < connections; i++) push(&links[i]);
  struct epoll_event events[256];
  while (answered < requests) {
    int n = epoll_wait(poll_fd, events, 256, 30000);
    if (n == 0) { errno = ETIMEDOUT; fail("no answer"); }
    for (int i = 0; i < n; i++) {
      struct link *l = &links[events[i].data.u32];
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) pull(l);
      push(l);
    }
  }
  double seconds = now_s() - started_at;
  printf("{\"requestsPerSecond\":%.1f,\"bytesOutPerSecond\":%.0f,\"bytesInPerSecond\":%.0f,\"generatorCpu\":%.3f}\n",
         requests / seconds, bytes_out / seconds, bytes_in / seconds, (cpu_s() - cpu_before) / seconds);
  return 0;
}
