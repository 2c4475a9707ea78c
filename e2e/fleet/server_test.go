package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"github.com/healthgate/healthgate/envoy/must"
	"google.golang.org/protobuf/proto"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/e2e/internal/rtds"
	"github.com/healthgate/healthgate/envoy/run"
)

// serverVariable has this program be the server, on that address: in a process of its own, what it costs is its own.
const serverVariable = "HEALTHGATE_TEST_FLEET_SERVER"

const (
	layer = "healthgate"
	key   = "healthgate.maintenance.zone.local-a" // the zone of envoy/bootstrap.yaml
	limit = 5 * time.Minute
)

func TestMain(m *testing.M) {
	if address := os.Getenv(serverVariable); address != "" {
		if err := serve(address, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// order is what the test tells the server: to push the key's value, or only to wait until so many streams have
// acknowledged what was pushed last.
type order struct {
	Push   bool
	Value  string
	Expect int
}

// result is what the server answers.
type result struct {
	Begin   time.Time // of the push
	LastAck time.Time
	CPU     time.Duration // user and system, since the server started
	Node    []byte        // of the first request, without its id
	Missing int           // streams that have not acknowledged within the limit
}

// tally counts streams that have acknowledged what was pushed last.
type tally struct {
	mu    sync.Mutex
	acked map[int64]bool
	said  result
	more  chan struct{}
}

func (t *tally) request(stream int64, r *discovery.DiscoveryRequest) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.ErrorDetail != nil {
		return fmt.Errorf("an Envoy refused the layer: %s", r.ErrorDetail.Message)
	}
	if t.said.Node == nil {
		node := proto.CloneOf(r.Node)
		node.Id = ""
		t.said.Node, _ = proto.Marshal(node)
	}
	if r.ResponseNonce == "" {
		return nil
	}
	t.acked[stream] = true
	t.said.LastAck = time.Now()
	select {
	case t.more <- struct{}{}:
	default:
	}
	return nil
}

// wait waits until so many streams have acknowledged.
func (t *tally) wait(expect int) result {
	timeout := time.After(limit)
	for {
		t.mu.Lock()
		said := t.said
		said.Missing = expect - len(t.acked)
		t.mu.Unlock()
		if said.Missing == 0 {
			return said
		}
		select {
		case <-t.more:
		case <-timeout:
			return said
		}
	}
}

// serve carries out orders until there are no more.
func serve(address string, orders io.Reader, results io.Writer) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	t := &tally{acked: map[int64]bool{}, more: make(chan struct{}, 1)}
	s := rtds.New(layer, server.CallbackFuncs{StreamRequestFunc: t.request})
	defer s.Stop()
	go func() { _ = s.Serve(listener) }()
	in, out := json.NewDecoder(orders), json.NewEncoder(results)
	for {
		var o order
		if err := in.Decode(&o); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		begin := time.Now()
		if o.Push {
			t.mu.Lock()
			clear(t.acked)
			t.mu.Unlock()
			if err := s.Set(key, o.Value); err != nil {
				return err
			}
		}
		r := t.wait(o.Expect)
		var used syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
			return err
		}
		r.Begin, r.CPU = begin, time.Duration(used.Utime.Nano()+used.Stime.Nano())
		if err := out.Encode(r); err != nil {
			return err
		}
	}
}

// controlPlane is the server, as the test sees it.
type controlPlane struct {
	t    testing.TB
	port int
	pid  int
	out  *json.Encoder
	in   *json.Decoder
	cpu  time.Duration
}

func startControlPlane(t testing.TB) *controlPlane {
	t.Helper()
	c := &controlPlane{t: t, port: must.Port(t)}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverVariable+"="+envoytest.Loopback(c.port))
	cmd.Stderr = os.Stderr
	orders := must.Get(cmd.StdinPipe())(t)
	results, err := cmd.StdoutPipe()
	must.Do(t, err)
	c.out, c.in = json.NewEncoder(orders), json.NewDecoder(results)
	process := must.Get(run.Start(cmd))(t)
	c.pid = process.PID()
	t.Cleanup(process.Kill)
	return c
}

// do has the server carry out an order, and returns its result with the CPU that the server used since the last.
func (c *controlPlane) do(o order) result {
	c.t.Helper()
	must.Do(c.t, c.out.Encode(o))
	var r result
	must.Do(c.t, c.in.Decode(&r))
	if r.Missing != 0 {
		c.t.Fatalf("%d of %d streams have not acknowledged within %v", r.Missing, o.Expect, limit)
	}
	r.CPU, c.cpu = r.CPU-c.cpu, r.CPU
	return r
}
