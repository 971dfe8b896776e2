/*
 * Opens TLS 1.3 connections and closes them again, so many at a time, and says how many a second the server brings to their end.
 *
 *   tls-handshakes HOST PORT full|resumed CONCURRENT CONNECTIONS
 *
 * A connection counts when the handshake is done, close_notify is sent and the server has ended its side too: by then it has done all of its
 * work. `resumed` shows the newest ticket of the same place; what was not resumed all the same is counted apart (`full`), and the
 * first connection of each place is made before the clock starts.
 */
#include <sys/epoll.h>
#include "stream.h"

struct place {
  struct stream stream;
  SSL_SESSION *ticket;
  double started_at;
  int is_closing;
};

static SSL_CTX *context;
static int poll_fd, resumes, place_index;
static const char *host;
static int port;
static long begun, done, full, shaken;
static double *latencies;

static int keep_ticket(SSL *ssl, SSL_SESSION *ticket) {
  struct place *p = SSL_get_ex_data(ssl, place_index);
  if (p->ticket != NULL) SSL_SESSION_free(p->ticket);
  p->ticket = ticket;
  return 1;
}

static void begin(struct place *p) {
  begun++;
  p->started_at = now_s();
  p->is_closing = 0;
  p->stream.fd = connect_to(host, port);
  p->stream.ssl = SSL_new(context);
  SSL_set_fd(p->stream.ssl, p->stream.fd);
  SSL_set_ex_data(p->stream.ssl, place_index, p);
  SSL_set_connect_state(p->stream.ssl);
  if (resumes && p->ticket != NULL) {
    /* A copy: OpenSSL declares a session dead whose connection ends without close_notify, and some servers renew no ticket. */
    SSL_SESSION *copy = SSL_SESSION_dup(p->ticket);
    SSL_set_session(p->stream.ssl, copy);
    SSL_SESSION_free(copy);
  }
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = p};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, p->stream.fd, &event);
}

/* As far as it goes; answers 1 when the connection is over. */
static int advance(struct place *p) {
  SSL *ssl = p->stream.ssl;
  if (!p->is_closing) {
    int result = SSL_do_handshake(ssl);
    if (result != 1) {
      if (tls_wants(ssl, result, "handshake")) return 0;
      errno = ECONNRESET;
      fail("the server ended a handshake");
    }
    if (!SSL_session_reused(ssl)) full++;
    if (latencies != NULL) latencies[shaken++] = now_s() - p->started_at;
    SSL_shutdown(ssl);
    p->is_closing = 1;
  }
  char nothing[4096];
  int n;
  while ((n = SSL_read(ssl, nothing, sizeof nothing)) > 0) continue;
  int error = SSL_get_error(ssl, n);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return 0;
  /* However the server ends its side: some send no close_notify. */
  ERR_clear_error();
  SSL_free(ssl);
  close(p->stream.fd);
  done++;
  return 1;
}

static void run(struct place *places, int count, long connections) {
  begun = done = full = 0;
  for (int i = 0; i < count && begun < connections; i++) begin(&places[i]);
  struct epoll_event events[256];
  while (done < connections) {
    int n = epoll_wait(poll_fd, events, 256, 20000);
    if (n == 0) { errno = ETIMEDOUT; fail("no answer"); }
    for (int i = 0; i < n; i++) {
      struct place *p = events[i].data.ptr;
      if (advance(p) && begun < connections) begin(p);
    }
  }
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
  stream_program = "tls-handshakes";
  if (argc != 6) {
    fprintf(stderr, "usage: tls-handshakes HOST PORT full|resumed CONCURRENT CONNECTIONS\n");
    return 64;
  }
  host = argv[1];
  port = atoi(argv[2]);
  resumes = strcmp(argv[3], "resumed") == 0;
  int count = atoi(argv[4]);
  long connections = atol(argv[5]);
  context = tls_context();
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_sess_set_new_cb(context, keep_ticket);
  place_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
  poll_fd = epoll_create1(0);
  struct place *places = calloc(count, sizeof(struct place));
  run(places, count, count);
  latencies = calloc(connections + 1, sizeof(double));
  double started_at = now_s(), cpu_before = cpu_s();
  run(places, count, connections);
  double seconds = now_s() - started_at;
  qsort(latencies, connections, sizeof(double), ascending);
  printf("{\"perSecond\":%.1f,\"full\":%ld,\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"generatorCpu\":%.3f}\n", connections / seconds, full,
         latencies[connections / 2] * 1e3, latencies[connections * 99 / 100] * 1e3, (cpu_s() - cpu_before) / seconds);
  return 0;
}
