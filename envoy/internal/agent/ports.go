package agent

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Gate is a TCP port that is open, or not. A connection is closed as soon as it is accepted: none is left over when the
// port is closed.
type Gate struct {
	Address  string
	listener net.Listener
}

// Set opens or closes the port. What fails may be tried again.
func (g *Gate) Set(open bool) (err error) {
	switch {
	case open && g.listener == nil:
		if g.listener, err = net.Listen("tcp", g.Address); err != nil {
			g.listener = nil
			return err
		}
		go Accept(g.listener, func(net.Conn) {})
	case !open && g.listener != nil:
		err, g.listener = g.listener.Close(), nil
	}
	return err
}

// Accept gives each connection to handle, and closes it then, until the listener is closed.
func Accept(l net.Listener, handle func(net.Conn)) {
	for {
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // such as too many open files
			time.Sleep(100 * time.Millisecond)
		default:
			go func() {
				defer conn.Close()
				handle(conn)
			}()
		}
	}
}

// Tell writes a line. It then reads what the other side sent (HAProxy's agent-send): a connection that is closed before
// would be reset, and the line lost.
func Tell(conn net.Conn, line string) {
	if conn.SetDeadline(time.Now().Add(time.Second)) != nil {
		return
	}
	if _, err := io.WriteString(conn, line); err != nil {
		return
	}
	if tcp, is := conn.(*net.TCPConn); is && tcp.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(conn, 4096))
	}
}

// Known is a state that holds for some time only.
type Known struct {
	mu    sync.Mutex
	state State
	until time.Time
}

// Until returns when what is known ends.
func (k *Known) Until() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.until
}

// Put takes a state.
func (k *Known) Put(s State, until time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state, k.until = s, until
}

// At returns the state at a time.
func (k *Known) At(now time.Time) State {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.until.IsZero():
		return State{Word: Down, Why: "Envoy was not asked yet"}
	case now.After(k.until):
		return State{Word: Down, Why: "what is known is too old"}
	}
	return k.state
}
