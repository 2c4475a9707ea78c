package simtest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

func TestRefusedConfiguration(t *testing.T) {
	t.Parallel()
	wasm, err := module()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ config, want string }{
		{``, `there is none; give the plugin a JSON configuration with at least one endpoint`},
		{`{}`, `endpoints: is required, with at least one endpoint`},
		{strings.Replace(watchdog, "10.0.0.0/8", "10.0.0.0/33", 1), `endpoints[0].trusted.cidrs[0]: "10.0.0.0/33" is not a CIDR`},
		{strings.Replace(watchdog, `"stats"]`, `"nobody"]`, 1), `endpoints[0].probes.names[2]: "nobody" is not the name of a probe`},
		{strings.Replace(watchdog, `"cluster": "envoy_admin"`, `"clutser": "envoy_admin"`, 1), `admin.cluster: is required`},
	} {
		_, err := hostsim.New(wasm, hostsim.PluginConfig(tt.config))
		var refused *hostsim.LoadError
		if !errors.As(err, &refused) {
			t.Errorf("%s: got %v, want a refusal", tt.want, err)
			continue
		}
		if last := refused.Logs[len(refused.Logs)-1]; last.Message != "healthgate: config: "+tt.want || last.Level != hostsim.LogCritical {
			t.Errorf("logged %v, want healthgate: config: %s", last, tt.want)
		}
	}
}

func TestEndpointWithoutProbesAndKeysIsNeverUnknown(t *testing.T) {
	t.Parallel()
	s := newSim(t, `{"endpoints": [{"name": "e", "paths": ["/hc"], "trusted": {"cidrs": ["10.0.0.0/8"]}}]}`)
	s.want("/hc", 200, "", "healthgate_healthy")
	s.Advance(time.Minute)
	s.want("/hc", 200, "", "healthgate_healthy")
	if data := s.SharedData(); len(data) != 0 {
		t.Errorf("shared data for nothing: %v", data)
	}
}

func TestCountsByVerdict(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog, hostsim.Workers(2))
	s.want(check, 200, "OK", "healthgate_healthy") // on both workers
	s.Host.Worker(0).Do(&hostsim.Request{Path: check, Peer: "192.0.2.1:1"})
	s.set("/inbound/isalive", 500)
	s.Advance(time.Second)
	s.ask(0, check)
	for verdict, want := range map[string]uint64{"healthy": 2, "untrusted": 1, "unhealthy": 1, "maintenance": 0, "unknown": 0} {
		s.wantMetric("healthgate_checks_total.endpoint.my-service.verdict."+verdict, want)
	}
	s.wantMetric("healthgate_probe_up.probe.inbound", 0)
	s.wantMetric("healthgate_probe_up.probe.outbound", 1)
}

// TestHundredThousandCIDRs loads as many CIDRs as there may be, as JSON and as a Struct, in seconds. A collector of
// garbage that walked over what has been read so far, again and again, would not end.
func TestHundredThousandCIDRs(t *testing.T) {
	t.Parallel()
	var cidrs []string
	for i := range 50_000 { // short ones: all must fit into 1 MiB
		cidrs = append(cidrs, fmt.Sprintf("%x::", i+1), fmt.Sprintf("::%x", i+1))
	}
	asJSON := `{"endpoints": [{"name": "e", "paths": ["/hc"], "trusted": {"cidrs": ["` + strings.Join(cidrs, `","`) + `"]}}]}`
	var message structpb.Struct
	if err := protojson.Unmarshal([]byte(asJSON), &message); err != nil {
		t.Fatal(err)
	}
	asStruct, err := proto.Marshal(&message)
	if err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]string{"JSON": asJSON, "Struct": string(asStruct)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSim(t, config, hostsim.CallDeadline(time.Minute))
			for peer, details := range map[string]string{
				"[1::]:1": "healthgate_healthy", "[c350::]:1": "healthgate_healthy", "[::c350]:1": "healthgate_healthy",
				"[c351::]:1": "via_upstream", "[::c351]:1": "via_upstream", "[1::1]:1": "via_upstream", "0.0.0.1:1": "via_upstream",
			} {
				if r := s.Worker(0).Do(&hostsim.Request{Path: "/hc", Peer: peer}); r.Details != details {
					t.Errorf("%s: %d, details %q, want %q", peer, r.Status, r.Details, details)
				}
			}
		})
	}
}
