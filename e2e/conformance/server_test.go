package conformance

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
)

// server is an upstream for Envoy.
type server struct {
	port   int
	silent bool
	turns  *turns

	mu    sync.Mutex
	conns map[net.Conn]bool
	seen  []*message
}

// startServer serves until the test ends.
func startServer(t testing.TB, silent bool, turns *turns) *server {
	t.Helper()
	listener := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)
	s := &server{port: listener.Addr().(*net.TCPAddr).Port, silent: silent, turns: turns, conns: map[net.Conn]bool{}}
	var serving sync.WaitGroup
	serving.Add(1)
	go func() {
		defer serving.Done()
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[conn] = true
			s.mu.Unlock()
			serving.Add(1)
			go func() {
				defer serving.Done()
				s.serve(conn)
			}()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		s.mu.Lock()
		for conn := range s.conns {
			_ = conn.Close()
		}
		s.mu.Unlock()
		serving.Wait()
	})
	return s
}

func (s *server) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	for {
		m, err := readMessage(r, false, func(*message) bool { return false })
		if err != nil || m.cut {
			return
		}
		s.mu.Lock()
		s.seen = append(s.seen, m)
		s.mu.Unlock()
		if s.silent {
			continue
		}
		method, path := requestLine(m)
		a := s.turns.answer(method, path, m.body)
		if a.abort {
			return
		}
		text := a.text(method)
		if a.pieces > 0 {
			s.writePieces(conn, text, a.body)
			text = "0\r\n\r\n"
		}
		if _, err := conn.Write([]byte(text)); err != nil || a.cut {
			return
		}
	}
}

// writePieces writes a head and the body behind it, piece by piece.
func (s *server) writePieces(conn net.Conn, head, body string) {
	for i, piece := range strings.SplitAfter(body, " ") {
		var chunk strings.Builder
		writeChunk(&chunk, piece)
		_, _ = conn.Write([]byte(head + chunk.String())) // a broken connection shows in the end
		head = ""
		s.turns.seen(i + 1)
	}
}

func requestLine(m *message) (method, path string) {
	method, rest, _ := strings.Cut(m.start, " ") // An Envoy that is about to end may send anything.
	path, _, _ = strings.Cut(rest, " ")
	return method, path
}

// text is the answer on the wire.
func (r *reply) text(method string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d Status\r\n", r.status)
	writeFields(&b, r.fields(method))
	switch {
	case bodiless(method, r.status), r.pieces > 0:
	case r.cut:
		b.WriteString(r.body[:len(r.body)/2])
	case len(r.trailer) > 0:
		writeChunk(&b, r.body)
		b.WriteString("0\r\n")
		writeFields(&b, r.trailer)
	default:
		b.WriteString(r.body)
	}
	return b.String()
}

func (s *server) requests() []*message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*message(nil), s.seen...)
}
