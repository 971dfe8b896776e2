/*
 * What Linux offers and Node does not: service notification, a read that never waits for the device, the record lock
 * that Apache Kafka honours, preallocation, page-cache advice, one flush for many files, now or beside everything else, one call that sends to
 * many sockets, one that reads many (receive.h), memory that goes back to the system, and Kerberos (gss.h).
 *
 * Every function but those of gss.h and receiverOpen answers a number (writeBack a promise of one) and never throws: 0 or a count on success, -errno on failure. JavaScript turns that into
 * errors (src/node/add-on.ts), where each function also has its fallback.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <node_api.h>

/* A lying argument count or type is a mistake of our own code: EINVAL. */
static int arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
  size_t given = count;
  return napi_get_cb_info(env, info, &given, values, NULL, NULL) == napi_ok && given == count;
}

static int integer(napi_env env, napi_value value, int64_t *out) { return napi_get_value_int64(env, value, out) == napi_ok; }

/* Not every C library has it. */
extern int mallopt(int, int) __attribute__((weak));

static napi_value answer(napi_env env, int64_t value) {
  napi_value result;
  return napi_create_int64(env, value, &result) == napi_ok ? result : NULL;
}

static napi_value outcome(napi_env env, int64_t result) { return answer(env, result < 0 ? -errno : result); }

/* notify(socketPath, state): one datagram to the service manager; '@' begins an abstract name. */
static napi_value notify(napi_env env, napi_callback_info info) {
  napi_value values[2];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char state[4096];
  size_t path_length = 0, state_length = 0;
  if (!arguments(env, info, 2, values) ||
      napi_get_value_string_utf8(env, values[0], address.sun_path, sizeof address.sun_path, &path_length) != napi_ok ||
      napi_get_value_string_utf8(env, values[1], state, sizeof state, &state_length) != napi_ok || path_length == 0 ||
      path_length >= sizeof address.sun_path - 1)
    return answer(env, -EINVAL);
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  int socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_fd < 0) return outcome(env, -1);
  socklen_t address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_length);
  ssize_t sent = sendto(socket_fd, state, state_length, MSG_NOSIGNAL, (struct sockaddr *)&address, address_length);
  napi_value result = outcome(env, sent);
  close(socket_fd);
  return result;
}

/* readNoWait(fd, bytes, position): preadv2 with RWF_NOWAIT; -EAGAIN when the bytes are not in memory. */
static napi_value read_no_wait(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int64_t fd, position;
  void *data;
  size_t length;
  if (!arguments(env, info, 3, values) || !integer(env, values[0], &fd) || !integer(env, values[2], &position) ||
      napi_get_typedarray_info(env, values[1], NULL, &length, &data, NULL, NULL) != napi_ok)
    return answer(env, -EINVAL);
  struct iovec vector = {.iov_base = data, .iov_len = length};
  return outcome(env, preadv2((int)fd, &vector, 1, position, RWF_NOWAIT));
}

/* lockFile(fd): an exclusive write lock on the whole file, as java.nio.channels.FileChannel takes it. */
static napi_value lock_file(napi_env env, napi_callback_info info) {
  napi_value values[1];
  int64_t fd;
  if (!arguments(env, info, 1, values) || !integer(env, values[0], &fd)) return answer(env, -EINVAL);
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
  return outcome(env, fcntl((int)fd, F_SETLK, &lock));
}

static napi_value unlock_file(napi_env env, napi_callback_info info) {
  napi_value values[1];
  int64_t fd;
  if (!arguments(env, info, 1, values) || !integer(env, values[0], &fd)) return answer(env, -EINVAL);
  struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
  return outcome(env, fcntl((int)fd, F_SETLK, &lock));
}

/* lockHolder(fd): process id of whoever holds a lock that stands in our way; 0 when nobody does. */
static napi_value lock_holder(napi_env env, napi_callback_info info) {
  napi_value values[1];
  int64_t fd;
  if (!arguments(env, info, 1, values) || !integer(env, values[0], &fd)) return answer(env, -EINVAL);
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
  if (fcntl((int)fd, F_GETLK, &lock) < 0) return outcome(env, -1);
  return answer(env, lock.l_type == F_UNLCK ? 0 : lock.l_pid);
}

/* place(target, at, source): memory that threads share takes bytes at the speed of memory; V8's own way moves word by word. */
static napi_value place(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int64_t at;
  void *target, *source;
  size_t room, length;
  napi_typedarray_type into, from;
  if (!arguments(env, info, 3, values) || !integer(env, values[1], &at) ||
      napi_get_typedarray_info(env, values[0], &into, &room, &target, NULL, NULL) != napi_ok ||
      napi_get_typedarray_info(env, values[2], &from, &length, &source, NULL, NULL) != napi_ok ||
      into != napi_uint8_array || from != napi_uint8_array || at < 0 || length > room || (uint64_t)at > room - length)
    return answer(env, -EINVAL);
  memcpy((char *)target + at, source, length);
  return answer(env, (int64_t)length);
}

/* preallocate(fd, position, length): blocks without a change of the file's size. */
static napi_value preallocate(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int64_t fd, position, length;
  if (!arguments(env, info, 3, values) || !integer(env, values[0], &fd) || !integer(env, values[1], &position) ||
      !integer(env, values[2], &length))
    return answer(env, -EINVAL);
  return outcome(env, fallocate((int)fd, FALLOC_FL_KEEP_SIZE, position, length));
}

/*
 * returnLarge(bytes): allocations from this size on are mappings of their own, gone the moment they are freed. By itself glibc raises the size
 * to that of the largest one it has seen freed (32 MiB at most), and lets the heap keep twice as much.
 */
static napi_value return_large(napi_env env, napi_callback_info info) {
  napi_value values[1];
  int64_t bytes;
  if (!arguments(env, info, 1, values) || !integer(env, values[0], &bytes)) return answer(env, -EINVAL);
  if (mallopt == NULL) return answer(env, -EOPNOTSUPP);
  return answer(env, mallopt(M_MMAP_THRESHOLD, (int)bytes) && mallopt(M_TRIM_THRESHOLD, 4 * (int)bytes) ? 0 : -EINVAL);
}

/* advise(fd, position, length, advice): posix_fadvise, which answers the error instead of setting it. */
static napi_value advise(napi_env env, napi_callback_info info) {
  napi_value values[4];
  int64_t fd, position, length, advice;
  if (!arguments(env, info, 4, values) || !integer(env, values[0], &fd) || !integer(env, values[1], &position) ||
      !integer(env, values[2], &length) || !integer(env, values[3], &advice))
    return answer(env, -EINVAL);
  return answer(env, -posix_fadvise((int)fd, position, length, (int)advice));
}

/* File systems whose syncfs is known to wait for the medium as fsync does; FUSE and others only start the writes. */
static int flushes_as_a_whole(int fd) {
  struct statfs facts;
  if (fstatfs(fd, &facts) < 0) return 0;
  switch ((uint32_t)facts.f_type) {
    case 0xEF53u:     /* ext4 */
    case 0x58465342u: /* xfs */
    case 0x9123683Eu: /* btrfs */
    case 0xF2F52010u: /* f2fs */
      return 1;
    default:
      return 0;
  }
}

/* syncFileSystem(fd): everything that was written to the file system of this file is on the medium; -EOPNOTSUPP where that cannot be had. */
static napi_value sync_file_system(napi_env env, napi_callback_info info) {
  napi_value values[1];
  int64_t fd;
  if (!arguments(env, info, 1, values) || !integer(env, values[0], &fd)) return answer(env, -EINVAL);
  if (!flushes_as_a_whole((int)fd)) return answer(env, -EOPNOTSUPP);
  return outcome(env, syncfs((int)fd));
}

/*
 * syncedWith(fds, flushed): the end of a sync of each of these files after a syncFileSystem(flushed). In the place of each descriptor it
 * leaves the write error of that very file, which syncfs does not tell of; a file of another file system is synced by itself.
 */
static napi_value synced_with(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int64_t flushed;
  void *data;
  size_t count;
  napi_typedarray_type type;
  struct stat one, other;
  if (!arguments(env, info, 2, values) || !integer(env, values[1], &flushed) ||
      napi_get_typedarray_info(env, values[0], &type, &count, &data, NULL, NULL) != napi_ok || type != napi_int32_array)
    return answer(env, -EINVAL);
  if (fstat((int)flushed, &other) < 0) return outcome(env, -1);
  int32_t *fds = data;
  for (size_t i = 0; i < count; i++) {
    int result = fstat(fds[i], &one);
    if (result == 0 && one.st_dev != other.st_dev) result = fdatasync(fds[i]);
    else if (result == 0) result = sync_file_range(fds[i], 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE);
    fds[i] = result < 0 ? -errno : 0;
  }
  return answer(env, 0);
}

/* One flush on a thread of the pool. */
struct write_back {
  napi_async_work work;
  napi_deferred deferred;
  int fd;
  int result;
};

static void run_write_back(napi_env env, void *data) {
  struct write_back *task = data;
  (void)env;
  if (!flushes_as_a_whole(task->fd)) task->result = -EOPNOTSUPP;
  else task->result = syncfs(task->fd) < 0 ? -errno : 0;
}

static void end_write_back(napi_env env, napi_status status, void *data) {
  struct write_back *task = data;
  napi_value result = answer(env, status == napi_ok ? task->result : -ECANCELED);
  napi_resolve_deferred(env, task->deferred, result);
  napi_delete_async_work(env, task->work);
  free(task);
}

/* writeBack(fd): syncFileSystem beside everything else: a promise of its answer, which says nothing of single files. */
static napi_value write_back(napi_env env, napi_callback_info info) {
  napi_value values[1], name, promise;
  int64_t fd;
  struct write_back *task;
  if (!arguments(env, info, 1, values) || !integer(env, values[0], &fd)) return answer(env, -EINVAL);
  if ((task = calloc(1, sizeof *task)) == NULL) return answer(env, -ENOMEM);
  task->fd = (int)fd;
  if (napi_create_string_utf8(env, "writeBack", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_promise(env, &task->deferred, &promise) != napi_ok) {
    free(task);
    return answer(env, -ENOMEM);
  }
  if (napi_create_async_work(env, NULL, name, run_write_back, end_write_back, task, &task->work) != napi_ok ||
      napi_queue_async_work(env, task->work) != napi_ok) {
    if (task->work != NULL) napi_delete_async_work(env, task->work);
    napi_resolve_deferred(env, task->deferred, answer(env, -ENOMEM));
    free(task);
  }
  return promise;
}

/*
 * sendEach(targets, count, bytes): to each of `count` sockets what stands in the bytes behind that of the one before it. Targets are pairs of
 * a descriptor and where its bytes end; in the place of the end it leaves how many the kernel took, or -errno.
 */
static napi_value send_each(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int64_t count;
  void *pairs, *data;
  size_t places, length;
  napi_typedarray_type type;
  if (!arguments(env, info, 3, values) || !integer(env, values[1], &count) ||
      napi_get_typedarray_info(env, values[0], &type, &places, &pairs, NULL, NULL) != napi_ok || type != napi_int32_array ||
      napi_get_typedarray_info(env, values[2], NULL, &length, &data, NULL, NULL) != napi_ok || count < 0 ||
      (uint64_t)count > places / 2)
    return answer(env, -EINVAL);
  int32_t *targets = pairs;
  int32_t from = 0;
  for (int64_t i = 0; i < count; i++) {
    int32_t end = targets[2 * i + 1];
    if (end < from || (size_t)end > length) return answer(env, -EINVAL);
    ssize_t sent = send(targets[2 * i], (const char *)data + from, (size_t)(end - from), MSG_NOSIGNAL | MSG_DONTWAIT);
    targets[2 * i + 1] = sent < 0 ? -errno : (int32_t)sent;
    from = end;
  }
  return answer(env, count);
}

#include "receive.h"
#include "gss.h"

NAPI_MODULE_INIT() {
  const struct {
    const char *name;
    napi_callback function;
  } table[] = {
      {"notify", notify},           {"readNoWait", read_no_wait}, {"lockFile", lock_file}, {"unlockFile", unlock_file},
      {"lockHolder", lock_holder}, {"preallocate", preallocate}, {"advise", advise}, {"returnLarge", return_large},
      {"place", place},
      {"syncFileSystem", sync_file_system}, {"syncedWith", synced_with},
      {"writeBack", write_back},    {"sendEach", send_each},
      {"receiverOpen", receiver_open}, {"receiverWatch", receiver_watch},
      {"receiverForget", receiver_forget}, {"receiverClose", receiver_close},
      {"gssAcceptor", gss_open},    {"gssSession", gss_begin},
      {"gssInitiator", gss_depart}, {"gssInitiate", gss_initiate},
      {"gssAccept", gss_accept},    {"gssWrap", gss_wrap},       {"gssUnwrap", gss_unwrap},
  };
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    napi_value function;
    if (napi_create_function(env, table[i].name, NAPI_AUTO_LENGTH, table[i].function, NULL, &function) != napi_ok ||
        napi_set_named_property(env, exports, table[i].name, function) != napi_ok)
      return NULL;
  }
  return exports;
}
