package envoytest

import (
	"net"
	"time"
)

// DialerFrom returns a dialer whose connections come from an address of this machine.
func DialerFrom(source string, timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Control: portWhenConnected}
}
