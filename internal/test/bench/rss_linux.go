package main

import "syscall"

// maxRSS returns the peak memory in bytes. Linux reports it in KiB.
func maxRSS(u *syscall.Rusage) int64 { return u.Maxrss << 10 }

// withParent makes the kernel kill a child when this process ends without cleaning up.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
