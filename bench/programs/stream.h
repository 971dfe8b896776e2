/*
 * A TCP connection of a load generator, in plain text or, when it is compiled with -DWITH_TLS, over TLS. Sending and receiving behave as
 * send(2) and recv(2) do on a non-blocking socket: -1 with EAGAIN when there is nothing to do. The server's certificate is not judged:
 * what is measured is the server.
 */
#ifndef STREAM_H
#define STREAM_H
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#else
typedef struct no_tls SSL;
#endif

struct stream {
  int fd;
  SSL *ssl; /* NULL: plain text */
};

static const char *stream_program = "load";

static void fail(const char *what) {
  fprintf(stderr, "%s: %s: %s\n", stream_program, what, strerror(errno));
  exit(2);
}

static inline double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

/* Processor time of this program so far, seconds. */
static inline double cpu_s(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

static inline int connect_to(const char *host, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, host, &address.sin_addr);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

#ifdef WITH_TLS
static SSL_CTX *tls_context(void) {
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

/* Answers 1 when a call must be repeated later; ends the program on a failure. 0: the other side has ended. */
static int tls_wants(SSL *ssl, int result, const char *what) {
  switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return 1;
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    default:
      ERR_print_errors_fp(stderr);
      fail(what);
      return 0;
  }
}
#endif

/* Connects; over TLS the handshake is done when this returns. */
static inline void open_stream(struct stream *s, const char *host, int port, int with_tls) {
  s->fd = connect_to(host, port);
  s->ssl = NULL;
  if (!with_tls) return;
#ifdef WITH_TLS
  static SSL_CTX *context = NULL;
  if (context == NULL) context = tls_context();
  s->ssl = SSL_new(context);
  SSL_set_fd(s->ssl, s->fd);
  fcntl(s->fd, F_SETFL, 0);
  if (SSL_connect(s->ssl) != 1) tls_wants(s->ssl, -1, "handshake");
  fcntl(s->fd, F_SETFL, O_NONBLOCK);
#else
  fprintf(stderr, "%s: compiled without TLS\n", stream_program);
  exit(64);
#endif
}

static inline ssize_t stream_send(struct stream *s, const void *bytes, size_t length) {
  if (s->ssl == NULL) return send(s->fd, bytes, length, MSG_NOSIGNAL);
#ifdef WITH_TLS
  int n = SSL_write(s->ssl, bytes, length);
  if (n > 0) return n;
  if (tls_wants(s->ssl, n, "send")) errno = EAGAIN;
#endif
  return -1;
}

static inline ssize_t stream_receive(struct stream *s, void *bytes, size_t length) {
  if (s->ssl == NULL) return recv(s->fd, bytes, length, 0);
#ifdef WITH_TLS
  int n = SSL_read(s->ssl, bytes, length);
  if (n > 0) return n;
  if (!tls_wants(s->ssl, n, "receive")) return 0;
  errno = EAGAIN;
#endif
  return -1;
}
#endif
