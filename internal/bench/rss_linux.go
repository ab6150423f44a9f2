package main

import "syscall"

// maxRSS is in KiB on Linux.
func maxRSS(u *syscall.Rusage) int64 { return u.Maxrss << 10 }
