package main

import "syscall"

// ownGroup gives a child a separate process group. With it, the kernel also kills the child
// when the parent ends without cleaning up.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
