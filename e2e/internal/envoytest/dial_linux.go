package envoytest

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// portWhenConnected lets the kernel choose a connection's port when it knows where the connection leads. Chosen before,
// it would have to be free of all that were closed in the last minute, of which there may be thousands.
func portWhenConnected(_, _ string, c syscall.RawConn) error {
	var err error
	if failed := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	}); failed != nil {
		return failed
	}
	return err
}
