package hostsim

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
)

// grpcStream is a gRPC stream with its upstream's handler at the other end. Both sides may send at any time, but they
// take turns, so that a run can be repeated: the host waits while the handler runs. Once the handler waits for the
// plugin's next message, or returns, the host delivers what the handler has sent.
type grpcStream struct {
	call   *grpcCallout
	delay  time.Duration // of all that comes back
	real   bool          // the upstream has an address: it takes no turns
	cancel context.CancelFunc

	mu      sync.Mutex
	turn    *sync.Cond
	in      bytes.Buffer // sent by the plugin and not read by the handler yet
	ended   bool         // the plugin sends no more
	gone    bool         // nobody is interested any more
	waiting bool         // the handler is in Read, and there is nothing
	done    bool         // the handler has returned
	failure any          // that it panicked with
	out     recorder

	begun bool // the initial metadata is on its way to the plugin
	taken int  // bytes of the body that are
}

// errGone is the handler's error when it reads from a stream that the plugin has left.
var errGone = errors.New("the stream was cancelled")

// Read is the body of the request, for the handler.
func (s *grpcStream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.in.Len() == 0 && !s.ended && !s.gone {
		s.waiting = true
		s.turn.Broadcast()
		s.turn.Wait()
	}
	switch {
	case s.gone:
		return 0, errGone
	case s.in.Len() == 0:
		return 0, io.EOF
	}
	return s.in.Read(p)
}

// Close is the handler's, and does nothing, as closing a request's body.
func (s *grpcStream) Close() error { return nil }

// grpcWriter is the response for the handler.
type grpcWriter struct{ s *grpcStream }

func (w grpcWriter) Header() http.Header { return w.s.out.Header() }

func (w grpcWriter) WriteHeader(status int) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.out.WriteHeader(status)
}

func (w grpcWriter) Write(b []byte) (int, error) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return w.s.out.Write(b)
}

func (w grpcWriter) Flush() {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.out.Flush()
}

// open begins a stream to an upstream that is a handler.
func (c *grpcCallout) open(delay time.Duration) {
	h := c.root.vm.host
	ctx, cancel := context.WithCancel(context.Background())
	s := &grpcStream{call: c, delay: delay, cancel: cancel, out: recorder{header: make(http.Header), flushed: -1}}
	s.turn = sync.NewCond(&s.mu)
	c.stream = s
	hr := c.request.httpRequest().WithContext(ctx)
	hr.Body, hr.ContentLength = s, -1
	hr.Proto, hr.ProtoMajor, hr.ProtoMinor = "HTTP/2.0", 2, 0
	h.pending.Add(1)
	go func() {
		defer h.pending.Done()
		defer func() {
			p := recover()
			s.mu.Lock()
			s.done, s.failure = true, p
			s.turn.Broadcast()
			s.mu.Unlock()
		}()
		c.up.handler.ServeHTTP(grpcWriter{s}, hr)
		grpcWriter{s}.WriteHeader(http.StatusOK)
	}()
	s.settle()
}

// feed gives the upstream a message, or the end, and delivers the handler's answers.
func (s *grpcStream) feed(frame []byte, end bool) {
	s.mu.Lock()
	s.in.Write(frame)
	s.ended = s.ended || end
	s.waiting = false
	s.turn.Broadcast()
	s.mu.Unlock()
	if !s.real {
		s.settle()
	}
}

// settle waits until it is the host's turn, and delivers the messages that the handler has flushed.
func (s *grpcStream) settle() {
	s.mu.Lock()
	for !s.waiting && !s.done {
		s.turn.Wait()
	}
	defer s.mu.Unlock()
	cut := s.done && s.failure != nil
	if cut && s.failure != any(http.ErrAbortHandler) {
		panic(s.failure)
	}
	c := s.call
	if s.out.flushed < 0 && !s.done || c.remoteClosed {
		return
	}
	if cut && s.out.flushed < 0 {
		c.later(s.delay, func() { c.fail(resetBeforeHeaders()) })
		return
	}
	initial, trailers := s.out.metadata(c.root.vm.host), s.out.trailers()
	if s.done && !s.begun && s.out.body.Len() == 0 && trailers.Len() == 0 {
		initial, trailers = headers.New(), c.timed(initial) // trailers only
	}
	if !s.begun {
		s.begun = true
		c.later(s.delay, func() { c.onInitialMetadata(initial) })
	}
	body := s.out.body.Bytes()[s.taken:]
	if !s.done {
		body = body[:s.out.flushed-s.taken]
	}
	messages := unframe(body)
	for _, m := range messages {
		s.taken += frameHeader + len(m)
		message := bytes.Clone(m)
		c.later(s.delay, func() { c.root.onGrpcReceive(c, message) })
	}
	switch {
	case cut:
		c.later(s.delay, func() { c.fail(nil) })
	case s.done:
		c.later(s.delay, func() { c.end(initial, trailers) })
	}
}

// dial begins a stream to a real upstream. What comes back happens when the host runs.
func (c *grpcCallout) dial() {
	h := c.root.vm.host
	ctx, cancel := context.WithCancel(context.Background())
	s := &grpcStream{call: c, real: true, cancel: cancel}
	s.turn = sync.NewCond(&s.mu)
	c.stream = s
	hr := c.request.httpRequestTo(c.up.url).WithContext(ctx)
	hr.Body, hr.ContentLength = s, -1
	post := func(f func()) { h.post(func() { c.later(0, f) }) }
	h.pending.Add(1)
	go func() {
		defer h.pending.Done()
		resp, err := h.grpcClient.Do(hr)
		if err != nil {
			post(func() { c.fail(h.connectFailure()) })
			return
		}
		defer resp.Body.Close()
		initial := responseHead(resp)
		post(func() { c.onInitialMetadata(initial) })
		for {
			m, err := readFrame(resp.Body)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				post(func() { c.fail(nil) })
				return
			}
			post(func() { c.root.onGrpcReceive(c, m) })
		}
		trailers := headers.New()
		addSorted(trailers, resp.Trailer)
		post(func() { c.end(initial, trailers) })
	}()
}

// readFrame reads a message. The error is io.EOF at the end.
func readFrame(r io.Reader) ([]byte, error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxUpstreamBody {
		return nil, errors.New("a message that is too long")
	}
	m := make([]byte, n)
	if _, err := io.ReadFull(r, m); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return m, nil
}

// abort ends the upstream's side of a stream that the plugin has left.
func (s *grpcStream) abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	s.turn.Broadcast()
	s.cancel()
}

// frameHeader is the flag and the length before each message.
const frameHeader = 5

func frame(message string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// unframe splits a body into messages; an incomplete message is dropped.
func unframe(b []byte) [][]byte {
	var ms [][]byte
	for len(b) >= frameHeader {
		n := uint64(binary.BigEndian.Uint32(b[1:frameHeader]))
		if uint64(len(b)-frameHeader) < n {
			break
		}
		ms = append(ms, b[frameHeader:frameHeader+n])
		b = b[frameHeader+n:]
	}
	return ms
}
