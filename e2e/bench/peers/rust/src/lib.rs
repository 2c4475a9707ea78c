//! What healthgate does with the shipped configuration, written as a user of the Rust SDK would: the check's path and
//! methods, a trusted source, maintenance by runtime keys and by the route, and the probes of three nodes. The
//! configuration is compiled in. There is no leader: each VM probes.

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MetricType};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::new(Root::default()) });
}}

const PATH: &str = "/my-service/healthcheck";
const TRUSTED: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
const NODES: [&str; 3] = ["/inbound/isalive", "/outbound/isalive", "/stats/isalive"];
const MAINTENANCE: &str = "healthgate.maintenance";
const MAX_AGE: Duration = Duration::from_secs(10);

/// The shared record: a byte for each node, one for maintenance, and when it was written, in seconds.
const RECORD: &str = "rust/record";
const KEY: usize = NODES.len();
const WRITTEN: usize = KEY + 1;
const SIZE: usize = WRITTEN + 8;

fn seconds(t: SystemTime) -> u64 {
    t.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

#[derive(Default)]
struct Root {
    metric: u32,
    calls: HashMap<u32, usize>,
    record: [u8; SIZE],
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, _: usize, body_size: usize, _: usize) {
        let call = match self.calls.remove(&token) {
            Some(call) => call,
            None => return,
        };
        let ok = self.get_http_call_response_header(":status").as_deref() == Some("200");
        if call < KEY {
            self.record[call] = ok as u8;
        } else if ok {
            let body = self.get_http_call_response_body(0, body_size).unwrap_or_default();
            self.record[KEY] = is_on(&String::from_utf8_lossy(&body)) as u8;
        }
        let now = seconds(self.get_current_time());
        self.record[WRITTEN..].copy_from_slice(&now.to_le_bytes());
        let _ = self.set_shared_data(RECORD, Some(&self.record), None);
    }
}

/// Finds the key's final value in the answer of Envoy's /runtime?format=json.
fn is_on(runtime: &str) -> bool {
    let entry = match runtime.split_once(&format!("\"{}\"", MAINTENANCE)) {
        Some((_, entry)) => entry,
        None => return false,
    };
    let value = entry.split_once("\"final_value\"").map_or("", |(_, rest)| rest);
    let value = value.split('"').nth(1).unwrap_or_default();
    !matches!(value, "" | "0" | "false" | "no" | "off")
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        self.metric = hostcalls::define_metric(MetricType::Counter, "rust_checks").unwrap_or_default();
        self.set_tick_period(Duration::from_secs(1));
        true
    }

    fn on_tick(&mut self) {
        let nodes = NODES.iter().map(|path| ("app", *path));
        let all = nodes.chain([("envoy_admin", "/runtime?format=json")]);
        for (call, (cluster, path)) in all.enumerate() {
            let headers = vec![(":method", "GET"), (":path", path), (":authority", "localhost")];
            if let Ok(token) = self.dispatch_http_call(cluster, headers, None, vec![], Duration::from_millis(500)) {
                self.calls.insert(token, call);
            }
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { metric: self.metric }))
    }
}

struct Stream {
    metric: u32,
}

impl Context for Stream {}

impl Stream {
    fn is_check(&self) -> bool {
        let path = self.get_http_request_header(":path").unwrap_or_default();
        if path.split('?').next() != Some(PATH) {
            return false;
        }
        let method = self.get_http_request_header(":method").unwrap_or_default();
        matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    fn is_trusted(&self) -> bool {
        let address = self.get_property(vec!["source", "address"]).unwrap_or_default();
        match std::str::from_utf8(&address).map(str::parse::<SocketAddr>) {
            // An address out of X-Forwarded-For has port 0.
            Ok(Ok(peer)) => peer.port() != 0 && TRUSTED.contains(&peer.ip()),
            _ => false,
        }
    }

    fn in_maintenance_by_route(&self) -> bool {
        let path = vec!["xds", "route_metadata", "filter_metadata", "healthgate", "maintenance"];
        self.get_property(path).map_or(false, |value| value == [1])
    }

    fn reply(&self, status: u32, body: &str) {
        self.send_http_response(status, vec![("content-type", "text/plain")], Some(body.as_bytes()));
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if !self.is_check() || !self.is_trusted() {
            return Action::Continue;
        }
        let _ = hostcalls::increment_metric(self.metric, 1);
        let record = self.get_shared_data(RECORD).0.unwrap_or_default();
        let age = |r: &[u8]| {
            let mut written = [0; 8];
            written.copy_from_slice(&r[WRITTEN..]);
            seconds(self.get_current_time()).saturating_sub(u64::from_le_bytes(written))
        };
        if self.in_maintenance_by_route() || record.len() == SIZE && record[KEY] != 0 {
            self.reply(503, "Under maintenance. Remove maintenance file when complete");
        } else if record.len() != SIZE || age(&record) > MAX_AGE.as_secs() {
            self.reply(503, "UNKNOWN");
        } else if record[..KEY].iter().all(|ok| *ok != 0) {
            self.reply(200, "OK");
        } else {
            self.reply(503, "FAILED");
        }
        Action::Pause
    }
}
