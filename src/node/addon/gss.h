/*
 * The part of GSS-API (RFC 2744) that an acceptor and an initiator need, from MIT Kerberos, found when it is asked for: nothing is linked, and a machine
 * without the library has no Kerberos and no other trouble. Every step runs on a thread of libuv's pool: the replay cache and the keytab are files.
 */
#include <dlfcn.h>
#include <stdlib.h>

typedef struct {
  size_t length;
  void *value;
} gss_buffer;

typedef struct {
  uint32_t length;
  void *elements;
} gss_oid;

typedef struct {
  size_t count;
  gss_oid *elements;
} gss_oid_set;

typedef struct {
  const char *key;
  const char *value;
} gss_store_element;

typedef struct {
  uint32_t count;
  gss_store_element *elements;
} gss_store;

enum { gss_initiate_usage = 1, gss_accept_usage = 2, gss_mutual = 2, gss_replay = 4, gss_sequence = 8, gss_integrity = 32, gss_continue = 1, gss_code_status = 1, gss_mechanism_status = 2 };

static struct {
  void *library;
  uint32_t (*import_name)(uint32_t *, gss_buffer *, gss_oid *, void **);
  uint32_t (*acquire_cred_from)(uint32_t *, void *, uint32_t, gss_oid_set *, int, const gss_store *, void **, void **, uint32_t *);
  uint32_t (*accept_sec_context)(uint32_t *, void **, void *, gss_buffer *, void *, void **, gss_oid **, gss_buffer *, uint32_t *,
                                 uint32_t *, void **);
  uint32_t (*init_sec_context)(uint32_t *, void *, void **, void *, gss_oid *, uint32_t, uint32_t, void *, gss_buffer *, gss_oid **,
                               gss_buffer *, uint32_t *, uint32_t *);
  uint32_t (*wrap)(uint32_t *, void *, int, uint32_t, gss_buffer *, int *, gss_buffer *);
  uint32_t (*unwrap)(uint32_t *, void *, gss_buffer *, gss_buffer *, int *, uint32_t *);
  uint32_t (*display_name)(uint32_t *, void *, gss_buffer *, gss_oid **);
  uint32_t (*display_status)(uint32_t *, uint32_t, int, gss_oid *, uint32_t *, gss_buffer *);
  uint32_t (*release_buffer)(uint32_t *, gss_buffer *);
  uint32_t (*release_name)(uint32_t *, void **);
  uint32_t (*release_cred)(uint32_t *, void **);
  uint32_t (*delete_sec_context)(uint32_t *, void **, gss_buffer *);
  gss_oid **principal_name;
  gss_oid **service_name;
} gss;

/* The Kerberos 5 mechanism, 1.2.840.113554.1.2.2: no other is taken, nor SPNEGO, which would negotiate one. */
static gss_oid kerberos = {9, "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"};

/* Credentials of the service; alive as long as JavaScript or one of its contexts holds it. Counted on the main thread only. */
typedef struct {
  void *cred;
  int holders;
} gss_acceptor;

/* Whom an initiator speaks for and to; its credentials are got with the first step, on a thread that may wait for the realm. */
typedef struct {
  char keytab[4096], principal[1024], service[1024];
  void *cred, *target;
} gss_journey;

/* Of an acceptor, or of an initiator; the other one is NULL. */
typedef struct {
  gss_acceptor *acceptor;
  gss_journey *journey;
  void *context;
  int is_complete;
} gss_session;

typedef struct {
  napi_async_work work;
  napi_deferred deferred;
  napi_ref session_ref;
  gss_session *session;
  char kind; /* accept, initiate, wrap, unwrap */
  gss_buffer input, output;
  char *name;
  uint32_t major, minor;
} gss_job;

static int gss_load(void) {
  if (gss.library != NULL) return 1;
  void *library = dlopen("libgssapi_krb5.so.2", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return 0;
  const struct {
    const char *name;
    void *place;
  } needed[] = {
      {"gss_import_name", &gss.import_name},
      {"gss_acquire_cred_from", &gss.acquire_cred_from},
      {"gss_accept_sec_context", &gss.accept_sec_context},
      {"gss_init_sec_context", &gss.init_sec_context},
      {"gss_wrap", &gss.wrap},
      {"gss_unwrap", &gss.unwrap},
      {"gss_display_name", &gss.display_name},
      {"gss_display_status", &gss.display_status},
      {"gss_release_buffer", &gss.release_buffer},
      {"gss_release_name", &gss.release_name},
      {"gss_release_cred", &gss.release_cred},
      {"gss_delete_sec_context", &gss.delete_sec_context},
      {"GSS_KRB5_NT_PRINCIPAL_NAME", &gss.principal_name},
      {"GSS_C_NT_HOSTBASED_SERVICE", &gss.service_name},
  };
  for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
    void *symbol = dlsym(library, needed[i].name);
    if (symbol == NULL) {
      dlclose(library);
      return 0;
    }
    memcpy(needed[i].place, &symbol, sizeof symbol);
  }
  gss.library = library;
  return 1;
}

/* What the library says of a failure, in `text`. */
static void gss_say(uint32_t major, uint32_t minor, char *text, size_t size) {
  const struct {
    uint32_t status;
    int type;
  } parts[] = {{major, gss_code_status}, {minor, gss_mechanism_status}};
  size_t at = 0;
  text[0] = '\0';
  for (size_t i = 0; i < 2; i++) {
    uint32_t ignored, more = 0;
    gss_buffer said = {0, NULL};
    if (gss.display_status(&ignored, parts[i].status, parts[i].type, &kerberos, &more, &said) >> 16 != 0) continue;
    size_t room = size - at - 1, length = said.length < room ? said.length : room;
    if (at > 0 && room > 2) {
      memcpy(text + at, "; ", 2);
      at += 2;
      room -= 2;
      if (length > room) length = room;
    }
    memcpy(text + at, said.value, length);
    at += length;
    text[at] = '\0';
    gss.release_buffer(&ignored, &said);
  }
}

static napi_value gss_throw(napi_env env, const char *text) {
  napi_throw_error(env, "GSS_UNUSABLE", text);
  return NULL;
}

static void gss_let_go(gss_acceptor *acceptor) {
  uint32_t ignored;
  if (--acceptor->holders > 0) return;
  gss.release_cred(&ignored, &acceptor->cred);
  free(acceptor);
}

static void gss_acceptor_gone(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  gss_let_go(data);
}

static void gss_session_gone(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  gss_session *session = data;
  uint32_t ignored;
  if (session->context != NULL) gss.delete_sec_context(&ignored, &session->context, NULL);
  if (session->acceptor != NULL) gss_let_go(session->acceptor);
  if (session->journey != NULL) {
    if (session->journey->cred != NULL) gss.release_cred(&ignored, &session->journey->cred);
    if (session->journey->target != NULL) gss.release_name(&ignored, &session->journey->target);
    free(session->journey);
  }
  free(session);
}

/* gssAcceptor(keytab, principal): the credentials of a service; throws when there is no library or they cannot be used. */
static napi_value gss_open(napi_env env, napi_callback_info info) {
  napi_value values[2], result;
  char keytab[4096], principal[1024], said[512];
  size_t keytab_length = 0, principal_length = 0;
  if (!arguments(env, info, 2, values) ||
      napi_get_value_string_utf8(env, values[0], keytab, sizeof keytab, &keytab_length) != napi_ok ||
      napi_get_value_string_utf8(env, values[1], principal, sizeof principal, &principal_length) != napi_ok ||
      keytab_length >= sizeof keytab - 1 || principal_length >= sizeof principal - 1)
    return gss_throw(env, "the arguments cannot be used");
  if (!gss_load()) return gss_throw(env, "there is no libgssapi_krb5.so.2");
  uint32_t minor, ignored;
  void *name = NULL, *cred = NULL;
  gss_buffer written = {principal_length, principal};
  uint32_t major = gss.import_name(&minor, &written, *gss.principal_name, &name);
  if (major >> 16 == 0) {
    gss_store_element element = {"keytab", keytab};
    gss_store store = {1, &element};
    gss_oid_set mechanisms = {1, &kerberos};
    major = gss.acquire_cred_from(&minor, name, UINT32_MAX, &mechanisms, gss_accept_usage, &store, &cred, NULL, NULL);
    gss.release_name(&ignored, &name);
  }
  if (major >> 16 != 0) {
    gss_say(major, minor, said, sizeof said);
    return gss_throw(env, said);
  }
  gss_acceptor *acceptor = calloc(1, sizeof *acceptor);
  if (acceptor == NULL) return gss_throw(env, "no memory");
  acceptor->cred = cred;
  acceptor->holders = 1;
  if (napi_create_external(env, acceptor, gss_acceptor_gone, NULL, &result) != napi_ok) return gss_throw(env, "no memory");
  return result;
}

/* gssSession(acceptor): a context that is not there yet. */
static napi_value gss_begin(napi_env env, napi_callback_info info) {
  napi_value values[1], result;
  void *acceptor;
  if (!arguments(env, info, 1, values) || napi_get_value_external(env, values[0], &acceptor) != napi_ok)
    return gss_throw(env, "the arguments cannot be used");
  gss_session *session = calloc(1, sizeof *session);
  if (session == NULL) return gss_throw(env, "no memory");
  session->acceptor = acceptor;
  session->acceptor->holders++;
  if (napi_create_external(env, session, gss_session_gone, NULL, &result) != napi_ok) return gss_throw(env, "no memory");
  return result;
}

/* gssInitiator(keytab, principal, service): a context that is not there yet; throws when there is no library. */
static napi_value gss_depart(napi_env env, napi_callback_info info) {
  napi_value values[3], result;
  size_t lengths[3];
  if (!gss_load()) return gss_throw(env, "there is no libgssapi_krb5.so.2");
  gss_session *session = calloc(1, sizeof *session);
  gss_journey *journey = calloc(1, sizeof *journey);
  if (session == NULL || journey == NULL) {
    free(session);
    free(journey);
    return gss_throw(env, "no memory");
  }
  session->journey = journey;
  if (!arguments(env, info, 3, values) ||
      napi_get_value_string_utf8(env, values[0], journey->keytab, sizeof journey->keytab, &lengths[0]) != napi_ok ||
      napi_get_value_string_utf8(env, values[1], journey->principal, sizeof journey->principal, &lengths[1]) != napi_ok ||
      napi_get_value_string_utf8(env, values[2], journey->service, sizeof journey->service, &lengths[2]) != napi_ok ||
      lengths[0] >= sizeof journey->keytab - 1 || lengths[1] >= sizeof journey->principal - 1 || lengths[2] >= sizeof journey->service - 1 ||
      napi_create_external(env, session, gss_session_gone, NULL, &result) != napi_ok) {
    free(session);
    free(journey);
    return gss_throw(env, "the arguments cannot be used");
  }
  return result;
}

/*
 * Names and credentials of an initiator. Tickets are kept in memory, in one place for each principal: the library gets them by the key when there are
 * none, and again before they end.
 */
static uint32_t gss_prepare(gss_journey *journey, uint32_t *minor) {
  uint32_t ignored;
  if (journey->target == NULL) {
    gss_buffer service = {strlen(journey->service), journey->service};
    uint32_t major = gss.import_name(minor, &service, *gss.service_name, &journey->target);
    if (major >> 16 != 0) return major;
  }
  if (journey->cred != NULL) return 0;
  void *name = NULL;
  gss_buffer principal = {strlen(journey->principal), journey->principal};
  uint32_t major = gss.import_name(minor, &principal, *gss.principal_name, &name);
  if (major >> 16 != 0) return major;
  char cache[1100];
  snprintf(cache, sizeof cache, "MEMORY:headwater:%s", journey->principal);
  gss_store_element elements[] = {{"client_keytab", journey->keytab}, {"ccache", cache}};
  gss_store store = {2, elements};
  gss_oid_set mechanisms = {1, &kerberos};
  major = gss.acquire_cred_from(minor, name, UINT32_MAX, &mechanisms, gss_initiate_usage, &store, &journey->cred, NULL, NULL);
  gss.release_name(&ignored, &name);
  return major;
}

/* On a thread of the pool. */
static void gss_work(napi_env env, void *data) {
  (void)env;
  gss_job *job = data;
  gss_session *session = job->session;
  uint32_t ignored, flags = 0;
  int state = 0;
  if (job->kind == 'w') {
    job->major = gss.wrap(&job->minor, session->context, 0, 0, &job->input, &state, &job->output);
  } else if (job->kind == 'u') {
    job->major = gss.unwrap(&job->minor, session->context, &job->input, &job->output, &state, &flags);
  } else if (job->kind == 'i') {
    gss_journey *journey = session->journey;
    job->major = gss_prepare(journey, &job->minor);
    if (job->major >> 16 != 0) return;
    job->major = gss.init_sec_context(&job->minor, journey->cred, &session->context, journey->target, &kerberos,
                                      gss_mutual | gss_replay | gss_sequence | gss_integrity, 0, NULL, &job->input, NULL, &job->output,
                                      &flags, NULL);
    /* Complete without a proof of the other side would be no proof. */
    if (job->major == 0 && (flags & gss_mutual) != 0 && (flags & gss_integrity) != 0) session->is_complete = 1;
  } else {
    void *name = NULL;
    gss_oid *mechanism = NULL;
    job->major = gss.accept_sec_context(&job->minor, &session->context, session->acceptor->cred, &job->input, NULL, &name, &mechanism,
                                        &job->output, &flags, NULL, NULL);
    int is_kerberos = mechanism != NULL && mechanism->length == kerberos.length &&
                      memcmp(mechanism->elements, kerberos.elements, kerberos.length) == 0;
    if (job->major == 0 && is_kerberos) {
      gss_buffer shown = {0, NULL};
      uint32_t minor;
      if (gss.display_name(&minor, name, &shown, NULL) >> 16 == 0) {
        job->name = calloc(1, shown.length + 1);
        if (job->name != NULL) memcpy(job->name, shown.value, shown.length);
        gss.release_buffer(&ignored, &shown);
      }
      session->is_complete = job->name != NULL;
    }
    if (name != NULL) gss.release_name(&ignored, &name);
  }
}

/* On the main thread: { bytes, name, isComplete } or the reason. */
static void gss_done(napi_env env, napi_status status, void *data) {
  gss_job *job = data;
  napi_value result, bytes, name, complete, message;
  uint32_t ignored;
  char said[512] = "cancelled";
  int is_good = status == napi_ok && job->major >> 16 == 0 && 
                (job->kind != 'a' || job->major == gss_continue || job->name != NULL) &&
                (job->kind != 'i' || job->major == gss_continue || job->session->is_complete);
  if (status == napi_ok && !is_good) {
    if (job->major >> 16 != 0) gss_say(job->major, job->minor, said, sizeof said);
    else strcpy(said, job->kind == 'i' ? "the other side has not proved who it is" : "the mechanism is not Kerberos");
  }
  if (is_good && napi_create_object(env, &result) == napi_ok &&
      napi_create_buffer_copy(env, job->output.length, job->output.value == NULL ? "" : job->output.value, NULL, &bytes) == napi_ok &&
      (job->name == NULL ? napi_get_null(env, &name) : napi_create_string_utf8(env, job->name, NAPI_AUTO_LENGTH, &name)) == napi_ok &&
      napi_set_named_property(env, result, "bytes", bytes) == napi_ok && napi_set_named_property(env, result, "name", name) == napi_ok &&
      napi_get_boolean(env, job->session->is_complete != 0, &complete) == napi_ok &&
      napi_set_named_property(env, result, "isComplete", complete) == napi_ok)
    napi_resolve_deferred(env, job->deferred, result);
  else if (napi_create_string_utf8(env, said, NAPI_AUTO_LENGTH, &message) == napi_ok &&
           napi_create_error(env, NULL, message, &result) == napi_ok)
    napi_reject_deferred(env, job->deferred, result);
  if (job->output.value != NULL) gss.release_buffer(&ignored, &job->output);
  napi_delete_reference(env, job->session_ref);
  napi_delete_async_work(env, job->work);
  free(job->input.value);
  free(job->name);
  free(job);
}

static napi_value gss_step(napi_env env, napi_callback_info info, char kind) {
  napi_value values[2], promise, label;
  void *session, *data;
  size_t length;
  if (!arguments(env, info, 2, values) || napi_get_value_external(env, values[0], &session) != napi_ok ||
      napi_get_typedarray_info(env, values[1], NULL, &length, &data, NULL, NULL) != napi_ok)
    return gss_throw(env, "the arguments cannot be used");
  int is_step = kind == 'a' || kind == 'i';
  int is_ours = kind == 'a' ? ((gss_session *)session)->acceptor != NULL : kind == 'i' ? ((gss_session *)session)->journey != NULL : 1;
  if (is_step == (((gss_session *)session)->is_complete != 0) || !is_ours) return gss_throw(env, "the exchange is out of step");
  gss_job *job = calloc(1, sizeof *job);
  if (job == NULL) return gss_throw(env, "no memory");
  job->kind = kind;
  job->session = session;
  job->input.length = length;
  job->input.value = malloc(length + 1);
  if (job->input.value == NULL) {
    free(job);
    return gss_throw(env, "no memory");
  }
  memcpy(job->input.value, data, length);
  if (napi_create_promise(env, &job->deferred, &promise) != napi_ok ||
      napi_create_string_utf8(env, "headwater:gss", NAPI_AUTO_LENGTH, &label) != napi_ok ||
      napi_create_reference(env, values[0], 1, &job->session_ref) != napi_ok ||
      napi_create_async_work(env, NULL, label, gss_work, gss_done, job, &job->work) != napi_ok ||
      napi_queue_async_work(env, job->work) != napi_ok)
    return gss_throw(env, "no work can be queued");
  return promise;
}

/* gssAccept, gssInitiate, gssWrap, gssUnwrap(session, bytes): promises of { bytes, name, isComplete }; one at a time for a session. */
static napi_value gss_initiate(napi_env env, napi_callback_info info) { return gss_step(env, info, 'i'); }
static napi_value gss_accept(napi_env env, napi_callback_info info) { return gss_step(env, info, 'a'); }
static napi_value gss_wrap(napi_env env, napi_callback_info info) { return gss_step(env, info, 'w'); }
static napi_value gss_unwrap(napi_env env, napi_callback_info info) { return gss_step(env, info, 'u'); }
