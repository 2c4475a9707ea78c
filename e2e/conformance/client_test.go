package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

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
