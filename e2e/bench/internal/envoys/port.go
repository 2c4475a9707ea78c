package envoys

import (
	"fmt"
	"syscall"
)

// reserve returns a free TCP port of 127.0.0.1, kept until Close by a socket that is bound but does not listen: no one
// is given the port who asks for any free one, and Envoy, which asks for this one, gets it since both set SO_REUSEADDR.
func (c *Config) reserve() (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	c.reserved = append(c.reserved, fd)
	syscall.CloseOnExec(fd)
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, fmt.Errorf("SO_REUSEADDR: %w", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, fmt.Errorf("bind: %w", err)
	}
	address, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, fmt.Errorf("getsockname: %w", err)
	}
	return address.(*syscall.SockaddrInet4).Port, nil
}

// Close gives the ports back.
func (c *Config) Close() {
	for _, fd := range c.reserved {
		_ = syscall.Close(fd)
	}
	c.reserved = nil
}
