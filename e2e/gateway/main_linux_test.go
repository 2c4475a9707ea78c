package gateway

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const inside = "HEALTHGATE_OWN_NETWORK"

// TestMain runs the tests in a network of their own where the kernel allows that: Envoy Gateway listens on ports that
// are always the same, and on all addresses.
func TestMain(m *testing.M) {
	if os.Getenv(inside) == "" {
		again := exec.Command("/proc/self/exe", os.Args[1:]...)
		again.Env = append(os.Environ(), inside+"=yes")
		again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
		again.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
			Pdeathsig:   syscall.SIGKILL,
		}
		err := again.Run()
		if again.ProcessState != nil {
			os.Exit(again.ProcessState.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "there is no network of our own, so Envoy Gateway listens on all addresses:", err)
	} else if err := loopbackUp(); err != nil {
		fmt.Fprintln(os.Stderr, "the network of our own has no loopback:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func loopbackUp() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(socket) }()
	loopback, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	loopback.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, loopback)
}
