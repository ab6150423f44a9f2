//go:build unix && !linux

package main

import "syscall"

// maxRSS is in bytes on the BSDs and macOS.
func maxRSS(u *syscall.Rusage) int64 { return int64(u.Maxrss) }
