package envoytest

import (
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// start starts the command so that it cannot outlive the tests, not even when they are killed or run into their
// timeout, where no cleanup runs. It returns when the command has started; exited is closed when it has ended.
func start(cmd *exec.Cmd) (exited <-chan struct{}, err error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	}
	done, started := make(chan struct{}), make(chan error, 1)
	go func() {
		// The signal comes when the thread ends that started the command, so that thread has to stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // the caller reads cmd.ProcessState
		}
	}()
	return done, <-started
}

// asTerminal gives a command a process group of its own. What the tests leave of it is told to end, since to kill make
// would not end what make started.
func asTerminal() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// portWhenConnected lets the kernel choose a connection's port when it knows where the connection leads. Chosen before, it
// would have to be free of all that were closed in the last minute, of which there may be thousands.
func portWhenConnected(_, _ string, c syscall.RawConn) error {
	var err error
	if failed := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	}); failed != nil {
		return failed
	}
	return err
}
