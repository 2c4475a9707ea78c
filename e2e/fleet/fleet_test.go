package fleet

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	runtimeservice "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/healthgate/healthgate/envoy/must"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/e2e/internal/rtds"
)

var (
	sizes  = flag.String("envoys", "100", "how many Envoys the zone has, in ascending order, separated by commas")
	reals  = flag.Int("real", 2, "how many of them are real ones")
	rounds = flag.Int("rounds", 1, "how often maintenance is thrown and cleared for each size")
)

// TestPush throws maintenance for a zone by one push of a control plane and clears it again, while checks come to the
// real Envoys of the zone. Its log has the table of docs/fleet.md.
func TestPush(t *testing.T) {
	t.Run("default", func(t *testing.T) { testPush(t, false) })
	t.Run("set_node_on_first_message_only", func(t *testing.T) { testPush(t, true) })
}

func testPush(t *testing.T, once bool) {
	control, application := startControlPlane(t), app.Start(t)
	var urls []string
	var admins []string
	var one *envoytest.Envoy
	for i := range *reals {
		config := envoytest.Shipped(t, envoytest.Wasm(t), application.Port)
		envoytest.At[envoytest.Object](config.Bootstrap, "node")["id"] = fmt.Sprint("healthgate-", i)
		layers := envoytest.At[envoytest.Object](config.Bootstrap, "layered_runtime")
		source := rtds.Source(config, control.port)
		envoytest.At[envoytest.Object](source, "api_config_source")["set_node_on_first_message_only"] = once
		layers["layers"] = append(layers["layers"].([]any), rtds.Layer(layer, source))
		one = envoytest.Start(t, config, 1)
		admins = append(admins, "--admin", envoytest.Loopback(config.AdminPort))
		urls = append(urls, "http://"+config.Listener("ingress").Address()+"/my-service/healthcheck")
	}
	for _, url := range urls {
		envoytest.Eventually(t, envoytest.Limit, "healthy", func() error {
			if got := status(url); got != 200 {
				return fmt.Errorf("%s answers %d", url, got)
			}
			return nil
		})
	}
	first := control.do(order{Expect: *reals})
	const sent = "cluster.rtds.upstream_cx_tx_bytes_total"
	before := one.Stats(sent)[sent]
	control.do(order{Push: true, Expect: *reals})
	size := one.Stats(sent)[sent] - before
	t.Logf("the node of an Envoy has %d bytes, its acknowledgement %d with what HTTP/2 adds", len(first.Node), size)
	if small := size < len(first.Node); small != once {
		t.Errorf("set_node_on_first_message_only is %v", once)
	}
	everyOne := &simulated{t: t, port: control.port, node: first.Node, once: once}

	table := &strings.Builder{}
	fmt.Fprintln(table, "| Envoys | until they have subscribed | CPU of that | server's memory | push to the last "+
		"acknowledgement | CPU of a push | to the last Envoy's first 503 | and back, to its first 200 |")
	fmt.Fprintln(table, "|---|---|---|---|---|---|---|---|")
	running := *reals
	for text := range strings.SplitSeq(*sizes, ",") {
		size := must.Get(strconv.Atoi(text))(t)
		begin := time.Now()
		everyOne.start(size - running)
		running = size
		joined := control.do(order{Expect: size})
		var acks, cpu, out, back span
		for range *rounds {
			for _, throw := range []struct {
				value string
				want  int
				took  *span
			}{{"true", 503, &out}, {"", 200, &back}} {
				seen := make([]time.Time, len(urls))
				var checks sync.WaitGroup
				for i, url := range urls {
					checks.Go(func() { seen[i] = firstTime(url, throw.want) })
				}
				pushed := control.do(order{Push: true, Value: throw.value, Expect: size})
				acks.add(pushed.LastAck.Sub(pushed.Begin))
				cpu.add(pushed.CPU)
				checks.Wait()
				var last time.Duration
				for i, at := range seen {
					if at.IsZero() {
						t.Fatalf("%s does not answer %d within %v", urls[i], throw.want, limit)
					}
					last = max(last, at.Sub(pushed.Begin))
				}
				throw.took.add(last)
			}
		}
		memory := "not known"
		if runtime.GOOS == "linux" {
			memory = fmt.Sprint(envoytest.Resident(t, control.pid)>>20, " MB")
		}
		fmt.Fprintf(table, "| %d | %d ms | %d ms | %s | %v | %v | %v | %v |\n", size,
			joined.LastAck.Sub(begin).Milliseconds(), joined.CPU.Milliseconds(), memory, acks, cpu, out, back)
	}
	t.Logf("%d of the Envoys are real:\n%s", *reals, table)
	if once { // which makes no difference to admin calls: they are measured once
		must.Get(envoytest.Command())(t) // which builds it
		begin := time.Now()
		envoytest.Healthgate(t, append([]string{"maintenance", "on", "--parallel", "1"}, admins...)...)
		on := time.Since(begin)
		envoytest.Healthgate(t, append([]string{"maintenance", "off"}, admins...)...)
		t.Logf("admin calls: the real ones on one by one in %v, off all at once in %v", on, time.Since(begin)-on)
	}
}

// simulated are Envoys that say what a real one said, each on a connection of its own.
type simulated struct {
	t       testing.TB
	port    int
	node    []byte // a real one's, but for its id
	once    bool   // it is in a stream's first request only
	started int
}

func (s *simulated) start(n int) {
	s.t.Helper()
	for range n {
		s.started++
		node := &core.Node{Id: fmt.Sprint("simulated-", s.started)}
		node.ProtoReflect().SetUnknown(s.node) // so that all share one, encoded once
		conn, err := grpc.NewClient(envoytest.Loopback(s.port), grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithReadBufferSize(0), grpc.WithWriteBufferSize(0))
		must.Do(s.t, err)
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() {
			if err := s.subscribe(ctx, conn, node); err != nil && ctx.Err() == nil {
				s.t.Errorf("%s: %v", node.Id, err)
			}
		})
		s.t.Cleanup(func() {
			cancel()
			running.Wait()
			_ = conn.Close()
		})
	}
}

// subscribe acknowledges what comes until the stream ends.
func (s *simulated) subscribe(ctx context.Context, conn *grpc.ClientConn, node *core.Node) error {
	stream, err := runtimeservice.NewRuntimeDiscoveryServiceClient(conn).StreamRuntime(ctx)
	if err != nil {
		return err
	}
	request := &discovery.DiscoveryRequest{Node: node, TypeUrl: resource.RuntimeType, ResourceNames: []string{layer}}
	for {
		if err := stream.Send(request); err != nil {
			return err
		}
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		request.VersionInfo, request.ResponseNonce = response.VersionInfo, response.Nonce
		if s.once {
			request.Node = nil
		}
	}
}

// firstTime asks until the answer has the status; a zero time when it never has.
func firstTime(url string, want int) time.Time {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if status(url) == want {
			return time.Now()
		}
	}
	return time.Time{}
}

// status is 0 without an answer.
func status(url string) int {
	a, _ := envoytest.Read(envoytest.Client.Get(url))
	return a.Status
}

// span is the least and the most of some times.
type span struct{ least, most time.Duration }

func (s *span) add(d time.Duration) {
	if s.most == 0 || d < s.least {
		s.least = d
	}
	s.most = max(s.most, d)
}

func (s span) String() string {
	return fmt.Sprintf("%d–%d ms", s.least.Milliseconds(), s.most.Milliseconds())
}
