package main

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel kill the child when the demo ends without cleaning up.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
