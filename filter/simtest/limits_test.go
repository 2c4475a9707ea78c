package simtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// An hour of four workers, three probes and ticks must not leak, drift or flap.
func TestAnHour(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog, hostsim.Workers(4))
	seen, leader := len(s.stateLog()), s.thread(s.leader())
	s.Advance(40 * time.Minute) // by then its garbage has been collected at least once
	memory := leader.MemoryBytes()
	s.Advance(20 * time.Minute)
	for i := range s.Workers() {
		if r := s.ask(i, check); r.Details != "healthgate_healthy" {
			t.Errorf("worker %d: got %d, details %q", i, r.Status, r.Details)
		}
	}
	asked := map[string]int{}
	for _, r := range s.UpstreamRequests("app") {
		asked[r.Path()]++
	}
	for _, node := range []string{"/inbound/isalive", "/outbound/isalive", "/stats/isalive"} {
		if n := asked[node]; n < 3564 || n > 3636 {
			t.Errorf("%s was asked %d times in an hour", node, n)
		}
	}
	s.wantMetric("healthgate_leader_changes_total", 1)
	if log := s.stateLog()[seen:]; len(log) > 0 {
		t.Errorf("log:\n%s", strings.Join(log, "\n"))
	}
	if grown := leader.MemoryBytes() - memory; grown > 512<<10 {
		t.Errorf("the leader's memory grew by %d bytes in 20 minutes", grown)
	}
}

// TestHundredThousandCIDRs loads as many CIDRs as there may be, as JSON and as a Struct, in seconds. A collector of
// garbage that walked over what has been read so far, again and again, would not end.
func TestHundredThousandCIDRs(t *testing.T) {
	t.Parallel()
	var cidrs []string
	for i := range 50_000 { // short ones: all must fit into 1 MiB
		cidrs = append(cidrs, fmt.Sprintf("%x::", i+1), fmt.Sprintf("::%x", i+1))
	}
	asJSON := `{"endpoints": [{"name": "e", "paths": ["/hc"], "trusted": {"cidrs": ["` +
		strings.Join(cidrs, `","`) + `"]}}]}`
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
