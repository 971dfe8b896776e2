/*
 * Reading of many sockets at once: a set of those that are watched, one descriptor of which the loop watches. When some have something,
 * all that fits the common memory is read in one go, and JavaScript is called once for all of it.
 *
 *   receiverOpen(bytes, rows, callback)  a set; `bytes` is what is read into, `rows` where it is noted, `callback` is given their number
 *   receiverWatch(set, fd, id)           reads this socket from now on
 *   receiverForget(set, fd)              not any more; -1 for a descriptor that is closed
 *   receiverClose(set)                   the last call for it
 *
 * A row is an id and the end of its bytes in the memory, which begin where those of the row before end: no bytes are the end of the stream,
 * a negative end is -errno. A set in which nothing is watched does not keep the loop alive. Included by headwater.c.
 */
#include <sys/epoll.h>
#include <uv.h>

/* Sockets of one call: each costs microseconds of the loop behind it. */
#define RECEIVE_ROWS 1024
/* Of one socket in one call, so that each of several has its share of the memory. */
#define RECEIVE_SHARE 65536
/* With less room than this the rest waits for the next call. */
#define RECEIVE_ROOM_MIN 4096

struct receiver {
  uv_poll_t poll;
  napi_env env;
  napi_async_context context;
  napi_async_cleanup_hook_handle hook;
  napi_ref callback, memory, places;
  int set;
  int watched;
  int is_closing;
  char *bytes;
  size_t length;
  int32_t *rows;
  size_t rows_max;
};

static size_t receive_rows(struct receiver *receiver) {
  struct epoll_event ready[RECEIVE_ROWS];
  size_t used = 0, rows = 0;
  int count = epoll_wait(receiver->set, ready, (int)receiver->rows_max, 0);
  for (int i = 0; i < count && receiver->length - used >= RECEIVE_ROOM_MIN; i++) {
    size_t room = receiver->length - used;
    ssize_t got = recv((int)(uint32_t)ready[i].data.u64, receiver->bytes + used, room < RECEIVE_SHARE ? room : RECEIVE_SHARE,
                       MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got > 0) used += (size_t)got;
    receiver->rows[2 * rows] = (int32_t)(ready[i].data.u64 >> 32);
    receiver->rows[2 * rows + 1] = got < 0 ? -errno : (int32_t)used;
    rows++;
  }
  return rows;
}

/* What a callback throws is not ours to keep: as from any other callback of the loop. */
static void tell_rows(struct receiver *receiver, size_t rows) {
  napi_env env = receiver->env;
  napi_handle_scope scope;
  napi_value callback, count, object, thrown;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  if (napi_get_reference_value(env, receiver->callback, &callback) == napi_ok && napi_get_global(env, &object) == napi_ok &&
      napi_create_uint32(env, (uint32_t)rows, &count) == napi_ok &&
      napi_make_callback(env, receiver->context, object, callback, 1, &count, NULL) == napi_pending_exception &&
      napi_get_and_clear_last_exception(env, &thrown) == napi_ok)
    napi_fatal_exception(env, thrown);
  napi_close_handle_scope(env, scope);
}

static void on_some_ready(uv_poll_t *poll, int status, int events) {
  struct receiver *receiver = poll->data;
  (void)events;
  if (status < 0 || receiver->is_closing) return;
  size_t rows = receive_rows(receiver);
  if (rows > 0) tell_rows(receiver, rows);
}

static void on_receiver_closed(uv_handle_t *handle) {
  struct receiver *receiver = handle->data;
  close(receiver->set);
  /* Not earlier: the callback that closes it runs in this context. */
  if (receiver->context != NULL) napi_async_destroy(receiver->env, receiver->context);
  if (receiver->hook != NULL) napi_remove_async_cleanup_hook(receiver->hook);
  free(receiver);
}

static void end_receiver(struct receiver *receiver) {
  if (receiver->is_closing) return;
  receiver->is_closing = 1;
  napi_delete_reference(receiver->env, receiver->callback);
  napi_delete_reference(receiver->env, receiver->memory);
  napi_delete_reference(receiver->env, receiver->places);
  uv_close((uv_handle_t *)&receiver->poll, on_receiver_closed);
}

/* A loop must not end with a handle of ours on it. */
static void on_environment_ends(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  end_receiver(data);
}

static napi_value receiver_open(napi_env env, napi_callback_info info) {
  napi_value values[3], name, result;
  napi_typedarray_type type;
  struct receiver *receiver;
  uv_loop_t *loop;
  void *bytes, *rows;
  size_t length, places;
  if (!arguments(env, info, 3, values) ||
      napi_get_typedarray_info(env, values[0], NULL, &length, &bytes, NULL, NULL) != napi_ok ||
      napi_get_typedarray_info(env, values[1], &type, &places, &rows, NULL, NULL) != napi_ok || type != napi_int32_array ||
      length < RECEIVE_ROOM_MIN || length > INT32_MAX || places < 2)
    return answer(env, -EINVAL);
  if ((receiver = calloc(1, sizeof *receiver)) == NULL) return answer(env, -ENOMEM);
  receiver->env = env;
  receiver->bytes = bytes;
  receiver->length = length;
  receiver->rows = rows;
  receiver->rows_max = places / 2 < RECEIVE_ROWS ? places / 2 : RECEIVE_ROWS;
  receiver->poll.data = receiver;
  receiver->set = epoll_create1(EPOLL_CLOEXEC);
  if (receiver->set < 0) {
    free(receiver);
    return outcome(env, -1);
  }
  if (napi_get_uv_event_loop(env, &loop) != napi_ok || uv_poll_init(loop, &receiver->poll, receiver->set) != 0) {
    close(receiver->set);
    free(receiver);
    return answer(env, -EIO);
  }
  if (napi_create_string_utf8(env, "receiver", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_reference(env, values[2], 1, &receiver->callback) != napi_ok ||
      napi_create_reference(env, values[0], 1, &receiver->memory) != napi_ok ||
      napi_create_reference(env, values[1], 1, &receiver->places) != napi_ok ||
      napi_async_init(env, NULL, name, &receiver->context) != napi_ok ||
      napi_add_async_cleanup_hook(env, on_environment_ends, receiver, &receiver->hook) != napi_ok ||
      napi_create_external(env, receiver, NULL, NULL, &result) != napi_ok) {
    /* Out of memory, in truth: what there is of the references goes with the environment. */
    receiver->is_closing = 1;
    uv_close((uv_handle_t *)&receiver->poll, on_receiver_closed);
    return answer(env, -ENOMEM);
  }
  return result;
}

static int receiver_of(napi_env env, napi_value value, struct receiver **out) {
  napi_valuetype type;
  void *data;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_external || napi_get_value_external(env, value, &data) != napi_ok)
    return 0;
  *out = data;
  return 1;
}

static napi_value receiver_watch(napi_env env, napi_callback_info info) {
  napi_value values[3];
  struct receiver *receiver;
  int64_t fd, id;
  if (!arguments(env, info, 3, values) || !receiver_of(env, values[0], &receiver) || !integer(env, values[1], &fd) ||
      !integer(env, values[2], &id) || fd < 0 || id < 0 || id > INT32_MAX)
    return answer(env, -EINVAL);
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)id << 32 | (uint32_t)fd};
  if (epoll_ctl(receiver->set, EPOLL_CTL_ADD, (int)fd, &event) < 0) return outcome(env, -1);
  if (receiver->watched++ == 0) uv_poll_start(&receiver->poll, UV_READABLE, on_some_ready);
  return answer(env, 0);
}

static napi_value receiver_forget(napi_env env, napi_callback_info info) {
  napi_value values[2];
  struct receiver *receiver;
  int64_t fd;
  if (!arguments(env, info, 2, values) || !receiver_of(env, values[0], &receiver) || !integer(env, values[1], &fd))
    return answer(env, -EINVAL);
  if (--receiver->watched == 0) uv_poll_stop(&receiver->poll);
  return fd < 0 ? answer(env, 0) : outcome(env, epoll_ctl(receiver->set, EPOLL_CTL_DEL, (int)fd, NULL));
}

static napi_value receiver_close(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct receiver *receiver;
  if (!arguments(env, info, 1, values) || !receiver_of(env, values[0], &receiver)) return answer(env, -EINVAL);
  end_receiver(receiver);
  return answer(env, 0);
}
