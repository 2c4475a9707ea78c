package fleet

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ErrNoKubectl is of a machine without kubectl.
var ErrNoKubectl = errors.New("needs kubectl, which is not on the PATH")

// Pods are found and reached by kubectl, with its own configuration.
type Pods struct {
	Namespace string // empty: kubectl's own
	Port      uint16 // of Envoy's admin
}

// Find returns the running pods that a selector selects, as pod/NAME.
func (p Pods) Find(ctx context.Context, selector string) ([]string, error) {
	if _, err := exec.LookPath("kubectl"); err != nil {
		return nil, ErrNoKubectl
	}
	cmd := p.command(ctx, "get", "pods", "--selector="+selector, "--field-selector=status.phase=Running", "--output=name")
	var out, stderr head
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	if errors.As(err, new(*exec.ExitError)) {
		err = errors.New("kubectl: " + last(stderr.String()))
	}
	if out.Len()+stderr.Len() > maxOutput {
		err = errors.New("kubectl writes without an end")
	}
	pods := strings.Fields(out.String())
	for _, pod := range pods {
		if err == nil && !strings.HasPrefix(pod, "pod/") {
			err = fmt.Errorf("kubectl writes %.40q, which is no pod", pod)
		}
	}
	return pods, err
}

// last returns the last line: before it comes what kubectl tried.
func last(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// maxOutput is more than kubectl writes of 100,000 pods.
const maxOutput = 16 << 20

// head keeps what is written, and refuses what is more than kubectl writes.
type head struct{ bytes.Buffer }

func (h *head) Write(b []byte) (int, error) {
	if h.Len() > maxOutput {
		return 0, io.ErrShortWrite
	}
	return h.Buffer.Write(b)
}

// ReadFrom copies by Write.
func (h *head) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{h}, r) }

func (p Pods) command(ctx context.Context, args ...string) *exec.Cmd {
	if p.Namespace != "" {
		args = append(args, "--namespace="+p.Namespace)
	}
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.WaitDelay = time.Second // for what kubectl has started itself, such as for a login
	return cmd
}

// Forward is the admin of a pod, whose port is forwarded from the first connection on.
type Forward struct {
	pods    Pods
	pod     string
	mu      sync.Mutex
	address string // of this end
	ended   chan struct{}
	end     func() // nil while nothing is forwarded

	waiting sync.Mutex
	open    context.Context // those who wait for a connection give up when it is over
	giveUp  func()
}

// Forward returns the admin of a pod.
func (p Pods) Forward(pod string) *Forward { return &Forward{pods: p, pod: pod} }

// Dial connects to the pod's admin.
func (f *Forward) Dial(ctx context.Context) (net.Conn, error) {
	// The context of a transport is not over when nobody waits for the connection any more.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f.waiting.Lock()
	if f.open == nil {
		f.open, f.giveUp = context.WithCancel(context.Background())
	}
	defer context.AfterFunc(f.open, cancel)()
	f.waiting.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.end != nil {
		select {
		case <-f.ended:
			f.stop()
		default:
		}
	}
	if f.end == nil {
		if err := f.start(ctx); err != nil {
			return nil, err
		}
	}
	return new(net.Dialer).DialContext(ctx, "tcp", f.address)
}

// start starts kubectl, which lives until stop, and waits until it says where it listens.
func (f *Forward) start(ctx context.Context) error {
	life, end := context.WithCancel(context.Background())
	cmd := f.pods.command(life, "port-forward", "--address=127.0.0.1", f.pod, ":"+strconv.Itoa(int(f.pods.Port)))
	var stderr head
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		end()
		return err
	}
	first, ended := make(chan string, 1), make(chan struct{})
	f.ended, f.end = ended, end
	go func() {
		defer close(ended)
		line, _ := bufio.NewReader(io.LimitReader(stdout, maxOutput)).ReadString('\n')
		first <- line
		_, _ = io.Copy(io.Discard, stdout) // a line for each connection
		_ = cmd.Wait()
	}()
	select {
	case line := <-first: // Forwarding from 127.0.0.1:40001 -> 9901
		words := strings.Fields(line)
		if len(words) > 2 && words[0] == "Forwarding" {
			f.address = words[2]
			return nil
		}
		f.stop()
		return errors.New("kubectl port-forward: " + last(line+stderr.String()))
	case <-ctx.Done():
		f.stop()
		return ctx.Err()
	}
}

func (f *Forward) stop() {
	if f.end != nil {
		f.end()
		<-f.ended
		f.end = nil
	}
}

// Close ends kubectl. A later connection starts it anew.
func (f *Forward) Close() {
	f.waiting.Lock()
	if f.open != nil {
		f.giveUp()
		f.open = nil
	}
	f.waiting.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stop()
}
