package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// bytesCodec hands messages over as they are.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "bytes" }

func (bytesCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (bytesCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...) // the buffer is used again
	return nil
}

// newGrpcServer is the upstream of the gRPC cases, an http.Handler, for Envoy on a port that speaks HTTP/2. The method
// says how it behaves.
func newGrpcServer() *grpc.Server {
	return grpc.NewServer(grpc.ForceServerCodec(bytesCodec{}), grpc.UnknownServiceHandler(
		func(_ any, stream grpc.ServerStream) error {
			name, _ := grpc.MethodFromServerStream(stream)
			return grpcMethods[name[strings.LastIndex(name, "/")+1:]](stream)
		}))
}

var grpcMethods = map[string]func(grpc.ServerStream) error{
	// echo says what it got, once it got all.
	"echo": func(stream grpc.ServerStream) error {
		got, err := receiveAll(stream)
		if err != nil {
			return err
		}
		return send(stream, "echo "+strings.Join(got, ",")+" "+caller(stream.Context()))
	},
	// each answers each message.
	"each": func(stream grpc.ServerStream) error {
		if err := stream.SetHeader(metadata.Pairs("x-first", "1")); err != nil {
			return err
		}
		stream.SetTrailer(metadata.Pairs("x-last", "2"))
		got, err := receiveAll(stream)
		for _, text := range got {
			if err := send(stream, "got "+text); err != nil {
				return err
			}
		}
		return err
	},
	"empty":   func(stream grpc.ServerStream) error { return send(stream, "") },
	"nothing": func(grpc.ServerStream) error { return nil },
	"big":     func(stream grpc.ServerStream) error { return send(stream, strings.Repeat("x", 300000)) },
	"fail":    func(grpc.ServerStream) error { return status.Error(codes.NotFound, "no such thing: ü") },
	"midway": func(stream grpc.ServerStream) error {
		if err := send(stream, "so far"); err != nil {
			return err
		}
		return status.Error(codes.ResourceExhausted, "no more")
	},
}

func send(stream grpc.ServerStream, text string) error {
	message := []byte(text)
	return stream.SendMsg(&message)
}

func receiveAll(stream grpc.ServerStream) (got []string, err error) {
	for {
		var message []byte
		err := stream.RecvMsg(&message)
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return nil, err
		}
		got = append(got, string(message))
	}
}

// caller is what the server sees of the plugin's call.
func caller(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	_, limited := ctx.Deadline()
	return fmt.Sprintf("authority=%v k=%v limited=%v", md[":authority"], md["k"], limited)
}

// startGrpc serves for Envoy until the test ends.
func startGrpc(t testing.TB) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: newGrpcServer(), Protocols: new(http.Protocols), ReadHeaderTimeout: envoytest.Limit}
	s.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(func() { _ = s.Close() })   // nothing is left to send
	go func() { _ = s.Serve(listener) }() // Close ends it
	return &server{port: listener.Addr().(*net.TCPAddr).Port}
}
