package envoys

import (
	"fmt"
	"syscall"
)

// ReservePort returns a free TCP port of 127.0.0.1, kept until release by a socket that is bound but does not listen: no
// one is given the port who asks for any free one, and a server that asks for this one gets it since both set
// SO_REUSEADDR.
func ReservePort() (port int, release func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return 0, nil, fmt.Errorf("socket: %w", err)
	}
	release = func() { _ = syscall.Close(fd) }
	syscall.CloseOnExec(fd)
	if err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		release()
		return 0, nil, fmt.Errorf("bind: %w", err)
	}
	address, err := syscall.Getsockname(fd)
	if err != nil {
		release()
		return 0, nil, fmt.Errorf("getsockname: %w", err)
	}
	return address.(*syscall.SockaddrInet4).Port, release, nil
}

func (c *Config) reserve() (int, error) {
	port, release, err := ReservePort()
	if err == nil {
		c.releases = append(c.releases, release)
	}
	return port, err
}

// Close gives the ports back.
func (c *Config) Close() {
	for _, release := range c.releases {
		release()
	}
	c.releases = nil
}
