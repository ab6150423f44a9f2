package main

import "syscall"

// maxRSS is in KiB on Linux.
func maxRSS(u *syscall.Rusage) int64 { return u.Maxrss << 10 }

// withParent has the kernel kill a child when this process dies without cleaning up.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
