package must

import (
	"syscall"
	"testing"
)

// Port returns a TCP port of 127.0.0.1 that stays the caller's until the test ends.
//
// A socket that is bound, but does not listen, keeps the port from being given to anyone who asks for a free one. A
// server that asks for this very port gets it all the same, because both set SO_REUSEADDR. So a port may be written
// into a configuration before anything listens there, and a server may go away and come back.
func Port(t testing.TB) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatalf("socket: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	syscall.CloseOnExec(fd)
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		t.Fatalf("SO_REUSEADDR: %v", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatalf("bind: %v", err)
	}
	address, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatalf("getsockname: %v", err)
	}
	return address.(*syscall.SockaddrInet4).Port
}
