// A plugin with the AssemblyScript SDK: it lets a request through if the service "auth" answers 200 for its token, and
// names its configuration in the response.
export * from "@solo-io/proxy-runtime/proxy"; // what Envoy calls
import {
  Context, FilterHeadersStatusValues, GrpcStatusValues, HeaderPair, Headers, LogLevelValues, RootContext,
  WasmResultValues, continue_request, log, registerRootContext, send_local_response, stream_context,
} from "@solo-io/proxy-runtime";
import { BufferTypeValues, get_buffer_bytes } from "@solo-io/proxy-runtime/runtime";

class Plugin extends RootContext {
  text: string = "";

  // The SDK's own passes the size where the host expects a pointer, and getConfiguration is empty.
  onConfigure(size: u32): bool {
    this.text = String.UTF8.decode(get_buffer_bytes(BufferTypeValues.PluginConfiguration, 0, size));
    return true;
  }

  createContext(id: u32): Context {
    return new Request(id, this);
  }
}

class Request extends Context {
  constructor(id: u32, root: Plugin) {
    super(id, root);
  }

  onRequestHeaders(count: u32, end: bool): FilterHeadersStatusValues {
    const fields: Headers = [
      field(":method", "GET"), field(":path", "/check"), field(":authority", "auth"),
      field("authorization", stream_context.headers.request.get("authorization")),
    ];
    const result = this.root_context.httpCall("auth", fields, new ArrayBuffer(0), [], 500, this, answer);
    if (result != WasmResultValues.Ok) {
      refuse(503);
    }
    return FilterHeadersStatusValues.StopIteration;
  }

  onResponseHeaders(count: u32, end: bool): FilterHeadersStatusValues {
    stream_context.headers.response.add("x-plugin", (this.root_context as Plugin).text);
    return FilterHeadersStatusValues.Continue;
  }
}

function field(name: string, value: string): HeaderPair {
  return new HeaderPair(String.UTF8.encode(name), String.UTF8.encode(value));
}

function answer(request: Context, headers: u32, size: usize, trailers: u32): void {
  if (stream_context.headers.http_callback.get(":status") == "200") {
    continue_request();
  } else {
    refuse(403);
  }
}

function refuse(status: u32): void {
  log(LogLevelValues.warn, "refused with " + status.toString());
  send_local_response(status, "refused", String.UTF8.encode("no\n"), [], GrpcStatusValues.Unknown);
}

registerRootContext((id: u32) => new Plugin(id), "");
