package conformance

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// exchange sends a request over a connection of its own and reads the answer. wait waits for the n-th body callback,
// or for a text in the plugin's log.
func exchange(address string, r *Request, wait func(text string, n int)) (*message, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	pieces := r.pieces()
	for i, piece := range pieces {
		if i > 1 {
			wait("request_body(", i-1)
		}
		if _, err := conn.Write([]byte(piece)); err != nil {
			return &message{cut: true}, nil
		}
	}
	if r.Leave != "" {
		wait(r.Leave, 1)
		return &message{start: "left"}, nil
	}
	m, err := readMessage(bufio.NewReader(conn), true, func(m *message) bool {
		return bodiless(r.method(), statusOf(m))
	})
	if err != nil {
		return &message{cut: true}, nil
	}
	return m, nil
}

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
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nhost: %s\r\n", r.method(), r.path(), r.authority())
	fields := append([][2]string(nil), r.Header...)
	chunked := len(r.Chunks) > 0 || len(r.Trailer) > 0
	switch {
	case chunked:
		fields = append(fields, [2]string{"transfer-encoding", "chunked"})
	case r.Body != "":
		fields = append(fields, [2]string{"content-length", strconv.Itoa(len(r.Body))})
	}
	writeFields(&b, fields)
	if !chunked {
		return []string{b.String() + r.Body}
	}
	var out []string
	chunks := r.Chunks
	if len(chunks) == 0 {
		chunks = []string{r.Body}
	}
	out = append(out, "")
	for i, chunk := range chunks {
		writeChunk(&b, chunk)
		if i == len(chunks)-1 && len(chunks) == 1 {
			b.WriteString("0\r\n")
			writeFields(&b, r.Trailer)
		}
		out = append(out, b.String())
		b.Reset()
	}
	if len(chunks) > 1 {
		b.WriteString("0\r\n")
		writeFields(&b, r.Trailer)
		out = append(out, b.String())
	}
	return out[1:]
}
