// A plugin in plain C, against the ABI itself: no SDK, only wasi-libc. It greets, refuses, and says what it sees of the
// world that its libc expects to find. Built as a reactor (_initialize) and as a command (_start).
//
// The linker wraps each export of a command with the constructors, for a runtime that starts it anew for each call,
// unless the program names them itself. With CONSTRUCT_ONCE it does.
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name))) uint32_t name
#define EXPORT(name) __attribute__((export_name(#name))) name

enum { log_info = 2 };
enum { request_headers = 0, response_headers = 2 };
enum { plugin_configuration = 7 };
enum { action_continue = 0, action_pause = 1 };

IMPORT(proxy_log)(uint32_t level, const char *text, size_t size);
IMPORT(proxy_get_buffer_bytes)(uint32_t type, uint32_t start, uint32_t max, char **data, size_t *size);
IMPORT(proxy_get_header_map_value)(uint32_t type, const char *name, size_t name_size, char **value, size_t *size);
IMPORT(proxy_add_header_map_value)(uint32_t type, const char *name, size_t name_size, const char *value, size_t size);
IMPORT(proxy_send_local_response)(uint32_t status, const char *details, size_t details_size, const char *body,
                                  size_t body_size, const char *headers, size_t headers_size, int32_t grpc_status);

static int constructed, arguments = -1;
static char *greeting;

__attribute__((constructor)) static void construct(void) { constructed++; }

void __wasm_call_ctors(void);

// _start calls it; of a reactor, which exports it, the host does.
int main(int argc, char **argv) {
  (void)argv;
#ifdef CONSTRUCT_ONCE
  __wasm_call_ctors();
#endif
  arguments = argc;
  return 0;
}

void EXPORT(proxy_abi_version_0_2_0)(void) {}

void EXPORT(proxy_on_context_create)(uint32_t context, uint32_t parent) {
  (void)context, (void)parent;
}

uint32_t EXPORT(proxy_on_vm_start)(uint32_t context, uint32_t size) {
  (void)context, (void)size;
  // Standard error is not buffered: one line, one fd_write.
  fprintf(stderr, "constructed %d time, main saw %d arguments\n", constructed, arguments);
  const char *home = getenv("HOME");
  fprintf(stderr, "HOME is %s\n", home ? home : "not set");
  if (!fopen("/etc/hostname", "r"))
    fprintf(stderr, "no file: %s\n", strerror(errno));
  uint64_t random[2] = {0};
  if (getentropy(random, sizeof random) || !(random[0] | random[1]))
    fprintf(stderr, "no entropy: %s\n", strerror(errno));
  return 1;
}

uint32_t EXPORT(proxy_on_configure)(uint32_t context, uint32_t size) {
  (void)context;
  char *data = NULL; // from malloc, which the host calls for it; ours to free
  size_t got = 0;
  if (size && proxy_get_buffer_bytes(plugin_configuration, 0, size, &data, &got))
    return 0;
  free(greeting);
  greeting = got ? strndup(data, got) : strdup("hello from C");
  free(data);
  printf("the greeting is %s\n", greeting);
  fflush(stdout); // no terminal, so it is buffered
  return 1;
}

uint32_t EXPORT(proxy_on_request_headers)(uint32_t context, uint32_t fields, uint32_t end_of_stream) {
  char *path = NULL;
  size_t size = 0;
  if (proxy_get_header_map_value(request_headers, ":path", 5, &path, &size))
    return action_continue;
  char line[128];
  int n = snprintf(line, sizeof line, "stream %u: %.*s, end of stream %u", context, (int)size, path, end_of_stream);
  proxy_log(log_info, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
  int refused = size >= 7 && memcmp(path, "/refuse", 7) == 0;
  free(path);
  (void)fields;
  if (!refused) {
    proxy_add_header_map_value(request_headers, "x-greeting", 10, greeting, strlen(greeting));
    return action_continue;
  }
  // One pair: their number, the sizes of name and value, and both with a zero byte behind.
  static const char pair[] = "\1\0\0\0\6\0\0\0\1\0\0\0x-from\0C";
  proxy_send_local_response(403, "", 0, greeting, strlen(greeting), pair, sizeof pair, -1);
  return action_pause;
}

uint32_t EXPORT(proxy_on_response_headers)(uint32_t context, uint32_t fields, uint32_t end_of_stream) {
  (void)context, (void)fields, (void)end_of_stream;
  proxy_add_header_map_value(response_headers, "x-greeting", 10, greeting, strlen(greeting));
  return action_continue;
}

void EXPORT(proxy_on_log)(uint32_t context) {
  time_t now = time(NULL);
  struct timespec since;
  char date[32];
  strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
  fprintf(stderr, "stream %u ends at %s, monotonic clock %s\n", context, date,
          clock_gettime(CLOCK_MONOTONIC, &since) ? strerror(errno) : "works");
}

uint32_t EXPORT(proxy_on_done)(uint32_t context) {
  (void)context;
  return 1;
}
