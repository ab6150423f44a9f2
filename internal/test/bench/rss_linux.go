package main

import "syscall"

// maxRSS returns the peak memory in bytes. Linux reports it in KiB.
func maxRSS(u *syscall.Rusage) int64 { return u.Maxrss << 10 }
