package main

import "syscall"

// ownGroup also has the kernel kill the child when this process dies without cleaning up.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
