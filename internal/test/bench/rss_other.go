//go:build unix && !linux

package main

import "syscall"

// maxRSS returns Maxrss unchanged as bytes, the unit that macOS uses.
func maxRSS(u *syscall.Rusage) int64 { return int64(u.Maxrss) }
