package envoytest

import "os/exec"

// StartProcess starts a command that is no Envoy so that it cannot outlive the tests. exited is closed when it has
// ended; its ProcessState says how.
func StartProcess(cmd *exec.Cmd) (exited <-chan struct{}, err error) { return start(cmd) }
