package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/must"
)

// message is a request or a response of HTTP/1.1 as it went over the wire, every field in its place, which net/http
// would not tell.
type message struct {
	start   string
	header  [][2]string
	body    string
	trailer [][2]string
	cut     bool // the connection ended before the message did
}

func (m *message) get(name string) (string, bool) {
	for _, f := range m.header {
		if strings.EqualFold(f[0], name) {
			return f[1], true
		}
	}
	return "", false
}

// readMessage reads a message. A response without a length lasts as long as the connection, unless bodiless says that
// it has no body whatever its fields are.
func readMessage(r *bufio.Reader, response bool, bodiless func(m *message) bool) (*message, error) {
	start, err := readLine(r)
	if err != nil {
		return nil, err
	}
	m := &message{start: start}
	m.header, err = readFields(r)
	if m.cut = err != nil; m.cut {
		return m, nil // a message that was cut off is a result to compare
	}
	length, sized := m.get("content-length")
	encoding, _ := m.get("transfer-encoding")
	switch {
	case bodiless(m):
	case encoding == "chunked":
		m.cut = m.readChunks(r) != nil
	case sized:
		n, _ := strconv.ParseUint(length, 10, 31) // a message may claim anything
		body := make([]byte, n)
		got, err := io.ReadFull(r, body)
		m.body, m.cut = string(body[:got]), err != nil
	case response:
		body, _ := io.ReadAll(r) // its end is the connection's
		m.body = string(body)
	}
	return m, nil
}

func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

func readFields(r *bufio.Reader) (fields [][2]string, err error) {
	for {
		line, err := readLine(r)
		if err != nil || line == "" {
			return fields, err
		}
		name, value, _ := strings.Cut(line, ":")
		fields = append(fields, [2]string{strings.ToLower(name), strings.TrimSpace(value)})
	}
}

func (m *message) readChunks(r *bufio.Reader) error {
	for {
		line, err := readLine(r)
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(line, 16, 31)
		if err != nil {
			return err
		}
		if n == 0 {
			m.trailer, err = readFields(r)
			return err
		}
		chunk := make([]byte, n+2)
		if _, err := io.ReadFull(r, chunk); err != nil {
			return err
		}
		if !strings.HasSuffix(string(chunk), "\r\n") {
			return errors.New("a chunk without an end")
		}
		m.body += string(chunk[:n])
	}
}

// writeFields is a head or the trailers, the empty line that ends them included.
func writeFields(b *strings.Builder, fields [][2]string) {
	for _, f := range fields {
		fmt.Fprintf(b, "%s: %s\r\n", f[0], f[1])
	}
	b.WriteString("\r\n")
}

func writeChunk(b *strings.Builder, data string) {
	if data != "" {
		fmt.Fprintf(b, "%x\r\n%s\r\n", len(data), data)
	}
}

// exchange sends a request over a connection of its own and reads the answer, which has to come within the limit. wait
// waits until the plugin has seen so many pieces of the body.
func exchange(address string, r *Request, limit time.Duration, wait func(pieces int)) (m *message, err error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() {
		if m == nil || m.start != noAnswer {
			_ = conn.Close()
			return
		}
		stuck.Store(conn, true)
	}()
	if err := conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	pieces := r.pieces()
	for i, piece := range pieces {
		if i > 0 {
			wait(i)
		}
		if _, err := conn.Write([]byte(piece)); err != nil {
			return &message{cut: true}, nil
		}
	}
	m, err = readMessage(bufio.NewReader(conn), true, func(m *message) bool {
		return bodiless(r.Method, statusOf(m))
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &message{start: noAnswer}, nil
	}
	if err != nil {
		return &message{cut: true}, nil
	}
	return m, nil
}

// noAnswer stands for an answer that never comes, as after a pause that nothing ends. The connection stays open then,
// so that the stream does not end either.
const noAnswer = "none"

// stuck holds the connections on which no answer came.
var stuck sync.Map

func statusOf(m *message) int {
	words := strings.Split(m.start, " ")
	if len(words) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(words[1])
	return n
}

// pieces is the request on the wire: the head with the first piece of the body, then the rest.
func (r *Request) pieces() []string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nhost: %s\r\n", r.Method, r.Path, r.Authority)
	fields := append([][2]string(nil), r.Header...)
	chunked := len(r.Chunks) > 1 || len(r.Trailer) > 0
	switch {
	case chunked:
		fields = append(fields, [2]string{"transfer-encoding", "chunked"})
	case r.content() != "":
		fields = append(fields, [2]string{"content-length", strconv.Itoa(len(r.content()))})
	}
	writeFields(&b, fields)
	if !chunked {
		return []string{b.String() + r.content()}
	}
	var pieces []string
	for _, chunk := range r.Chunks {
		writeChunk(&b, chunk)
		pieces = append(pieces, b.String())
		b.Reset()
	}
	writeChunk(&b, r.Body)
	b.WriteString("0\r\n")
	writeFields(&b, r.Trailer)
	return append(pieces, b.String())
}

// content is the body in one piece.
func (r *Request) content() string { return r.Body + strings.Join(r.Chunks, "") }

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
