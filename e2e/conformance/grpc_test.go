package conformance

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// grpcPeer is the server's end of a call, on either side.
type grpcPeer interface {
	receive() (text string, err error) // io.EOF after the last
	send(text string) error
	caller() string // what the server sees of the plugin's call
	setHeader(name, value string)
	setTrailer(name, value string)
}

// grpcMethods is how the upstream of the gRPC cases behaves.
var grpcMethods = map[string]func(grpcPeer) error{
	// echo says what it got, once it got all.
	"echo": func(p grpcPeer) error {
		var got []string
		for {
			text, err := p.receive()
			if errors.Is(err, io.EOF) {
				return p.send("echo " + strings.Join(got, ",") + " " + p.caller())
			}
			if err != nil {
				return err
			}
			got = append(got, text)
		}
	},
	// each answers each message at once.
	"each": func(p grpcPeer) error {
		p.setHeader("x-first", "1")
		p.setTrailer("x-last", "2")
		for {
			text, err := p.receive()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := p.send("got " + text); err != nil {
				return err
			}
		}
	},
	"empty":   func(p grpcPeer) error { return p.send("") },
	"nothing": func(grpcPeer) error { return nil },
	"big":     func(p grpcPeer) error { return p.send(strings.Repeat("x", 300000)) },
	"fail":    func(grpcPeer) error { return status.Error(codes.NotFound, "no such thing: ü") },
	"midway": func(p grpcPeer) error {
		if err := p.send("so far"); err != nil {
			return err
		}
		return status.Error(codes.ResourceExhausted, "no more")
	},
}

// bytesCodec hands messages over as they are.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "bytes" }

func (bytesCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (bytesCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = bytes.Clone(data) // the buffer is used again
	return nil
}

// realPeer is a call to a real gRPC server.
type realPeer struct{ grpc.ServerStream }

func (p realPeer) receive() (string, error) {
	var message []byte
	err := p.RecvMsg(&message)
	return string(message), err
}

func (p realPeer) send(text string) error {
	message := []byte(text)
	return p.SendMsg(&message)
}

func (p realPeer) caller() string {
	md, _ := metadata.FromIncomingContext(p.Context())
	_, limited := p.Context().Deadline()
	return callerText(strings.Join(md[":authority"], ","), strings.Join(md["k"], ","), limited)
}

func (p realPeer) setHeader(name, value string) {
	_ = p.SetHeader(metadata.Pairs(name, value)) // fails after the first message; the answer tells
}

func (p realPeer) setTrailer(name, value string) { p.SetTrailer(metadata.Pairs(name, value)) }

func callerText(authority, k string, limited bool) string {
	return fmt.Sprintf("authority=%s k=%s limited=%v", authority, k, limited)
}

// startGrpc serves for Envoy until the test ends.
func startGrpc(t testing.TB) *server {
	t.Helper()
	listener := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)
	s := grpc.NewServer(grpc.ForceServerCodec(bytesCodec{}), grpc.UnknownServiceHandler(
		func(_ any, stream grpc.ServerStream) error {
			name, _ := grpc.MethodFromServerStream(stream)
			return grpcMethod(name)(realPeer{stream})
		}))
	t.Cleanup(s.Stop)
	go func() { _ = s.Serve(listener) }() // Stop ends it
	return &server{port: listener.Addr().(*net.TCPAddr).Port}
}

func grpcMethod(path string) func(grpcPeer) error {
	return grpcMethods[path[strings.LastIndex(path, "/")+1:]]
}

// handledPeer is a call to an http.Handler that answers as that server does on the wire.
type handledPeer struct {
	w       http.ResponseWriter
	r       *http.Request
	trailer [][2]string
	begun   bool
}

// serveGrpc is the same upstream for hostsim.
func serveGrpc(w http.ResponseWriter, r *http.Request) {
	p := &handledPeer{w: w, r: r}
	err := grpcMethod(r.URL.Path)(p)
	if r.Context().Err() != nil && errors.Is(r.Context().Err(), context.Canceled) {
		return
	}
	prefix := http.TrailerPrefix
	if !p.begun && err != nil { // trailers only
		prefix = ""
	}
	p.begin()
	s := status.Convert(err)
	message := strings.ReplaceAll(url.PathEscape(s.Message()), "%20", " ")
	fields := [][2]string{{"Grpc-Status", fmt.Sprint(int(s.Code()))}, {"Grpc-Message", message}}
	for _, f := range append(fields, p.trailer...) {
		w.Header().Set(prefix+f[0], f[1])
	}
}

func (p *handledPeer) begin() {
	if !p.begun {
		p.begun = true
		p.w.Header()["Date"] = nil
		p.w.Header().Set("Content-Type", "application/grpc")
	}
}

func (p *handledPeer) receive() (string, error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(p.r.Body, head); err != nil {
		return "", err
	}
	text := make([]byte, binary.BigEndian.Uint32(head[1:]))
	_, err := io.ReadFull(p.r.Body, text)
	return string(text), err
}

func (p *handledPeer) send(text string) error {
	p.begin()
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(text)))
	if _, err := p.w.Write(append(frame, text...)); err != nil {
		return err
	}
	p.w.(http.Flusher).Flush()
	return nil
}

func (p *handledPeer) caller() string {
	return callerText(p.r.Host, strings.Join(p.r.Header["K"], ","), p.r.Header.Get("Grpc-Timeout") != "")
}

func (p *handledPeer) setHeader(name, value string) { p.w.Header().Set(name, value) }

func (p *handledPeer) setTrailer(name, value string) {
	p.trailer = append(p.trailer, [2]string{name, value})
}
