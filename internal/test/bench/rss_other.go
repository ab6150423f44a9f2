//go:build unix && !linux

package main

import "syscall"

// maxRSS returns Maxrss unchanged as bytes, the unit that macOS uses.
func maxRSS(u *syscall.Rusage) int64 { return int64(u.Maxrss) }

// withParent returns no attributes: only on Linux can the kernel kill a child when its parent
// ends.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
