package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
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
