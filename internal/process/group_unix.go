//go:build !windows

package process

import (
	"os/exec"
	"syscall"
)

// OwnGroup puts a command that is not started yet into a new process group. Then Ctrl-C at a
// terminal does not reach the command, so that its parent decides when the command ends.
func OwnGroup(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
}
